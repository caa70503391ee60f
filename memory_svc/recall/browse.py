"""See, search and export what is remembered."""

import base64
import binascii
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from memory_svc.crypto.envelope import Keys, opened
from memory_svc.domain import rank, tokens
from memory_svc.domain.episode_detail import Detail
from memory_svc.domain.tiers import Item, Tier
from memory_svc.keys.cache import KeyCache
from memory_svc.recall.embed import MAX_CHARACTERS
from memory_svc.recall.enrich import Context
from memory_svc.store import items, search, unseal
from memory_svc.store.database import Connection, Database
from memory_svc.store.reading import Reading
from memory_svc.store.tiers import core, episodes, patterns
from memory_svc.store.unseal import read
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

_PAGE: Final = 200


_Part: TypeAlias = tuple[list[items.Row], list[episodes.Row], list[core.Row]]


@dataclass(frozen=True, slots=True)
class Exported:
    """An item with all that is kept of it: a preference's value before, an exchange's detail."""

    item: Item
    previous: str | None
    detail: Detail | None


class Browse:
    """What users do with their own memory. Another user's ids are as unknown as any."""

    def __init__(
        self, db: Database, read: Reading, keys: KeyCache, context: Context, model: str
    ) -> None:
        self._db = db
        self._read = read
        self._keys = keys
        self._context = context
        self._model = model

    async def page(
        self, user_id: UUID, tier: Tier | None, limit: int = 50, cursor: str = ""
    ) -> tuple[list[Item], str]:
        """A page, newest first, and where the next one starts ("": nowhere)."""
        keys = await self._keys.get(user_id)
        limit = min(max(limit, 1), _PAGE)
        after = _from(cursor)
        rows = await self._read(
            user_id, lambda db: items.page(db, user_id, tier or 0, after, limit + 1)
        )
        more = _cursor(rows[limit - 1]) if len(rows) > limit else ""
        return unseal.items(keys, rows[:limit]), more

    async def export(self, user_id: UUID) -> AsyncIterator[Exported]:
        """Everything that there is now, newest first."""
        keys = await self._keys.get(user_id)
        there = await self._read(user_id, lambda db: items.ids(db, user_id))
        for start in range(0, len(there), _PAGE):
            # By their ids: a fact that is said again meanwhile moves, and must not be missed.
            part = there[start : start + _PAGE]
            for exported in await self._exported(keys, part):
                yield exported

    async def _exported(self, keys: Keys, part: list[tuple[Tier, UUID]]) -> list[Exported]:
        wanted = [row for _, row in part]
        any_core = any(tier is Tier.CORE for tier, _ in part)

        async def ask(db: Connection) -> _Part:
            rows = await items.some(db, keys.user_id, wanted)
            exchanges = await episodes.by_ids(db, keys.user_id, wanted)
            return rows, exchanges, await core.rows(db, keys.user_id) if any_core else []

        rows, exchanges, preferences = await self._read(keys.user_id, ask)
        found = {(item.tier, UUID(item.id)): item for item in unseal.items(keys, rows)}
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
        hashed = list(rank.hashed(keys, query))
        found: list[Item] = []
        degraded: tuple[str, ...] = ()
        if tier in (None, Tier.ASSOCIATIVE):
            vector, degraded = await self._context.vector(keys, query)
            asked = search.Query(hashed, vector, self._model)
            found += await self._context.facts(keys, asked, limit, superseded=True)
        if tier in (None, Tier.EPISODIC) and hashed:
            rows = await self._read(user_id, lambda db: search.episodes(db, user_id, hashed, limit))
            found += [item for row in rows if (item := unseal.episode(keys, row))]
        for few in {Tier.CORE, Tier.PROACTIVE} & ({tier} if tier else set(Tier)):
            found += await self._few(keys, few, query)
        return sorted(found, key=lambda item: -item.score)[:limit], degraded

    async def _few(self, keys: Keys, tier: Tier, query: str) -> list[Item]:
        """Matches in a tier that is small enough to be read whole."""
        terms = tokens.terms(query)
        rows = await self._read(
            keys.user_id, lambda db: items.page(db, keys.user_id, tier, None, _PAGE)
        )
        found = (
            replace(item, score=rank.overlap(terms, f"{item.key or ''} {item.text}"), why="words")
            for item in unseal.items(keys, rows)
        )
        return [item for item in found if item.score > 0]

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


def _not_found() -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such item.")
