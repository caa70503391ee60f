"""deploy/ci/breaking.sh: what the contract is compared with, in clones of every kind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

FIELD = 'syntax = "proto3";\npackage p.v1;\nmessage M {{\n  {} a = 1;\n}}\n'


class Checkout:
    """A repository of its own with the script, the real buf, and a contract of one field."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "deploy/ci").mkdir(parents=True)
        shutil.copy("deploy/ci/breaking.sh", root / "deploy/ci")
        (root / ".venv").symlink_to(Path(".venv").resolve())
        self.git("init", "-q", "-b", "main")
        self.commit("string")

    def git(self, *arguments: str) -> None:
        me = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *me, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self, kind: str) -> None:
        protos = self.root / "protos/p/v1"
        protos.mkdir(parents=True, exist_ok=True)
        (self.root / "protos/buf.yaml").write_text("version: v2\n")
        (protos / "m.proto").write_text(FIELD.format(kind))
        self.git("add", "protos")
        self.git("commit", "-q", "--allow-empty", "-m", kind)

    def compare(self, *against: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", self.root / "deploy/ci/breaking.sh", *against],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_on_main_the_commit_before_is_what_counts(checkout: Checkout) -> None:
    checkout.commit("string")
    assert checkout.compare() == (0, "proto-breaking: compared with HEAD~1\n")
    checkout.commit("int64")
    status, said = checkout.compare()
    assert status != 0
    assert 'Field "1"' in said


def test_on_a_branch_main_is_what_counts(checkout: Checkout) -> None:
    checkout.git("checkout", "-q", "-b", "change")
    checkout.commit("int64")
    checkout.commit("int64")
    status, said = checkout.compare()
    assert status != 0
    assert said.startswith("proto-breaking: compared with main\n")


def test_without_main_the_commit_before_is_what_counts(checkout: Checkout) -> None:
    checkout.commit("int64")
    checkout.git("checkout", "-q", "--detach")
    checkout.git("branch", "-q", "-D", "main")
    assert checkout.compare()[0] != 0


def test_nothing_is_passed_by_in_silence(checkout: Checkout) -> None:
    status, said = checkout.compare()
    assert status == 0
    assert "compared with nothing" in said
    status, said = checkout.compare("v9")
    assert (status, "no commit v9" in said) == (1, True)
