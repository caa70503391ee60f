"""The runs beside busy loops: what fails now and then is named."""

import re
import subprocess
import sys
from pathlib import Path

SOMETIMES = """
from pathlib import Path

def test_always(): pass

def test_now_and_then():
    runs = Path(__file__).with_suffix(".runs")
    runs.write_text((runs.read_text() if runs.exists() else "") + ".")
    assert len(runs.read_text()) != 2
"""


def repeated(test: Path, times: int) -> tuple[int, str]:
    command = [sys.executable, "-m", "bench.repeat", "--times", str(times), "--busy", "1"]
    done = subprocess.run(
        [*command, "--workers", "0", str(test)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_a_test_that_fails_once_in_three_runs_is_named(tmp_path: Path) -> None:
    test = tmp_path / "test_sometimes.py"
    test.write_text(SOMETIMES)
    status, said = repeated(test, 3)
    assert status == 1
    # How much of the folder is named depends on where the checkout stands.
    assert re.search(r"^   1 of 3 failed  \S*test_sometimes\.test_now_and_then$", said, re.M)
    assert "test_always" not in said
    assert repeated(test, 1)[0] == 0


def test_a_run_that_never_got_to_its_tests_is_no_success(tmp_path: Path) -> None:
    status, said = repeated(tmp_path / "test_nothing.py", 1)
    assert status == 1
    assert "ended without a report of their failure" in said
