"""How Alembic reaches the database: the same driver and the same URL as the service.

The URL is that of the settings (DATABASE_DIRECT_URL, else DATABASE_URL), unless the caller of
`memory_svc.migrate` gave one.
"""

import asyncio

import asyncpg
from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from memory_svc.settings import DatabaseSettings
from runtime.settings import load

# Who waits for a table's lock holds up all statements that come behind; `memory_svc.migrate`
# tries again.
_PATIENCE = "SET LOCAL lock_timeout = '2s'"

# Two processes that migrate at once: the second waits, then finds nothing to do.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('switchboard migrations', 0))"


def _url() -> str:
    given = context.config.attributes.get("url")
    return str(given or load(DatabaseSettings, "alembic").for_sessions)


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        connection.exec_driver_sql(_PATIENCE)
        connection.exec_driver_sql(_LOCK)
        context.run_migrations()


async def _run() -> None:
    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(_url())

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


asyncio.run(_run())
