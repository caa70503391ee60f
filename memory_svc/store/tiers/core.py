"""memory_core: preferences, one row a key."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from memory_svc.crypto.envelope import Place
from memory_svc.crypto.preference_keys import Name
from memory_svc.store.database import Connection


@dataclass(frozen=True, slots=True)
class Row:
    """A preference as it is stored; `sealed`: its key's words, None where `key` is readable."""

    id: UUID
    key: str
    sealed: str | None
    value: str
    previous: str | None
    revision: int
    updated_at: datetime

    def place(self, column: str = "value_encrypted") -> Place:
        """Where a column's ciphertext stands."""
        return place(self.id, self.revision, column)


def place(row: UUID, revision: int, column: str = "value_encrypted") -> Place:
    """Where a ciphertext of this table stands."""
    return Place("memory_core", row, column, revision)


async def rows(db: Connection, user_id: UUID) -> list[Row]:
    """All preferences of a user, the last changed first."""
    found = await db.fetch(
        """SELECT id, key, key_encrypted, value_encrypted, previous_encrypted, revision, updated_at
        FROM memory_core WHERE user_id = $1 ORDER BY updated_at DESC, id""",
        user_id,
    )
    return [Row(*row) for row in found]


async def put(db: Connection, user_id: UUID, row: Row) -> None:
    """Writes a preference, new or changed."""
    await db.execute(
        """INSERT INTO memory_core (id, key, key_encrypted, value_encrypted, previous_encrypted,
            revision, updated_at, user_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (user_id, id) DO UPDATE SET
            key = excluded.key, key_encrypted = excluded.key_encrypted,
            value_encrypted = excluded.value_encrypted,
            previous_encrypted = excluded.previous_encrypted, revision = excluded.revision,
            updated_at = excluded.updated_at""",
        *(row.id, row.key, row.sealed, row.value, row.previous, row.revision, row.updated_at),
        user_id,
    )


async def seal_key(db: Connection, user_id: UUID, row: UUID, hashed: str, sealed: str) -> None:
    """Puts a hash in a readable key's place, and its words beside it."""
    await db.execute(
        """UPDATE memory_core SET key = $3, key_encrypted = $4
        WHERE user_id = $1 AND id = $2 AND key_encrypted IS NULL""",
        *(user_id, row, hashed, sealed),
    )


async def delete(db: Connection, user_id: UUID, name: Name, keep: UUID | None = None) -> list[UUID]:
    """Removes what is called so, but for `keep`; returns the ids. There are two where an older
    replica wrote a readable key beside a sealed one."""
    done = await db.fetch(
        """DELETE FROM memory_core WHERE user_id = $1 AND id IS DISTINCT FROM $4::uuid
            AND key = CASE WHEN key_encrypted IS NULL THEN $3 ELSE $2 END RETURNING id""",
        *(user_id, name.hashed, name.readable, keep),
    )
    return [row[0] for row in done]


async def remove(db: Connection, user_id: UUID, row: UUID) -> bool:
    """Removes a preference by its id; False: there is none."""
    done = await db.fetchval(
        "DELETE FROM memory_core WHERE user_id = $1 AND id = $2 RETURNING true", user_id, row
    )
    return bool(done)


async def add_seal_jobs(db: Connection) -> None:
    """Has a job made for each user with a readable key, unless one waits already."""
    await db.execute(
        """INSERT INTO memory_jobs (user_id, kind)
        SELECT DISTINCT user_id, 'seal_keys' FROM memory_core c WHERE key_encrypted IS NULL
            AND NOT EXISTS (SELECT 1 FROM memory_jobs j
                WHERE j.user_id = c.user_id AND j.kind = 'seal_keys')"""
    )
