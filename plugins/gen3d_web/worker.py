"""Who runs the jobs: one at a time, each in a process of its own, so that a crash does not take the server down."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gen3d_web.jobs import Job, Jobs

INTERRUPTED = 130
_WAITING = ("queued", "running")
_KNOWN = (2, 3, 4, 5)
"""Exit codes that come with a message for a person."""
_IDLE = 1.0
"""Seconds between two looks at the queue."""


class Worker:
    """Runs what stands in the queue.

    Args:
        jobs: the queue.
    """

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self._wake, self._closing = threading.Event(), threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._running, self._cancelled = "", ""
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin with the queue, and with what was left running."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the queue."""
        self._wake.set()

    def close(self) -> None:
        """Let the running job save and end; the next server goes on with it."""
        self._closing.set()
        self._wake.set()
        with self._changing:
            self._let_go()
        if self._thread.is_alive():
            self._thread.join()

    def cancel(self, name: str) -> None:
        """Take a job out of the queue, or let it save and end; asked once more, it is ended at once."""
        with self._changing:
            if self.jobs.change(name, ["queued"], status="cancelled") is not None or name != self._running:
                return
            if self._cancelled == name and self._child is not None:
                self._child.kill()
            self._cancelled = name
            self._let_go()

    def again(self, name: str) -> None:
        """Put a job that has failed or was cancelled into the queue once more: it goes on where it stopped."""
        self.jobs.change(name, ["failed", "cancelled"], status="queued", message="")
        self.wake()

    def _let_go(self) -> None:
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()

    def _work(self) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            job = self.jobs.next()
            if job is None:
                self._wake.wait(_IDLE)
            else:
                self._run(job)

    def _run(self, job: Job) -> None:
        with self.jobs.file(job.name, ".log").open("ab") as log:
            said = log.tell()
            with self._changing:
                if (
                    self._closing.is_set()
                    or self.jobs.change(job.name, ["queued", "running"], status="running") is None
                ):
                    return  # cancelled in this moment
                command = [sys.executable, "-m", "gen3d_web.child", str(self.jobs.file(job.name))]
                self._child = subprocess.Popen(  # noqa: S603 (ours); its session is its own: Ctrl-C is for the server
                    command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                )
                self._running = job.name
            code = self._child.wait()
        with self._changing:
            self._let_go()
            self._child, self._running, cancelled = None, "", self._cancelled == job.name
            self._cancelled = ""
        self._ended(job, code, said, cancelled=cancelled)

    def _ended(self, job: Job, code: int, said: int, *, cancelled: bool) -> None:
        if code == 0:
            self.jobs.change(job.name, ["running"], status="done", message="")
        elif cancelled:
            self.jobs.change(job.name, ["running"], status="cancelled", message="")
        elif not self._closing.is_set():
            log = self.jobs.file(job.name, ".log")
            with log.open("rb") as file:
                file.seek(said)
                text = file.read().decode(errors="replace")
            self.jobs.change(job.name, ["running"], status="failed", message=_reason(code, text, log.name))


def _reason(code: int, text: str, log: str) -> str:
    """Why a process has ended, for a person: what it said itself, where that is for one."""
    message = re.search(r"^error: (.*)\Z", text, re.MULTILINE | re.DOTALL)
    if code in _KNOWN and message:
        return message[1].strip()
    if code == INTERRUPTED:
        cause, remedy = "somebody has stopped it from outside", "go on: nothing is lost"
    elif code < 0:
        cause = f"the system has ended it (signal {-code}), most often for want of memory"
        remedy = "close other programs, then go on"
    else:
        cause = f"it failed in a way that nobody foresaw; what it said is in {log}"
        remedy = "go on once more; if it fails again, report it"
    return f"{cause}\n{remedy}"
