"""The search: vectors and words fused in one statement, one round trip.

Words are scored as BM25 does (k1 = 1.2, b = 0.75) over keyed hashes of terms; what a term
is worth, and how long a text is usually, comes from the user's own rows. Vectors are
compared exactly, all of the user's: at 5,000 rows that is some milliseconds, where an
approximate index under a user filter loses answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from memory_svc.crypto.embedding_rotation import Vector
from memory_svc.store.database import Connection

WORDS: Final = 0.55
"""The weight of words against meaning. Words found more than vectors did on LoCoMo."""

# $1 user, $2 terms, $3 whether superseded facts count too, $4 how many. The words of superseded
# facts stand in a tier of their own (5): they neither fill the search nor tell what a word is
# worth. What is found of them counts for a third, before anything is left out.
_WORDS: Final = """
    size AS (
        SELECT count(*)::float8 AS n, coalesce(avg(term_count), 1)::float8 AS usual
        FROM memory_associative WHERE user_id = $1 AND superseded_at IS NULL
    ), postings AS (
        SELECT term, item_id, tf::float8, greatest(length, 1)::float8 AS length, 1.0 AS part
        FROM memory_terms WHERE user_id = $1 AND tier = 2 AND term = ANY ($2::bigint[])
        UNION ALL
        SELECT term, item_id, tf::float8, greatest(length, 1)::float8, 0.3
        FROM memory_terms WHERE $3 AND user_id = $1 AND tier = 5 AND term = ANY ($2::bigint[])
    ), worth AS (
        SELECT term, ln(1 + (greatest(n - held, 0) + 0.5) / (held + 0.5)) AS idf
        FROM (SELECT term, count(*) FILTER (WHERE part = 1) AS held FROM postings GROUP BY term)
            AS counted, size
    ), asked AS (
        -- What the whole question is worth; a word that no text holds is worth the most.
        SELECT greatest(sum(coalesce(idf, ln(1 + (n + 0.5) / 0.5))) * 2.2, 1e-9) AS whole
        FROM size, unnest($2::bigint[]) AS q (term) LEFT JOIN worth USING (term)
    ), words AS (
        SELECT item_id AS id, min(part) AS part, sum(
            idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / usual))
        ) AS bm25
        FROM postings JOIN worth USING (term), size GROUP BY item_id
    )
"""

_COLUMNS: Final = """
    a.id, a.content_encrypted, a.revision, a.entity_type, a.entity_id, a.updated_at,
    a.superseded_at
