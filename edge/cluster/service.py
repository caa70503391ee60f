"""EdgeService: what this edge does for another one, to which the device is connected."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc

from edge.gateway.device import Device
from edge.gateway.registry import Devices
from edge.session.events import Received, Spoiled
from switchboard.v3.edge_pb2 import (
    AttachRequest,
    AttachResponse,
    AttachStart,
    AttachState,
    ChatRequest,
    ChatResponse,
    DeliverRequest,
    DeliverResponse,
)
from switchboard.v3.edge_pb2_grpc import EdgeServiceServicer
from switchboard.v3.frames_pb2 import ClientFrame, ServerFrame

BATCH_BYTES: Final = 64 * 1024
"""About so much goes into one message."""

_SAID: Final = frozenset({"tool_result", "data_response", "cancel"})
"""What a device may say about a request from afar."""

_LOST: Final = AttachResponse(state=AttachState.ATTACH_STATE_LOST)


class EdgeServicer(EdgeServiceServicer):
    """Serves what this edge's devices have."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices

    async def Attach(  # noqa: N802
        self,
        request_iterator: AsyncIterator[AttachRequest],
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> AsyncIterator[AttachResponse]:
        """Gives a request to a reader elsewhere."""
        first = await anext(request_iterator)
        device = self._devices.find(first.start.user_id, first.start.device_id)
        link = Link(first.request_id, device) if device else None
        if link is None or not link.attach(first.start):
            yield _LOST
            return
        reading = asyncio.create_task(link.read(request_iterator))
        try:
            yield AttachResponse(
                request_id=first.request_id, state=AttachState.ATTACH_STATE_ATTACHED
            )
            async for response in link.responses():
                yield response
        finally:
            link.detach()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def Chat(  # noqa: N802
        self, request: ChatRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> ChatResponse:
        """Runs a whole request; returns when it has ended."""
        frames: list[ServerFrame] = []
        ended = asyncio.Event()

        def collect(frame: ServerFrame) -> None:
            frames.append(frame)
            if frame.HasField("stream_end"):
                ended.set()

        self._devices.for_chat(request.user_id).ask(request.request, collect)
        await ended.wait()
        return ChatResponse(frames=frames)

    async def Deliver(  # noqa: N802
        self, request: DeliverRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> DeliverResponse:
        """Takes a late result, or a cancel."""
        device = self._devices.find(request.user_id, request.device_id)
        if device is None or request.frame.WhichOneof("frame") not in _SAID:
            return DeliverResponse()
        return DeliverResponse(frames=device.aside(_event(request.frame, spoiled=request.spoiled)))


def _event(frame: ClientFrame, *, spoiled: bool) -> Received | Spoiled:
    return Spoiled(frame, aside=True) if spoiled else Received(frame, aside=True)


class Link:
    """The reader of one request, at another edge."""

    def __init__(self, request_id: str, device: Device) -> None:
        self._request_id = request_id
        self._device = device
        self._output = asyncio.Event()
        self._errors: list[ServerFrame] = []
        self._gone = False
        self._taken = False

    def __repr__(self) -> str:
        return f"Link({self._request_id}, {'gone' if self._gone or self._taken else 'open'})"

    def attach(self, start: AttachStart) -> bool:
        """Takes over from whoever read before; False: it cannot be given whole."""
        return self._device.link(self._request_id, start, self)

    def detach(self) -> None:
        """The reader is gone: the device is away."""
        self._device.unlink(self._request_id, self)

    def wake(self) -> None:
        """There is something to send."""
        self._output.set()

    def take_over(self) -> None:
        """Another reader has it now."""
        self._taken = True
        self._output.set()

    async def read(self, requests: AsyncIterator[AttachRequest]) -> None:
        """Takes in what the device says, until the reader is gone."""
        try:
            async for request in requests:
                for frame in request.frames:
                    if frame.WhichOneof("frame") in _SAID:
                        event = _event(frame, spoiled=request.spoiled)
                        self._errors += self._device.aside(event)
                if self._errors:
                    self._output.set()
        finally:
            self._gone = True
            self._output.set()

    async def responses(self) -> AsyncIterator[AttachResponse]:
        """What leaves, until the request's end, or until there is no reader any more."""
        while not self._gone:
            await self._output.wait()
            self._output.clear()
            while frames := self._taken_frames():
                yield AttachResponse(request_id=self._request_id, frames=frames)
                if any(frame.HasField("stream_end") for frame in frames):
                    return
            if self._taken:
                yield AttachResponse(
                    request_id=self._request_id, state=AttachState.ATTACH_STATE_TAKEN
                )
                return

    def _taken_frames(self) -> list[ServerFrame]:
        errors, self._errors = self._errors, []
        if self._taken or self._gone:
            return errors
        return errors + self._device.take(BATCH_BYTES, self._request_id)
