"""Mail that waits to be sent: in the background, a few at a time, tried again for a while."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import asyncpg

from memory_svc.mail.delivery import Mail, Send, Undeliverable
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

WAITING: Final = 200
"""Mails at once; a mail server that is away must not cost more memory than that."""

PAUSES_S: Final = (1.0, 10.0, 60.0)
"""Between tries. Whoever waits longer asks again."""


class Outbox:
    """Sends by `send`, in `workers` threads."""

    def __init__(self, send: Send, workers: int = 2) -> None:
        self._send = send
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="mail")
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, write: Callable[[], Awaitable[Mail | None]]) -> None:
        """Has a mail written and sent, later: how long that takes tells the caller nothing.

        Raises OVERLOADED where too many wait.
        """
        if len(self._tasks) >= WAITING:
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_OVERLOADED, "Too much mail waits to be sent.", 30_000
            )
        task = asyncio.create_task(self._run(write))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stops; what was not sent yet is lost."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, write: Callable[[], Awaitable[Mail | None]]) -> None:
        try:
            mail = await write()
        except (SwitchboardError, asyncpg.PostgresError) as error:
            log.warning("a mail was not written (%s)", type(error).__name__)
            return
        if mail is not None:
            await self._deliver(mail)

    async def _deliver(self, mail: Mail) -> None:
        for pause in (*PAUSES_S, None):
            try:
                await asyncio.get_running_loop().run_in_executor(self._pool, self._send, mail)
            except Undeliverable as error:
                log.warning("a mail cannot be sent (%s)", error)
                return
            except (OSError, ValueError) as error:
                log.warning("a mail was not sent (%s)", type(error).__name__)
            else:
                return
            if pause is not None:
                await asyncio.sleep(pause)
        log.error("a mail was given up")
