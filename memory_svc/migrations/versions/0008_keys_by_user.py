"""Primary keys that begin with `user_id`, and references that hold it: what is one user's can
stand on one shard of a distributed Postgres, or in one partition, without another schema.

The indexes are built beside their tables' use (CONCURRENTLY) and take the places of the old ones
in a moment. A build that was cut short leaves an index that is no good: it is made anew.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_KEYED = ("memory_core", "memory_episodic", "memory_associative", "memory_proactive", "memory_jobs")

_UNIQUE = {f"{table}_by_user": f"{table} (user_id, id)" for table in _KEYED}
_PLAIN = {
    "memory_terms_of_item": "memory_terms (user_id, item_id)",
    "memory_associative_replaced": "memory_associative (user_id, superseded_by)"
    " WHERE superseded_by IS NOT NULL",
    # Used tokens are dropped by their age, some at a time.
    "refresh_tokens_past": "refresh_tokens (used_at) WHERE used_at IS NOT NULL",
}

_SUPERSEDED = "memory_associative_superseded_by_fkey"

_SWAP = (
    f"ALTER TABLE memory_associative DROP CONSTRAINT {_SUPERSEDED}",
    *(
        f"""ALTER TABLE {table} DROP CONSTRAINT {table}_pkey,
            ADD CONSTRAINT {table}_pkey PRIMARY KEY USING INDEX {table}_by_user"""
        for table in _KEYED
    ),
    # 0009 has it look at what is there: that takes a while, and shall lock nobody out.
    # Who removes a fact takes it out of those that it superseded: Citus has no ON DELETE SET NULL
    # in a reference that holds the column by which rows are spread.
    f"""ALTER TABLE memory_associative ADD CONSTRAINT {_SUPERSEDED}
        FOREIGN KEY (user_id, superseded_by) REFERENCES memory_associative (user_id, id)
        NOT VALID""",
    "DROP INDEX memory_terms_item",
    "DROP INDEX memory_associative_superseded",
)

_DOWN = (
    f"ALTER TABLE memory_associative DROP CONSTRAINT {_SUPERSEDED}",
    *(
        f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, ADD PRIMARY KEY (id)"
        for table in _KEYED
    ),
    f"""ALTER TABLE memory_associative ADD CONSTRAINT {_SUPERSEDED}
        FOREIGN KEY (superseded_by) REFERENCES memory_associative ON DELETE SET NULL""",
    "CREATE INDEX memory_terms_item ON memory_terms (item_id)",
    """CREATE INDEX memory_associative_superseded ON memory_associative (superseded_by)
        WHERE superseded_by IS NOT NULL""",
    "DROP INDEX memory_terms_of_item",
    "DROP INDEX memory_associative_replaced",
    "DROP INDEX refresh_tokens_past",
)


def _build(name: str, kind: str, on: str) -> None:
    found = f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{name}')"  # noqa: S608
    valid = op.get_bind().exec_driver_sql(found).scalar()
    if not valid:
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE {kind} CONCURRENTLY {name} ON {on}")


def upgrade() -> None:
    """Builds the indexes while the tables are used, then changes the keys."""
    with op.get_context().autocommit_block():
        for kind, indexes in (("UNIQUE INDEX", _UNIQUE), ("INDEX", _PLAIN)):
            for name, on in indexes.items():
                _build(name, kind, on)
    for statement in _SWAP:
        op.execute(statement)


def downgrade() -> None:
    """Puts the keys of one column back. Tables that were partitioned or spread meanwhile have to
    be made whole first."""
    for statement in _DOWN:
        op.execute(statement)
