"""memory_jobs: what is to be done in the background.

Whoever works on a job holds its row and the user's advisory lock, in one transaction with
the work itself: a worker that is killed leaves the job as it was, and no two workers are at
one user's memory at once.
"""

from dataclasses import dataclass
from uuid import UUID

from memory_svc.store.database import Connection


@dataclass(frozen=True, slots=True)
class Claim:
    """Jobs of one kind for one user that are done together."""

    user_id: UUID
    kind: str
    ids: list[int]
    attempts: int


async def claim(db: Connection) -> Claim | None:
    """The jobs that are due the longest and nobody is at; None: there are none."""
    passed_over: list[UUID] = []
    while True:
        row = await db.fetchrow(
            """SELECT user_id, kind FROM memory_jobs
            WHERE run_at <= clock_timestamp() AND user_id <> ALL ($1::uuid[])
            ORDER BY run_at, id LIMIT 1 FOR UPDATE SKIP LOCKED""",
            passed_over,
        )
        if row is None:
            return None
        user_id, kind = row
        if await db.fetchval(
            "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", f"memory {user_id}"
        ):
            break
        passed_over.append(user_id)
    rows = await db.fetch(
        """SELECT id, attempts FROM memory_jobs
        WHERE user_id = $1 AND kind = $2 AND run_at <= clock_timestamp()
        ORDER BY id FOR UPDATE SKIP LOCKED""",
        *(user_id, kind),
    )
    # The fewest: what is new shall not be given up for what failed before.
    return Claim(user_id, kind, [row[0] for row in rows], min(row[1] for row in rows))


async def finish(db: Connection, claim: Claim) -> None:
    """Takes done jobs off the list."""
    await db.execute("DELETE FROM memory_jobs WHERE id = ANY ($1::bigint[])", claim.ids)


async def postpone(db: Connection, claim: Claim, seconds: float) -> None:
    """Leaves one of the jobs for later, in the others' place; at once (0): it got on."""
    await db.execute("DELETE FROM memory_jobs WHERE id = ANY ($1::bigint[])", claim.ids[1:])
    await db.execute(
        """UPDATE memory_jobs SET attempts = CASE WHEN $2 = 0 THEN 0 ELSE attempts + 1 END,
            run_at = clock_timestamp() + make_interval(secs => $2) WHERE id = $1""",
        *(claim.ids[0], seconds),
    )


async def add(db: Connection, user_id: UUID, kind: str, seconds: float = 0) -> None:
    """Puts a job on the list, unless one of its kind waits there already."""
    await db.execute(
        """INSERT INTO memory_jobs (user_id, kind, run_at)
        SELECT $1, $2, clock_timestamp() + make_interval(secs => $3)
        WHERE NOT EXISTS (SELECT 1 FROM memory_jobs
            WHERE user_id = $1 AND kind = $2 AND run_at > clock_timestamp())""",
        *(user_id, kind, float(seconds)),
    )


async def due(db: Connection) -> tuple[dict[str, int], float]:
    """How many jobs of each kind are due, and for how long the oldest has been, in seconds."""
    rows = await db.fetch(
        """SELECT kind, count(*), extract(epoch FROM clock_timestamp() - min(run_at))::float8
        FROM memory_jobs WHERE run_at <= clock_timestamp() GROUP BY kind"""
    )
    return {row[0]: row[1] for row in rows}, max((row[2] for row in rows), default=0.0)
