"""account_attempts: how often something was tried for an address, over all processes."""

from typing import Final

from memory_svc.store.database import Connection

HOUR_S: Final = 3600.0

# What is left of a level after the time since it was written: so many go in an hour.
_LEFT: Final = "greatest(0, a.level - extract(epoch FROM now() - a.at)::float8 * $2 / 3600)"


async def spend(db: Connection, key: bytes, per_hour: float, cost: float = 1) -> float:
    """Counts an attempt, or so many, and returns 0, or counts none and returns the seconds until
    it may. What costs more than an hour's costs an hour's: else it could never happen."""
    cost = min(cost, per_hour)
    took = await db.fetchval(
        f"""INSERT INTO account_attempts AS a (key, level, at) VALUES ($1, $3, now())
        ON CONFLICT (key) DO UPDATE SET level = {_LEFT} + $3::float8, at = now()
            WHERE {_LEFT} + $3::float8 <= $2::float8 RETURNING true""",  # noqa: S608 - ours
        *(key, per_hour, cost),
    )
    if took:
        return 0.0
    left: float = await db.fetchval(
        f"SELECT {_LEFT} FROM account_attempts AS a WHERE key = $1",  # noqa: S608 - ours
        *(key, per_hour),
    )
    return max(0.0, left + cost - per_hour) * HOUR_S / per_hour


async def give_back(db: Connection, key: bytes) -> None:
    """Takes a counted attempt back: it was none."""
    await db.execute(
        "UPDATE account_attempts SET level = greatest(0, level - 1) WHERE key = $1", key
    )


async def forget(db: Connection, key: bytes) -> None:
    """Counts from the beginning."""
    await db.execute("DELETE FROM account_attempts WHERE key = $1", key)


async def sweep(db: Connection) -> None:
    """Drops what holds nobody back any more: an hour empties every level."""
    await db.execute("DELETE FROM account_attempts WHERE at < now() - interval '1 hour'")
