import time

import numpy as np
import pytest

from gen3d_export.worker import WorkerFailed, run_worker


def script(tmp_path, text):
    path = tmp_path / "work.py"
    path.write_text(f"import sys\nimport numpy as np\n{text}\n")
    return path


def test_arrays_go_there_and_back(tmp_path):
    double = script(tmp_path, "np.savez(sys.argv[2], y=2 * np.load(sys.argv[1])['x'], torch='torch' in sys.modules)")
    made = run_worker(double, {"x": np.arange(6).reshape(2, 3)}, 20)
    np.testing.assert_array_equal(made["y"], [[0, 2, 4], [6, 8, 10]])
    assert not made["torch"]


def test_a_process_that_hangs_is_killed(tmp_path):
    started = time.monotonic()
    with pytest.raises(WorkerFailed, match="not done after 1 s"):
        run_worker(script(tmp_path, "while True: pass"), {}, 1)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os; os.abort()", "ended with code -6"),
        ("sys.exit('no charts')", "no charts"),
        ("pass", "ended with code 0"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_process_without_a_result_is_an_error(tmp_path, text, message):
    with pytest.raises(WorkerFailed, match=message):
        run_worker(script(tmp_path, text), {}, 20)
