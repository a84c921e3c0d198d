"""Where the Triton kernels are tested: on a GPU, and on a CPU in Triton's interpreter and by what they compile to.

The interpreter has to be switched on before Triton is imported, and then holds for the whole process. So a test runs
its own file once more in a process where it is on.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
GPU = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")])
DEVICES = ["cpu"] if INTERPRETED else [GPU]
ROOT = Path(__file__).parents[2]


def passed_in_the_interpreter(file: str) -> int:
    """How many tests of a file pass there; none fails."""
    pytest.importorskip("triton")
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", file, "-m", "not gpu", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(
        command, cwd=ROOT, env={**own, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]
    return int(re.findall(r"(\d+) passed", result.stdout)[-1])


def ptx(kernel: Any, types: dict[str, str], constants: dict[str, Any], arch: int, warps: int) -> str:
    """What a kernel becomes on cards of that compute capability; pointers are to float32 if `types` does not say."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile  # noqa: A004 (its name)

    signature = {name: "constexpr" if name in constants else types.get(name, "*fp32") for name in kernel.arg_names}
    aligned = {(i,): [["tt.divisibility", 16]] for i, kind in enumerate(signature.values()) if kind[0] == "*"}
    options = {"num_warps": warps, "enable_fp_fusion": True}
    source = ASTSource(kernel, signature, constants, aligned)
    return str(compile(source, target=GPUTarget("cuda", arch, 32), options=options).asm["ptx"])
