"""How often each user's memory was written: by that number a replica is known to have all of it."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_UP = (
    # What 0008 left to be looked at, while everybody goes on.
    "ALTER TABLE memory_associative VALIDATE CONSTRAINT memory_associative_superseded_by_fkey",
    # Apart from `users`: a number changes with every exchange, a wrapped key next to never. Room
    # is left in the pages, so that a new number stays where the old one was.
    """CREATE TABLE memory_writes (
        user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
        number bigint NOT NULL
    ) WITH (fillfactor = 70)""",
)


def upgrade() -> None:
    """Makes the table; who has no row has written nothing since."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drops it: nothing is read from replicas then."""
    op.execute("DROP TABLE memory_writes")
