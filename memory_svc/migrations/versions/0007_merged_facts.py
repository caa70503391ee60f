"""Facts know the rows that were merged into them, so that forgetting one forgets all."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the ids; what was merged before is not known."""
    op.execute("ALTER TABLE memory_associative ADD merged_ids uuid[] NOT NULL DEFAULT '{}'")


def downgrade() -> None:
    """Takes them away."""
    op.execute("ALTER TABLE memory_associative DROP merged_ids")
