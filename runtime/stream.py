"""The one queue between two tasks: bounded, so that a slow reader slows its writer."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class StreamClosed(Exception):
    """The other side has closed the stream: nothing more will be read."""


class BoundedStream(Generic[T]):
    """Many writers, one reader, at most `limit` items waiting.

    The reader takes all that waits at once: one gRPC message costs nearly the same
    whatever it carries, so a reader that lags catches up by itself.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._closed = False
        self._error: BaseException | None = None
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"BoundedStream({state}, {len(self._items)}/{self._limit})"

    @property
    def closed(self) -> bool:
        """Whether nothing more can be put."""
        return self._closed

    async def put(self, item: T) -> None:
        """Adds an item, waiting while the stream is full. Raises StreamClosed."""
        await self.room()
        self.put_now(item)

    async def room(self) -> None:
        """Waits until an item fits: for one who must decide at once, and so reads on only then."""
        while len(self._items) >= self._limit and not self._closed:
            self._writable.clear()
            await self._writable.wait()

    def put_now(self, item: T) -> None:
        """Adds an item past the bound: for the few that must not wait. Raises StreamClosed."""
        if self._closed:
            raise StreamClosed
        self._items.append(item)
        self._readable.set()

    async def take(self) -> list[T]:
        """All that waits, at least one. Once closed and empty: [], or raises its error."""
        return self._taken() if await self._filled() else []

    async def _filled(self) -> bool:
        """Waits for an item; False: there will be none."""
        while not self._items:
            if self._closed:
                if self._error is not None:
                    raise self._error
                return False
            self._readable.clear()
            await self._readable.wait()
        return True

    def _taken(self) -> list[T]:
        taken = list(self._items)
        self._items.clear()
        self._writable.set()
        return taken

    async def __aiter__(self) -> AsyncIterator[list[T]]:
        """Yields what `take` returns until the stream is closed and empty, and keeps none of it:
        the start of a request may hold a MiB, and its stream stays open for minutes."""
        while await self._filled():
            yield self._taken()

    def close(self, error: BaseException | None = None) -> None:
        """Ends the stream; what waits can still be taken. Closing again does nothing."""
        if not self._closed:
            self._closed, self._error = True, error
            self._readable.set()
            self._writable.set()
