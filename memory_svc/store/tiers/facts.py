"""memory_associative: facts, and what becomes of them after they were kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from memory_svc.crypto.embedding_rotation import Vector
from memory_svc.crypto.envelope import Place
from memory_svc.store.database import Connection

MAX_SOURCES: Final = 1_000
"""Exchanges that a fact is known to come from, and rows that were merged into it: the newest.
Other exchanges are found by their words."""


def place(row: UUID, revision: int) -> Place:
    """Where a ciphertext of this table stands."""
    return Place("memory_associative", row, "content_encrypted", revision)


@dataclass(frozen=True, slots=True)
class Row:
    """A fact as it is stored."""

    id: UUID
    content: str
    revision: int
    digest: bytes
    slot: bytes | None
    episode_ids: list[UUID]
    created_at: datetime
    embedded: bool


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removed fact was made of: the exchanges that said it, and the rows merged into it."""

    episode_ids: list[UUID]
    merged_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of a fact beside its place."""

    content: str
    revision: int
    digest: bytes
    episode_ids: list[UUID]
    entity_type: str | None
    entity_id: str | None

    @property
    def entity(self) -> tuple[str, str] | None:
        """Kind and id of what it is about."""
        return (self.entity_type, self.entity_id) if self.entity_type and self.entity_id else None


async def unsettled(db: Connection, user_id: UUID, limit: int) -> list[Row]:
    """Facts that no job has looked at, oldest first."""
    rows = await db.fetch(
        """SELECT id, content_encrypted, revision, digest, slot, episode_ids, created_at,
            embedding IS NOT NULL
        FROM memory_associative WHERE user_id = $1 AND NOT settled
        ORDER BY created_at, id LIMIT $2""",
        *(user_id, limit),
    )
    return [Row(*row) for row in rows]


async def of_other_models(db: Connection, user_id: UUID, model: str, limit: int) -> list[Row]:
    """Settled facts whose embedding another model made, or none."""
    rows = await db.fetch(
        """SELECT id, content_encrypted, revision, digest, slot, episode_ids, created_at, true
        FROM memory_associative
        WHERE user_id = $1 AND settled AND embed_model IS DISTINCT FROM $2
        ORDER BY updated_at DESC, id LIMIT $3""",
        *(user_id, model, limit),
    )
    return [Row(*row) for row in rows]


async def users_of_other_models(db: Connection, model: str) -> list[UUID]:
    """Users who have such facts."""
    rows = await db.fetch(
        """SELECT DISTINCT user_id FROM memory_associative
        WHERE settled AND embed_model IS DISTINCT FROM $1""",
        model,
    )
    return [row[0] for row in rows]


async def set_embedding(
    db: Connection, user_id: UUID, fact: UUID, vector: Vector | None, model: str
) -> None:
    """Puts the (rotated) embedding in; None: the model has none for this text."""
    await db.execute(
        """UPDATE memory_associative SET embedding = $3, embed_model = $4
        WHERE user_id = $1 AND id = $2""",
        *(user_id, fact, vector, model),
    )


async def settle(db: Connection, user_id: UUID, fact: UUID) -> None:
    """Marks a fact as looked at."""
    await db.execute(
        "UPDATE memory_associative SET settled = true WHERE user_id = $1 AND id = $2", user_id, fact
    )


async def twin(db: Connection, user_id: UUID, fact: Row) -> UUID | None:
    """The oldest fact in force with the same words, other than this one."""
    found: UUID | None = await db.fetchval(
        """SELECT id FROM memory_associative
        WHERE user_id = $1 AND digest = $2 AND id <> $3 AND superseded_at IS NULL
            AND (created_at, id) < ($4, $3)
        ORDER BY created_at, id LIMIT 1""",
        *(user_id, fact.digest, fact.id, fact.created_at),
    )
    return found


async def merge(db: Connection, user_id: UUID, duplicate: Row, into: UUID) -> None:
    """Reinforces a fact by one that says the same, which goes; its ids are kept, for a backup
    from before knows it by them."""
    await db.execute(
        """UPDATE memory_associative a SET strength = a.strength + 1,
            updated_at = greatest(a.updated_at, d.created_at),
            episode_ids = (d.episode_ids || a.episode_ids)[1:$4],
            merged_ids = (ARRAY[d.id] || d.merged_ids || a.merged_ids)[1:$4],
            slot = coalesce(a.slot, d.slot)
        FROM memory_associative d
        WHERE a.user_id = $1 AND a.id = $2 AND d.user_id = $1 AND d.id = $3""",
        *(user_id, into, duplicate.id, MAX_SOURCES),
    )
    await remove(db, user_id, duplicate.id)


async def supersede(db: Connection, user_id: UUID, by: Row) -> int:
    """Ends the older facts of the same slot at this one's time, and sets their words aside;
    returns how many."""
    done = await db.fetch(
        """WITH old AS (
            UPDATE memory_associative SET superseded_at = $4, superseded_by = $3
            WHERE user_id = $1 AND slot = $2 AND id <> $3 AND superseded_at IS NULL
                AND (created_at, id) < ($4, $3) RETURNING id
        ), words AS (
            UPDATE memory_terms t SET tier = 5 FROM old
            WHERE t.user_id = $1 AND t.tier = 2 AND t.item_id = old.id
        )
        SELECT id FROM old""",
        *(user_id, by.slot, by.id, by.created_at),
    )
    return len(done)


async def remove(db: Connection, user_id: UUID, fact: UUID) -> Removed | None:
    """Removes a fact with its words; None: no such fact. What it superseded stays superseded, by
    nothing that is known any more."""
    row = await db.fetchrow(
        """WITH words AS (DELETE FROM memory_terms WHERE user_id = $1 AND item_id = $2),
        freed AS (
            UPDATE memory_associative SET superseded_by = NULL
            WHERE user_id = $1 AND superseded_by = $2
        )
        DELETE FROM memory_associative WHERE user_id = $1 AND id = $2
        RETURNING episode_ids, merged_ids""",
        *(user_id, fact),
    )
    return Removed(*row) if row else None


async def held(db: Connection, user_id: UUID, fact: UUID) -> Held | None:
    """A fact, for what it said to be found."""
    row = await db.fetchrow(
        """SELECT content_encrypted, revision, digest, episode_ids, entity_type, entity_id
        FROM memory_associative WHERE user_id = $1 AND id = $2""",
        *(user_id, fact),
    )
    return Held(*row) if row else None


async def of_digest(db: Connection, user_id: UUID, digest: bytes) -> list[UUID]:
    """The facts of the same words, superseded ones among them."""
    rows = await db.fetch(
        "SELECT id FROM memory_associative WHERE user_id = $1 AND digest = $2", user_id, digest
    )
    return [row[0] for row in rows]


async def contents(
    db: Connection, user_id: UUID, facts: Sequence[UUID]
) -> list[tuple[UUID, str, int]]:
    """Several facts' ciphertexts and revisions."""
    rows = await db.fetch(
        """SELECT id, content_encrypted, revision FROM memory_associative
        WHERE user_id = $1 AND id = ANY ($2::uuid[])""",
        *(user_id, list(facts)),
    )
    return [tuple(row) for row in rows]
