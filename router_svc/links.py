"""One request's stream to another service: what is queued goes out as one message."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

import grpc

from runtime.stream import BoundedStream

Item = TypeVar("Item")
Req = TypeVar("Req")
Res = TypeVar("Res")

OUTBOX: Final = 64
"""How many inputs may wait for a peer before its source is no longer read."""


class Link(Generic[Item, Req, Res]):
    """A bidi call and the inputs that wait for it. `batch` makes one message of many inputs."""

    def __init__(
        self, call: grpc.aio.StreamStreamCall[Req, Res], batch: Callable[[list[Item]], Req]
    ) -> None:
        self._call = call
        self._batch = batch
        self._outbox: BoundedStream[Item] = BoundedStream(OUTBOX)

    def send(self, item: Item) -> None:
        """Queues an input; it never waits, who reads the source waits for `room`."""
        if not self._outbox.closed:
            self._outbox.put_now(item)

    async def room(self) -> None:
        """Waits until the peer takes more."""
        await self._outbox.room()

    async def write(self) -> None:
        """Sends until `finish`. Ends early where the call is over: its reader tells why."""
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            async for items in self._outbox:
                await self._call.write(self._batch(items))
                del items  # or they would stay until there are others
            await self._call.done_writing()
        self._outbox.close()

    async def read(self) -> Res | None:
        """The next message; None where the stream ended or broke."""
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError:
            return None
        return None if response is grpc.aio.EOF else response  # type: ignore[return-value] # not EOF

    def finish(self) -> None:
        """Nothing more will be sent; what waits still goes out."""
        self._outbox.close()

    def cancel(self) -> None:
        """Gives the call up, where it is not over."""
        self._call.cancel()
