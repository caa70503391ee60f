"""One request, one stream to the router: what goes over it, and when reading stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from edge.gateway.router_stream import Bridge
from edge.session.events import Broken, Produced
from runtime.errors import word
from switchboard.v3.frames_pb2 import StreamEnd
from switchboard.v3.router_pb2 import ConverseCancel, ConverseInput, ConverseStart
from switchboard.v3.router_pb2_grpc import RouterServiceStub
from tests.support.edge_stack import eventually
from tests.support.scripted_router import Behind, Turn


class Line:
    """A bridge, what it heard, and whether there is room for more."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.heard: list[Produced | Broken] = []
        self.room = True
        self.bridge = Bridge(
            RouterServiceStub(channel),
            "r",
            ConverseStart(user_id="u", message="hi"),
            surface="home",
            deadline_s=30,
            on_event=self._on_event,
            has_room=lambda: self.room,
        )

    def _on_event(self, event: Produced | Broken) -> None:
        self.heard.append(event)
        ended = isinstance(event, Produced) and event.outputs[-1].frame.HasField("stream_end")
        if ended and isinstance(event, Produced):
            self.bridge.finish(event.outputs[-1].frame.stream_end)

    @property
    def text(self) -> str:
        return "".join(
            output.frame.stream_text.chunk
            for event in self.heard
            if isinstance(event, Produced)
            for output in event.outputs
        )

    @property
    def broken(self) -> str | None:
        found = [event for event in self.heard if isinstance(event, Broken)]
        return word(found[0].error.code) if found else None


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    async with Behind() as found:
        yield found


@asynccontextmanager
async def line(behind: Behind) -> AsyncIterator[Line]:
    async with grpc.aio.insecure_channel(behind.address) as channel:
        made = Line(channel)
        yield made
        made.bridge.drop(StreamEnd())
        await asyncio.wait([made.bridge.task])


async def test_what_is_said_arrives_in_order_and_the_stream_runs_out(behind: Behind) -> None:
    async with line(behind) as it:
        await asyncio.wait_for(asyncio.wait([it.bridge.task]), 10)
        assert it.text == "Hello world"
        assert it.broken is None
        turn = await behind.router.turn()
        assert (turn.start.user_id, turn.start.message) == ("u", "hi")


async def test_a_cancel_is_told_at_once(behind: Behind) -> None:
    async def script(turn: Turn) -> None:
        await turn.cancelled.wait()
        await turn.end()

    behind.router.script = script
    async with line(behind) as it:
        it.bridge.tell(ConverseInput(cancel=ConverseCancel()))
        await asyncio.wait_for(asyncio.wait([it.bridge.task]), 10)
        assert it.broken is None


async def test_reading_stops_without_room_and_goes_on_when_there_is_some(behind: Behind) -> None:
    async def script(turn: Turn) -> None:
        for _ in range(200):
            await turn.text("x" * 10_000)
        await turn.end()

    behind.router.script = script
    async with line(behind) as it:
        it.room = False
        await eventually(lambda: it.heard)
        heard = len(it.heard)
        await asyncio.sleep(0.2)  # it could have read on
        assert len(it.heard) == heard
        assert len(it.text) < 2_000_000
        it.room = True
        it.bridge.look()
        await asyncio.wait_for(asyncio.wait([it.bridge.task]), 10)
        assert len(it.text) == 2_000_000


async def test_a_stream_that_just_stops_is_a_loss(behind: Behind) -> None:
    async def script(turn: Turn) -> None:
        await turn.text("half")

    behind.router.script = script
    async with line(behind) as it:
        await asyncio.wait_for(asyncio.wait([it.bridge.task]), 10)
        assert it.text == "half"
        assert it.broken == "service_unavailable"


async def test_what_is_dropped_is_not_heard_of_again(behind: Behind) -> None:
    async def script(turn: Turn) -> None:
        await turn.text("half")
        await turn.lost.wait()

    behind.router.script = script
    async with line(behind) as it:
        await eventually(lambda: it.text)
        it.bridge.drop(StreamEnd())
        await asyncio.wait_for(asyncio.wait([it.bridge.task]), 10)
        it.bridge.tell(ConverseInput(cancel=ConverseCancel()))  # goes nowhere
        assert it.broken is None
        async with asyncio.timeout(5):
            await (await behind.router.turn()).lost.wait()
