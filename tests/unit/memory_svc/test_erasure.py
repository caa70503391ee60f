"""The ledger: on disk before it returns, and readable whatever a crash left."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from memory_svc.erasure import Ledger


def test_what_is_written_is_read(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "folder" / "erasures")
    assert ledger.users() == []
    ledger.check()
    users = [uuid4() for _ in range(3)]
    for user in users:
        ledger.add(user)
    assert Ledger(ledger.path).users() == users
    assert ledger.path.stat().st_mode & 0o777 == 0o600


def test_half_a_line_is_passed_over_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "erasures"
    path.write_text(f"{UUID(int=1)} 2026-01-01T00:00:00+00:00\n{str(UUID(int=2))[:9]}")
    ledger = Ledger(path)
    ledger.add(UUID(int=3))
    assert ledger.users() == [UUID(int=1), UUID(int=3)]


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        Ledger(tmp_path).check()
