"""The stream to the edge that runs a request whose device is connected here.

Like a bridge to the router, one edge further: reading stops while the device has no room,
and by gRPC's flow control the edge that runs the request stops reading, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import grpc

from edge.session.events import Passed, RelayLost
from runtime.errors import SwitchboardError
from runtime.stream import BoundedStream
from switchboard.v3.edge_pb2 import AttachRequest, AttachResponse, AttachStart, AttachState
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import ClientFrame

if TYPE_CHECKING:
    from switchboard.v3.edge_pb2_grpc import EdgeServiceAsyncStub

log = logging.getLogger(__name__)

Attach = grpc.aio.StreamStreamCall[AttachRequest, AttachResponse]

INPUTS: Final = 64
"""What may wait by rule. Nothing here waits for room: the device's own rate bounds it."""

_LOST: Final = SwitchboardError(
    ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "A part of the server was lost."
).to_proto()


class Relay:
    """One `Attach` stream. `open` it first, then `run` it or `leave`."""

    def __init__(self, stub: EdgeServiceAsyncStub, request_id: str, start: AttachStart) -> None:
        self._request_id = request_id
        self._inputs: BoundedStream[tuple[ClientFrame, bool]] = BoundedStream(INPUTS)
        self._room = asyncio.Event()
        self._left = False
        self._call: Attach = stub.Attach()
        self._first = AttachRequest(request_id=request_id, start=start)
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Relay({self._request_id}, {'left' if self._left else 'open'})"

    async def open(self, timeout_s: float) -> bool:
        """Whether the other edge gives the request whole."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._call.write(self._first)
                response = await self._call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
            response = None
        attached = (
            isinstance(response, AttachResponse)
            and response.state == AttachState.ATTACH_STATE_ATTACHED
        )
        if not attached:
            self.leave()
        return attached

    def run(
        self, on_event: Callable[[Passed | RelayLost], None], has_room: Callable[[], bool]
    ) -> asyncio.Task[None]:
        """Begins to pass frames on."""
        self._task = asyncio.create_task(self._run(on_event, has_room))
        return self._task

    def tell(self, frame: ClientFrame, *, spoiled: bool) -> None:
        """Passes on what the device said; `spoiled`: what was refused for its form."""
        if not self._inputs.closed:
            self._inputs.put_now((frame, spoiled))

    def look(self) -> None:
        """Something left for the device: there may be room again."""
        self._room.set()

    def leave(self) -> None:
        """The device reads no longer; nothing more is heard of it."""
        self._left = True
        self._inputs.close()
        self._call.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _run(
        self, on_event: Callable[[Passed | RelayLost], None], has_room: Callable[[], bool]
    ) -> None:
        writer = asyncio.create_task(self._write())
        try:
            over = await self._read(on_event, has_room)
        finally:
            writer.cancel()
            self._inputs.close()
            self._call.cancel()
        if not over and not self._left:
            log.warning("the edge that ran a request was lost")
            on_event(RelayLost(self._request_id, _LOST))

    async def _read(
        self, on_event: Callable[[Passed | RelayLost], None], has_room: Callable[[], bool]
    ) -> bool:
        """Reads to the request's end; False: the stream broke before."""
        try:
            while isinstance(response := await self._call.read(), AttachResponse):
                on_event(Passed(self._request_id, response.frames))
                if response.state == AttachState.ATTACH_STATE_TAKEN or any(
                    frame.HasField("stream_end") for frame in response.frames
                ):
                    return True
                while not has_room():
                    self._room.clear()
                    await self._room.wait()
        except grpc.aio.AioRpcError:
            pass
        return False

    async def _write(self) -> None:
        try:
            async for batch in self._inputs:
                for spoiled, said in groupby(batch, itemgetter(1)):
                    frames = [frame for frame, _ in said]
                    await self._call.write(
                        AttachRequest(request_id=self._request_id, frames=frames, spoiled=spoiled)
                    )
                    del frames
                del batch, said
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the reader sees why
