"""How much of a user is kept, and what goes first. Nothing of it is told to the ledger: what is
too old, or too much, goes again from whatever backup brings it back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from memory_svc.domain.tiers import Tier
from memory_svc.store.database import Connection

FACT: Final = 10_000
"""Bytes that a fact takes, with its words: its row fills a page."""

# Bytes of a word in the index, and of an exchange beside its texts, with what their indexes take.
_WORD: Final = 170
_ROW: Final = 300

# How long saying a fact again keeps it before others, and how often that counts.
_AGAIN: Final = "least(strength - 1, 10) * interval '90 days'"

_SPENT: Final = f"""
SELECT id FROM (
    SELECT id, sum(pg_column_size(summary_encrypted) + pg_column_size(detail_encrypted) + {_ROW}
        + {_WORD} * (SELECT count(*) FROM memory_terms t
            WHERE t.user_id = $1 AND t.item_id = e.id)
    ) OVER (ORDER BY created_at DESC, id DESC) AS taken
    FROM memory_episodic e WHERE user_id = $1
) AS exchanges WHERE taken > $2 - {FACT} * (
    SELECT count(*) FROM memory_associative WHERE user_id = $1
) ORDER BY taken DESC LIMIT $3"""  # noqa: S608 - constants of this file

_TIMES: Final = {Tier.EPISODIC: "created_at", Tier.ASSOCIATIVE: "updated_at"}

_DUE: Final = """
WITH next AS (
    SELECT id FROM users WHERE id > $1 ORDER BY id LIMIT $4
), due AS (
    INSERT INTO memory_jobs (user_id, kind)
    SELECT id, 'trim' FROM next s WHERE (
        EXISTS (SELECT 1 FROM memory_episodic e
            WHERE e.user_id = s.id AND e.created_at < now() - $2::interval)
        OR EXISTS (SELECT 1 FROM memory_associative a
            WHERE a.user_id = s.id AND a.updated_at < now() - $3::interval)
    ) AND NOT EXISTS (SELECT 1 FROM memory_jobs j WHERE j.user_id = s.id AND j.kind = 'trim')
)
SELECT id FROM next ORDER BY id DESC LIMIT 1"""


async def past(db: Connection, user_id: UUID, tier: Tier, age: timedelta, limit: int) -> list[UUID]:
    """Exchanges that are older, or facts that were last said before that, oldest first."""
    column = _TIMES[tier]
    rows = await db.fetch(
        f"""SELECT id FROM {tier.table} WHERE user_id = $1 AND {column} < now() - $2::interval
        ORDER BY {column}, id LIMIT $3""",  # noqa: S608 - ours
        *(user_id, age, limit),
    )
    return [row[0] for row in rows]


async def facts_beyond(db: Connection, user_id: UUID, most: int, limit: int) -> list[UUID]:
    """Facts past the number: superseded ones first, then those that were said the longest ago."""
    rows = await db.fetch(
        f"""SELECT id FROM memory_associative WHERE user_id = $1
        ORDER BY superseded_at IS NOT NULL, updated_at + {_AGAIN} DESC, id DESC
        OFFSET $2 LIMIT $3""",  # noqa: S608 - ours
        *(user_id, most, limit),
    )
    return [row[0] for row in rows]


async def exchanges_beyond(db: Connection, user_id: UUID, size: int, limit: int) -> list[UUID]:
    """The oldest exchanges, where they and the facts take more bytes than that."""
    return [row[0] for row in await db.fetch(_SPENT, user_id, size, limit)]


async def forget(db: Connection, user_id: UUID, tier: Tier, ids: Sequence[UUID]) -> None:
    """Removes rows with their words."""
    if tier is Tier.ASSOCIATIVE:
        await db.execute(
            """UPDATE memory_associative SET superseded_by = NULL
            WHERE user_id = $1 AND superseded_by = ANY ($2::uuid[]) AND id <> ALL ($2)""",
            *(user_id, list(ids)),
        )
    for table, column in (("memory_terms", "item_id"), (tier.table, "id")):
        await db.execute(
            f"DELETE FROM {table} WHERE user_id = $1 AND {column} = ANY ($2::uuid[])",  # noqa: S608
            *(user_id, list(ids)),
        )


async def add_jobs(
    db: Connection,
    after: UUID,
    ages: tuple[timedelta | None, timedelta | None],
    limit: int,
) -> UUID | None:
    """Has jobs made for those of the next users who hold exchanges, or facts, that are older;
    returns the last of these users, None: there are no more."""
    last: UUID | None = await db.fetchval(_DUE, after, *ages, limit)
    return last
