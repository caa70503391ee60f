"""A real Postgres with pgvector for the tests, embedded.

One server for the whole session, shared by all xdist workers; it goes with the last of
them. A database is a copy of a migrated template, made in some 40 ms.

    database_url        a fresh, migrated database for one test
    module_database     the same for a module
    partitioned         one whose memory tables are partitioned by user
    empty_database      one without any table
    Proxy(url)          a TCP way to a database that a test can cut and mend

Any test can be run on another Postgres, and over partitioned memory tables:

    TEST_POSTGRES       the folder of that Postgres's programs
    TEST_PARTITIONS     how many partitions every memory table has in the migrated databases
"""

import asyncio
import concurrent.futures
import fcntl
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from devstack import postgres as embedded
from devstack.state import State
from memory_svc import migrate
from tests.support.partitioned import partition

T = TypeVar("T")

# Speed over safety: the data is gone in a minute anyway.
_FAST: Final = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")
_TEMPLATE: Final = "migrated"
_PROGRAMS: Final = os.environ.get("TEST_POSTGRES", "")
_PARTITIONS: Final = int(os.environ.get("TEST_PARTITIONS") or 0)


def _apart(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` on a loop and a thread of its own: the test's loop is not to be touched."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server. `url(name)` names one of its databases."""

    host: str

    def url(self, database: str = "postgres") -> str:
        """The address of a database, as DATABASE_URL takes it."""
        return f"postgresql://postgres@/{database}?host={self.host}"

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Runs statements, each by itself."""

        async def run() -> None:
            connection = await asyncpg.connect(self.url(database))
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        _apart(run())

    @contextmanager
    def database(self, template: str = _TEMPLATE) -> Iterator[str]:
        """A database of its own, as a URL; dropped afterwards."""
        name = f"test_{secrets.token_hex(6)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


def tool(name: str) -> Path:
    """A program of the server's, such as pg_dump."""
    return (Path(_PROGRAMS) if _PROGRAMS else embedded.programs()) / name


@contextmanager
def serve(folder: Path) -> Iterator[Postgres]:
    """A server over `folder`, as the devstack runs it; it goes with the last who uses it."""
    state = State(folder, -1)
    users = folder / "users"
    with _locked(folder):
        users.mkdir(parents=True, exist_ok=True)
        if not _used(users):
            _apart(_start(state))
        (users / str(os.getpid())).touch()
    try:
        yield Postgres(str(state.sockets()))
    finally:
        with _locked(folder):
            (users / str(os.getpid())).unlink()
            if not _used(users):
                _apart(embedded.of(state).stop())
                for made in (state.sockets(), folder):
                    shutil.rmtree(made)


async def _start(state: State) -> None:
    """Apart from this process, which may be over before others that use it."""
    server = await (_other(state) if _PROGRAMS else embedded.prepare(state))
    await server.start_apart(server.data / "log")


async def _other(state: State) -> embedded.Embedded:
    """One of other programs than the stack's."""
    server = replace(embedded.of(state), programs=Path(_PROGRAMS))
    server.data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(server.data, "nobody")
    await asyncio.to_thread(_initdb, replace(server, prepare=embedded.of(state).prepare))
    return server


def _initdb(server: embedded.Embedded) -> None:
    options = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
    subprocess.run(
        [server.programs / "initdb", "-D", server.data, *options],
        preexec_fn=server.prepare,
        check=True,
        capture_output=True,
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _used(users: Path) -> bool:
    """Whether a process that lives has put its number there."""
    return any(Path(f"/proc/{user.name}").exists() for user in users.iterdir())


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The session's server, with a migrated template."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"{os.getpid()}"
    folder = Path(tempfile.gettempdir()) / f"switchboard-pg-{run[:12]}"
    with serve(folder) as server:
        with _locked(folder):
            _prepare(server)
        yield server
    Path(f"{folder}.lock").unlink(missing_ok=True)


def _prepare(server: Postgres) -> None:
    async def there() -> bool:
        connection = await asyncpg.connect(server.url())
        try:
            found = "SELECT true FROM pg_database WHERE datname = $1 AND datistemplate"
            return bool(await connection.fetchval(found, _TEMPLATE))
        finally:
            await connection.close()

    if _apart(there()):
        return
    server.run(*(f"ALTER SYSTEM SET {line}" for line in _FAST), "SELECT pg_reload_conf()")
    server.run(f"CREATE DATABASE {_TEMPLATE}")
    _apart(asyncio.to_thread(migrate.upgrade, server.url(_TEMPLATE)))
    if _PARTITIONS:
        _apart(partition(server.url(_TEMPLATE), _PARTITIONS))
    server.run(f"ALTER DATABASE {_TEMPLATE} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """A fresh, migrated database for one test."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="module")
def module_database(postgres: Postgres) -> Iterator[str]:
    """A fresh, migrated database for the tests of one module."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def partitioned(database_url: str) -> str:
    """A fresh database whose memory tables are partitioned by user."""
    if not _PARTITIONS:
        _apart(partition(database_url, 4))
    return database_url


@pytest.fixture
def empty_database(postgres: Postgres) -> Iterator[str]:
    """A database with nothing in it."""
    with postgres.database("template1") as url:
        yield url


class Proxy:
    """A way to a database over TCP on loopback that can be cut and mended."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._database = parts.path.lstrip("/")
        self._socket = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = 0
        self.open = True

    @property
    def url(self) -> str:
        """The database by this way."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/{self._database}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Breaks every connection, and refuses new ones."""
        self.open = False
        for pipe in self._pipes:
            pipe.transport.abort()

    def mend(self) -> None:
        """Lets connections through again."""
        self.open = True

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.open:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_unix_connection(self._socket)
        self._pipes |= {writer, there_writer}
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        self._pipes.discard(sink)
        sink.close()
