"""memory_core: preferences, one row a key."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from memory_svc.crypto import Place
from memory_svc.store.database import Connection


@dataclass(frozen=True, slots=True)
class Row:
    """A preference as it is stored."""

    id: UUID
    key: str
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


async def rows(db: Connection, user_id: UUID, key: str | None = None) -> list[Row]:
    """All preferences of a user, or the one of `key`, in order of key."""
    found = await db.fetch(
        """SELECT id, key, value_encrypted, previous_encrypted, revision, updated_at
        FROM memory_core
        WHERE user_id = $1 AND ($2::text IS NULL OR key = $2) ORDER BY key""",
        *(user_id, key),
    )
    return [Row(*row) for row in found]


async def put(db: Connection, user_id: UUID, row: Row) -> None:
    """Writes a preference, new or changed."""
    await db.execute(
        """INSERT INTO memory_core
            (id, key, value_encrypted, previous_encrypted, revision, updated_at, user_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (id) DO UPDATE SET value_encrypted = excluded.value_encrypted,
            previous_encrypted = excluded.previous_encrypted, revision = excluded.revision,
            updated_at = excluded.updated_at""",
        *(row.id, row.key, row.value, row.previous, row.revision, row.updated_at, user_id),
    )


async def delete(db: Connection, user_id: UUID, key: str) -> bool:
    """Removes a preference; False where there is none."""
    done = await db.fetchval(
        "DELETE FROM memory_core WHERE user_id = $1 AND key = $2 RETURNING true", user_id, key
    )
    return bool(done)


async def remove(db: Connection, user_id: UUID, row: UUID) -> bool:
    """Removes a preference by its id; False: there is none."""
    done = await db.fetchval(
        "DELETE FROM memory_core WHERE user_id = $1 AND id = $2 RETURNING true", user_id, row
    )
    return bool(done)
