"""See, search, export and remove what is remembered."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from memory_svc import cutting, opening, recall, words
from memory_svc.context import Context
from memory_svc.crypto import Keys, opened
from memory_svc.detail import Detail
from memory_svc.embed import MAX_CHARACTERS
from memory_svc.keys import KeyCache
from memory_svc.mining import bury, rewritten
from memory_svc.opening import read
from memory_svc.store import core, episodes, facts, items, patterns, users
from memory_svc.store import recall as search
from memory_svc.store.database import Connection, Database
from memory_svc.tiers import Item, Tier
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

_PAGE: Final = 200
_BATCH: Final = 200
"""Exchanges that are open at once."""


@dataclass(frozen=True, slots=True)
class Exported:
    """An item with all that is kept of it: a preference's value before, an exchange's detail."""

    item: Item
    previous: str | None
    detail: Detail | None


class Browse:
    """What users do with their own memory. Another user's ids are as unknown as any."""

    def __init__(self, db: Database, keys: KeyCache, context: Context, model: str) -> None:
        self._db = db
        self._keys = keys
        self._context = context
        self._model = model

    async def page(
        self, user_id: UUID, tier: Tier | None, limit: int = 50, cursor: str = ""
    ) -> tuple[list[Item], str]:
        """A page, newest first, and where the next one starts ("": nowhere)."""
        keys = await self._keys.get(user_id)
        limit = min(max(limit, 1), _PAGE)
        async with self._db.connection() as db:
            rows = await items.page(db, user_id, tier or 0, _from(cursor), limit + 1)
        more = _cursor(rows[limit - 1]) if len(rows) > limit else ""
        return opening.items(keys, rows[:limit]), more

    async def export(self, user_id: UUID) -> AsyncIterator[Exported]:
        """Everything that there is now, newest first."""
        keys = await self._keys.get(user_id)
        async with self._db.connection() as db:
            there = await items.ids(db, user_id)
        for start in range(0, len(there), _PAGE):
            # By their ids: a fact that is said again meanwhile moves, and must not be missed.
            part = there[start : start + _PAGE]
            for exported in await self._exported(keys, part):
                yield exported

    async def _exported(self, keys: Keys, part: list[tuple[Tier, UUID]]) -> list[Exported]:
        wanted = [row for _, row in part]
        async with self._db.connection() as db:
            rows = await items.some(db, keys.user_id, wanted)
            exchanges = await episodes.by_ids(db, keys.user_id, wanted)
            any_core = any(tier is Tier.CORE for tier, _ in part)
            preferences = await core.rows(db, keys.user_id) if any_core else []
        found = {(item.tier, UUID(item.id)): item for item in opening.items(keys, rows)}
        details = {row.id: read(keys, row) for row in exchanges}
        before = {
            row.id: opened(keys, row.previous, row.place("previous_encrypted"))
            for row in preferences
            if row.previous is not None
        }
        return [
            Exported(item, before.get(place[1]), details.get(place[1]))
            for place in part
            if (item := found.get(place))
        ]

    async def search(
        self, user_id: UUID, query: str, tier: Tier | None, limit: int = 10
    ) -> tuple[list[Item], tuple[str, ...]]:
        """What fits the query, best first; and what had to be left out."""
        keys = await self._keys.get(user_id)
        query = query[:MAX_CHARACTERS]
        limit = min(max(limit, 1), 50)
        hashed = list(recall.hashed(keys, query))
        found: list[Item] = []
        degraded: tuple[str, ...] = ()
        if tier in (None, Tier.ASSOCIATIVE):
            vector, degraded = await self._context.vector(keys, query)
            asked = search.Query(hashed, vector, self._model)
            found += await self._context.facts(keys, asked, limit, superseded=True)
        async with self._db.connection() as db:
            if tier in (None, Tier.EPISODIC) and hashed:
                rows = await search.episodes(db, user_id, hashed, limit)
                found += [item for row in rows if (item := opening.episode(keys, row))]
            for few in {Tier.CORE, Tier.PROACTIVE} & ({tier} if tier else set(Tier)):
                found += await _few(db, keys, few, query)
        return sorted(found, key=lambda item: -item.score)[:limit], degraded

    async def delete(self, user_id: UUID, tier: Tier, item_id: str) -> None:
        """Removes an item for good. Raises NOT_FOUND.

        A fact goes from the exchanges that it was said in too, whatever became of it there
        (`memory_svc.cutting`). What it superseded stays superseded: it had been replaced,
        whatever became of the replacement.
        """
        keys = await self._keys.get(user_id)
        try:
            row = UUID(item_id)
        except ValueError:
            raise _not_found() from None
        async with self._db.transaction() as db:
            # Words have no foreign key: an erasure must not come between.
            if not await users.alone(db, user_id):
                self._keys.forget(user_id)
                raise _no_user()
            match tier:
                case Tier.CORE:
                    done = await core.remove(db, user_id, row)
                case Tier.ASSOCIATIVE:
                    done = await _forget_fact(db, keys, row)
                case Tier.EPISODIC:
                    done = await episodes.remove(db, user_id, row)
                case Tier.PROACTIVE:
                    done = await bury(db, keys, row)
            if not done:
                raise _not_found()

    async def review(self, user_id: UUID, pattern_id: str, approved: bool) -> None:
        """Keeps the user's decision on a habit. Raises NOT_FOUND."""
        await self._keys.get(user_id)
        status = "approved" if approved else "dismissed"
        try:
            pattern = UUID(pattern_id)
        except ValueError:
            raise _not_found() from None
        async with self._db.connection() as db:
            if not await patterns.review(db, user_id, pattern, status):
                raise _not_found()


