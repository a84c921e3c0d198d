"""Shape annotations are checked in tests, and only there."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; the tests run in two processes
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # tests never download

import tempfile
from pathlib import Path

from hypothesis import settings
from jaxtyping import install_import_hook

os.environ["GEN3D_CACHE"] = str(Path(tempfile.gettempdir(), "gen3d-tests-have-no-weights"))  # those of the person

_PLUGINS = sorted(path.name for path in (Path(__file__).parent / "plugins").glob("gen3d_*"))
_HOOK = install_import_hook(["gen3d", *_PLUGINS], "typechecker.typechecked")

settings.register_profile("gen3d", deadline=None, derandomize=True, max_examples=40, print_blob=True)
settings.load_profile("gen3d")
