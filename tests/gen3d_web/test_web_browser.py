"""The page in a real browser: from drop to download, asking nobody but its own server."""

from pathlib import Path

import pytest
import trimesh

from browser import PATIENCE, opened_browser
from served import served

pytestmark = pytest.mark.importers

BARREL = Path(__file__).parents[2] / "examples" / "barrel.png"
LONG = 240_000
"""Milliseconds for a run of seconds, on cores that are shared."""


@pytest.mark.timeout(600)
def test_from_drop_to_download(tmp_path):
    pytest.importorskip("gradio")
    (tmp_path / "page.png").write_text("no picture")
    with (
        served(tmp_path, "--profile", "mini") as (address, _),
        opened_browser(viewport={"width": 1280, "height": 900}) as seen,
    ):
        page = seen.page
        page.goto(address)
        page.get_by_role("button", name="Make it").click()
        page.get_by_text("drop a picture of one object").wait_for()
        page.locator("input[type=file]").first.set_input_files(tmp_path / "page.png")
        page.get_by_role("button", name="Remove Image").or_(page.get_by_label("Clear")).first.wait_for()
        page.get_by_role("button", name="Make it").click()
        page.get_by_text("no picture of a kind known").wait_for()
        page.get_by_role("button", name="Remove Image").or_(page.get_by_label("Clear")).first.click()
        page.locator("input[type=file]").first.set_input_files(BARREL)
        page.get_by_label("Recipe").click()
        page.get_by_role("option", name="tiny").click()
        page.get_by_text("A small thing.").wait_for()
        page.get_by_role("button", name="Make it").click()
        page.locator(".card .state").get_by_text("running").wait_for()
        page.locator("#cancel").wait_for()
        page.locator("#download").wait_for(timeout=LONG)
        page.locator("canvas").wait_for(timeout=PATIENCE)
        with page.expect_download(timeout=PATIENCE) as download:
            page.locator("#download").click()
        download.value.save_as(tmp_path / "mine.glb")
        page.screenshot(path=tmp_path / "shown.png")
        elsewhere = [url for url in seen.requests if not url.startswith((address, "blob:", "data:"))]
    assert elsewhere == []
    mesh = trimesh.load(tmp_path / "mine.glb", force="mesh")
    assert 100 < len(mesh.faces) <= 500
    assert not [said for said in seen.problems if "Content Security Policy" in said]
