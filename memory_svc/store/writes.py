"""memory_writes: how often each user's memory was written.

Every transaction that writes a user's memory counts, so that a replica which shows the primary's
number shows all that was written of that user.
"""

from typing import Final
from uuid import UUID

from memory_svc.store.database import Connection

COUNTED: Final = """counted AS (
    INSERT INTO memory_writes AS w (user_id, number) SELECT id, 1 FROM owner
    ON CONFLICT (user_id) DO UPDATE SET number = w.number + 1
)"""
"""Part of a statement that writes: counts it for who is in `owner (id)`, where there is anybody."""


async def count(db: Connection, user_id: UUID) -> None:
    """Counts what this transaction writes; of users who are erased nothing is counted."""
    await db.execute(
        f"""WITH owner AS (
            SELECT id FROM users WHERE id = $1 AND encryption_key IS NOT NULL FOR SHARE
        ), {COUNTED}
        SELECT""",  # noqa: S608 - ours
        user_id,
    )


async def number(db: Connection, user_id: UUID) -> int | None:
    """How often it was written; None for a user unknown or erased. Asked of the primary."""
    found: int | None = await db.fetchval(
        """SELECT coalesce(w.number, 0) FROM users u LEFT JOIN memory_writes w ON w.user_id = u.id
        WHERE u.id = $1 AND u.encryption_key IS NOT NULL""",
        user_id,
    )
    return found


async def seen(db: Connection, user_id: UUID) -> int:
    """How many of the writes this server has seen."""
    found: int | None = await db.fetchval(
        "SELECT number FROM memory_writes WHERE user_id = $1", user_id
    )
    return found or 0
