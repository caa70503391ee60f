"""Sign-ins that can be told apart, refresh tokens that know their successor, and guesses."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_UP = (
    # name_encrypted: what the device is called, under the user's key; used_at: the last refresh.
    """ALTER TABLE refresh_families ADD name_encrypted text,
        ADD used_at timestamptz NOT NULL DEFAULT now()""",
    # next_sealed: the successor, under a key that only the token itself gives; gone with the
    # time in which a token may be shown again.
    "ALTER TABLE refresh_tokens ADD next_sealed text",
    "CREATE INDEX refresh_families_over ON refresh_families (expires_at)",
    # Attempts by (hashed) address, whether or not there is such an account. What a crash
    # empties is an hour's worth, and no backup needs it.
    """CREATE UNLOGGED TABLE account_attempts (
        key bytea PRIMARY KEY,
        level double precision NOT NULL,
        at timestamptz NOT NULL
    )""",
)

_DOWN = (
    "DROP TABLE account_attempts",
    "DROP INDEX refresh_families_over",
    "ALTER TABLE refresh_tokens DROP next_sealed",
    "ALTER TABLE refresh_families DROP name_encrypted, DROP used_at",
)


def upgrade() -> None:
    """Adds what is new; a sign-in from before has no name."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Takes it away; sign-ins go on."""
    for statement in _DOWN:
        op.execute(statement)
