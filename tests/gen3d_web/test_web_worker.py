"""Jobs as real processes: in order, cancelled, failed, and after a server that was killed."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

import stops
from gen3d.recipe import Recipe
from gen3d.run import Run
from gen3d_web.jobs import Jobs
from gen3d_web.worker import Worker
from served import PATIENCE, steps_of, toy_job, toys, until

pytestmark = pytest.mark.timeout(4 * PATIENCE)

LONG = "stages.shape.steps=3000"
SERVER = """
import sys, threading
from pathlib import Path
from gen3d_web.jobs import Jobs
from gen3d_web.worker import Worker
Worker(Jobs(Path(sys.argv[1]))).start()
threading.Event().wait()
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    toys(monkeypatch)
    return Jobs(tmp_path / "runs")


@contextmanager
def working(jobs):
    worker = Worker(jobs)
    worker.start()
    try:
        yield worker
    finally:
        worker.close()


def status(jobs, job):
    return jobs.get(job.name).status


def record(jobs, job):
    return json.loads((jobs.run(job.name) / "run.json").read_text())


def test_jobs_run_one_after_the_other_and_a_failure_is_told(jobs):
    bad, good = toy_job(jobs, "optimizer.lrr=1"), toy_job(jobs)
    with working(jobs):
        until(lambda: status(jobs, good) == "done", "the second job")
    assert status(jobs, bad) == "failed"
    told = jobs.get(bad.name).message
    assert "lrr" in told
    assert "did you mean 'lr'" in told
    assert "Traceback" not in told
    assert record(jobs, good)["status"] == "done"
    assert (jobs.run(good.name) / "asset" / "asset.json").is_file()


def test_a_cancelled_job_is_saved_and_goes_on_when_asked(jobs):
    running, waiting = toy_job(jobs, LONG), toy_job(jobs)
    with working(jobs) as worker:
        until(lambda: steps_of(jobs.run(running.name)) > 20, "some steps")
        worker.cancel(waiting.name)
        assert status(jobs, waiting) == "cancelled"
        worker.cancel(running.name)
        until(lambda: status(jobs, running) == "cancelled", "the end")
        assert record(jobs, running)["status"] == "interrupted"
        before = steps_of(jobs.run(running.name))
        worker.again(running.name)
        until(lambda: steps_of(jobs.run(running.name)) > before, "more steps")
    assert record(jobs, running)["resumed"][0]["step"] == before  # saved at the step where it was stopped
    assert status(jobs, running) == "running"  # the worker was closed: the next one goes on with it


def test_a_killed_server_takes_its_job_along_and_the_next_one_ends_it_as_if_nothing_had_been(jobs, tmp_path):
    job = toy_job(jobs, "stages.shape.steps=400")
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(jobs.runs)])
    try:
        until(lambda: steps_of(jobs.run(job.name)) > 20, "some steps")
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait(PATIENCE)
    assert status(jobs, job) == "running"
    with working(jobs):
        until(lambda: status(jobs, job) == "done", "the end")
    assert record(jobs, job)["resumed"]
    recipe = Recipe.load(jobs.runs / "toy.yaml", [*job.overrides, f"output={tmp_path / 'unbroken'}"])
    Run(recipe, stops.plugins()).start()
    assert stops.differences(stops.left(tmp_path / "unbroken"), stops.left(jobs.run(job.name))) == []


def test_a_process_that_the_system_ends_is_told_as_that(jobs):
    job = toy_job(jobs, LONG)
    with working(jobs) as worker:
        until(lambda: steps_of(jobs.run(job.name)) > 5, "some steps")
        worker._child.send_signal(signal.SIGKILL)
        until(lambda: status(jobs, job) == "failed", "the end")
    assert jobs.get(job.name).message.startswith("the system has ended it (signal 9)")