async def _few(db: Connection, keys: Keys, tier: Tier, query: str) -> list[Item]:
    """Matches in a tier that is small enough to be read whole."""
    terms = words.terms(query)
    rows = await items.page(db, keys.user_id, tier, None, _PAGE)
    found = (
        replace(item, score=recall.overlap(terms, f"{item.key or ''} {item.text}"), why="words")
        for item in opening.items(keys, rows)
    )
    return [item for item in found if item.score > 0]


async def _forget_fact(db: Connection, keys: Keys, row: UUID) -> bool:
    """Removes a fact with those of the same words, and cuts it out of what was said."""
    held = await facts.held(db, keys.user_id, row)
    if held is None:
        return False
    sources = set(held.episode_ids)
    for each in await facts.of_digest(db, keys.user_id, held.digest):
        sources.update(await facts.remove(db, keys.user_id, each) or ())
    text = opened(keys, held.content, facts.place(row, held.revision))
    fact = cutting.Fact.of(text or "", held.entity)
    hashes = fact.hashes(keys)
    found = await episodes.with_terms(db, keys.user_id, hashes, min(2, len(hashes)))
    exchanges = [*sources.union(found)]
    for start in range(0, len(exchanges), _BATCH):
        part = exchanges[start : start + _BATCH]
        rows = await episodes.by_ids(db, keys.user_id, part, hold=True)
        for new, terms in await asyncio.to_thread(_cut_out, keys, rows, fact, sources):
            await episodes.rewrite(db, keys.user_id, new, terms)
    return True


def _cut_out(
    keys: Keys, rows: Sequence[episodes.Row], fact: cutting.Fact, sources: Set[UUID]
) -> list[tuple[episodes.Row, dict[int, int]]]:
    """Those of the exchanges that said the fact, without it, and their words."""
    changed = []
    for row in rows:
        what = read(keys, row)
        left = what and cutting.without(what, fact, source=row.id in sources)
        if left:
            summary = cutting.summary(left)
            terms = recall.hashed(keys, f"{left.message} {summary}")
            changed.append((rewritten(keys, row, summary, left), terms))
    return changed


def _cursor(row: items.Row) -> str:
    return base64.urlsafe_b64encode(f"{row.at.isoformat()} {row.id}".encode()).decode()


def _from(cursor: str) -> tuple[datetime, UUID] | None:
    if not cursor:
        return None
    try:
        at, row = base64.urlsafe_b64decode(cursor).decode().split(" ")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError
        return moment, UUID(row)
    except (ValueError, binascii.Error):
        raise SwitchboardError(
            ErrorCode.ERROR_CODE_INVALID_FRAME, "This cursor is none of ours."
        ) from None


def _no_user() -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such user.")


def _not_found() -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such item.")
