"""memory_proactive: habits."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from memory_svc.crypto.envelope import Place
from memory_svc.store.database import Connection
from memory_svc.store.writes import COUNTED


def place(row: UUID, revision: int) -> Place:
    """Where a ciphertext of this table stands."""
    return Place("memory_proactive", row, "pattern_encrypted", revision)


@dataclass(frozen=True, slots=True)
class Row:
    """A habit as it is stored; `status`: noticed, approved, dismissed or removed."""

    id: UUID
    pattern: str
    confidence: float
    source: str
    status: str
    evidence_ids: list[UUID]
    revision: int
    created_at: datetime
    updated_at: datetime


async def rows(db: Connection, user_id: UUID) -> list[Row]:
    """All habits of a user, surest first."""
    found = await db.fetch(
        """SELECT id, pattern_encrypted, confidence, source, status, evidence_ids, revision,
            created_at, updated_at
        FROM memory_proactive WHERE user_id = $1 ORDER BY confidence DESC, id""",
        user_id,
    )
    return [Row(*row) for row in found]


async def put(db: Connection, user_id: UUID, row: Row) -> None:
    """Writes a habit, new or changed; the user's decision on it stays."""
    await db.execute(
        """INSERT INTO memory_proactive (id, user_id, pattern_encrypted, confidence, source,
            status, evidence_ids, revision, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (user_id, id) DO UPDATE SET pattern_encrypted = excluded.pattern_encrypted,
            confidence = excluded.confidence, evidence_ids = excluded.evidence_ids,
            revision = excluded.revision, updated_at = excluded.updated_at
        WHERE memory_proactive.status <> 'removed'""",
        *(row.id, user_id, row.pattern, row.confidence, row.source, row.status),
        *(row.evidence_ids, row.revision, row.created_at, row.updated_at),
    )


async def review(db: Connection, user_id: UUID, pattern: UUID, status: str) -> bool:
    """Keeps the user's decision; False: there is no such habit."""
    done = await db.fetchval(
        f"""WITH owner AS (
            UPDATE memory_proactive SET status = $3
            WHERE user_id = $1 AND id = $2 AND status <> 'removed' RETURNING user_id AS id
        ), {COUNTED}
        SELECT true FROM owner""",  # noqa: S608 - ours
        *(user_id, pattern, status),
    )
    return bool(done)


async def remove(db: Connection, user_id: UUID, pattern: UUID) -> None:
    """Removes a habit."""
    await db.execute(
        "DELETE FROM memory_proactive WHERE user_id = $1 AND id = $2", user_id, pattern
    )


async def bury(db: Connection, user_id: UUID, row: Row) -> None:
    """Leaves of a habit what it is known by when it is mined again."""
    await db.execute(
        """UPDATE memory_proactive SET pattern_encrypted = $3, revision = $4, updated_at = $5,
            confidence = 0, evidence_ids = '{}', status = 'removed'
        WHERE user_id = $1 AND id = $2""",
        *(user_id, row.id, row.pattern, row.revision, row.updated_at),
    )
