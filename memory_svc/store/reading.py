"""Where a user's memory is read: at a replica that has all that was written of it, else at the
primary.

The primary is asked each time whether the user is there still, and how often their memory was
written. So nothing that a replica has not heard of yet is missed: no word of the user's own, no
item that was removed, no account that was erased. What remains for the replica is the work.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypeVar
from uuid import UUID

import asyncpg

from memory_svc import metrics
from memory_svc.store import writes
from memory_svc.store.database import Connection, Database, unavailable
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

T = TypeVar("T")
Ask: TypeAlias = Callable[[Connection], Awaitable[T]]

_PATIENCE_S: Final = 1.0
"""How long a replica may take: whoever recalls waits no longer, and the primary takes some more."""

_REST_S: Final = 5.0
"""How long one that failed is left alone."""


class _Behind(Exception):
    """The replica has not seen all of the user's writes."""


class Reading:
    """Reads of users' memory. `forget` drops a user's keys from this process."""

    def __init__(
        self,
        primary: Database,
        replica: Database | None = None,
        forget: Callable[[UUID], None] = lambda user_id: None,
    ) -> None:
        self._primary = primary
        self._replica = replica
        self._forget = forget
        self._rests_until = 0.0

    async def __call__(self, user_id: UUID, ask: Ask[T]) -> T:
        """What `ask` gives, at whichever server. It only reads, and may be called twice."""
        if self._replica is None:
            async with self._primary.connection() as db:
                return await ask(db)
        wanted = await self._wanted(user_id)
        try:
            found = await self._elsewhere(self._replica, user_id, wanted, ask)
            metrics.READS.labels("replica").inc()
            return found
        except _Behind:
            metrics.READS.labels("behind").inc()
        except (SwitchboardError, asyncpg.PostgresError, TimeoutError):
            metrics.READS.labels("away").inc()
        async with self._primary.connection() as db:
            return await ask(db)

    async def _elsewhere(self, replica: Database, user_id: UUID, wanted: int, ask: Ask[T]) -> T:
        if time.monotonic() < self._rests_until:
            raise unavailable()
        try:
            async with asyncio.timeout(_PATIENCE_S), replica.connection() as db:
                if await writes.seen(db, user_id) < wanted:
                    raise _Behind
                return await ask(db)
        except (SwitchboardError, asyncpg.PostgresError, TimeoutError) as error:
            self._rests_until = time.monotonic() + _REST_S
            log.warning("reading from the primary: the replica failed (%s)", type(error).__name__)
            raise

    async def _wanted(self, user_id: UUID) -> int:
        async with self._primary.connection() as db:
            number = await writes.number(db, user_id)
        if number is None:
            self._forget(user_id)
            raise SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such user.")
        return number
