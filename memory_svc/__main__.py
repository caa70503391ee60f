"""`python -m memory_svc`: serves accounts and memory. Further:

migrate         brings the database up to this code's revision
rotate-keys     puts every user's key under the first of MASTER_KEYS
master-keys     lists the master keys in use, by name, with how many users' keys each wraps
invite          prints an invitation, for one account (REGISTRATION=invitation)
erase-replay    erases again what the ledger names, after a backup was restored
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from memory_svc.settings import DatabaseSettings, MemorySettings
from runtime import logs, observe
from runtime.settings import fail, load

if TYPE_CHECKING:
    from memory_svc.app import App

log = logging.getLogger(__name__)

_PROGRAM = "memory_svc"


# Migrating needs none of the service: each command imports what it needs, and starts sooner.
# ruff: noqa: PLC0415


async def _serve(settings: MemorySettings) -> None:
    from memory_svc.app import App

    await App(settings).serve()


@asynccontextmanager
async def _opened(settings: MemorySettings) -> AsyncIterator[App]:
    from memory_svc.app import App

    app = App(settings)
    try:
        await app.open()
        yield app
    finally:
        await app.close()


async def _rotate_keys(settings: MemorySettings) -> None:
    async with _opened(settings) as app:
        done = await app.rewrap_all()
    log.info("%d keys were put under the first master key", done.changed)
    if done.unopened:
        raise SystemExit(
            f"{_PROGRAM}: {done.unopened} keys do not open and are under an older master key"
            " still: keep that key; the lines above name their users"
        )


async def _master_keys(settings: MemorySettings) -> None:
    from memory_svc.keys.master import in_use

    async with _opened(settings) as app:
        for name, count in (await in_use(app.db)).items():
            print(name, count)  # noqa: T201 - what this command is for


async def _invite(settings: MemorySettings) -> None:
    from memory_svc.accounts.registration import invite

    async with _opened(settings) as app:
        print(await invite(app.db))  # noqa: T201 - what this command is for


async def _erase_replay(settings: MemorySettings) -> None:
    async with _opened(settings) as app:
        log.info("%d accounts and %d items were erased again", *await app.replay())


_COMMANDS = {
    "serve": _serve,
    "rotate-keys": _rotate_keys,
    "master-keys": _master_keys,
    "invite": _invite,
    "erase-replay": _erase_replay,
}


def _migrate() -> None:
    import asyncpg
    from sqlalchemy.exc import DBAPIError

    from memory_svc import migrate
    from memory_svc.store.address import why

    settings = load(DatabaseSettings, _PROGRAM)
    logs.configure(settings, _PROGRAM)
    url = settings.for_sessions
    try:
        migrate.upgrade(url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise SystemExit(f"{_PROGRAM}: the database cannot be used: {why(error, url)}") from None
    except DBAPIError as error:  # what the database itself said of a statement
        raise SystemExit(f"{_PROGRAM}: cannot migrate: {why(migrate.cause(error), url)}") from None


def main(command: str) -> None:
    """Runs one command."""
    if command == "migrate":
        return _migrate()
    if command not in _COMMANDS:
        fail(_PROGRAM, f"no command {command}; there are migrate, {', '.join(_COMMANDS)}")
    settings = load(MemorySettings, _PROGRAM)
    # The other commands run beside the service, which has ADMIN_ADDR already.
    show = observe.start if command == "serve" else logs.configure
    show(settings, _PROGRAM)
    from memory_svc.keys.master import MissingMasterKeys

    try:
        asyncio.run(_COMMANDS[command](settings))
    except MissingMasterKeys as error:
        fail(_PROGRAM, f"MASTER_KEYS: {error}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "serve")
