"""users: who there is, and the wrapped keys."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from memory_svc.store.database import Connection
from memory_svc.store.writes import COUNTED

ERASED = "switchboard_erased"
"""The channel on which every process hears whose key was destroyed."""


@dataclass(frozen=True, slots=True)
class Login:
    """What a sign-in is checked against."""

    user_id: UUID
    email: str
    password_hash: str
    verified_at: datetime | None
    created_at: datetime


def normal(email: str) -> str:
    """An address as it is kept and looked for: without its case, and of text that Postgres
    takes (no address holds a space)."""
    return email.strip().lower().replace("\0", " ")


async def insert(
    db: Connection, user_id: UUID, *, email: str, password_hash: str, wrapped: str, master_id: str
) -> bool:
    """Adds a user; False where the address is taken."""
    try:
        await db.execute(
            """INSERT INTO users (id, email, password_hash, encryption_key, master_key_id)
            VALUES ($1, $2, $3, $4, $5)""",
            *(user_id, email, password_hash, wrapped, master_id),
        )
    except asyncpg.UniqueViolationError:
        return False
    return True


async def by_email(db: Connection, email: str) -> Login | None:
    """The user of an address."""
    row = await db.fetchrow(
        """SELECT id, email, password_hash, email_verified_at, created_at FROM users
        WHERE email = $1 AND encryption_key IS NOT NULL""",
        email,
    )
    return Login(*row) if row else None


async def by_id(db: Connection, user_id: UUID) -> Login | None:
    """The user of an id."""
    row = await db.fetchrow(
        """SELECT id, email, password_hash, email_verified_at, created_at FROM users
        WHERE id = $1 AND encryption_key IS NOT NULL""",
        user_id,
    )
    return Login(*row) if row else None


async def set_password_hash(db: Connection, login: Login, password_hash: str) -> bool:
    """Replaces the hash; False where it is no longer the one that was read."""
    done = await db.fetchval(
        "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2 RETURNING true",
        *(login.user_id, login.password_hash, password_hash),
    )
    return bool(done)


async def reset_password(db: Connection, user_id: UUID, password_hash: str) -> None:
    """Sets a new hash for who proved to read the account's mail."""
    await db.execute(
        """UPDATE users SET password_hash = $2,
            email_verified_at = coalesce(email_verified_at, now()) WHERE id = $1""",
        *(user_id, password_hash),
    )


async def set_verified(db: Connection, user_id: UUID) -> None:
    """The address was proved to be the user's."""
    await db.execute(
        """UPDATE users SET email_verified_at = coalesce(email_verified_at, now())
        WHERE id = $1""",
        user_id,
    )


async def hold_login(db: Connection, login: Login) -> bool:
    """As `hold`, and False too where the password has been changed since it was read."""
    found = await db.fetchval(
        """SELECT true FROM users
        WHERE id = $1 AND password_hash = $2 AND encryption_key IS NOT NULL FOR SHARE""",
        *(login.user_id, login.password_hash),
    )
    return bool(found)


async def wrapped_key(db: Connection, user_id: UUID) -> str | None:
    """The wrapped key; None for a user unknown or erased."""
    key: str | None = await db.fetchval("SELECT encryption_key FROM users WHERE id = $1", user_id)
    return key


async def hold(db: Connection, user_id: UUID) -> bool:
    """Keeps the user from being erased until the transaction ends; False: there is none."""
    found = await db.fetchval(
        "SELECT true FROM users WHERE id = $1 AND encryption_key IS NOT NULL FOR SHARE", user_id
    )
    return bool(found)


async def alone(db: Connection, user_id: UUID) -> bool:
    """As `hold`, and keeps other writers of this user out too; counts as a write."""
    found = await db.fetchval(
        f"""WITH owner AS (
            SELECT id FROM users
            WHERE id = $1 AND encryption_key IS NOT NULL FOR NO KEY UPDATE
        ), {COUNTED}
        SELECT true FROM owner""",  # noqa: S608 - ours
        user_id,
    )
    return bool(found)


async def count_by_master(db: Connection) -> dict[str, int]:
    """How many users' keys each master key wraps."""
    rows = await db.fetch(
        """SELECT master_key_id, count(*) FROM users
        WHERE encryption_key IS NOT NULL GROUP BY master_key_id ORDER BY master_key_id"""
    )
    return dict(map(tuple, rows))


async def under_other_masters(
    db: Connection, master_id: str, after: UUID, limit: int
) -> list[tuple[UUID, str]]:
    """Users beyond `after` whose keys another master key wraps, with the wrapped keys."""
    rows = await db.fetch(
        """SELECT id, encryption_key FROM users
        WHERE master_key_id <> $1 AND encryption_key IS NOT NULL AND id > $2
        ORDER BY id LIMIT $3""",
        *(master_id, after, limit),
    )
    return [tuple(row) for row in rows]


async def rewrap(db: Connection, user_id: UUID, old: str, new: str, master_id: str) -> bool:
    """Puts the newly wrapped key in the old one's place; False where it is no longer there."""
    done = await db.fetchval(
        """UPDATE users SET encryption_key = $3, master_key_id = $4
        WHERE id = $1 AND encryption_key = $2 RETURNING true""",
        *(user_id, old, new, master_id),
    )
    return bool(done)
