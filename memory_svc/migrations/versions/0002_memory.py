"""The four tiers of memory, the index of words, and the background jobs.

Every `*_encrypted` column holds Fernet tokens under the user's own key. They look
random, so compressing them is wasted work (STORAGE EXTERNAL).
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_UP = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    # key stands readable: it is a word of the agents' (`response_style`), not the user's.
    """CREATE TABLE memory_core (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        key text NOT NULL CHECK (key ~ '^[a-z][a-z0-9_.]{0,63}$'),
        value_encrypted text NOT NULL,
        previous_encrypted text,
        revision integer NOT NULL,
        updated_at timestamptz NOT NULL,
        UNIQUE (user_id, key)
    )""",
    """CREATE TABLE memory_episodic (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        summary_encrypted text NOT NULL,
        detail_encrypted text NOT NULL,
        session_id text NOT NULL,
        request_id text NOT NULL,
        revision integer NOT NULL,
        created_at timestamptz NOT NULL,
        UNIQUE (user_id, request_id)
    )""",
    "CREATE INDEX memory_episodic_newest ON memory_episodic (user_id, created_at, id)",
    # embedding: rotated under the user's key. 1536 floats fill most of a page; PLAIN keeps
    # them out of TOAST, which would cost a look-up for each row of the scan, and the target
    # keeps the short text beside them.
    # slot: keyed hash of (entity, attribute), the only thing that supersedes.
    # digest: keyed hash of the normalised text, for exact duplicates.
    """CREATE TABLE memory_associative (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        content_encrypted text NOT NULL,
        embedding vector(1536),
        embed_model text,
        entity_type text,
        entity_id text,
        slot bytea,
        digest bytea NOT NULL,
        term_count integer NOT NULL,
        strength integer NOT NULL DEFAULT 1,
        episode_ids uuid[] NOT NULL DEFAULT '{}',
        settled boolean NOT NULL DEFAULT false,
        revision integer NOT NULL,
        superseded_at timestamptz,
        superseded_by uuid REFERENCES memory_associative ON DELETE SET NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
    ) WITH (toast_tuple_target = 8160)""",
    "ALTER TABLE memory_associative ALTER embedding SET STORAGE PLAIN",
    "CREATE INDEX memory_associative_newest ON memory_associative (user_id, updated_at, id)",
    """CREATE INDEX memory_associative_size ON memory_associative (user_id)
        INCLUDE (term_count) WHERE superseded_at IS NULL""",
    """CREATE INDEX memory_associative_model ON memory_associative (embed_model, user_id)
        WHERE embed_model IS NOT NULL""",
    "CREATE INDEX memory_associative_digest ON memory_associative (user_id, digest)",
    """CREATE INDEX memory_associative_slot ON memory_associative (user_id, slot)
        WHERE slot IS NOT NULL""",
    """CREATE INDEX memory_associative_unsettled ON memory_associative (user_id)
        WHERE NOT settled""",
    """CREATE INDEX memory_associative_superseded ON memory_associative (superseded_by)
        WHERE superseded_by IS NOT NULL""",
    """CREATE TABLE memory_proactive (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        pattern_encrypted text NOT NULL,
        confidence double precision NOT NULL,
        source text NOT NULL,
        status text NOT NULL CHECK (status IN ('noticed', 'approved', 'dismissed')),
        evidence_ids uuid[] NOT NULL,
        revision integer NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
    )""",
    "CREATE INDEX memory_proactive_user ON memory_proactive (user_id, updated_at, id)",
    # The words of facts (tier 2) and exchanges (tier 3) as keyed hashes. The key holds all
    # that scoring reads, so it never visits the table. No foreign keys: they would be checked
    # for each word; the statements that write here hold the user's row.
    """CREATE TABLE memory_terms (
        user_id uuid NOT NULL,
        tier smallint NOT NULL,
        term bigint NOT NULL,
        item_id uuid NOT NULL,
        tf smallint NOT NULL,
        length smallint NOT NULL,
        PRIMARY KEY (user_id, tier, term, item_id) INCLUDE (tf, length)
    )""",
    "CREATE INDEX memory_terms_item ON memory_terms (item_id)",
    """CREATE TABLE memory_jobs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        kind text NOT NULL,
        run_at timestamptz NOT NULL DEFAULT now(),
        attempts integer NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX memory_jobs_due ON memory_jobs (run_at)",
    "CREATE INDEX memory_jobs_user ON memory_jobs (user_id, kind)",
    *(
        f"ALTER TABLE {table} ALTER {column} SET STORAGE EXTERNAL"
        for table, column in (
            ("memory_core", "value_encrypted"),
            ("memory_core", "previous_encrypted"),
            ("memory_episodic", "summary_encrypted"),
            ("memory_episodic", "detail_encrypted"),
            ("memory_associative", "content_encrypted"),
            ("memory_proactive", "pattern_encrypted"),
        )
    ),
)

_TABLES = (
    "memory_jobs",
    "memory_terms",
    "memory_proactive",
    "memory_associative",
    "memory_episodic",
    "memory_core",
)


def upgrade() -> None:
    """Makes the tables."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drops them, and all that is remembered. The extension may serve others: it stays."""
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
