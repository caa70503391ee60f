"""deploy/ci/containers.sh: where it runs its command, and what it says where it cannot."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path("deploy/ci/containers.sh").resolve()
ENGINE = "case $1 in info|compose) exit 0;; image) test -e {bases};; pull) exit 1;; esac"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the script on a machine made of small programs; `bases` are there from the start."""

    def run(
        *, bases: bool, user: int = 0, docker: str = ENGINE, **more: str
    ) -> subprocess.CompletedProcess[str]:
        there = tmp_path / "bases"
        if bases:
            there.touch()
        programs = {
            "docker": docker.format(bases=there),
            "docker-compose": "exit 1",
            "id": f"echo {user}",
            "apt-get": "exit 1",
        }
        for name, text in programs.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)
        return subprocess.run(
            ["bash", SCRIPT, "sh", "-c", "echo it ran; exit 4"],
            env={"PATH": f"{tmp_path}:{os.defpath}", **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_command_runs_and_its_status_is_the_scripts(run: Run) -> None:
    done = run(bases=True)
    assert (done.stdout, done.stderr, done.returncode) == ("it ran\n", "", 4)


@pytest.mark.parametrize(
    ("bases", "user", "why"), [(True, 1000, "this needs root"), (False, 0, "base images")]
)
def test_a_machine_that_cannot_is_told_in_one_line(
    run: Run, bases: bool, user: int, why: str
) -> None:
    done = run(bases=bases, user=user)
    assert (done.stdout, done.returncode) == ("", 75)
    assert done.stderr.startswith("containers cannot be run here: ")
    assert why in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_machine_that_could_but_did_not_is_no_machine_that_cannot(
    run: Run, tmp_path: Path
) -> None:
    """An apt-get that is there and fails is a failure, not an excuse."""
    compose = "case $1 in compose) exit 1;; esac"
    done = run(bases=True, docker=compose)
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr == "Docker and Compose could not be installed\n"


def test_stand_ins_are_made_where_base_images_are_missing(run: Run, tmp_path: Path) -> None:
    standins = tmp_path / "standins.sh"
    standins.write_text(f"touch {tmp_path / 'bases'}\n")
    assert run(bases=False, STANDINS=str(standins)).stdout == "it ran\n"


def test_stand_ins_that_fail_are_an_error_and_no_excuse(run: Run, tmp_path: Path) -> None:
    standins = tmp_path / "standins.sh"
    standins.write_text("exit 3\n")
    done = run(bases=False, STANDINS=str(standins))
    assert (done.stdout, done.returncode) == ("", 1)
    assert str(standins) in done.stderr
