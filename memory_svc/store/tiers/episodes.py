"""memory_episodic, and the one statement that keeps an exchange."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from memory_svc.crypto.envelope import Place
from memory_svc.store.database import Connection
from memory_svc.store.writes import COUNTED


def place(row: UUID, revision: int, column: str = "summary_encrypted") -> Place:
    """Where a ciphertext of this table stands."""
    return Place("memory_episodic", row, column, revision)


@dataclass(frozen=True, slots=True)
class NewEpisode:
    """An exchange to keep, sealed."""

    id: UUID
    summary: str
    detail: str
    session_id: str
    request_id: str
    created_at: datetime
    terms: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact to keep, sealed."""

    id: UUID
    content: str
    digest: bytes
    slot: bytes | None
    entity_type: str | None
    entity_id: str | None
    terms: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Row:
    """An exchange as it is stored."""

    id: UUID
    summary: str
    detail: str
    session_id: str
    revision: int
    created_at: datetime


# All or nothing in one round trip. The share lock on the user keeps an erasure out until
# this is committed, and finds nobody once the key is destroyed.
_KEEP: Final = f"""
WITH owner AS (
    SELECT id FROM users WHERE id = $1 AND encryption_key IS NOT NULL FOR SHARE
), episode AS (
    INSERT INTO memory_episodic (id, user_id, summary_encrypted, detail_encrypted, session_id,
        request_id, revision, created_at)
    SELECT $2, owner.id, $3, $4, $5, $6, 1, $7 FROM owner
    ON CONFLICT (user_id, request_id) DO NOTHING RETURNING id
), facts AS (
    INSERT INTO memory_associative (id, user_id, content_encrypted, digest, slot, entity_type,
        entity_id, term_count, episode_ids, revision, created_at, updated_at)
    SELECT f.id, $1, f.content, f.digest, f.slot, f.entity_type, f.entity_id, f.term_count,
        ARRAY[episode.id], 1, $7, $7
    FROM episode, unnest($8::uuid[], $9::text[], $10::bytea[], $11::bytea[], $12::text[],
        $13::text[], $14::int[])
        AS f (id, content, digest, slot, entity_type, entity_id, term_count)
), terms AS (
    INSERT INTO memory_terms (user_id, tier, term, item_id, tf, length)
    SELECT $1, t.tier, t.term, t.item_id, t.tf, t.length
    FROM episode, unnest($15::smallint[], $16::bigint[], $17::uuid[], $18::smallint[],
        $19::smallint[]) AS t (tier, term, item_id, tf, length)
    ON CONFLICT DO NOTHING
), jobs AS (
    INSERT INTO memory_jobs (user_id, kind, run_at)
    SELECT $1, j.kind, clock_timestamp() + make_interval(secs => j.delay)
    FROM episode, unnest($20::text[], $21::float8[]) AS j (kind, delay)
    -- One look at all there is at a time, unless it is later (tomorrow's), or may be under way.
    WHERE j.kind NOT IN ('mine', 'trim') OR NOT EXISTS (
        SELECT 1 FROM memory_jobs WHERE user_id = $1 AND memory_jobs.kind = j.kind
            AND run_at > clock_timestamp()
            AND run_at <= clock_timestamp() + make_interval(secs => j.delay))
), {COUNTED}
SELECT (SELECT id FROM owner), (SELECT id FROM episode)
"""  # noqa: S608 - ours

_MOST: Final = 32_767  # of a smallint


