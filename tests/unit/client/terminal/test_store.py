"""The store: durable, private, and never silently replaced."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from client.terminal.store import (
    DAY_MS,
    KEEP_ANSWERS_MS,
    KINDS,
    Change,
    Store,
    StoreError,
    load,
    save,
)

NOW = 1_790_000_000_000


def test_the_first_start_gives_sample_data_of_all_kinds_some_of_it_overdue(tmp_path: Path) -> None:
    store = load(tmp_path / "store.json", NOW)
    assert all(len(store.all(kind)) >= 3 for kind in KINDS)
    late = [t for t in store.all("task") if (t["dueDate"] or NOW) < NOW and t["status"] != "done"]
    assert len(late) == 4
    assert {t["status"] for t in store.all("task")} == {"todo", "in_progress", "done"}


def test_what_is_saved_comes_back_with_its_answers(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "store.json"
    store = load(file, NOW)
    store.apply([Change("delete", "task", "task-1"), Change("delete", "task", "task-1")])
    store.apply([Change("create", "note", "n", {"id": "n", "title": "ä\ud800"})])
    store.keep_answer("call", {"result": None}, NOW)
    save(store, file)
    again = load(file, NOW + DAY_MS)
    assert again == store
    assert again.get("task", "task-1") is None
    assert again.answer_to("call") == {"result": None} and again.answer_to("other") is None


def test_the_file_is_private_and_nothing_else_stays_behind(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "store.json"
    save(load(file, NOW), file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["store.json"]


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "store.json"
    save(load(file, NOW), file)
    before = file.read_bytes()

    def full(handle: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        save(Store({kind: {} for kind in KINDS}), file)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["store.json"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"task": 1}', json.dumps({kind: [1] for kind in KINDS})]
)
def test_a_file_that_is_none_of_ours_is_kept_and_told(tmp_path: Path, content: str) -> None:
    file = tmp_path / "store.json"
    file.write_text(content)
    with pytest.raises(StoreError, match=r"store\.json cannot be read"):
        load(file, NOW)
    assert file.read_text() == content


def test_answers_are_kept_for_as_long_as_a_call_may_come_again() -> None:
    store = Store({kind: {} for kind in KINDS})
    answer: dict[str, Any] = {"result": {"id": "x"}}
    store.keep_answer("old", answer, NOW)
    store.keep_answer("new", answer, NOW + KEEP_ANSWERS_MS - 1)
    assert store.answer_to("old") == answer
    store.keep_answer("newer", answer, NOW + KEEP_ANSWERS_MS)
    assert store.answer_to("old") is None and store.answer_to("new") == answer
