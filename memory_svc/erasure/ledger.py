"""The file that remembers what was forgotten: ids and times only, outside the database.

A line each, times in UTC:

    USER WHEN                  an account was erased
    item USER WHEN ID ID …     an item was removed, with the rows that were merged into it

It may be shared by several processes of one machine. A line that cannot be read is passed over:
half a line is what a crash leaves. No line of an item begins with an id, so that software
that knows accounts only passes over it.
"""

import fcntl
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

log = logging.getLogger(__name__)

_ITEM: Final = "item"
_BATCH: Final = 1_000


class Ledger:
    """The ledger at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Raises OSError where the ledger cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))

    def add(self, user_id: UUID) -> None:
        """Writes a user down, on disk before it returns. Raises OSError."""
        self._write(f"{user_id} {_now()}")

    def add_items(self, user_id: UUID, ids: Sequence[UUID]) -> None:
        """Writes an item's ids down, on disk before it returns. Raises OSError."""
        self._write(f"{_ITEM} {user_id} {_now()} {' '.join(map(str, ids))}")

    def users(self) -> list[UUID]:
        """The users written down."""
        return [found for words in self._lines() if words[0] != _ITEM if (found := _id(words[0]))]

    def item_batches(self) -> list[list[tuple[UUID, UUID]]]:
        """The items written down, user and id, some at a time."""
        found = [
            (user_id, row)
            for words in self._lines()
            if words[0] == _ITEM and len(words) > 1 and (user_id := _id(words[1]))
            for each in words[3:]
            if (row := _id(each))
        ]
        return [found[start : start + _BATCH] for start in range(0, len(found), _BATCH)]

    def _lines(self) -> list[list[str]]:
        if not self.path.exists():
            return []
        text = self.path.read_text("utf-8", errors="replace")
        return [line.split(" ") for line in text.splitlines()]

    def _write(self, text: str) -> None:
        line = f"{text}\n"
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if (size := os.fstat(file).st_size) and os.pread(file, 1, size - 1) != b"\n":
                line = f"\n{line}"
            os.write(file, line.encode())
            os.fsync(file)
        finally:
            os.close(file)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        log.warning("a line of the erasure ledger cannot be read")
        return None
