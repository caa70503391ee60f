"""All tiers at once: what goes with a message, and pages of everything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from memory_svc.crypto.envelope import Place
from memory_svc.domain.tiers import Tier
from memory_svc.store.database import Connection

_COLUMN: Final = {
    Tier.CORE: "value_encrypted",
    Tier.ASSOCIATIVE: "content_encrypted",
    Tier.EPISODIC: "summary_encrypted",
    Tier.PROACTIVE: "pattern_encrypted",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of any tier; what a tier does not have is None."""

    tier: Tier
    id: UUID
    text: str
    revision: int
    at: datetime
    key: str | None
    session_id: str | None
    entity_type: str | None
    entity_id: str | None
    superseded_at: datetime | None
    confidence: float | None
    evidence_ids: list[UUID] | None
    status: str | None
    sealed_key: str | None

    @property
    def place(self) -> Place:
        """Where the text's ciphertext stands."""
        return Place(self.tier.table, self.id, _COLUMN[self.tier], self.revision)


# One row shape for the four tables: tier, id, ciphertext, revision, time, key, session,
# entity's kind and id, superseded, confidence, evidence, status, the key's words.
_CORE: Final = """SELECT 1 AS tier, id, value_encrypted, revision, updated_at AS at, key,
    NULL::text, NULL::text, NULL::text, NULL::timestamptz, NULL::float8, NULL::uuid[], NULL::text,
    key_encrypted FROM memory_core"""
_ASSOCIATIVE: Final = """SELECT 2 AS tier, id, content_encrypted, revision, updated_at AS at,
    NULL::text, NULL::text, entity_type, entity_id, superseded_at, NULL::float8, NULL::uuid[],
    NULL::text, NULL::text FROM memory_associative"""
_EPISODIC: Final = """SELECT 3 AS tier, id, summary_encrypted, revision, created_at AS at,
    NULL::text, session_id, NULL::text, NULL::text, NULL::timestamptz, NULL::float8, NULL::uuid[],
    NULL::text, NULL::text FROM memory_episodic"""
_PROACTIVE: Final = """SELECT 4 AS tier, id, pattern_encrypted, revision, updated_at AS at,
    NULL::text, NULL::text, NULL::text, NULL::text, NULL::timestamptz, confidence, evidence_ids,
    status, NULL::text FROM (SELECT * FROM memory_proactive WHERE status <> 'removed') AS shown"""

_TABLES: Final = tuple(
    f"SELECT * FROM ({part} WHERE user_id = $1) AS t{number}"  # noqa: S608 - constants of this file
    for number, part in enumerate((_CORE, _ASSOCIATIVE, _EPISODIC, _PROACTIVE), 1)
)

_PAGE: Final = " UNION ALL ".join(
    f"""({table} WHERE $2::int IN (0, {number})
            AND ($3::timestamptz IS NULL OR (at, id) < ($3, $4::uuid))
        ORDER BY at DESC, id DESC LIMIT $5)"""
    for number, table in enumerate(_TABLES, 1)
)

_ALL: Final = " UNION ALL ".join(f"({table})" for table in _TABLES)

_SOME: Final = " UNION ALL ".join(f"({table} WHERE id = ANY ($2::uuid[]))" for table in _TABLES)

_BESIDE: Final = f"""
{_CORE} WHERE user_id = $1
UNION ALL (SELECT * FROM ({_EPISODIC} WHERE user_id = $1
    ORDER BY created_at DESC, id DESC LIMIT $2) AS episodes)
UNION ALL ({_PROACTIVE} WHERE user_id = $1 AND status <> 'dismissed'
    AND confidence >= CASE status WHEN 'approved' THEN $3::float8 / 2 ELSE $3::float8 END
    ORDER BY confidence DESC LIMIT 10)
"""  # noqa: S608 - constants of this file


_PRESENT: Final = " UNION ALL ".join(
    f"""SELECT user_id, {tier:d}, id FROM {tier.table}
        JOIN unnest($1::uuid[], $2::uuid[]) AS wanted(user_id, id) USING (user_id, id)
        {"WHERE status <> 'removed'" if tier is Tier.PROACTIVE else ""}"""  # noqa: S608 - ours
    for tier in Tier
)


def _row(row: tuple[object, ...]) -> Row:
    tier, *rest = row
    return Row(Tier(int(str(tier))), *rest)  # type: ignore[arg-type] # the shape above


async def beside(db: Connection, user_id: UUID, episodes: int, sure: float) -> list[Row]:
    """What goes with a message whatever it says: preferences, the last exchanges, and the
    habits that are at least so sure (half as sure where the user said yes). One round trip."""
    return [_row(tuple(row)) for row in await db.fetch(_BESIDE, user_id, episodes, sure)]


async def page(
    db: Connection, user_id: UUID, tier: int, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """A page of one tier (0: of all), newest first, from beyond `after` on."""
    at, row_id = after or (None, None)
    statement = f"SELECT * FROM ({_PAGE}) AS all_tiers ORDER BY at DESC, id DESC LIMIT $5"  # noqa: S608
    return [_row(tuple(row)) for row in await db.fetch(statement, user_id, tier, at, row_id, limit)]


async def ids(db: Connection, user_id: UUID) -> list[tuple[Tier, UUID]]:
    """What there is of all tiers, newest first."""
    rows = await db.fetch(
        f"SELECT tier, id FROM ({_ALL}) AS all_tiers ORDER BY at DESC, id DESC",  # noqa: S608
        user_id,
    )
    return [(Tier(row[0]), row[1]) for row in rows]


async def some(db: Connection, user_id: UUID, ids: Sequence[UUID]) -> list[Row]:
    """The rows of these ids, of whatever tier."""
    return [_row(tuple(row)) for row in await db.fetch(_SOME, user_id, list(ids))]


async def present(
    db: Connection, wanted: Sequence[tuple[UUID, UUID]]
) -> list[tuple[UUID, Tier, UUID]]:
    """Those of the items (user and id) that there are: user, tier, id."""
    rows = await db.fetch(_PRESENT, [user for user, _ in wanted], [row for _, row in wanted])
    return [(row[0], Tier(row[1]), row[2]) for row in rows]
