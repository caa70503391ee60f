"""Forgetting an account for good, also in backups that are restored later.

The order: the wrapped key is destroyed and every process told (from here on nothing of
the user can be read), the ledger remembers the user's id, then the rows go. Whatever is
cut short is finished at the next start, or by the next look of any process.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from memory_svc.store import erasure as store
from memory_svc.store.database import Database
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

_ATTEMPTS = 4
_PATIENCE_S = 5.0
"""How long somebody who asked for the erasure waits for the rows to go."""


class Ledger:
    """The file of erased users: a line each, the id and when, UTC.

    It may be shared by several processes of one machine. A line that cannot be read is
    passed over: half a line is what a crash leaves.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Raises OSError where the ledger cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))

    def add(self, user_id: UUID) -> None:
        """Writes a user down, on disk before it returns. Raises OSError."""
        line = f"{user_id} {datetime.now(UTC).isoformat(timespec='seconds')}\n"
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if (size := os.fstat(file).st_size) and os.pread(file, 1, size - 1) != b"\n":
                line = f"\n{line}"
            os.write(file, line.encode())
            os.fsync(file)
        finally:
            os.close(file)

    def users(self) -> list[UUID]:
        """The users written down."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text("utf-8", errors="replace").splitlines():
            try:
                found.append(UUID(line.split(" ")[0]))
            except ValueError:
                log.warning("a line of the erasure ledger cannot be read")
        return found


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
