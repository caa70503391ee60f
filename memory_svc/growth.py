"""The job that keeps a user's memory within bounds: so much of it, and so long.

Past a bound the oldest exchanges go, and of facts those that were superseded or not said again the
longest. Preferences are few by themselves: one too many is refused where it is set.
"""

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from memory_svc import metrics
from memory_svc.domain.tiers import Tier
from memory_svc.jobs.worker import Write
from memory_svc.store import growth as store
from memory_svc.store.accounts import users
from memory_svc.store.database import Connection, Database
from memory_svc.store.jobs import Claim

DELAY_S: Final = 600.0
"""How long after an exchange it is looked whether there is too much; once for all of that time."""

_BATCH: Final = 500
_USERS: Final = 5_000
_NOBODY: Final = UUID(int=0)

_Found = tuple[Tier, str, list[UUID]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """`facts`: how many; `size`: bytes of facts and exchanges; ages in days. 0: no bound."""

    facts: int = 0
    size: int = 0
    exchange_days: int = 0
    fact_days: int = 0

    @property
    def most(self) -> int:
        """How many facts there may be, by number and by size; 0: as many as there are."""
        return min(self.facts or sys.maxsize, self.size // store.FACT or sys.maxsize) % sys.maxsize

    @property
    def ages(self) -> tuple[timedelta | None, timedelta | None]:
        """How old exchanges and facts may be."""
        days = (self.exchange_days, self.fact_days)
        exchanges, facts = (timedelta(days=each) if each else None for each in days)
        return exchanges, facts

    @property
    def any(self) -> bool:
        """Whether there is a bound at all."""
        return bool(self.most or self.size or self.exchange_days or self.fact_days)


class Trim:
    """Forgets what one user has too much of."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds

    async def run(self, db: Connection, claim: Claim) -> Write:
        """What it returns forgets some, and comes again at once where there is more."""
        return partial(self._write, db, claim.user_id)

    async def _write(self, db: Connection, user_id: UUID) -> float | None:
        if not await users.hold(db, user_id):
            return None
        more = False
        async for tier, reason, ids in self._found(db, user_id):
            await store.forget(db, user_id, tier, ids)
            metrics.FORGOTTEN.labels(tier.name.lower(), reason).inc(len(ids))
            more |= len(ids) == _BATCH
        return 0 if more else None

    async def _found(self, db: Connection, user_id: UUID) -> AsyncIterator[_Found]:
        """What is to go, each looked for when what was found before is gone."""
        bounds = self._bounds
        for tier, age in zip((Tier.EPISODIC, Tier.ASSOCIATIVE), bounds.ages, strict=True):
            if age:
                yield tier, "age", await store.past(db, user_id, tier, age, _BATCH)
        if bounds.most:
            ids = await store.facts_beyond(db, user_id, bounds.most, _BATCH)
            yield Tier.ASSOCIATIVE, "quota", ids
        if bounds.size:
            ids = await store.exchanges_beyond(db, user_id, bounds.size, _BATCH)
            yield Tier.EPISODIC, "quota", ids


async def add_jobs(db: Database, bounds: Bounds) -> None:
    """Has jobs made for all users who hold what is too old, those who are away among them."""
    after: UUID | None = _NOBODY if any(bounds.ages) else None
    while after:
        async with db.connection() as connection:
            after = await store.add_jobs(connection, after, bounds.ages, _USERS)
