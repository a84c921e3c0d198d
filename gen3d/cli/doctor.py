"""Say what this machine can run, which backend does each job, and why."""

import click


@click.command("doctor")
def command() -> None:
    """Check the installation."""
    from gen3d.doctor import examine

    for name, finding in examine():
        click.echo(f"{name:16} {finding}")
