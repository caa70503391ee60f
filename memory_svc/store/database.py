"""The way to Postgres: a pool that waits for it, survives it, and says so."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, Final, TypeAlias

import asyncpg
import numpy as np
from pgvector import Vector

from memory_svc.store import address
from runtime import tracing
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

Connection: TypeAlias = Any
"""An asyncpg connection; the package has no types of its own."""

REVISION: Final = "0010"
"""The migration that this code needs. A constant, so that serving does not load Alembic."""

_CONNECT_S: Final = 3.0
_COMMAND_S: Final = 10.0

# Statements of a few milliseconds gain nothing from compiling or from help.
_PLAN: Final = "SET {0} jit = off; SET {0} max_parallel_workers_per_gather = 0"

# The database is not there, is going, or is coming: all of it passes.
_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # too many connections, a full disk, no memory
    asyncpg.QueryCanceledError,
)


def unavailable() -> SwitchboardError:
    """What a caller sees while the database is away."""
    return SwitchboardError(
        ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "Memory is not there right now.", 1000
    )


class Database:
    """A pool of connections to `url`, `size` at the most.

    `sessions`: whether a connection stays with one backend. Else it does so within a transaction
    only, and each use is one. `name`: what the log calls it.
    """

    def __init__(
        self, url: str, size: int = 10, *, sessions: bool = True, name: str = "the database"
    ) -> None:
        self.url = url
        self._name = name
        self._size = size
        self._sessions = sessions
        self._pool: Any = None

    async def connect(self) -> None:
        """Waits for the database to be there and at this code's revision, and says each time
        why it is not."""
        for pause in address.pauses():
            if not (obstacle := await self._obstacle()):
                return
            log.warning("waiting for %s: %s", self._name, obstacle)
            await asyncio.sleep(pause)

    async def _obstacle(self) -> str:
        try:
            at = await self._revision()
            if at != REVISION:
                return f"it is at {at}, not {REVISION}: run the migrations"
            self._pool = await self._open()
        except (*_AWAY, asyncpg.PostgresError, ValueError) as error:
            return f"it cannot be used: {address.why(error, self.url)}"
        return ""

    async def _revision(self) -> str:
        connection = await self._connect()
        try:
            async with connection.transaction():
                return str(await connection.fetchval("SELECT version_num FROM alembic_version"))
        except asyncpg.UndefinedTableError:
            return "nothing"
        finally:
            connection.terminate()

    async def _connect(self, **more: Any) -> Connection:
        return await asyncpg.connect(self.url, **self._options(), **more)

    def _options(self) -> dict[str, Any]:
        # A statement that was prepared with one backend is unknown to the next.
        kept = {} if self._sessions else {"statement_cache_size": 0}
        return {"timeout": _CONNECT_S, "command_timeout": _COMMAND_S, **kept}

    async def _open(self) -> Any:
        return await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self._size,
            init=self._set_up,
            connection_class=_Plain,
            # The one parameter at start that every pooler lets through.
            server_settings={"application_name": "memory_svc"},
            **self._options(),
        )

    async def _set_up(self, connection: Connection) -> None:
        if tracing.on():
            connection.add_query_logger(_traced)
        if self._sessions:
            await connection.execute(_PLAN.format("SESSION"))
        async with connection.transaction():
            await _know_vectors(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection. Raises SERVICE_UNAVAILABLE whenever the database is away."""
        if self._pool is None:
            raise unavailable()
        try:
            async with self._pool.acquire(timeout=_CONNECT_S) as connection:
                if self._sessions:
                    yield connection
                    return
                async with connection.transaction():
                    await connection.execute(_PLAN.format("LOCAL"))
                    yield connection
        except _AWAY as error:
            if isinstance(error, ValueError):  # a bad parameter, which asyncpg files there too
                raise
            log.warning("%s is away: %s", self._name, address.why(error, self.url))
            raise unavailable() from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection with a transaction open, committed at the end."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def alive(self) -> bool:
        """Whether the database answers."""
        try:
            async with asyncio.timeout(_CONNECT_S), self.connection() as connection:
                await connection.fetchval("SELECT 1")
        except (SwitchboardError, TimeoutError, asyncpg.PostgresError):
            return False
        return True

    async def close(self) -> None:
        """Closes the connections, by force after a moment."""
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), _CONNECT_S)
            except TimeoutError:
                self._pool.terminate()


class _Plain(asyncpg.Connection):  # type: ignore[misc] # the package has no types
    """A connection that is given back as it is: nothing here outlives a transaction, and
    setting the session back would be a round trip more for every use."""

    def get_reset_query(self) -> str:
        """No statement."""
        return ""


async def _know_vectors(connection: Connection) -> None:
    # Binary: a vector that travels as text is parsed again for every row of a scan.
    await connection.set_type_codec(
        "vector",
        schema="public",
        encoder=lambda vector: Vector(vector).to_binary(),
        decoder=lambda data: np.asarray(Vector.from_binary(data).to_numpy(), np.float32),
        format="binary",
    )


# asyncpg tells of a statement on the loop, in the context of who ran it: the span finds its trace.
def _traced(record: Any) -> None:
    tracing.past(_named(record.query), record.elapsed, ok=record.exception is None)


@lru_cache(512)
def _named(query: str) -> str:
    """A statement as verb and table, such as `SELECT memory_jobs`: no value stands in it."""
    verb = query.split(maxsplit=1)[0].strip(";").upper() if query.strip() else "EMPTY"
    found = _TABLE.search(query)
    return f"{verb} {found[1]}" if found else verb


_TABLE: Final = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+([a-z_]+)\b(?!\()")
