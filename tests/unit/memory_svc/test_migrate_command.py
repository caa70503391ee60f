"""`python -m memory_svc migrate`, as an operator meets it."""

import subprocess
import sys

import pytest

from tests.support.ports import free


def migrate(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "memory_svc", "migrate"],
        env={"DATABASE_URL": url, "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:{port}", "127.0.0.1"),
        ("nowhere.invalid", "Name or service not known|resolution"),
    ],
)
def test_a_database_that_cannot_be_reached_is_told_in_one_line(address: str, why: str) -> None:
    done = migrate(f"postgresql://me:secret@{address.format(port=free(1)[0])}/x")
    [line] = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("memory_svc: the database cannot be used: ")
    assert any(word in line for word in why.split("|"))
    assert "secret" not in line


def test_a_database_that_is_not_there_is_told_in_one_line(empty_database: str) -> None:
    done = migrate(empty_database.replace("/test_", "/no_such_"))
    [line] = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.endswith("does not exist")
