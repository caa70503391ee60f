"""What is set aside: words of superseded facts, and habits that the user removed."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATUS = "ALTER TABLE memory_proactive DROP CONSTRAINT memory_proactive_status_check"
_WORDS = """UPDATE memory_terms t SET tier = {to} FROM memory_associative a
    WHERE t.user_id = a.user_id AND t.tier = {of} AND t.item_id = a.id
        AND a.superseded_at IS NOT NULL"""


def upgrade() -> None:
    """Words of superseded facts get a tier of their own: they are looked at by those alone
    who ask for them. A removed habit leaves a row that says so."""
    op.execute(_WORDS.format(of=2, to=5))
    op.execute(_STATUS)
    op.execute(
        """ALTER TABLE memory_proactive ADD CONSTRAINT memory_proactive_status_check
        CHECK (status IN ('noticed', 'approved', 'dismissed', 'removed'))"""
    )


def downgrade() -> None:
    """Puts the words back, and forgets which habits were removed."""
    op.execute(_WORDS.format(of=5, to=2))
    op.execute("DELETE FROM memory_proactive WHERE status = 'removed'")
    op.execute(_STATUS)
    op.execute(
        """ALTER TABLE memory_proactive ADD CONSTRAINT memory_proactive_status_check
        CHECK (status IN ('noticed', 'approved', 'dismissed'))"""
    )
