"""What the page says of a run, as HTML; whatever somebody has typed is text in it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gen3d.errors import Gen3dError
    from gen3d_web.jobs import Job
    from gen3d_web.watching import Seen

CSS = """
main.fillable { max-width: 1180px !important; margin: 0 auto !important; }
.card { border: 1px solid var(--border-color-primary); border-radius: 12px; padding: 14px 18px; }
.card h3 { margin: 0 0 6px; font-size: 1.05rem; overflow-wrap: anywhere; }
.card p { margin: 6px 0 0; opacity: .72; }
.card .state { float: right; font-size: .85rem; padding: 1px 10px; border-radius: 99px; background: #8882; }
.card .state.done { background: #16a34a22; color: #15803d; }
.card .state.running { background: #4f46e522; color: #4f46e5; }
.card .state.failed { background: #dc262622; color: #dc2626; }
.card .bar { height: 8px; border-radius: 99px; background: #8883; overflow: hidden; margin-top: 10px; }
.card .bar i { display: block; height: 100%; background: #4f46e5; transition: width .6s; }
.card .terms { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: .85rem; }
.card.trouble { border-color: #dc2626; }
.card.trouble p { opacity: 1; white-space: pre-wrap; overflow-wrap: anywhere; }
"""
NOTHING = '<div class="card"><h3>Nothing here yet</h3><p>What you make appears here, and stays.</p></div>'
STATES = {"queued": "waiting", "running": "running", "done": "done", "failed": "failed", "cancelled": "stopped"}


def job_card(job: Job, seen: Seen, ahead: int) -> str:
    """Where a run stands.

    Args:
        job: the run.
        seen: what its files say.
        ahead: how many jobs come before it.
    """
    parts = [f'<span class="state {job.status}">{STATES[job.status]}</span><h3>{escape(job.title)}</h3>']
    if job.status == "queued":
        parts.append(f"<p>{f'{ahead} before it' if ahead else 'next'}</p>")
    if job.status == "running":
        parts.append(_progress(seen))
    if job.status == "failed":
        parts.append(f"<p>{escape(job.message)}</p>")
    if job.status == "done" and seen.seconds:
        parts.append(f"<p>made in {_duration(seen.seconds)}</p>")
    parts += [f"<p>{escape(warning)}</p>" for warning in seen.warnings]
    return f'<div class="card{" trouble" if job.status == "failed" else ""}">{"".join(parts)}</div>'


def trouble(error: Gen3dError) -> str:
    """What is wrong with what somebody has filled in, and what would be right."""
    return f'<div class="card trouble"><h3>That does not work yet</h3><p>{escape(str(error))}</p></div>'


def _progress(seen: Seen) -> str:
    if not seen.steps:
        return "<p>starting: loading the models</p>"
    share = 100 * seen.step / seen.steps
    terms = "".join(f"<span>{escape(name)} {value:.3g}</span>" for name, value in seen.terms.items())
    doing = seen.activity or f"{seen.stage}: {seen.step} of {seen.steps} steps"
    return (
        f'<div class="bar"><i style="width: {share:.1f}%"></i></div>'
        f'<p>{escape(doing)} · {_duration(seen.seconds)}</p><p class="terms">{terms}</p>'
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"
