"""deploy/ci/databases.sh: what it says where it cannot get the databases."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path("deploy/ci/databases.sh").resolve()


@pytest.mark.parametrize(
    ("user", "apt", "status", "why"),
    [
        (1000, "exit 0", 75, "databases cannot be tried here: this needs root"),
        (0, "exit 0", 75, "databases cannot be tried here: this Debian has no Postgres 15"),
        # One that is there and fails is a failure, not an excuse.
        (0, "echo no network; exit 100", 1, "no network"),
    ],
)
def test_a_machine_without_them_is_told_in_one_line(
    tmp_path: Path, user: int, apt: str, status: int, why: str
) -> None:
    for name, text in {"id": f"echo {user}", "apt-get": apt, "apt-cache": "exit 0"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["bash", SCRIPT, "echo", "it ran"],
        env={"PATH": f"{tmp_path}:{os.defpath}", "POSTGRES_15": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", status)
    assert done.stderr.startswith(why)
    assert done.stderr.count("\n") == 1
