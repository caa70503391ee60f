"""The seconds that a run may take: those of the model and of our own, and nobody else's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode


class Seconds:
    """What is left of them."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    @asynccontextmanager
    async def own(self) -> AsyncIterator[asyncio.Timeout]:
        """Counts against the seconds. Raises SwitchboardError once they are used up."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._left) as clock:
                yield clock
        except TimeoutError:
            if not clock.expired():
                raise
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_DEADLINE_EXCEEDED, "The answer took too long."
            ) from None
        finally:
            self._left = max(0.0, self._left - (time.monotonic() - began))

    @asynccontextmanager
    async def readers(self, clock: asyncio.Timeout) -> AsyncIterator[None]:
        """Stops the clock of `own`: how long a reader is behind counts against nobody."""
        began, ends = time.monotonic(), clock.when()
        clock.reschedule(None)
        try:
            yield
        finally:
            waited = time.monotonic() - began
            self._left += waited
            clock.reschedule(None if ends is None else ends + waited)
