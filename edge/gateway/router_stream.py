"""One request ⇄ one `Converse` stream to the router.

Inputs that wait go out as one message. Reading stops while the device has no room, and
by gRPC's flow control so do the router, the agent and the model behind it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import grpc

from edge import metrics
from edge.session.events import Broken, Produced
from runtime import tracing
from runtime.errors import SwitchboardError, from_rpc, word
from runtime.stream import BoundedStream
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import StreamEnd
from switchboard.v3.router_pb2 import (
    ConverseInput,
    ConverseRequest,
    ConverseResponse,
    ConverseStart,
)

if TYPE_CHECKING:
    from switchboard.v3.router_pb2_grpc import RouterServiceAsyncStub

log = logging.getLogger(__name__)

Converse = grpc.aio.StreamStreamCall[ConverseRequest, ConverseResponse]

INPUTS: Final = 64
"""What may wait by rule. Nothing here waits for room: answers to calls may pass it, and
there are no more of these than the request has open calls."""

RUN_OUT_S: Final = 5.0
"""How long the router may keep the stream after its last frame."""


class Bridge:
    """Opens the stream at once. `on_event` hears what comes; `has_room` says whether to read on."""

    def __init__(
        self,
        router: RouterServiceAsyncStub,
        request_id: str,
        start: ConverseStart,
        *,
        surface: str,
        deadline_s: float,
        on_event: Callable[[Produced | Broken], None],
        has_room: Callable[[], bool],
    ) -> None:
        self._router = router
        self._request_id = request_id
        self._deadline_s = deadline_s
        self._on_event = on_event
        self._has_room = has_room
        self._inputs: BoundedStream[ConverseInput] = BoundedStream(INPUTS)
        self._inputs.put_now(ConverseInput(start=start))
        self._room = asyncio.Event()
        self._ended = False
        self._counted = metrics.Request(surface)
        self._span = tracing.NONE
        self._outcome = "unheard"
        self.task = asyncio.create_task(self._run())

    def hand_over(
        self, on_event: Callable[[Produced | Broken], None], has_room: Callable[[], bool]
    ) -> None:
        """Another device hears it from now on."""
        self._on_event, self._has_room = on_event, has_room
        self.look()

    def tell(self, said: ConverseInput) -> None:
        """Sends an input; after the end it goes nowhere."""
        if not self._inputs.closed:
            self._inputs.put_now(said)

    def look(self) -> None:
        """Something left for the device: there may be room again."""
        self._room.set()

    def finish(self, end: StreamEnd) -> None:
        """The router said its last: the stream may run out."""
        self._over(end)
        self._inputs.close()
        asyncio.get_running_loop().call_later(RUN_OUT_S, self.task.cancel)

    def drop(self, end: StreamEnd) -> None:
        """Breaks the stream off; nothing more is heard of it."""
        self._over(end)
        self._inputs.close()
        self.task.cancel()

    def _over(self, end: StreamEnd) -> None:
        self._ended = True
        self._counted.ended(end)
        status, code = metrics.ending(end)
        self._span.set_attributes({"status": status, "code": code, "agent": end.agent})
        if status == "failed":
            tracing.failed(self._span, code)
        self._outcome = status if status == "completed" else f"{status} ({code})"

    async def _run(self) -> None:
        name = f"{self._counted.surface} request"
        with tracing.span(name, kind=tracing.SERVER, request_id=self._request_id) as self._span:
            try:
                await self._converse()
            finally:
                log.info("a %s ended: %s", name, self._outcome)

    async def _converse(self) -> None:
        # The router ends a request at its own deadline; this one is for a router that hangs.
        call = self._router.Converse(timeout=self._deadline_s, metadata=tracing.carried())
        writer = asyncio.create_task(self._write(call))
        try:
            error = await self._read(call)
        finally:
            writer.cancel()
            call.cancel()
        if not self._ended:
            log.warning("the router was lost in the middle of a request: %s", word(error.code))
            self._ended = True
            self._on_event(Broken(self._request_id, error.to_proto()))

    async def _read(self, call: Converse) -> SwitchboardError:
        try:
            while isinstance(response := await call.read(), ConverseResponse):
                self._counted.heard(response.outputs)
                self._on_event(Produced(self._request_id, response.outputs))
                while not self._has_room():
                    self._room.clear()
                    await self._room.wait()
        except grpc.aio.AioRpcError as error:
            return from_rpc(error)
        return _lost()

    async def _write(self, call: Converse) -> None:
        try:
            async for batch in self._inputs:
                await call.write(ConverseRequest(request_id=self._request_id, inputs=batch))
                del batch  # or it would stay until there is another
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the reader sees why


def _lost() -> SwitchboardError:
    return SwitchboardError(
        ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "A part of the server was lost."
    )
