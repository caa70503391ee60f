"""Taking a user away: first the key, then every row of every table."""

from typing import Final
from uuid import UUID

from memory_svc.store.accounts.users import ERASED
from memory_svc.store.database import Connection

# Jobs last but for the user: a job at work holds its row for as long as an embedding takes.
TABLES: Final = (
    "memory_terms",
    "memory_associative",
    "memory_episodic",
    "memory_proactive",
    "memory_core",
    "refresh_families",
    "account_codes",
    "memory_writes",
    "memory_jobs",
)


async def destroy_key(db: Connection, user_id: UUID) -> bool:
    """Destroys the wrapped key and tells every process; False: there was no such user.

    Waits for the writers at work on this user; those that come after find nobody.
    """
    found = await db.fetchval(
        "UPDATE users SET encryption_key = NULL WHERE id = $1 RETURNING true", user_id
    )
    if found:
        await db.execute("SELECT pg_notify($1, $2)", ERASED, str(user_id))
    return bool(found)


async def remove(db: Connection, user_id: UUID) -> None:
    """Deletes every row of the user."""
    for table in TABLES:
        await db.execute(f"DELETE FROM {table} WHERE user_id = $1", user_id)  # noqa: S608 - ours
    await db.execute("DELETE FROM users WHERE id = $1", user_id)


async def sweep_dead_rows(db: Connection) -> None:
    """Overwrites what the deleted rows of users left in the table's pages."""
    await db.execute("VACUUM (SKIP_LOCKED) users")


async def keyless(db: Connection) -> list[UUID]:
    """Users whose erasure was begun and not finished."""
    rows = await db.fetch("SELECT id FROM users WHERE encryption_key IS NULL")
    return [row[0] for row in rows]


async def present(db: Connection, user_ids: list[UUID]) -> list[UUID]:
    """Those of the users that have a row."""
    rows = await db.fetch("SELECT id FROM users WHERE id = ANY($1::uuid[])", user_ids)
    return [row[0] for row in rows]
