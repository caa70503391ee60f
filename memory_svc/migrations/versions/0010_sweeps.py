"""Indexes for what is dropped by the hour: no sweep reads a table to find what is over."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INDEXES = {
    "refresh_tokens_sealed": "refresh_tokens (used_at) WHERE next_sealed IS NOT NULL",
    "refresh_families_revoked": "refresh_families (revoked_at) WHERE revoked_at IS NOT NULL",
}


def upgrade() -> None:
    """Builds them while the tables are used; what a cut left half-built is built anew."""
    with op.get_context().autocommit_block():
        for name, on in _INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {on}")


def downgrade() -> None:
    """Drops them."""
    for name in _INDEXES:
        op.execute(f"DROP INDEX {name}")
