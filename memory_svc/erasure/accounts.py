"""Forgetting an account for good, also in backups that are restored later.

The order: the wrapped key is destroyed and every process told (from here on nothing of
the user can be read), the ledger remembers the user's id, then the rows go. Whatever is
cut short is finished at the next start, or by the next look of any process.
"""

import asyncio
import logging
from collections.abc import Callable
from uuid import UUID

import asyncpg

from memory_svc.erasure.ledger import Ledger
from memory_svc.store import erasure as store
from memory_svc.store.database import Database
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

_ATTEMPTS = 4
_PATIENCE_S = 5.0
"""How long somebody who asked for the erasure waits for the rows to go."""


class Erasure:
    """Erases users. `forget` drops a user from this process's caches."""

    def __init__(self, db: Database, ledger: Ledger, forget: Callable[[UUID], None]) -> None:
        self._db = db
        self._ledger = ledger
        self._forget = forget

    async def erase(self, user_id: UUID) -> None:
        """Erases one user, or raises before anything is lost.

        Once the key is destroyed nothing can be read any more, and it is done for the user: rows
        that a job holds for a while go later.
        """
        try:
            await asyncio.to_thread(self._ledger.check)
        except OSError as error:
            log.error("the erasure ledger cannot be written (%s)", type(error).__name__)
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "Accounts cannot be erased right now."
            ) from error
        async with self._db.transaction() as db:
            await store.destroy_key(db, user_id)
        self._forget(user_id)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._finish(user_id)
        except (SwitchboardError, asyncpg.PostgresError, OSError) as error:  # time-outs are
            log.warning("an erasure goes on in the background (%s)", type(error).__name__)

    async def finish_begun(self) -> int:
        """Finishes erasures that were cut short; returns how many."""
        async with self._db.connection() as db:
            begun = await store.keyless(db)
        for user_id in begun:
            await self._finish(user_id)
        return len(begun)

    async def replay(self) -> int:
        """Erases again whom the ledger names, and finishes what was begun; returns how many.

        Needed after a backup was restored; does nothing otherwise.
        """
        written_down = await asyncio.to_thread(self._ledger.users)
        async with self._db.connection() as db:
            back = await store.present(db, written_down)
        for user_id in back:
            async with self._db.transaction() as db:
                await store.destroy_key(db, user_id)
            self._forget(user_id)
        return await self.finish_begun()

    async def _finish(self, user_id: UUID) -> None:
        await asyncio.to_thread(self._note, user_id)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self._db.transaction() as db:
                    await store.remove(db, user_id)
                break
            except asyncpg.DeadlockDetectedError:
                if attempt == _ATTEMPTS:
                    raise
        async with self._db.connection() as db:
            await store.sweep_dead_rows(db)
        log.info("an account was erased", extra={"user_id": str(user_id)})

    def _note(self, user_id: UUID) -> None:
        if user_id not in self._ledger.users():
            self._ledger.add(user_id)
