"""invitations and account_codes: what opens something once. Kept as hashes only."""

from typing import Literal
from uuid import UUID

from memory_svc.store.database import Connection

Purpose = Literal["reset", "verify"]


async def issue(
    db: Connection, user_id: UUID, purpose: Purpose, code_hash: bytes, minutes: int
) -> None:
    """Adds a code; the one before, for the same purpose, holds no longer."""
    await db.execute(
        """INSERT INTO account_codes (code_hash, user_id, purpose, expires_at)
        VALUES ($1, $2, $3, now() + make_interval(mins => $4))
        ON CONFLICT (user_id, purpose) DO UPDATE
            SET code_hash = excluded.code_hash, expires_at = excluded.expires_at""",
        *(code_hash, user_id, purpose, minutes),
    )


async def take(db: Connection, purpose: Purpose, code_hash: bytes) -> UUID | None:
    """Uses a code up; returns whose it was, None where it does not hold."""
    user_id: UUID | None = await db.fetchval(
        """DELETE FROM account_codes
        WHERE code_hash = $1 AND purpose = $2 AND expires_at > now() RETURNING user_id""",
        *(code_hash, purpose),
    )
    return user_id


async def invite(db: Connection, code_hash: bytes, days: int) -> None:
    """Adds an invitation."""
    await db.execute(
        "INSERT INTO invitations VALUES ($1, now() + make_interval(days => $2))", code_hash, days
    )


async def take_invitation(db: Connection, code_hash: bytes) -> bool:
    """Uses an invitation up; False where it does not hold."""
    done = await db.fetchval(
        "DELETE FROM invitations WHERE code_hash = $1 AND expires_at > now() RETURNING true",
        code_hash,
    )
    return bool(done)


async def sweep(db: Connection) -> None:
    """Drops what has run out."""
    for table in ("account_codes", "invitations"):
        await db.execute(f"DELETE FROM {table} WHERE expires_at < now()")  # noqa: S608 - ours
