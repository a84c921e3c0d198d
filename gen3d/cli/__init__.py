"""The command line. Commands load when they are called, so that `gen3d --help` imports no torch and no plugin."""

import ast
import importlib.util
import os
import signal
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click

from gen3d.errors import Gen3dError, OutOfMemory, Unavailable

# Before torch is imported: its threads would otherwise spin at every barrier, which is slow where a core is shared.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

CORE = ("run", "resume", "export", "recipes", "plugins", "describe", "weights", "doctor", "new-plugin")
"""One file of this package each; all other commands are plugins' entry points."""

PORT = 7007
"""Where a run is shown unless somebody says otherwise."""


class Commands(click.Group):
    """The core's commands and those of the entry-point group `gen3d.commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, without importing anything."""
        return [*CORE, *sorted(_plugin_commands())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that was called."""
        if cmd_name in CORE:
            module = importlib.import_module(f"gen3d.cli.{cmd_name.replace('-', '_')}")
            command: click.Command = module.command
            return command
        entry = _plugin_commands().get(cmd_name)
        if entry is None:
            return None
        try:
            loaded: click.Command = entry.load()
        except (Exception, SystemExit) as error:
            cause = f"the command {cmd_name!r} cannot be loaded: {type(error).__name__}: {error}"
            raise Unavailable(cause, place=f"plugin {entry.module}", remedy="see `gen3d plugins`") from error
        return loaded

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the first line of their modules' docstrings."""
        rows = [(name, _summary(f"gen3d.cli.{name.replace('-', '_')}")) for name in CORE]
        rows += [(name, _summary(entry.module)) for name, entry in sorted(_plugin_commands().items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _plugin_commands() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="gen3d.commands")}


def _summary(module: str) -> str:
    """The first line of a module's docstring, read from its source without importing the module."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
        folders = (spec.submodule_search_locations if spec else None) or ()
        paths = [Path(folder, *rest) for folder in folders] if rest else [Path(spec.origin or "")] if spec else []
        files = [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
        return (ast.get_docstring(ast.parse(files[0].read_bytes())) or "").partition("\n")[0] if files else ""
    except (SyntaxError, ValueError, OSError):  # a plugin's, and --help works all the same
        return ""


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"gen3d {version('gen3d')}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def cli() -> None:
    """Turn a picture or a sentence into a textured 3D asset."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a Gen3dError becomes one message and its exit code, never a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # who is told to stop saves what he has, as after Ctrl-C
    sys.exit(guarded(lambda: cli.main(args=arguments, prog_name="gen3d", standalone_mode=False)))


def guarded(command: Callable[[], object]) -> int:
    """Call a command and turn what it raises into an exit code."""
    try:
        result = command()
    except (KeyboardInterrupt, click.exceptions.Abort) as error:
        told = error.__cause__ or error  # click raises Abort from what was interrupted
        click.echo(f"interrupted{': ' if str(told) else ''}{told}", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        return 0
    except Exception as error:
        known = error if isinstance(error, Gen3dError) else OutOfMemory.of(error)
        if known is None:
            raise
        click.echo(f"error: {known}", err=True)
        return known.exit_code
    return result if isinstance(result, int) else 0
