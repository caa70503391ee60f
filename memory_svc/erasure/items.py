"""Forgetting single items for good, also in backups that are restored later.

The ledger notes the ids before the change commits, those of rows that were merged into a fact
too: an older backup holds them still. What was noted and did not commit after all is forgotten
at the next start; whoever asked for it was told to try again.
"""

import asyncio
import logging
from collections.abc import Sequence, Set
from typing import Final
from uuid import UUID

from memory_svc.crypto.envelope import Keys, opened
from memory_svc.crypto.preference_keys import Name, check_form
from memory_svc.domain import rank, redact
from memory_svc.domain.tiers import Tier
from memory_svc.erasure.ledger import Ledger
from memory_svc.jobs.patterns import bury, rewritten
from memory_svc.keys.cache import KeyCache
from memory_svc.store import items
from memory_svc.store.accounts import users
from memory_svc.store.database import Connection, Database
from memory_svc.store.tiers import core, episodes, facts
from memory_svc.store.unseal import read
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

_BATCH: Final = 200
"""Exchanges that are open at once."""


class Forgetting:
    """Removes items. Another user's ids are as unknown as any."""

    def __init__(self, db: Database, keys: KeyCache, ledger: Ledger) -> None:
        self._db = db
        self._keys = keys
        self._ledger = ledger

    async def delete(self, user_id: UUID, tier: Tier, item_id: str) -> None:
        """Removes an item for good. Raises NOT_FOUND.

        A fact goes from the exchanges that it was said in too, whatever became of it there
        (`memory_svc.cutting`). What it superseded stays superseded: it had been replaced,
        whatever became of the replacement.
        """
        try:
            row = UUID(item_id)
        except ValueError:
            raise _not_found() from None
        await self._forget(user_id, tier, row)

    async def delete_preference(self, user_id: UUID, key: str) -> None:
        """Removes a preference, and what it was before, by its key. Raises NOT_FOUND."""
        check_form(key)
        keys = await self._keys.get(user_id)
        async with self._db.transaction() as db:
            await self._alone(db, user_id)
            gone = await core.delete(db, user_id, Name.of(keys, key))
            if not gone:
                raise _not_found("There is no such preference.")
            await self._note(user_id, gone)

    async def replay(self) -> int:
        """Forgets again what the ledger names; returns how many items.

        Needed after a backup was restored; finds nothing otherwise.
        """
        again = 0
        for batch in await asyncio.to_thread(self._ledger.item_batches):
            async with self._db.connection() as db:
                back = await items.present(db, batch)
            for user_id, tier, row in back:
                again += await self._again(user_id, tier, row)
        return again

    async def _again(self, user_id: UUID, tier: Tier, row: UUID) -> bool:
        try:
            await self._forget(user_id, tier, row, note=False)
        except SwitchboardError as error:
            if error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE:
                raise
            if error.code != ErrorCode.ERROR_CODE_NOT_FOUND:  # which went with another one
                log.error("item %s could not be forgotten again: %s", row, error.message)
            return False
        return True

    async def _forget(self, user_id: UUID, tier: Tier, row: UUID, *, note: bool = True) -> None:
        keys = await self._keys.get(user_id)
        async with self._db.transaction() as db:
            # Words have no foreign key: an erasure must not come between.
            await self._alone(db, user_id)
            gone = await _remove(db, keys, tier, row)
            if not gone:
                raise _not_found()
            if note:
                await self._note(user_id, gone)

    async def _alone(self, db: Connection, user_id: UUID) -> None:
        if not await users.alone(db, user_id):
            self._keys.forget(user_id)
            raise _not_found("There is no such user.")

    async def _note(self, user_id: UUID, gone: Sequence[UUID]) -> None:
        try:
            await asyncio.to_thread(self._ledger.add_items, user_id, gone)
        except OSError as error:
            log.error("the erasure ledger cannot be written (%s)", type(error).__name__)
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "Nothing can be removed right now.", 1000
            ) from error


async def _remove(db: Connection, keys: Keys, tier: Tier, row: UUID) -> list[UUID]:
    """Removes an item; returns the ids by which a backup may know it, none: there is no such."""
    match tier:
        case Tier.CORE:
            done = await core.remove(db, keys.user_id, row)
        case Tier.ASSOCIATIVE:
            return await _forget_fact(db, keys, row)
        case Tier.EPISODIC:
            done = await episodes.remove(db, keys.user_id, row)
        case Tier.PROACTIVE:
            done = await bury(db, keys, row)
    return [row] if done else []


async def _forget_fact(db: Connection, keys: Keys, row: UUID) -> list[UUID]:
    """Removes a fact with those of the same words, and cuts it out of what was said."""
    held = await facts.held(db, keys.user_id, row)
    if held is None:
        return []
    sources, gone = set(held.episode_ids), []
    for each in await facts.of_digest(db, keys.user_id, held.digest):
        if removed := await facts.remove(db, keys.user_id, each):
            sources.update(removed.episode_ids)
            gone += [each, *removed.merged_ids]
    text = opened(keys, held.content, facts.place(row, held.revision))
    fact = redact.Fact.of(text or "", held.entity)
    hashes = fact.hashes(keys)
    found = await episodes.with_terms(db, keys.user_id, hashes, min(2, len(hashes)))
    exchanges = [*sources.union(found)]
    for start in range(0, len(exchanges), _BATCH):
        part = exchanges[start : start + _BATCH]
        rows = await episodes.by_ids(db, keys.user_id, part, hold=True)
        for new, terms in await asyncio.to_thread(_cut_out, keys, rows, fact, sources):
            await episodes.rewrite(db, keys.user_id, new, terms)
    return gone


def _cut_out(
    keys: Keys, rows: Sequence[episodes.Row], fact: redact.Fact, sources: Set[UUID]
) -> list[tuple[episodes.Row, dict[int, int]]]:
    """Those of the exchanges that said the fact, without it, and their words."""
    changed = []
    for row in rows:
        what = read(keys, row)
        left = what and redact.without(what, fact, source=row.id in sources)
        if left:
            summary = redact.summary(left)
            terms = rank.hashed(keys, f"{left.message} {summary}")
            changed.append((rewritten(keys, row, summary, left), terms))
    return changed


def _not_found(message: str = "There is no such item.") -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, message)
