"""The ledger: on disk before it returns, and readable whatever a crash left."""

from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_svc.erasure.ledger import Ledger


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


def test_items_stand_beside_accounts(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "erasures")
    ada, grace = uuid4(), uuid4()
    facts = [uuid4() for _ in range(3)]
    ledger.add_items(ada, facts)
    ledger.add(grace)
    ledger.add_items(ada, facts[:1])
    assert ledger.users() == [grace]
    assert ledger.item_batches() == [[*((ada, fact) for fact in facts), (ada, facts[0])]]
    text = ledger.path.read_text()
    assert [line.split(" ")[0] for line in text.splitlines()] == ["item", str(grace), "item"]


@given(st.binary(max_size=200))
def test_whatever_a_crash_leaves_what_is_written_next_is_read(left: bytes) -> None:
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "erasures")
        ledger.path.write_bytes(left)
        user, fact = uuid4(), uuid4()
        ledger.add(user)
        ledger.add_items(user, [fact])
        assert ledger.users()[-1] == user
        assert ledger.item_batches()[-1][-1] == (user, fact)


def test_half_a_line_of_an_item_names_no_account(tmp_path: Path) -> None:
    whole = f"item {uuid4()} 2026-01-01T00:00:00+00:00 {uuid4()}"
    for end in range(len(whole)):
        path = tmp_path / "erasures"
        path.write_text(whole[:end])
        assert Ledger(path).users() == []


def test_many_items_come_in_batches(tmp_path: Path) -> None:
    ledger, user = Ledger(tmp_path / "erasures"), uuid4()
    ledger.add_items(user, [UUID(int=number) for number in range(2_500)])
    assert [len(batch) for batch in ledger.item_batches()] == [1_000, 1_000, 500]


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        Ledger(tmp_path).check()
