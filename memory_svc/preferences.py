"""The core tier: what the user wants to be known and done, by key, with one step of undo."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from memory_svc.crypto import Keys, opened
from memory_svc.keys import KeyCache
from memory_svc.store import core, users
from memory_svc.store.database import Connection, Database
from memory_svc.tiers import Item, Tier
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

MAX_VALUE: Final = 2_000
"""Characters of one value."""

MAX_TOTAL: Final = 8_000
"""Characters of all values together: they go with every message, so they must stay few."""

MAX_KEYS: Final = 100

_KEY: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")


@dataclass(frozen=True, slots=True)
class _Open:
    """A preference with its texts open."""

    row: core.Row
    value: str
    previous: str | None

    def item(self) -> Item:
        return Item(
            id=str(self.row.id),
            tier=Tier.CORE,
            text=self.value,
            key=self.row.key,
            why="preference",
            updated_at=self.row.updated_at,
        )


class Preferences:
    """Reads and changes preferences."""

    def __init__(self, db: Database, keys: KeyCache) -> None:
        self._db = db
        self._keys = keys

    async def get(self, user_id: UUID, key: str | None = None) -> list[Item]:
        """All of a user's preferences, or the one of `key`, in order of key."""
        if key is not None:
            _check_key(key)
        keys = await self._keys.get(user_id)
        async with self._db.connection() as db:
            return [each.item() for each in _open(keys, await core.rows(db, user_id, key))]

    async def set(self, user_id: UUID, key: str, value: str) -> Item:
        """Sets a preference. Raises MESSAGE_TOO_LONG past the size budget."""
        _check_key(key)
        _check_value(value)
        keys = await self._keys.get(user_id)
        async with self._db.transaction() as db:
            await _alone(db, user_id)
            rows = await core.rows(db, user_id)
            there = _open(keys, rows)
            old = next((each for each in there if each.row.key == key), None)
            if old and old.value == value:
                return old.item()
            others = [each for each in there if each is not old]
            _check_budget(others, value)
            # One that does not open is replaced all the same; what it was is lost.
            row = next((row for row in rows if row.key == key), None)
            return await _write(db, keys, row or key, old.value if old else None, value)

    async def undo(self, user_id: UUID, key: str) -> Item:
        """Takes the last change of a preference back; a second time, brings it again."""
        _check_key(key)
        keys = await self._keys.get(user_id)
        async with self._db.transaction() as db:
            await _alone(db, user_id)
            old = next(iter(_open(keys, await core.rows(db, user_id, key))), None)
            if old is None or old.previous is None:
                raise _not_found("There is no earlier value.")
            return await _write(db, keys, old.row, old.value, old.previous)

    async def delete(self, user_id: UUID, key: str) -> None:
        """Removes a preference and what it was before. Raises NOT_FOUND."""
        _check_key(key)
        await self._keys.get(user_id)
        async with self._db.connection() as db:
            if not await core.delete(db, user_id, key):
                raise _not_found("There is no such preference.")


def _open(keys: Keys, rows: list[core.Row]) -> list[_Open]:
    found = []
    for row in rows:
        value = opened(keys, row.value, row.place())
        if value is None:
            continue
        before = row.previous and opened(keys, row.previous, row.place("previous_encrypted"))
        found.append(_Open(row, value, before or None))
    return found


async def _write(
    db: Connection, keys: Keys, old: core.Row | str, before: str | None, value: str
) -> Item:
    """Writes a value; `old`: the row in whose place it comes, or the key of a new one."""
    if isinstance(old, str):
        row_id, key, revision = uuid4(), old, 1
    else:
        row_id, key, revision = old.id, old.key, old.revision + 1
    now = datetime.now(UTC)
    row = core.Row(
        row_id,
        key,
        keys.seal(value, core.place(row_id, revision)),
        None
        if before is None
        else keys.seal(before, core.place(row_id, revision, "previous_encrypted")),
        revision,
        now,
    )
    await core.put(db, keys.user_id, row)
    return _Open(row, value, None).item()


async def _alone(db: Connection, user_id: UUID) -> None:
    if not await users.alone(db, user_id):
        raise _not_found("There is no such user.")


def _check_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise SwitchboardError(
            ErrorCode.ERROR_CODE_INVALID_FRAME,
            "A preference's key is up to 64 of a-z, 0-9, _ and ., a letter first.",
        )


def _check_value(value: str) -> None:
    if not value.strip():
        raise SwitchboardError(ErrorCode.ERROR_CODE_INVALID_FRAME, "A preference has a value.")
    if len(value) > MAX_VALUE:
        raise _too_long(f"A preference has {MAX_VALUE} characters at the most.")


def _check_budget(others: list[_Open], value: str) -> None:
    if len(others) >= MAX_KEYS or sum(len(each.value) for each in others) + len(value) > MAX_TOTAL:
        raise _too_long("There are too many preferences. Please remove one first.")


def _too_long(message: str) -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_MESSAGE_TOO_LONG, message)


def _not_found(message: str) -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, message)