"""

# $5 the vector, $6 its model. The cosines are stretched to 0–1 between their mean and their
# best, since models differ in where they put the unrelated. Only the best by vector and the
# best by words are fused: with either part near nothing none else can be among the first.
_BOTH: Final = f"""
WITH {_WORDS}, meaning AS MATERIALIZED (
    SELECT id, CASE WHEN embed_model = $6 THEN -(embedding <#> $5) END AS cosine,
        CASE WHEN superseded_at IS NULL THEN 1.0 ELSE 0.3 END AS part
    FROM memory_associative WHERE user_id = $1 AND ($3 OR superseded_at IS NULL)
), spread AS (
    SELECT avg(cosine) AS usual, max(cosine) AS best FROM meaning
), candidates AS (
    (SELECT id FROM meaning WHERE cosine IS NOT NULL AND part = 1
        ORDER BY cosine DESC LIMIT 10 * $4)
    UNION (SELECT id FROM meaning WHERE $3 AND cosine IS NOT NULL AND part < 1
        ORDER BY cosine DESC LIMIT 10 * $4)
    UNION (SELECT id FROM words ORDER BY bm25 * part DESC LIMIT 10 * $4)
), fused AS (
    SELECT id, bm25, cosine, meaning.part,
        {WORDS} * coalesce(bm25 / (SELECT max(bm25) FROM words), 0)
        + {1 - WORDS} * greatest(coalesce(
            CASE WHEN best > usual THEN (cosine - usual) / (best - usual) ELSE 1 END, 0), 0)
        AS fit
    FROM candidates JOIN meaning USING (id) LEFT JOIN words USING (id), spread
)
SELECT {_COLUMNS}, coalesce(bm25 / whole, 0), coalesce(cosine, 0),
    (fit + 0.02 * exp(-extract(epoch FROM now() - updated_at) / 7776000)) * part AS ranked
FROM (SELECT * FROM fused ORDER BY fit * part DESC LIMIT 2 * $4) AS f
JOIN memory_associative a USING (id), asked
WHERE user_id = $1 ORDER BY ranked DESC, id LIMIT $4
"""  # noqa: S608 - constants of this file

_ONLY_WORDS: Final = f"""
WITH {_WORDS}
SELECT {_COLUMNS}, bm25 / whole, 0::float8,
    (bm25 / nullif(max(bm25) OVER (), 0)
        + 0.02 * exp(-extract(epoch FROM now() - updated_at) / 7776000)) * part AS ranked
FROM words JOIN memory_associative a USING (id), asked
WHERE user_id = $1 AND ($3 OR superseded_at IS NULL)
ORDER BY ranked DESC, id LIMIT $4
"""  # noqa: S608 - constants of this file

_EPISODES: Final = """
WITH size AS (
    SELECT count(*)::float8 AS n FROM memory_episodic WHERE user_id = $1
), postings AS (
    SELECT term, item_id, tf::float8, greatest(length, 1)::float8 AS length
    FROM memory_terms WHERE user_id = $1 AND tier = 3 AND term = ANY ($2::bigint[])
), worth AS (
    SELECT term, ln(1 + (greatest(n - count(*), 0) + 0.5) / (count(*) + 0.5)) AS idf
    FROM postings, size GROUP BY term, n
), asked AS (
    SELECT greatest(sum(coalesce(idf, ln(1 + (n + 0.5) / 0.5))) * 2.2, 1e-9) AS whole
    FROM size, unnest($2::bigint[]) AS q (term) LEFT JOIN worth USING (term)
), words AS (
    SELECT item_id AS id, sum(idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / 20))) AS bm25
    FROM postings JOIN worth USING (term) GROUP BY item_id
)
SELECT id, summary_encrypted, session_id, revision, created_at, bm25 / whole
FROM words JOIN memory_episodic USING (id), asked
WHERE user_id = $1 ORDER BY bm25 DESC, created_at DESC, id LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A fact that was found. `words` and `cosine`: how well each fits, 0–1; `ranked`: both,
    against the other facts."""

    id: UUID
    content: str
    revision: int
    entity_type: str | None
    entity_id: str | None
    updated_at: datetime
    superseded_at: datetime | None
    words: float
    cosine: float
    ranked: float


@dataclass(frozen=True, slots=True)
class FoundEpisode:
    """An exchange that was found by words; `words` 0–1."""

    id: UUID
    summary: str
    session_id: str
    revision: int
    created_at: datetime
    words: float


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: hashes of terms, and the rotated embedding where there is one."""

    terms: Sequence[int]
    vector: Vector | None = None
    model: str = ""


async def facts(
    db: Connection, user_id: UUID, query: Query, limit: int, *, superseded: bool = False
) -> list[Found]:
    """The facts that fit best, best first."""
    asked = (user_id, query.terms, superseded, limit)
    if query.vector is None:
        rows = await db.fetch(_ONLY_WORDS, *asked)
    else:
        rows = await db.fetch(_BOTH, *asked, query.vector, query.model)
    return [Found(*row) for row in rows]


async def episodes(
    db: Connection, user_id: UUID, terms: Sequence[int], limit: int
) -> list[FoundEpisode]:
    """The exchanges that fit best by their words, best first."""
    return [FoundEpisode(*row) for row in await db.fetch(_EPISODES, user_id, terms, limit)]
