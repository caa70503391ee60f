"""Migrations from within: `python -m memory_svc migrate`, the devstack's way and the tests'."""

import logging
import time
from itertools import islice
from pathlib import Path
from typing import Final

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from memory_svc.store import address

log = logging.getLogger(__name__)

# With the pauses between, and the patience with each lock, about eight minutes.
_TRIES: Final = 40
_HELD: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def _config(url: str | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Brings the database up to `revision`. Runs its own event loop: call it from none.

    A table that others hold is left to them, and asked for again: whoever waits for it with a
    lock holds up all that come behind. Raises LockNotAvailableError after `_TRIES`.
    """
    for number, pause in enumerate(islice(address.pauses(), _TRIES), 1):
        try:
            command.upgrade(_config(url), revision)
        except DBAPIError as error:
            if number == _TRIES or not isinstance(cause(error), _HELD):
                raise
            log.warning("others hold a table: %s; trying again", address.why(cause(error), url))
            time.sleep(pause)
        else:
            return


def cause(error: DBAPIError) -> BaseException:
    """What the driver itself said."""
    return getattr(error.orig, "__cause__", None) or error


def downgrade(url: str, revision: str) -> None:
    """Takes the database back to `revision` ("-1": by one)."""
    command.downgrade(_config(url), revision)


def head() -> str:
    """The revision that this code needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # noqa: S101 - there are migrations
    return revision
