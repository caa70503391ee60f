"""The first process of a container: what it runs, and how it ends before that runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from runtime.boot import TERMINATED

SLOW = """
import sys, time
print("importing", *sys.argv[1:], flush=True)
time.sleep(60)
"""


def boot(folder: Path, program: str, *arguments: str) -> subprocess.Popen[str]:
    (folder / "slow_service.py").write_text(program)
    path = os.pathsep.join([str(folder), str(Path.cwd())])
    return subprocess.Popen(
        [sys.executable, "-m", "runtime.boot", "slow_service", *arguments],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_service_that_is_still_starting_ends_when_told_to(tmp_path: Path) -> None:
    with boot(tmp_path, SLOW, "migrate") as process:
        assert process.stdout
        assert process.stdout.readline() == "importing migrate\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == TERMINATED


def test_a_services_own_exit_status_is_kept(tmp_path: Path) -> None:
    program = "assert __name__ == '__main__'\nraise SystemExit(2)"
    with boot(tmp_path, program) as process:
        assert process.wait(30) == 2
