"""Invitations, and the codes that are sent by mail."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_UP = (
    "ALTER TABLE users ADD email_verified_at timestamptz",
    """CREATE TABLE invitations (
        code_hash bytea PRIMARY KEY,
        expires_at timestamptz NOT NULL
    )""",
    """CREATE TABLE account_codes (
        code_hash bytea PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        purpose text NOT NULL CHECK (purpose IN ('reset', 'verify')),
        expires_at timestamptz NOT NULL,
        UNIQUE (user_id, purpose)
    )""",
)

_DOWN = (
    "DROP TABLE account_codes",
    "DROP TABLE invitations",
    "ALTER TABLE users DROP email_verified_at",
)


def upgrade() -> None:
    """Makes the tables; nobody's address is verified yet."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drops them, and forgets whose address was verified."""
    for statement in _DOWN:
        op.execute(statement)
