"""EnrichContext: what of the four tiers goes with a message."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from memory_svc.crypto.embedding_rotation import Vector
from memory_svc.crypto.envelope import Keys, opened
from memory_svc.domain import episode_detail, rank
from memory_svc.domain.tiers import Item, Tier
from memory_svc.keys.cache import KeyCache
from memory_svc.recall.embed import MAX_CHARACTERS, Embedder, EmbeddingError
from memory_svc.store import items, search, unseal
from memory_svc.store.reading import Reading

TOP: Final = 10
"""Facts that go with a message at the most."""

EPISODES: Final = 5
"""Exchanges that do."""

_FRESH: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Limits:
    """`tokens`: the budget where the caller names none; `sure`: what a habit must be;
    `patience_s`: how long to wait for an embedding."""

    tokens: int = 1200
    sure: float = 0.4
    patience_s: float = 0.8


class Context:
    """Gathers what bears on a message."""

    def __init__(
        self, read: Reading, keys: KeyCache, embedder: Embedder, limits: Limits = Limits()
    ) -> None:
        self._read = read
        self._keys = keys
        self._embedder = embedder
        self._limits = limits

    async def enrich(
        self, user_id: UUID, message: str, tokens: int = 0, timezone: str = "UTC"
    ) -> tuple[list[Item], tuple[str, ...]]:
        """Preferences, then facts, exchanges and habits by score; and what had to be left out.

        The embedding and the reads that do not need it run side by side.
        """
        keys = await self._keys.get(user_id)
        message = message[:MAX_CHARACTERS]
        (vector, degraded), beside = await asyncio.gather(
            self.vector(keys, message), self._beside(user_id)
        )
        terms = list(rank.hashed(keys, message))
        found = await self.facts(keys, search.Query(terms, vector, self._embedder.model), TOP)
        now = datetime.now(UTC)
        others = [*found, *_recent(keys, beside, now), *_habits(keys, beside, timezone, now)]
        core = unseal.items(keys, (row for row in beside if row.tier is Tier.CORE))
        budget = tokens or self._limits.tokens
        return rank.choose(sorted(core, key=lambda each: each.key or ""), others, budget), degraded

    async def vector(self, keys: Keys, text: str) -> tuple[Vector | None, tuple[str, ...]]:
        """The rotated embedding of a text; none where it has no words or the provider fails."""
        if not text.strip():
            return None, ()
        try:
            (vector,) = await self._embedder.embed([text], self._limits.patience_s)
        except EmbeddingError:
            return None, ("embedding",)
        return keys.rotate(vector), ()

    async def facts(
        self, keys: Keys, query: search.Query, limit: int, *, superseded: bool = False
    ) -> list[Item]:
        """The facts that fit best, best first."""
        if query.vector is None and not query.terms:
            return []
        found = await self._read(
            keys.user_id,
            lambda db: search.facts(db, keys.user_id, query, limit, superseded=superseded),
        )
        best = max((max(each.words, each.cosine) for each in found), default=0.0)
        made = (
            unseal.fact(keys, each, rank.fit(each.ranked, best), rank.why(each.words, each.cosine))
            for each in found
            if each.words > 0 or each.cosine >= rank.MEANS
        )
        return [item for item in made if item]

    async def _beside(self, user_id: UUID) -> list[items.Row]:
        return await self._read(
            user_id, lambda db: items.beside(db, user_id, EPISODES, self._limits.sure)
        )


def _recent(keys: Keys, rows: list[items.Row], now: datetime) -> list[Item]:
    """The last exchanges; the newest of today score above what hardly fits."""
    episodes = [row for row in rows if row.tier is Tier.EPISODIC]
    made = []
    for place, row in enumerate(episodes):
        fresh = 0.5 if now - row.at < _FRESH else 0.35
        made.append(unseal.item(keys, row, score=fresh * 0.85**place, why="recent"))
    return [item for item in made if item]


def _habits(keys: Keys, rows: list[items.Row], timezone: str, now: datetime) -> list[Item]:
    """Habits that are sure enough; one whose hour it is scores higher."""
    local = now.astimezone(episode_detail.zone(timezone))
    made = []
    for row in rows:
        text = opened(keys, row.text, row.place) if row.tier is Tier.PROACTIVE else None
        item = unseal.item(keys, row) if text else None
        if text and item:
            due = episode_detail.pattern(text).due(local)
            sure = item.confidence or 0.0
            made.append(replace(item, score=sure if due else sure / 2, why="habit"))
    return made
