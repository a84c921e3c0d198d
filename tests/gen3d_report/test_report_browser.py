"""The page in a real browser, without a network: the object is there, and nobody is asked for anything."""

import io

import numpy as np
import pytest
from PIL import Image

from browser import opened_browser, until
from reported import reported

pytestmark = pytest.mark.importers

LOADED = "document.querySelector('model-viewer').loaded"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = reported(tmp_path_factory.mktemp("shown"), "steps=60")
    run.start()
    return run.directory


def picture(page, selector):
    with Image.open(io.BytesIO(page.locator(selector).screenshot())) as shown:
        return np.asarray(shown.convert("RGB")).astype(int)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_a_page_opens_from_a_file_shows_the_object_and_asks_nobody(run, scheme, width):
    with opened_browser(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True) as watched:
        page = watched.page
        page.goto((run / "report.html").as_uri())
        until(page, LOADED)
        assert page.evaluate("document.querySelector('model-viewer').getDimensions().y") == pytest.approx(0.4, abs=0.01)
        page.wait_for_timeout(1000)
        stage = picture(page, "#stage")
        behind = stage[8, 8]
        shown = np.abs(stage - behind).sum(axis=-1) > 60
        assert shown[100:-100].mean() > 0.05  # the box covers some of it
        assert len(np.unique((stage // 32)[shown], axis=0)) > 3  # and its sides are of several colours
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("window.hurt") is None
        assert page.locator("#no-viewer").is_hidden()
        until(page, "document.getElementById('turntable').readyState >= 1")
        for index in range(page.locator("img").count()):
            image = page.locator("img").nth(index)
            image.scroll_into_view_if_needed()
            until(page, "image => image.complete", image.element_handle())
            assert image.evaluate("image => image.naturalWidth") > 0
        with page.expect_download() as download:
            page.locator("#download").click()
        assert download.value.path().read_bytes() == (run / "asset" / "asset.glb").read_bytes()
        # A machine that is busy may be slower than the viewer waits for a frame, which it remarks and goes on.
        assert [problem for problem in watched.problems if "rAF timed out" not in problem] == []
        asked = {address.partition(":")[0] for address in watched.requests[1:]}
        assert asked <= {"blob", "data"}


def test_the_object_turns_under_the_pointer(run):
    with opened_browser(viewport={"width": 1000, "height": 800}, offline=True) as watched:
        page = watched.page
        page.goto((run / "report.html").as_uri())
        until(page, LOADED)
        page.evaluate("document.querySelector('model-viewer').autoRotate = false")
        before = page.evaluate("document.querySelector('model-viewer').getCameraOrbit().theta")
        box = page.locator("model-viewer").bounding_box()
        page.mouse.move(box["x"] + 200, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 350, box["y"] + 200, steps=5)
        page.mouse.up()
        until(page, f"Math.abs(document.querySelector('model-viewer').getCameraOrbit().theta - {before}) > 0.3")


def test_without_scripts_the_pictures_are_there(run):
    with opened_browser(java_script_enabled=False, offline=True) as watched:
        watched.page.goto((run / "report.html").as_uri())
        assert watched.page.locator("#views img").is_visible()
        assert watched.page.locator("noscript").is_visible()
