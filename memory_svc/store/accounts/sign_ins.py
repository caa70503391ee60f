"""refresh_families and refresh_tokens: who is signed in. Tokens are kept as hashes only."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from memory_svc.crypto.envelope import Place
from memory_svc.crypto.refresh_tokens import Token
from memory_svc.store.database import Connection

_BATCH: Final = 5_000
"""Rows that one statement of a sweep touches."""


@dataclass(frozen=True, slots=True)
class Family:
    """A sign-in that holds. `name`: sealed, None where the device told none."""

    id: UUID
    name: str | None
    created_at: datetime
    used_at: datetime
    expires_at: datetime


def place(family_id: UUID) -> Place:
    """Where the name of a sign-in stands. It never changes, so there is one revision."""
    return Place("refresh_families", family_id, "name_encrypted", 1)


async def open_family(
    db: Connection,
    user_id: UUID,
    family_id: UUID,
    *,
    token_hash: bytes,
    name: str | None,
    days: int,
) -> None:
    """Opens a family with its first token."""
    await db.execute(
        """WITH family AS (
            INSERT INTO refresh_families (id, user_id, name_encrypted, expires_at)
            VALUES ($1, $2, $4, now() + make_interval(days => $5))
        )
        INSERT INTO refresh_tokens (token_hash, family_id) VALUES ($3, $1)""",
        *(family_id, user_id, token_hash, name, days),
    )


async def lock(db: Connection, token_hash: bytes) -> Token | None:
    """The token, its family held until the transaction ends."""
    row = await db.fetchrow(
        """SELECT f.user_id, f.id, t.used_at, t.next_sealed, f.revoked_at, f.expires_at,
            clock_timestamp()
        FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id
        WHERE t.token_hash = $1 FOR NO KEY UPDATE""",
        token_hash,
    )
    return Token(*row) if row else None


async def renew(
    db: Connection,
    family_id: UUID,
    *,
    old_hash: bytes,
    new_hash: bytes,
    next_sealed: str,
    days: int,
    grace: timedelta,
) -> None:
    """Marks the old token as used and adds the next; the family lives on.

    Successors that nobody may ask for any more are forgotten.
    """
    await db.execute(
        """WITH used AS (
            UPDATE refresh_tokens SET used_at = clock_timestamp(), next_sealed = $4
            WHERE token_hash = $2
        ), past AS (
            UPDATE refresh_tokens SET next_sealed = NULL
            WHERE family_id = $1 AND next_sealed IS NOT NULL
                AND used_at < clock_timestamp() - $6::interval
        ), family AS (
            UPDATE refresh_families
            SET used_at = now(), expires_at = now() + make_interval(days => $5) WHERE id = $1
        )
        INSERT INTO refresh_tokens (token_hash, family_id) VALUES ($3, $1)""",
        *(family_id, old_hash, new_hash, next_sealed, days, grace),
    )


async def revoke(db: Connection, family_id: UUID) -> None:
    """Ends a family."""
    await db.execute(
        "UPDATE refresh_families SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1",
        family_id,
    )


async def end(
    db: Connection, user_id: UUID, only: UUID | None = None, keep: UUID | None = None
) -> list[UUID]:
    """Ends a user's families, but for `keep`, or the one alone; returns those that it ended."""
    rows = await db.fetch(
        """UPDATE refresh_families SET revoked_at = now()
        WHERE user_id = $1 AND ($2::uuid IS NULL OR id = $2) AND id IS DISTINCT FROM $3::uuid
            AND revoked_at IS NULL AND expires_at > now() RETURNING id""",
        *(user_id, only, keep),
    )
    return [row[0] for row in rows]


async def families(db: Connection, user_id: UUID, limit: int) -> list[Family]:
    """A user's sign-ins that hold, the last used first."""
    rows = await db.fetch(
        """SELECT id, name_encrypted, created_at, used_at, expires_at FROM refresh_families
        WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()
        ORDER BY used_at DESC, id LIMIT $2""",
        *(user_id, limit),
    )
    return [Family(*row) for row in rows]


async def sweep(db: Connection, days: int, grace: timedelta) -> None:
    """Drops sign-ins that are over, used tokens too old for anybody to show them, and successors
    that nobody may ask for any more."""
    await _by_batches(
        db,
        _BATCH,
        """UPDATE refresh_tokens SET next_sealed = NULL WHERE token_hash = ANY (ARRAY(
            SELECT token_hash FROM refresh_tokens
            WHERE next_sealed IS NOT NULL AND used_at < now() - $2::interval LIMIT $1))""",
        grace,
    )
    await _by_batches(
        db,
        _BATCH,
        """DELETE FROM refresh_tokens WHERE token_hash = ANY (ARRAY(
            SELECT token_hash FROM refresh_tokens
            WHERE used_at < now() - $2::interval LIMIT $1))""",
        timedelta(days=days),
    )
    for over in ("expires_at < now()", "revoked_at < now() - interval '1 day'"):
        # With their tokens, some hundred each.
        await _by_batches(
            db,
            _BATCH // 50,
            f"""DELETE FROM refresh_families WHERE id = ANY (ARRAY(
                SELECT id FROM refresh_families WHERE {over} LIMIT $1))""",  # noqa: S608
        )


async def _by_batches(db: Connection, each: int, statement: str, *values: object) -> None:
    """Runs a statement until it finds less than `each` rows: none takes long, or locks many."""
    while True:
        done: str = await db.execute(statement, each, *values)
        if int(done.rsplit(maxsplit=1)[-1]) < each:
            return
