"""The queue: in order, in files, whatever happens to them."""

import json
from dataclasses import replace

import pytest

from gen3d.errors import BadInput
from gen3d_web.jobs import MOST_WAITING, Job, Jobs
from gen3d_web.shown import everything, shown


def names(jobs):
    return [job.name for job in jobs.list()]


def test_first_come_first_served_but_what_was_running_goes_before(tmp_path):
    jobs = Jobs(tmp_path)
    for name in ("b", "a", "c"):
        jobs.put(Job(name, name, "recipe.yaml"))
    assert jobs.next().name == "a"
    jobs.change("c", ["queued"], status="running")
    assert jobs.next().name == "c"
    jobs.change("c", ["running"], status="done")
    jobs.change("a", ["queued"], status="cancelled")
    assert jobs.next().name == "b"
    jobs.change("b", ["queued"], status="failed", message="why")
    assert jobs.next() is None
    assert jobs.get("b").message == "why"


def test_another_process_finds_the_same_queue(tmp_path):
    job = Job("a", "an ñandú", "recipe.yaml", ('inputs.prompt="x"',), "mini", "8GB", "failed", "why\nand what now")
    Jobs(tmp_path / "runs").put(job)
    assert Jobs(tmp_path / "runs").list() == [job]


def test_a_status_that_has_changed_meanwhile_is_left_alone(tmp_path):
    jobs = Jobs(tmp_path)
    job = jobs.put(Job("a", "a", "recipe.yaml", status="cancelled"))
    assert jobs.change("a", ["queued"], status="running") is None
    assert jobs.change("nobody", ["queued"], status="running") is None
    assert jobs.list() == [job]


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"name": "a"}', '{"name": "b", "title": "", "recipe": "", "overrides": []}']
)
def test_a_damaged_file_does_not_stop_the_others(tmp_path, damage):
    jobs = Jobs(tmp_path)
    jobs.put(Job("z", "z", "recipe.yaml"))
    jobs.file("a").write_text(damage)
    assert names(jobs) == ["z"]


def test_names_are_new_and_rise_and_the_queue_has_an_end(tmp_path):
    jobs = Jobs(tmp_path)
    given = [jobs.put(Job(jobs.new_name(), "x", "recipe.yaml")).name for _ in range(MOST_WAITING)]
    assert len(set(given)) == MOST_WAITING
    assert names(jobs) == given
    with pytest.raises(BadInput, match="waiting already"):
        jobs.new_name()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"cannot be written.*\n  choose another folder with --runs"):
        Jobs(tmp_path / "file")


def test_runs_started_elsewhere_are_listed_too_and_cannot_be_gone_on_with(tmp_path):
    jobs = Jobs(tmp_path)
    jobs.put(Job("2026-01-02", "ours", "recipe.yaml", status="failed", message="why"))
    run = tmp_path / "2026-01-03-theirs"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"name": "theirs", "recipe": "r.yaml", "status": "interrupted"}))
    (tmp_path / "no run").mkdir()
    assert [(job.title, job.status) for job in everything(jobs)] == [("theirs", "cancelled"), ("ours", "failed")]
    assert shown(jobs, None)["again"] == {"visible": False}
    ours = shown(jobs, "2026-01-02")
    assert (ours["again"], ours["cancel"]) == ({"visible": True}, {"visible": False})
    assert "why" in ours["card"]["value"]


def test_what_somebody_typed_is_text_on_the_page(tmp_path):
    jobs = Jobs(tmp_path)
    job = jobs.put(Job("a", "<img src=x onerror=alert(1)>", "recipe.yaml", status="failed", message="<b>&"))
    card = shown(jobs, "a")["card"]["value"]
    assert "<img" not in card
    assert "<b>" not in card
    assert "&lt;img src=x onerror=alert(1)&gt;" in card
    assert "&lt;b&gt;&amp;" in card
    jobs.put(replace(job, status="queued"))
    jobs.put(Job("b", "b", "recipe.yaml"))
    assert "1 before it" in shown(jobs, "b")["card"]["value"]
