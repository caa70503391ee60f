"""Hears from the other processes whose key was destroyed, and drops it here too."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from uuid import UUID

import asyncpg

from memory_svc.store import address
from memory_svc.store.accounts.users import ERASED

log = logging.getLogger(__name__)

_TRY_AGAIN_S = 0.5
_SILENCE_S = 5.0


async def listen(url: str, forget: Callable[[UUID | None], None]) -> None:
    """Calls `forget` for each erased user, for ever; with None when word may have been missed."""
    pauses, say_at = address.pauses(), 0.0
    while True:
        try:
            connection = await asyncpg.connect(url, timeout=_SILENCE_S)
            try:
                pauses, say_at = address.pauses(), 0.0
                await _hear(connection, forget)
            finally:
                connection.terminate()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # Tried more often than told: until it hears again, no key is kept for long.
            if monotonic() >= say_at:
                log.warning("nothing is heard from the database: %s", address.why(error, url))
                say_at = monotonic() + next(pauses)
        forget(None)
        await asyncio.sleep(_TRY_AGAIN_S)


async def _hear(connection: asyncpg.Connection, forget: Callable[[UUID | None], None]) -> None:
    def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        with suppress(ValueError):
            forget(UUID(str(payload)))

    await connection.add_listener(ERASED, heard)
    forget(None)  # what was said before this connection stood is lost
    while not connection.is_closed():
        # A connection that is cut without a word is noticed by asking.
        await connection.execute("SELECT 1", timeout=_SILENCE_S)
        await asyncio.sleep(1)
