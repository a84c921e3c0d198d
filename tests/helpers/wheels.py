"""Build and install a plugin as the documentation says, away from its folder and from this environment."""

import shutil
import subprocess
import sys
from pathlib import Path

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def install(plugin: Path, work: Path) -> Path:
    """Build a wheel of the folder `plugin`, install it, and return the folder to put on the path."""
    source, dist, site = work / plugin.name, work / "dist", work / "site"
    shutil.copytree(plugin, source)  # building writes into the folder
    run("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(dist), str(source))
    run("install", "--no-deps", "--no-index", "--target", str(site), *map(str, dist.iterdir()))
    return site


def run(*arguments: str) -> None:
    done = subprocess.run([*PIP, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
