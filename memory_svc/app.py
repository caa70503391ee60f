"""The parts of the service, put together once."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any, Final

import asyncpg

from memory_svc import growth, metrics
from memory_svc.accounts.accounts import Accounts
from memory_svc.accounts.attempts import Attempts
from memory_svc.accounts.passwords import Passwords
from memory_svc.accounts.recovery import Recovery
from memory_svc.accounts.registration import Doors
from memory_svc.accounts.service import AccountServicer
from memory_svc.accounts.sign_ins import SignIns
from memory_svc.crypto.envelope import MasterKeys
from memory_svc.erasure.accounts import Erasure
from memory_svc.erasure.items import Forgetting
from memory_svc.erasure.ledger import Ledger
from memory_svc.growth import Trim
from memory_svc.jobs.consolidate import Reembed, Settle
from memory_svc.jobs.patterns import SUMMARY_PROFILE, Mine, Summarise
from memory_svc.jobs.worker import Handler, Worker
from memory_svc.keys.cache import KeyCache
from memory_svc.keys.invalidation import listen
from memory_svc.keys.master import Loader, MissingMasterKeys, Rewrapped, missing, rewrap_all
from memory_svc.mail.delivery import sender
from memory_svc.mail.queue import Outbox
from memory_svc.recall.browse import Browse
from memory_svc.recall.embed import Embedder
from memory_svc.recall.enrich import Context, Limits
from memory_svc.service import MemoryServicer
from memory_svc.settings import MemorySettings
from memory_svc.store import jobs
from memory_svc.store.accounts import attempts, codes
from memory_svc.store.database import Database
from memory_svc.store.reading import Reading
from memory_svc.store.tiers import core, facts
from memory_svc.write.episodes import Remember
from memory_svc.write.preferences import Preferences, SealKeys
from runtime.errors import SwitchboardError
from runtime.model import client as model
from runtime.model import startup
from runtime.server import Server
from switchboard.v3.accounts_pb2_grpc import add_AccountServiceServicer_to_server
from switchboard.v3.memory_pb2_grpc import add_MemoryServiceServicer_to_server

log = logging.getLogger(__name__)

SERVICES: Final = ("switchboard.v3.MemoryService", "switchboard.v3.AccountService")
_LOOK_S: Final = 1.0
_SWEEP_S: Final = 30.0
_HOUR_S: Final = 3600.0
_MEASURE_S: Final = 5.0


class App:
    """memory_svc as a whole: `serve` is a process's life, the parts are for its commands."""

    def __init__(self, settings: MemorySettings) -> None:
        self.settings = settings
        self.db = Database(
            settings.for_statements,
            settings.database_pool,
            sessions=settings.database_pooling == "session",
        )
        # Background jobs need a session: past a pooler that keeps none.
        self._sessions = self.db
        if settings.database_pooling == "transaction":
            self._sessions = Database(settings.for_sessions, settings.memory_workers + 1)
        self.masters = MasterKeys([key.get_secret_value() for key in settings.master_keys])
        self.keys = KeyCache(Loader(self.db, self.masters))
        ledger = Ledger(settings.erasure_ledger)
        self.erasure = Erasure(self.db, ledger, self.keys.forget)
        self.forgetting = Forgetting(self.db, self.keys, ledger)
        self.passwords = Passwords(settings.password_workers)
        self.sign_ins = SignIns(self.db, self.keys, settings.refresh_token_days)
        guesses = Attempts(self.db, "password", settings.guesses_per_hour)
        self.doors = Doors(settings.registration)
        mailer = settings.mailer_url.get_secret_value()
        self.outbox = Outbox(sender(mailer, settings.mail_from)) if mailer else None
        self.recovery = Recovery(self.db, self.passwords, guesses, self.outbox)
        self.accounts = Accounts(
            self.db,
            masters=self.masters,
            keys=self.keys,
            passwords=self.passwords,
            sign_ins=self.sign_ins,
            guesses=guesses,
            doors=self.doors,
            recovery=self.recovery,
            erase=self.erasure.erase,
        )
        self.client = model.client(settings, settings.common)
        self.embeddings = model.client(settings)
        self.embedder = Embedder(self.embeddings, settings.embedding_model, settings.profiles())
        limits = Limits(
            settings.memory_token_budget, settings.pattern_threshold, settings.embedding_timeout_s
        )
        self._replica = None
        if settings.for_reading:
            self._replica = Database(
                settings.for_reading,
                settings.database_pool,
                sessions=settings.database_pooling == "session",
                name="the replica",
            )
        read = Reading(self.db, self._replica, self.keys.forget)
        self.context = Context(read, self.keys, self.embedder, limits)
        self.worker = Worker(self._sessions, self._handlers())
        self.remember = Remember(self.db, self.keys, self._jobs(), self.worker.wake)
        self.preferences = Preferences(self.db, self.keys)
        self.browse = Browse(self.db, read, self.keys, self.context, self.embedder.model)
        self.server = Server(settings, "memory_svc", SERVICES)
        add_AccountServiceServicer_to_server(
            AccountServicer(self.accounts, self.sign_ins, self.recovery, self.doors),
            self.server.grpc,
        )
        memory = MemoryServicer(
            self.context,
            self.remember,
            self.preferences,
            self.browse,
            self.forgetting,
            lookups=Attempts(self.db, "lookup", settings.lookups_per_hour),
        )
        add_MemoryServiceServicer_to_server(memory, self.server.grpc)
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Waits for the database and checks the master keys against it.

        Raises MissingMasterKeys.
        """
        for each in {self.db, self._sessions}:
            await each.connect()
        if count := await missing(self.db, self.masters):
            raise MissingMasterKeys(f"{count} keys that wrap users' keys are missing")

    async def replay(self) -> tuple[int, int]:
        """Erases again what the ledger names; returns how many accounts and items."""
        return await self.erasure.replay(), await self.forgetting.replay()

    async def start(self) -> int:
        """Listens at once, and is ready when the database is. Returns the port."""
        port = await self.server.start(ready=False)
        await self._healthy(False)
        return port

    async def ready(self) -> None:
        """Waits for the database, finishes what was begun, and works from here on."""
        await self.open()
        accounts, items = await self.replay()
        if accounts or items:
            log.warning(
                "%d accounts and %d items were erased again: a backup was restored", accounts, items
            )
        for work in (
            self._watch(),
            self._sweep(),
            self._sweep_accounts(),
            listen(self.settings.for_sessions, self.keys.forget),
            self._reembed(),
            self._measure(),
            *(self.worker.run() for _ in range(self.settings.memory_workers)),
        ):
            self._spawn(work)
        if self._replica:  # nothing waits for it
            self._spawn(self._replica.connect())
        await self._healthy(True)

    async def serve(self) -> None:
        """Runs until SIGTERM or SIGINT."""
        await self.start()
        url = self.settings.endpoint.base_url
        async with startup.checking(url, self.embedder.check):
            await self._run()

    async def _run(self) -> None:
        stopping = asyncio.create_task(self.server.run())
        preparing = asyncio.create_task(self.ready())
        try:
            await asyncio.wait({stopping, preparing}, return_when=asyncio.FIRST_COMPLETED)
            if preparing.done():
                preparing.result()  # a wrong master key ends the process here
                await stopping
        finally:
            preparing.cancel()
            stopping.cancel()
            await self.close()

    async def close(self) -> None:
        """Stops all that runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.server.stop(0)
        if self.outbox:
            await self.outbox.close()
        await self.client.close()
        await self.embedder.close()
        await self.embeddings.close()
        for each in {self.db, self._sessions, self._replica}:
            if each is not None:
                await each.close()
        self.passwords.close()

    async def rewrap_all(self) -> Rewrapped:
        """Puts every user's key under the first master key."""
        return await rewrap_all(self.db, self.masters)

    def _handlers(self) -> dict[str, Handler]:
        summary = Summarise(
            self.keys,
            self.client,
            self.settings.summary_model,
            self.settings.profiles(SUMMARY_PROFILE),
        )
        return {
            "settle": Settle(self.keys, self.embedder).run,
            "reembed": Reembed(self.keys, self.embedder).run,
            "mine": Mine(self.keys).run,
            "summarise": summary.run,
            "seal_keys": SealKeys(self.keys).run,
            "trim": Trim(self.settings.bounds).run,
        }

    def _jobs(self) -> dict[str, float]:
        jobs = {"settle": 0.0, "mine": self.settings.pattern_delay_s}
        if self.settings.summary_model:
            jobs["summarise"] = 5.0
        if self.settings.bounds.any:
            jobs["trim"] = growth.DELAY_S
        return jobs

    async def _reembed(self) -> None:
        """Has the embeddings of other models made anew, once at start."""
        with contextlib.suppress(SwitchboardError, asyncpg.PostgresError):
            async with self.db.connection() as db:
                for user_id in await facts.users_of_other_models(db, self.embedder.model):
                    await jobs.add(db, user_id, "reembed")
            self.worker.wake()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _healthy(self, serving: bool) -> None:
        metrics.DATABASE_UP.set(serving)
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

    async def _measure(self) -> None:
        """Looks at the jobs that wait now and then, where anybody asks."""
        while self.settings.admin_addr:
            with contextlib.suppress(SwitchboardError):
                async with self.db.connection() as db:
                    due, lag = await jobs.due(db)
                for kind in ("settle", "reembed", "mine", "summarise", "seal_keys", "trim"):
                    metrics.JOBS_DUE.labels(kind).set(due.get(kind, 0))
                metrics.JOBS_LAG.set(lag)
            await asyncio.sleep(_MEASURE_S)

    async def _sweep(self) -> None:
        """Drops old keys, and finishes erasures that another process was cut short in."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            self.keys.sweep()
            try:
                await self.erasure.finish_begun()
            except (SwitchboardError, asyncpg.PostgresError, OSError) as error:
                log.warning("erasures wait (%s)", type(error).__name__)

    async def _sweep_accounts(self) -> None:
        """Drops sign-ins and codes that are over, and counts that hold nobody back; has keys
        sealed that an older replica wrote, and what is too old forgotten."""
        while True:
            with contextlib.suppress(SwitchboardError, asyncpg.PostgresError):
                await self.sign_ins.sweep()
                async with self.db.connection() as db:
                    await attempts.sweep(db)
                    await codes.sweep(db)
                    await core.add_seal_jobs(db)
                await growth.add_jobs(self.db, self.settings.bounds)
                self.worker.wake()
            await asyncio.sleep(_HOUR_S)
