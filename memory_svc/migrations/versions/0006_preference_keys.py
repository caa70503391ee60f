"""Preference keys are no longer readable: `key` keeps a keyed hash, the words stand encrypted.

Only the service can do that, with each user's own key: it does so when it writes a preference,
and by a job for all others (`seal_keys`). Until then a row keeps its readable key, and no
`key_encrypted`; both kinds are read.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_FORM = "key ~ '^[a-z][a-z0-9_.]{0,63}$'"

_UP = (
    "ALTER TABLE memory_core ADD COLUMN IF NOT EXISTS key_encrypted text",
    "ALTER TABLE memory_core ALTER key_encrypted SET STORAGE EXTERNAL",
    "ALTER TABLE memory_core DROP CONSTRAINT memory_core_key_check",
    # What a downgrade set aside.
    """UPDATE memory_core SET key = substr(key, 8)
        WHERE key_encrypted IS NOT NULL AND key LIKE 'sealed.%'""",
    f"""ALTER TABLE memory_core ADD CONSTRAINT memory_core_key_check
        CHECK (key_encrypted IS NOT NULL OR {_FORM})""",
    "CREATE INDEX memory_core_readable ON memory_core (user_id) WHERE key_encrypted IS NULL",
)

_DOWN = (
    "DROP INDEX memory_core_readable",
    "ALTER TABLE memory_core DROP CONSTRAINT memory_core_key_check",
    "UPDATE memory_core SET key = 'sealed.' || key WHERE key_encrypted IS NOT NULL",
    f"ALTER TABLE memory_core ADD CONSTRAINT memory_core_key_check CHECK ({_FORM})",
)


def upgrade() -> None:
    """Makes room for the words."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Names sealed preferences by their hashes, for code that knows readable keys only. The
    words stay in their column: going up again brings them back."""
    for statement in _DOWN:
        op.execute(statement)
