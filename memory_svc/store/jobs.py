"""memory_jobs: what is to be done in the background.

Whoever works on a job holds the user's advisory lock, so that no two workers are at one
user's memory at once. The lock is the session's: a model may be asked while no transaction is
open. What comes of a job is written in one transaction with the job's end, and a worker that is
killed leaves it as it was.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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


@asynccontextmanager
async def claimed(db: Connection) -> AsyncIterator[Claim | None]:
    """The jobs that are due the longest and nobody is at, for as long as this lasts; None: there
    are none. The connection is to stay the same meanwhile, in a transaction or not."""
    try:
        yield await _claim(db)
    finally:
        await _release(db)


async def _claim(db: Connection) -> Claim | None:
    passed_over: list[UUID] = []
    while row := await db.fetchrow(
        """SELECT user_id, kind FROM memory_jobs
        WHERE run_at <= clock_timestamp() AND user_id <> ALL ($1::uuid[])
        ORDER BY run_at, id LIMIT 1""",
        passed_over,
    ):
        user_id, kind = row
        if await db.fetchval(
            "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", f"memory {user_id}"
        ) and (rows := await _due(db, user_id, kind)):
            # The fewest: what is new shall not be given up for what failed before.
            return Claim(user_id, kind, [row[0] for row in rows], min(row[1] for row in rows))
        passed_over.append(user_id)
    return None


async def _due(db: Connection, user_id: UUID, kind: str) -> list[tuple[int, int]]:
    """Id and attempts of each; none: another worker did them before the lock was ours."""
    rows: list[tuple[int, int]] = await db.fetch(
        """SELECT id, attempts FROM memory_jobs
        WHERE user_id = $1 AND kind = $2 AND run_at <= clock_timestamp() ORDER BY id""",
        *(user_id, kind),
    )
    return rows


async def _release(db: Connection) -> None:
    try:
        await db.execute("SELECT pg_advisory_unlock_all()")
    except BaseException:
        db.terminate()  # with a lock that it kept, nobody would come to that user again
        raise


async def finish(db: Connection, claim: Claim) -> None:
    """Takes done jobs off the list."""
    await _remove(db, claim, claim.ids)


async def postpone(db: Connection, claim: Claim, seconds: float) -> None:
    """Leaves one of the jobs for later, in the others' place; at once (0): it got on."""
    await _remove(db, claim, claim.ids[1:])
    await db.execute(
        """UPDATE memory_jobs SET attempts = CASE WHEN $3 = 0 THEN 0 ELSE attempts + 1 END,
            run_at = clock_timestamp() + make_interval(secs => $3)
        WHERE user_id = $1 AND id = $2""",
        *(claim.user_id, claim.ids[0], seconds),
    )


async def _remove(db: Connection, claim: Claim, ids: Sequence[int]) -> None:
    await db.execute(
        "DELETE FROM memory_jobs WHERE user_id = $1 AND id = ANY ($2::bigint[])",
        *(claim.user_id, ids),
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
