"""The stack: the database, the services, the offline model; started, kept, stopped."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable
from typing import Final

from devstack import health, plan, postgres
from devstack.output import Output
from devstack.plan import Plan
from devstack.process import Child, Keeper
from devstack.settings import DevstackSettings
from devstack.state import Refused, State, open_state

START_S: Final = 100.0
"""A cold start on a slow machine."""
# These start while the database does; all at once would slow its migration, which memory
# waits for: a second and a half on two cores.
_LIGHT: Final = ("formatter", "model")
STOP_S: Final = 6.0
DATABASE_STOP_S: Final = 2.5


class Stack:
    """Everything that one `make run` runs."""

    def __init__(self, settings: DevstackSettings, state: State, output: Output) -> None:
        self._plan: Plan = plan.make(settings, state)
        self._settings = settings
        self._state = state
        self._output = output
        self._keeper = Keeper()
        self._children: list[Child] = []
        self._keeping: set[asyncio.Task[None]] = set()
        self._database: Child | None = None
        self._database_url: str | None = None
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def origin(self) -> str:
        """host:port of the edge."""
        return self._plan.origin

    async def start(self) -> None:
        """Returns once everything is healthy. Raises Refused, with the reason in one line."""
        await self._keeper.start()
        services = {name: self._service(name) for name in self._plan.processes}
        first = [services[name] for name in _LIGHT if name in services]
        rest = [child for child in services.values() if child not in first]
        try:
            async with asyncio.timeout(START_S):
                for child in first:
                    self._keep(child)
                await self._or_failure(self._start_database())
                for child in rest:
                    self._keep(child)
                await self._or_failure(asyncio.gather(*map(self._healthy, services.values())))
        except TimeoutError:
            late = [name for name, child in services.items() if not child.ready.is_set()]
            raise Refused(f"not ready after {START_S:g} s: {', '.join(late)}") from None

    async def kept(self) -> None:
        """Waits for what cannot be mended by starting a process again. Raises Refused."""
        await self._failed

    async def stop(self) -> None:
        """Stops everything, the database last, within STOP_S + DATABASE_STOP_S and a little."""
        await asyncio.gather(*(child.stop(STOP_S) for child in self._children))
        if self._database is not None:
            await self._database.stop(DATABASE_STOP_S)
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await self._keeper.stop()

    async def _start_database(self) -> None:
        if self._settings.database_url is None:
            embedded = await postgres.prepare(self._state)
            self._database = Child(
                "postgres",
                embedded.command(),
                lambda: {"LC_ALL": "C"},
                self._output,
                self._keeper,
                stop_signal=signal.SIGINT,  # "fast": ends sessions, writes everything down
                prepare=embedded.prepare,
            )
            self._keep(self._database, listed=False)
            await embedded.wait()
            self._database.ready.set()
            self._database_url = embedded.url
        migrate = self._child("migrate", "memory", "memory_svc", "migrate")
        self._children.append(migrate)
        status = await migrate.run()
        self._children.remove(migrate)
        if status != 0:
            raise Refused("the database cannot be migrated: its lines say why")

    def _service(self, name: str) -> Child:
        return self._child(name, name, plan.MODULES[name])

    def _child(self, name: str, like: str, module: str, *arguments: str) -> Child:
        """A process that runs one of our modules, with the environment of the service `like`."""
        return Child(
            name,
            [sys.executable, "-m", module, *arguments],
            lambda: self._plan.environment(like, os.environ, self._database_url),
            self._output,
            self._keeper,
        )

    def _keep(self, child: Child, *, listed: bool = True) -> None:
        if listed:
            self._children.append(child)
        task = asyncio.create_task(child.keep(), name=child.name)
        self._keeping.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._failed.done():
            return
        if (error := task.exception()) is not None:
            self._failed.set_exception(error)

    async def _or_failure(self, work: Awaitable[object]) -> None:
        """Waits for `work`, or raises what makes waiting vain."""
        doing = asyncio.ensure_future(work)
        try:
            await asyncio.wait((doing, self._failed), return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                self._failed.result()
            await doing
        finally:
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)  # or asyncio complains of it

    async def _healthy(self, child: Child) -> None:
        address = self._plan.addresses[child.name]
        match child.name:
            case "edge":
                check = health.of_http(f"http://{self.origin}/readyz")
            case "model":
                check = health.of_http(f"http://{address}/healthz")
            case _:
                check = health.of_grpc(address, self._settings)
        await health.until(check)
        child.ready.set()


async def run(settings: DevstackSettings) -> int:
    """Runs a stack until SIGTERM, SIGINT or SIGHUP; returns the exit status."""
    output = Output()
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, told.set)
    try:
        stack = Stack(settings, open_state(settings.state_dir), output)
    except Refused as refusal:
        output.say(f"cannot start: {refusal}")
        return 1
    serving = asyncio.create_task(_serve(stack))
    leaving = asyncio.create_task(told.wait())
    try:
        await asyncio.wait((serving, leaving), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        output.say("stopping")
        return 0
    except Refused as refusal:
        output.say(f"cannot start: {refusal}")
        return 1
    finally:
        serving.cancel()
        leaving.cancel()
        await asyncio.gather(serving, leaving, return_exceptions=True)
        await stack.stop()


async def _serve(stack: Stack) -> None:
    await stack.start()
    origin = stack.origin
    print(f"switchboard ready: http://{origin}  ws://{origin}/api/v1/ws/device", flush=True)
    await stack.kept()
