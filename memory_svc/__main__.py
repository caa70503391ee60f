"""`python -m memory_svc`: serves accounts and memory. Further:

migrate         brings the database up to this code's revision
rotate-keys     puts every user's key under the first of MASTER_KEYS
erase-replay    erases again whom the ledger names, after a backup was restored
"""

import asyncio
import logging
import sys

from memory_svc.settings import DatabaseSettings, MemorySettings
from runtime import logs, observe
from runtime.settings import fail, load

log = logging.getLogger(__name__)

_PROGRAM = "memory_svc"


# Migrating needs none of the service: each command imports what it needs, and starts sooner.
# ruff: noqa: PLC0415


async def _serve(settings: MemorySettings) -> None:
    from memory_svc.app import App

    await App(settings).serve()


async def _rotate_keys(settings: MemorySettings) -> None:
    from memory_svc.app import App

    app = App(settings)
    await app.open()
    log.info("%d keys are under the first master key now", await app.rewrap_all())
    await app.close()


async def _erase_replay(settings: MemorySettings) -> None:
    from memory_svc.app import App

    app = App(settings)
    await app.open()
    log.info("%d accounts were erased again", await app.erasure.replay())
    await app.close()


_COMMANDS = {"serve": _serve, "rotate-keys": _rotate_keys, "erase-replay": _erase_replay}


def _migrate() -> None:
    from memory_svc import migrate

    settings = load(DatabaseSettings, _PROGRAM)
    logs.configure(settings, _PROGRAM)
    migrate.upgrade(settings.database_url.get_secret_value())


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
    return asyncio.run(_COMMANDS[command](settings))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "serve")
