"""A circuit breaker: a model that keeps failing is left alone for a while.

After a few failures in a row nobody waits for it any more. When its rest is over one call, in
the background, finds out whether it is back; if it is not, the next rest is twice as long.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

STRIKES: Final = 3
FIRST_REST_S: Final = 5.0
LONGEST_REST_S: Final = 60.0
# These do not pass by asking twice more.
_AT_ONCE: Final = frozenset(
    {
        ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED,
        ErrorCode.ERROR_CODE_MODEL_RATE_LIMITED,
    }
)


class Breaker:
    """Whether a model may be asked. `name` is for the log: what the model is asked for."""

    def __init__(self, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._strikes = 0
        self._rest_s = 0.0
        self._until = 0.0
        self._probe: asyncio.Task[object] | None = None

    def __repr__(self) -> str:
        return f"Breaker({self._name}, {'resting' if self.resting else f'{self._strikes} strikes'})"

    @property
    def resting(self) -> bool:
        """Whether nobody shall wait for it now: until a probe has succeeded."""
        return self._rest_s > 0

    def succeeded(self) -> None:
        """An answer came, and in time."""
        if self.resting:
            log.info("the model for %s is back", self._name)
        self._strikes, self._rest_s = 0, 0.0

    def failed(self, meant: SwitchboardError | None = None) -> None:
        """No answer, or none in time. `meant`: what the failure means, where it is known."""
        self._strikes += 1
        at_once = meant is not None and meant.code in _AT_ONCE
        if not (self.resting or at_once or self._strikes >= STRIKES):
            return
        if not (self.resting or at_once):  # what is at once has been told as it is
            log.warning("the model for %s keeps failing: doing without it", self._name)
        self._rest_s = min(max(FIRST_REST_S, 2 * self._rest_s), LONGEST_REST_S)
        asked_s = (meant.retry_after_ms or 0) / 1000 if meant is not None else 0
        self._until = self._clock() + max(self._rest_s, asked_s)

    def probe(self, ask: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Asks in the background, if the rest is over and nobody else does; `ask` tells
        `succeeded` or `failed`, and what it raises stays here."""
        if self._clock() >= self._until and (self._probe is None or self._probe.done()):
            self._probe = asyncio.create_task(_quietly(ask))

    async def close(self) -> None:
        """Ends a probe that is under way."""
        if self._probe is not None:
            self._probe.cancel()
            with suppress(asyncio.CancelledError):
                await self._probe


async def _quietly(ask: Callable[[], Coroutine[Any, Any, object]]) -> None:
    try:
        await ask()
    except Exception as error:
        log.debug("a probe failed", exc_info=error)
