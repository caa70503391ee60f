"""The core tier: what the user wants to be known and done, by key, with one step of undo."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import UUID, uuid4

from memory_svc.crypto import preference_keys
from memory_svc.crypto.envelope import Keys, opened
from memory_svc.crypto.preference_keys import Name, check_form
from memory_svc.domain.tiers import Item, Tier
from memory_svc.jobs.worker import Write
from memory_svc.keys.cache import KeyCache
from memory_svc.store.accounts import users
from memory_svc.store.database import Connection, Database
from memory_svc.store.jobs import Claim
from memory_svc.store.tiers import core
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

MAX_VALUE: Final = 2_000
"""Characters of one value."""

MAX_TOTAL: Final = 8_000
"""Characters of all values together: they go with every message, so they must stay few."""

MAX_KEYS: Final = 100


@dataclass(frozen=True, slots=True)
class _Open:
    """A preference with its texts open."""

    row: core.Row
    key: str
    value: str
    previous: str | None

    def item(self) -> Item:
        return Item(
            id=str(self.row.id),
            tier=Tier.CORE,
            text=self.value,
            key=self.key,
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
            check_form(key)
        keys = await self._keys.get(user_id)
        async with self._db.connection() as db:
            found = _open(keys, await core.rows(db, user_id))
        return [each.item() for each in found if key in (None, each.key)]

    async def set(self, user_id: UUID, key: str, value: str) -> Item:
        """Sets a preference. Raises MESSAGE_TOO_LONG past the size budget."""
        check_form(key)
        _check_value(value)
        keys = await self._keys.get(user_id)
        name = Name.of(keys, key)
        async with self._db.transaction() as db:
            await _alone(db, user_id)
            rows = await core.rows(db, user_id)
            there = _open(keys, rows)
            old = next((each for each in there if each.key == key), None)
            if old and old.value == value:
                return old.item()
            others = [each for each in there if each is not old]
            _check_budget(others, value)
            # One that does not open is replaced all the same; what it was is lost.
            row = next((row for row in rows if name.fits(row.key, row.sealed)), None)
            before = old.value if old else None
            return await _write(db, keys, key, row, before=before, value=value)

    async def undo(self, user_id: UUID, key: str) -> Item:
        """Takes the last change of a preference back; a second time, brings it again."""
        check_form(key)
        keys = await self._keys.get(user_id)
        async with self._db.transaction() as db:
            await _alone(db, user_id)
            there = _open(keys, await core.rows(db, user_id))
            old = next((each for each in there if each.key == key), None)
            if old is None or old.previous is None:
                raise _not_found("There is no earlier value.")
            return await _write(db, keys, key, old.row, before=old.value, value=old.previous)


class SealKeys:
    """The job that makes the readable keys of one user unreadable."""

    def __init__(self, keys: KeyCache) -> None:
        self._keys = keys

    async def run(self, db: Connection, claim: Claim) -> Write:
        """What it returns does all of them: there are few."""
        return partial(self._write, db, await self._keys.get(claim.user_id))

    async def _write(self, db: Connection, keys: Keys) -> None:
        if not await users.alone(db, keys.user_id):
            return
        for row in await core.rows(db, keys.user_id):
            if row.sealed is None and preference_keys.FORM.fullmatch(row.key):
                name = Name.of(keys, row.key)
                # The last changed comes first, and is the one that stays.
                await core.delete(db, keys.user_id, name, keep=row.id)
                sealed = preference_keys.seal(keys, row.id, row.key)
                await core.seal_key(db, keys.user_id, row.id, name.hashed, sealed)


def _open(keys: Keys, rows: list[core.Row]) -> list[_Open]:
    """Those that open, in order of key; of two of one key the last changed."""
    found: dict[str, _Open] = {}
    for row in rows:
        key = preference_keys.read(keys, row.id, row.key, row.sealed)
        value = opened(keys, row.value, row.place())
        if key is None or value is None or key in found:
            continue
        before = row.previous and opened(keys, row.previous, row.place("previous_encrypted"))
        found[key] = _Open(row, key, value, before or None)
    return [found[key] for key in sorted(found)]


async def _write(
    db: Connection, keys: Keys, key: str, old: core.Row | None, *, before: str | None, value: str
) -> Item:
    """Writes a value in the place of `old`, or as a new row."""
    row_id, revision = (old.id, old.revision + 1) if old else (uuid4(), 1)
    name = Name.of(keys, key)
    row = core.Row(
        row_id,
        name.hashed,
        preference_keys.seal(keys, row_id, key),
        keys.seal(value, core.place(row_id, revision)),
        None
        if before is None
        else keys.seal(before, core.place(row_id, revision, "previous_encrypted")),
        revision,
        datetime.now(UTC),
    )
    await core.delete(db, keys.user_id, name, keep=row_id)
    await core.put(db, keys.user_id, row)
    return _Open(row, key, value, None).item()


async def _alone(db: Connection, user_id: UUID) -> None:
    if not await users.alone(db, user_id):
        raise _not_found("There is no such user.")


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
