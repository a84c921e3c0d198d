"""Our own auditor, on the same assets."""

import pytest

from gen3d_export.audit.check import check
from importer_assets import ASSETS, cases

KINDS = {".glb", ".obj", ".ply", ".usdz"}


@pytest.mark.parametrize("name", cases(*(name for name in ASSETS if name != "meshopt")))
def test_the_auditor_passes_every_file(asset, name):
    """Against the budget of its preset."""
    files = sorted(path for path in asset(name).folder.iterdir() if path.suffix in KINDS)
    assert files
    for file in files:
        report = check(file, ASSETS[name].get("preset"))
        assert report.passed, (file.name, [finding for finding in report.findings if finding.status == "fail"])
