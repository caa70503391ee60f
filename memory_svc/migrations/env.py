"""How Alembic reaches the database: the same driver and the same URL as the service.

The URL is DATABASE_URL (or the file DATABASE_URL_FILE names), unless the caller of
`memory_svc.migrate` gave one.
"""

import asyncio
import os
from pathlib import Path

import asyncpg
from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

# Two processes that migrate at once: the second waits, then finds nothing to do.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('switchboard migrations', 0))"


def _url() -> str:
    given = context.config.attributes.get("url")
    path = os.environ.get("DATABASE_URL_FILE")
    url = given or os.environ.get("DATABASE_URL") or (path and Path(path).read_text().strip())
    if not url:
        raise SystemExit("alembic: bad settings: DATABASE_URL: is not set")
    return str(url)


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
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
