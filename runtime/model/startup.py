"""At start a process makes one small call of its model, by the way that all others will go.

So a wrong key or name, a model without tools or schemas, or one that is too slow is told in
the log before a user meets it, and what can be learned of the model is learned by then. Nobody
waits for it, and it costs some hundred tokens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

# A provider that starts beside us may take so many looks until it listens.
_LOOKS: Final = 30
_LOOK_S: Final = 0.5
_ANSWERS_S: Final = 60.0


@asynccontextmanager
async def checking(base_url: str, ask: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Lets `ask` make its call in the background; it tells the log of failures by itself."""
    task = asyncio.create_task(_check(base_url, ask))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _check(base_url: str, ask: Callable[[], Awaitable[object]]) -> None:
    try:
        await _listens(base_url)
        async with asyncio.timeout(_ANSWERS_S):
            await ask()
    except Exception as error:
        log.debug("the first call of the model failed", exc_info=error)


async def _listens(base_url: str) -> None:
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for _ in range(_LOOKS):  # behind a proxy none is seen: then the call will tell
        if await _connects(parts.hostname or "", port):
            return
        await asyncio.sleep(_LOOK_S)


async def _connects(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
