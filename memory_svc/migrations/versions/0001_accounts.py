"""Accounts: users with their wrapped keys, and families of refresh tokens."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_UP = (
    # encryption_key: the user's Fernet key, wrapped by the master key that master_key_id
    # names; NULL once it is destroyed, which is the first step of an erasure.
    """CREATE TABLE users (
        id uuid PRIMARY KEY,
        email text NOT NULL UNIQUE,
        password_hash text NOT NULL,
        encryption_key text,
        master_key_id text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )""",
    # A sign-in opens a family; its tokens replace one another.
    """CREATE TABLE refresh_families (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        revoked_at timestamptz
    )""",
    "CREATE INDEX refresh_families_user ON refresh_families (user_id)",
    """CREATE TABLE refresh_tokens (
        token_hash bytea PRIMARY KEY,
        family_id uuid NOT NULL REFERENCES refresh_families ON DELETE CASCADE,
        created_at timestamptz NOT NULL DEFAULT now(),
        used_at timestamptz
    )""",
    "CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id)",
)


def upgrade() -> None:
    """Makes the tables."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drops them, and all accounts with them."""
    for table in ("refresh_tokens", "refresh_families", "users"):
        op.execute(f"DROP TABLE {table}")