async def keep(
    db: Connection,
    user_id: UUID,
    episode: NewEpisode,
    facts: Sequence[NewFact],
    jobs: Mapping[str, float],
) -> tuple[bool, UUID | None]:
    """Keeps an exchange with its facts and jobs (kind → delay in seconds).

    Returns whether there is such a user, and the episode's id where it is a new one.
    """
    terms = [
        (tier, term, item, min(tf, _MOST), min(sum(counted.values()), _MOST))
        for tier, item, counted in (
            (3, episode.id, episode.terms),
            *((2, fact.id, fact.terms) for fact in facts),
        )
        for term, tf in counted.items()
    ]
    row = await db.fetchrow(
        _KEEP,
        user_id,
        episode.id,
        episode.summary,
        episode.detail,
        episode.session_id,
        episode.request_id,
        episode.created_at,
        [fact.id for fact in facts],
        [fact.content for fact in facts],
        [fact.digest for fact in facts],
        [fact.slot for fact in facts],
        [fact.entity_type for fact in facts],
        [fact.entity_id for fact in facts],
        [sum(fact.terms.values()) for fact in facts],
        *(list(column) for column in (zip(*terms, strict=True) if terms else ((),) * 5)),
        list(jobs),
        list(jobs.values()),
    )
    return row[0] is not None, row[1]


async def of_request(db: Connection, user_id: UUID, request_id: str) -> UUID | None:
    """The exchange that was kept for a request."""
    found: UUID | None = await db.fetchval(
        "SELECT id FROM memory_episodic WHERE user_id = $1 AND request_id = $2",
        *(user_id, request_id),
    )
    return found


async def newest(
    db: Connection, user_id: UUID, limit: int, since: datetime | None = None
) -> list[Row]:
    """The newest exchanges, newest first; those from `since` on."""
    rows = await db.fetch(
        """SELECT id, summary_encrypted, detail_encrypted, session_id, revision, created_at
        FROM memory_episodic
        WHERE user_id = $1 AND ($3::timestamptz IS NULL OR created_at >= $3)
        ORDER BY created_at DESC, id DESC LIMIT $2""",
        *(user_id, limit, since),
    )
    return [Row(*row) for row in rows]


async def by_ids(
    db: Connection, user_id: UUID, ids: Sequence[UUID], *, hold: bool = False
) -> list[Row]:
    """These exchanges. `hold`: nobody else changes them until the transaction ends."""
    statement = """SELECT id, summary_encrypted, detail_encrypted, session_id, revision, created_at
        FROM memory_episodic WHERE user_id = $1 AND id = ANY ($2::uuid[]) ORDER BY id"""
    rows = await db.fetch(statement + (" FOR UPDATE" if hold else ""), user_id, list(ids))
    return [Row(*row) for row in rows]


async def with_terms(db: Connection, user_id: UUID, terms: Sequence[int], least: int) -> list[UUID]:
    """The exchanges that hold at least so many of the terms."""
    rows = await db.fetch(
        """SELECT item_id FROM memory_terms
        WHERE user_id = $1 AND tier = 3 AND term = ANY ($2::bigint[])
        GROUP BY item_id HAVING count(*) >= $3""",
        *(user_id, list(terms), least),
    )
    return [row[0] for row in rows]


async def rewrite(db: Connection, user_id: UUID, row: Row, terms: Mapping[int, int]) -> None:
    """Puts `row` in the place of its revision before, and its words in that of the old ones."""
    await db.execute(
        """UPDATE memory_episodic SET summary_encrypted = $3, detail_encrypted = $4,
            revision = $5 WHERE user_id = $1 AND id = $2 AND revision = $5 - 1""",
        *(user_id, row.id, row.summary, row.detail, row.revision),
    )
    await db.execute(
        "DELETE FROM memory_terms WHERE user_id = $1 AND item_id = $2", user_id, row.id
    )
    await db.execute(
        """INSERT INTO memory_terms (user_id, tier, term, item_id, tf, length)
        SELECT $1, 3, t.term, $2, t.tf, $5
        FROM unnest($3::bigint[], $4::smallint[]) AS t (term, tf)""",
        *(user_id, row.id, list(terms), [min(tf, _MOST) for tf in terms.values()]),
        min(sum(terms.values()), _MOST),
    )


async def remove(db: Connection, user_id: UUID, episode: UUID) -> bool:
    """Removes an exchange with its words; False: there is none."""
    done = await db.fetchval(
        """WITH words AS (DELETE FROM memory_terms WHERE user_id = $1 AND item_id = $2)
        DELETE FROM memory_episodic WHERE user_id = $1 AND id = $2 RETURNING true""",
        *(user_id, episode),
    )
    return bool(done)
