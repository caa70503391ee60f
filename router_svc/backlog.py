"""Keeping exchanges: at once where memory answers in time, else later, in the background.

StoreEpisode is idempotent by request id, so an attempt that may have arrived is simply
made again. The backlog lives in this process: what still waits when it ends is lost, and
the log says how much.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc

from router_svc import metrics
from runtime import errors, tracing
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import MemoryStatus
from switchboard.v3.memory_pb2 import StoreEpisodeRequest

if TYPE_CHECKING:
    from switchboard.v3.memory_pb2_grpc import MemoryServiceAsyncStub

log = logging.getLogger(__name__)

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 30.0
_ATTEMPT_S: Final = 10.0
_FAULTS: Final = 5
"""How often an exchange may meet a fault of memory's own before it is given up."""


@dataclass(slots=True)
class _Waiting:
    episode: StoreEpisodeRequest
    carried: tracing.Metadata
    faults: int = 0


class Backlog:
    """The way to StoreEpisode. `timeout_s`: how long `keep` may take, in seconds."""

    def __init__(
        self,
        memory: MemoryServiceAsyncStub,
        *,
        timeout_s: float,
        limit: int,
        most_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._memory = memory
        self._timeout_s = timeout_s
        self._limit = limit
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._hurried = asyncio.Event()
        self._over = False

    def __len__(self) -> int:
        return len(self._waiting)

    async def keep(self, episode: StoreEpisodeRequest) -> MemoryStatus.ValueType:
        """Stores an exchange, or leaves it to the background; says which."""
        try:
            await self._memory.StoreEpisode(
                episode, timeout=self._timeout_s, metadata=tracing.carried()
            )
        except grpc.aio.AioRpcError as error:
            if _is_final(error):
                log.warning("memory refused an exchange: %s", _why(error))
                metrics.EPISODES.labels("refused").inc()
                return MemoryStatus.MEMORY_STATUS_OFF
            return self.later(episode)
        except asyncio.CancelledError:
            self.later(episode)
            raise
        metrics.EPISODES.labels("stored").inc()
        return MemoryStatus.MEMORY_STATUS_STORED

    def later(self, episode: StoreEpisodeRequest) -> MemoryStatus.ValueType:
        """Leaves an exchange to the background; off where too many wait already."""
        size = episode.ByteSize()
        full = len(self._waiting) >= self._limit or self._bytes + size > self._most_bytes
        if self._over or full:
            log.warning("an exchange is not kept: %d wait for memory already", len(self))
            metrics.EPISODES.labels("dropped").inc()
            return MemoryStatus.MEMORY_STATUS_OFF
        self._waiting.append(_Waiting(episode, tracing.carried()))
        self._bytes += size
        metrics.EPISODES.labels("deferred").inc()
        self._arrived.set()
        self._empty.clear()
        return MemoryStatus.MEMORY_STATUS_DEFERRED

    async def run(self) -> None:
        """Stores what waits, oldest first, until cancelled."""
        pause = _FIRST_PAUSE_S
        try:
            while True:
                await self._arrived.wait()
                if await self._store_first():
                    pause = _FIRST_PAUSE_S
                elif await self._rested(pause):
                    pause = min(2 * pause, _LONGEST_PAUSE_S)
                else:
                    pause = _FIRST_PAUSE_S
        finally:
            self._over = True
            if self._waiting:
                log.error("%d exchanges were not kept: memory did not come back", len(self))
                metrics.EPISODES.labels("dropped").inc(len(self))

    async def _rested(self, seconds: float) -> bool:
        """Lets memory come to itself; False: there is no time for it."""
        try:
            async with asyncio.timeout(seconds):
                await self._hurried.wait()
        except TimeoutError:
            return True
        self._hurried.clear()
        return False

    async def drain(self, seconds: float) -> None:
        """Tries at once, until nothing waits any more, and at most so long: for a process that
        is to end."""
        self._hurried.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty.wait()

    async def _store_first(self) -> bool:
        """Whether the first in the queue is done with: kept, or given up."""
        waiting = self._waiting[0]
        try:
            await self._memory.StoreEpisode(
                waiting.episode, timeout=_ATTEMPT_S, metadata=waiting.carried
            )
        except grpc.aio.AioRpcError as error:
            if not self._gives_up(waiting, error):
                return False
            log.warning("memory refused an exchange: %s", _why(error))
            metrics.EPISODES.labels("refused").inc()
        else:
            metrics.EPISODES.labels("late").inc()
        self._bytes -= self._waiting.popleft().episode.ByteSize()
        if not self._waiting:
            self._arrived.clear()
            self._empty.set()
        return True

    def _gives_up(self, waiting: _Waiting, error: grpc.aio.AioRpcError) -> bool:
        if errors.from_rpc(error).code == ErrorCode.ERROR_CODE_INTERNAL:
            # A fault may be this exchange's alone: the others go before its next attempt.
            waiting.faults += 1
            if waiting.faults < _FAULTS:
                self._waiting.rotate(-1)
        return waiting.faults >= _FAULTS or _is_final(error)


def _is_final(error: grpc.aio.AioRpcError) -> bool:
    """Whether asking again is of no use: the user is erased, or the exchange is not valid."""
    meant = errors.from_rpc(error)
    return not meant.retryable and meant.code not in (
        ErrorCode.ERROR_CODE_INTERNAL,
        ErrorCode.ERROR_CODE_CANCELLED,
    )


def _why(error: grpc.aio.AioRpcError) -> str:
    return errors.word(errors.from_rpc(error).code)
