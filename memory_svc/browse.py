"""See, search, export and remove what is remembered."""

import base64
import binascii
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from memory_svc import facts as texts
from memory_svc import opening, recall, words
from memory_svc.context import Context
from memory_svc.crypto import Keys, opened
from memory_svc.duplicates import Text, contains, same
from memory_svc.embed import MAX_CHARACTERS
from memory_svc.keys import KeyCache
from memory_svc.mining import rewritten
from memory_svc.opening import read
from memory_svc.store import core, episodes, facts, items, patterns, users
from memory_svc.store import recall as search
from memory_svc.store.database import Connection, Database
from memory_svc.tiers import Item, Tier
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

_PAGE: Final = 200
_REMOVED: Final = "An exchange of which the user removed something."


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

    async def export(self, user_id: UUID) -> AsyncIterator[Item]:
        """Everything, newest first."""
        cursor, more = "", True
        while more:
            found, cursor = await self.page(user_id, None, _PAGE, cursor)
            more = bool(cursor)
            for item in found:
                yield item

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

        A fact goes from the exchanges that it was said in too. What it superseded stays
        superseded: it had been replaced, whatever became of the replacement.
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
                    done = await patterns.remove(db, user_id, row)
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


async def _forget_fact(db: Connection, keys: Keys, fact: UUID) -> bool:
    held = await facts.content(db, keys.user_id, fact)
    sources = await facts.remove(db, keys.user_id, fact)
    if held is None or sources is None:
        return False
    text = opened(keys, held[0], facts.place(fact, held[1]))
    for row in await episodes.by_ids(db, keys.user_id, sources):
        await _cut_out(db, keys, row, text)
    return True


async def _cut_out(db: Connection, keys: Keys, row: episodes.Row, text: str | None) -> None:
    """Takes a fact's sentences out of an exchange; all of them, where it is not found there."""
    what = read(keys, row)
    if what is None:
        return
    fact = Text.of(text or "")
    said = texts.sentences(what.message)
    left = [part for part in said if text and not _says(Text.of(part), fact)]
    kept = " ".join(left) if len(left) < len(said) else ""
    entities = tuple(each for each in what.entities if not _says(Text.of(each.title), fact))
    what = replace(what, message=kept, entities=entities, summarised=True)
    summary = texts.summary(kept, entities, what.agent, what.tools) if kept else _REMOVED
    new = rewritten(keys, row, summary, what)
    await episodes.rewrite(db, keys.user_id, new, recall.hashed(keys, f"{kept} {summary}"))


def _says(part: Text, fact: Text) -> bool:
    return same(part, fact) or contains(fact, part) or contains(part, fact)


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
