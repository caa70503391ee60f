"""Works the jobs off. See `memory_svc.store.jobs` for why none is lost or done twice."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

import asyncpg

from memory_svc import metrics
from memory_svc.store import jobs, writes
from memory_svc.store.database import Connection, Database
from runtime import logs, tracing
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

Write = Callable[[], Awaitable[float | None]]
"""Writes what came of jobs; returns in how many seconds to come again, or None."""

Handler = Callable[[Connection, jobs.Claim], Awaitable[Write]]
"""Does jobs but for writing, in no transaction: it may ask a model. What it returns is called
in one, and uses the same connection."""

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
        async with self._db.connection() as db, jobs.claimed(db) as claim:
            if claim is None:
                return False
            with (
                logs.bind(user_id=str(claim.user_id)),
                tracing.span(f"job {claim.kind}"),
                metrics.JOBS.labels(claim.kind).time(),
            ):
                await self._do(db, claim)
        return True

    async def _do(self, db: Connection, claim: jobs.Claim) -> None:
        try:
            write = await self._handlers[claim.kind](db, claim)
            async with db.transaction():  # what fails leaves nothing half-done
                again = await write()
                # Last: exchanges that are kept meanwhile wait for this row.
                await writes.count(db, claim.user_id)
                await _end(db, claim, again)
        except SwitchboardError as error:
            if error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE:
                raise
            erased = error.code == ErrorCode.ERROR_CODE_NOT_FOUND
            await _end(db, claim, None if erased else self._failed(claim, error))
        except (asyncpg.InterfaceError, asyncpg.PostgresConnectionError, OSError):
            raise  # the database went: the job is as it was
        except Exception as error:  # noqa: BLE001 - one bad job must not stop the others
            await _end(db, claim, self._failed(claim, error))

    def _failed(self, claim: jobs.Claim, error: Exception) -> float | None:
        log.error("a job (%s) failed", claim.kind, exc_info=error)
        metrics.JOB_FAILURES.labels(claim.kind).inc()
        return None if claim.attempts >= _GIVE_UP else min(600.0, 2.0**claim.attempts)


async def _end(db: Connection, claim: jobs.Claim, again: float | None) -> None:
    """Takes jobs off the list, or puts them off by `again` seconds."""
    async with db.transaction():
        if again is None:
            await jobs.finish(db, claim)
        else:
            await jobs.postpone(db, claim, again)
