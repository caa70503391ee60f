"""How Alembic reaches the database: the same driver and the same URL as the service.

The URL is that of the settings (DATABASE_DIRECT_URL, else DATABASE_URL), unless the caller of
`memory_svc.migrate` gave one.
"""

import asyncio

import asyncpg
from alembic import context
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from memory_svc.settings import DatabaseSettings
from runtime.settings import load

# Who waits for a table's lock holds up all statements that come behind; `memory_svc.migrate`
# tries again.
_PATIENCE = "SET LOCAL lock_timeout = '2s'"

# Two processes that migrate at once: the second comes when the first is done, and finds nothing to
# do. It asks again and again: an index that is built CONCURRENTLY waits for all statements that
# run, so whoever waited inside one would have the first wait for the second.
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('switchboard migrations', 0))"
_LOOK_S = 0.2


def _url() -> str:
    given = context.config.attributes.get("url")
    return str(given or load(DatabaseSettings, "alembic").for_sessions)


def _migrate(connection: Connection) -> None:
    # Each step by itself: some build indexes, which no transaction can.
    context.configure(connection=connection, target_metadata=None, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


def _patient(connection: Connection) -> None:
    driver = connection.connection.dbapi_connection
    if driver and not connection.dialect.detect_autocommit_setting(driver):
        connection.exec_driver_sql(_PATIENCE)


async def _locked(connection: asyncpg.Connection) -> bool:
    locked = await connection.fetchval(_LOCK)
    # The driver leaves what it read open, and with it a snapshot, which is waited for, too.
    await connection.execute("SELECT 1")
    return bool(locked)


async def _run() -> None:
    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(_url())

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    event.listen(engine.sync_engine, "begin", _patient)
    alone = await connect()
    try:
        async with alone.transaction():
            while not await _locked(alone):  # noqa: ASYNC110 - another process holds it
                await asyncio.sleep(_LOOK_S)
            async with engine.connect() as connection:
                await connection.run_sync(_migrate)
    finally:
        await alone.close()
        await engine.dispose()


asyncio.run(_run())
