"""Works the jobs off. See `memory_svc.store.jobs` for why none is lost or done twice."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

import asyncpg

from memory_svc import metrics
from memory_svc.store import jobs
from memory_svc.store.database import Connection, Database
from runtime import logs, tracing
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

Handler = Callable[[Connection, jobs.Claim], Awaitable[float | None]]
"""Does jobs in the given transaction; returns in how many seconds to come again, or None."""

_LOOK_S: Final = 1.0
"""Jobs of other processes are found by looking; one's own by being woken."""

_GIVE_UP: Final = 20


class Worker:
    """Works off the jobs of the kinds that `handlers` names."""

    def __init__(self, db: Database, handlers: Mapping[str, Handler]) -> None:
        self._db = db
        self._handlers = handlers
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    async def run(self) -> None:
        """Works for ever."""
        while True:
            self._woken.clear()
            try:
                busy = await self.step()
            except (SwitchboardError, asyncpg.PostgresError) as error:
                log.warning("jobs wait (%s)", type(error).__name__)
                busy = False
                await asyncio.sleep(_LOOK_S)
            if not busy:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), _LOOK_S)

    async def step(self) -> bool:
        """Does what is due the longest; False: nothing is."""
        async with self._db.transaction() as db:
            claim = await jobs.claim(db)
            if claim is None:
                return False
            with (
                logs.bind(user_id=str(claim.user_id)),
                tracing.span(f"job {claim.kind}"),
                metrics.JOBS.labels(claim.kind).time(),
            ):
                again = await self._do(db, claim)
            if again is None:
                await jobs.finish(db, claim)
            else:
                await jobs.postpone(db, claim, again)
        return True

    async def _do(self, db: Connection, claim: jobs.Claim) -> float | None:
        try:
            async with db.transaction():  # a savepoint: what fails leaves nothing half-done
                return await self._handlers[claim.kind](db, claim)
        except SwitchboardError as error:
            if error.code == ErrorCode.ERROR_CODE_NOT_FOUND:  # erased meanwhile
                return None
            if error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE:
                raise
            return self._failed(claim, error)
        except (asyncpg.InterfaceError, asyncpg.PostgresConnectionError, OSError):
            raise  # the database went: the job is as it was
        except Exception as error:  # noqa: BLE001 - one bad job must not stop the others
            return self._failed(claim, error)

    def _failed(self, claim: jobs.Claim, error: Exception) -> float | None:
        log.error("a job (%s) failed", claim.kind, exc_info=error)
        metrics.JOB_FAILURES.labels(claim.kind).inc()
        return None if claim.attempts >= _GIVE_UP else min(600.0, 2.0**claim.attempts)
