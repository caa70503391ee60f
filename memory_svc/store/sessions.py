"""refresh_families and refresh_tokens: who is signed in. Tokens are kept as hashes only."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from memory_svc.store.database import Connection


@dataclass(frozen=True, slots=True)
class Token:
    """A refresh token as it stands at `now` by the database's clock."""

    user_id: UUID
    family_id: UUID
    used_at: datetime | None
    revoked_at: datetime | None
    expires_at: datetime
    now: datetime


async def open_family(
    db: Connection, user_id: UUID, family_id: UUID, token_hash: bytes, days: int
) -> None:
    """Opens a family with its first token, and drops the user's families that are over."""
    await db.execute(
        """WITH over AS (
            DELETE FROM refresh_families
            WHERE user_id = $2 AND (expires_at < now() OR revoked_at < now() - interval '1 day')
        ), family AS (
            INSERT INTO refresh_families (id, user_id, expires_at)
            VALUES ($1, $2, now() + make_interval(days => $4))
        )
        INSERT INTO refresh_tokens (token_hash, family_id) VALUES ($3, $1)""",
        *(family_id, user_id, token_hash, days),
    )


async def lock(db: Connection, token_hash: bytes) -> Token | None:
    """The token, its family held until the transaction ends."""
    row = await db.fetchrow(
        """SELECT f.user_id, f.id, t.used_at, f.revoked_at, f.expires_at, clock_timestamp()
        FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id
        WHERE t.token_hash = $1 FOR NO KEY UPDATE""",
        token_hash,
    )
    return Token(*row) if row else None


async def renew(
    db: Connection, family_id: UUID, old_hash: bytes, new_hash: bytes, days: int
) -> None:
    """Marks the old token as used, once, and adds the next; the family lives on."""
    await db.execute(
        """WITH used AS (
            UPDATE refresh_tokens SET used_at = coalesce(used_at, clock_timestamp())
            WHERE token_hash = $2
        ), family AS (
            UPDATE refresh_families SET expires_at = now() + make_interval(days => $4) WHERE id = $1
        )
        INSERT INTO refresh_tokens (token_hash, family_id) VALUES ($3, $1)""",
        *(family_id, old_hash, new_hash, days),
    )


async def revoke(db: Connection, family_id: UUID) -> None:
    """Ends a family."""
    await db.execute(
        "UPDATE refresh_families SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1",
        family_id,
    )
