"""The parts of the service, put together once."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any, Final

from memory_svc.account_service import AccountServicer
from memory_svc.accounts import Accounts
from memory_svc.crypto import MasterKeys
from memory_svc.erasure import Erasure, Ledger
from memory_svc.keys import KeyCache
from memory_svc.listener import listen
from memory_svc.masters import Loader, missing, rewrap_all
from memory_svc.passwords import Passwords
from memory_svc.preferences import Preferences
from memory_svc.service import MemoryServicer
from memory_svc.settings import MemorySettings
from memory_svc.store.database import Database
from runtime.errors import SwitchboardError
from runtime.server import Server
from runtime.settings import fail
from switchboard.v3.accounts_pb2_grpc import add_AccountServiceServicer_to_server
from switchboard.v3.memory_pb2_grpc import add_MemoryServiceServicer_to_server

log = logging.getLogger(__name__)

SERVICES: Final = ("switchboard.v3.MemoryService", "switchboard.v3.AccountService")
_LOOK_S: Final = 1.0
_SWEEP_S: Final = 30.0


class App:
    """memory_svc as a whole: `serve` is a process's life, the parts are for its commands."""

    def __init__(self, settings: MemorySettings) -> None:
        self.settings = settings
        self.db = Database(settings.database_url.get_secret_value(), settings.database_pool)
        self.masters = MasterKeys([key.get_secret_value() for key in settings.master_keys])
        self.keys = KeyCache(Loader(self.db, self.masters))
        self.erasure = Erasure(self.db, Ledger(settings.erasure_ledger), self.keys.forget)
        self.passwords = Passwords(settings.password_workers)
        self.accounts = Accounts(
            self.db,
            self.masters,
            self.passwords,
            self.erasure.erase,
            settings.refresh_token_days,
        )
        self.preferences = Preferences(self.db, self.keys)
        self.server = Server(settings, "memory_svc", SERVICES)
        add_AccountServiceServicer_to_server(AccountServicer(self.accounts), self.server.grpc)
        add_MemoryServiceServicer_to_server(MemoryServicer(self.preferences), self.server.grpc)
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Waits for the database and checks the master keys against it."""
        await self.db.connect()
        if count := await missing(self.db, self.masters):
            fail("memory_svc", f"MASTER_KEYS: {count} keys that wrap users' keys are missing")

    async def start(self) -> int:
        """Listens at once, and is ready when the database is. Returns the port."""
        port = await self.server.start(ready=False)
        await self._healthy(False)
        return port

    async def ready(self) -> None:
        """Waits for the database, finishes what was begun, and works from here on."""
        await self.open()
        if again := await self.erasure.replay():
            log.warning("%d accounts were erased again: a backup was restored", again)
        for work in (self._watch(), self._sweep(), listen(self.db.url, self.keys.forget)):
            self._spawn(work)
        await self._healthy(True)

    async def serve(self) -> None:
        """Runs until SIGTERM or SIGINT."""
        await self.start()
        stopping = asyncio.create_task(self.server.run())
        preparing = asyncio.create_task(self.ready())
        await asyncio.wait({stopping, preparing}, return_when=asyncio.FIRST_COMPLETED)
        if preparing.done():
            preparing.result()  # a wrong master key ends the process here
            await stopping
        preparing.cancel()
        await self.close()

    async def close(self) -> None:
        """Stops all that runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.server.stop(0)
        await self.db.close()
        self.passwords.close()

    async def rewrap_all(self) -> int:
        """Puts every user's key under the first master key; returns how many it changed."""
        return await rewrap_all(self.db, self.masters)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _healthy(self, serving: bool) -> None:
        for service in ("", *SERVICES):
            await self.server.set_health(service, serving)

    async def _watch(self) -> None:
        """Says NOT_SERVING while the database is away."""
        serving = True
        while True:
            await asyncio.sleep(_LOOK_S)
            alive = await self.db.alive()
            if alive != serving:
                log.warning("the database is %s", "back" if alive else "away")
                serving = alive
                await self._healthy(alive)

    async def _sweep(self) -> None:
        """Drops old keys, and finishes erasures that another process was cut short in."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            self.keys.sweep()
            with contextlib.suppress(SwitchboardError):
                await self.erasure.finish_begun()
