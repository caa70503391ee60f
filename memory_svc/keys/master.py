"""The users' keys under the master keys: loading, the check at start, and the rotation."""

import logging
from dataclasses import dataclass
from uuid import UUID

from memory_svc.crypto.envelope import IntegrityError, MasterKeys, UserKeys, WrongMasterKeyError
from memory_svc.store.accounts import users
from memory_svc.store.database import Database
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

_BATCH = 500
_NOBODY = UUID(int=0)


class MissingMasterKeys(Exception):
    """Users' keys are wrapped by master keys that are not there; the text says how many."""


class Loader:
    """Fetches and unwraps users' keys."""

    def __init__(self, db: Database, masters: MasterKeys) -> None:
        self._db = db
        self._masters = masters

    async def __call__(self, user_id: UUID) -> UserKeys:
        """The user's keys. Raises NOT_FOUND for a user unknown or erased."""
        async with self._db.connection() as db:
            wrapped = await users.wrapped_key(db, user_id)
        if wrapped is None:
            raise SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such user.")
        try:
            return UserKeys(user_id, self._masters.unwrap(user_id, wrapped))
        except (IntegrityError, WrongMasterKeyError) as error:
            log.error("the key of user %s does not open (%s)", user_id, type(error).__name__)
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_INTERNAL, "This user's memory cannot be opened."
            ) from error


async def missing(db: Database, masters: MasterKeys) -> int:
    """How many master keys are in use that are not at hand. A key's name is its digest, so one of
    that name is that key; a user's key that does not open with it is damaged, which is that user's
    trouble alone and told when it is met."""
    return sum(not masters.knows(name) for name in await in_use(db))


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How many users' keys were put under the first master key, and how many do not open."""

    changed: int
    unopened: int


async def in_use(db: Database) -> dict[str, int]:
    """How many users' keys each master key wraps, by the master key's name (`master_id`)."""
    async with db.connection() as connection:
        return await users.count_by_master(connection)


async def rewrap_all(db: Database, masters: MasterKeys) -> Rewrapped:
    """Puts every user's key under the first master key.

    Rows stay as they are. Each key is exchanged by itself, old for new, so readers see
    the one or the other; cut short, it goes on where it is run again.
    """
    changed, unopened, after = 0, 0, _NOBODY
    while True:
        async with db.connection() as connection:
            batch = await users.under_other_masters(connection, masters.current_id, after, _BATCH)
            for user_id, wrapped in batch:
                try:
                    key = masters.unwrap(user_id, wrapped)
                except (IntegrityError, WrongMasterKeyError) as error:
                    log.error(
                        "the key of user %s does not open (%s)", user_id, type(error).__name__
                    )
                    unopened += 1
                    continue
                new = masters.wrap(user_id, key)
                exchange = (user_id, wrapped, new, masters.current_id)
                changed += await users.rewrap(connection, *exchange)
        if not batch:
            return Rewrapped(changed, unopened)
        after = batch[-1][0]
