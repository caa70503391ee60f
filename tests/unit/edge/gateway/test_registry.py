"""What a device's sockets see while the other edges are asked: on a hello, and for the edge
that made a call."""

import asyncio
from collections.abc import Collection, Mapping

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from edge.gateway import device
from edge.gateway.peer_stream import Relay
from edge.gateway.ports import Others
from switchboard.v3.frames_pb2 import ClientFrame, DeviceHello, ServerFrame
from tests.support.edge_stack import DeviceSocket, EdgeStack, eventually


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once the other edges have answered the hellos that say that they are slow."""
    answered = asyncio.Event()

    async def resume(
        self: Others, user_id: str, hello: DeviceHello, hello_ns: int, known: Collection[str]
    ) -> Mapping[str, Relay]:
        if hello.client_version == "slow":
            await answered.wait()
        return {}

    monkeypatch.setattr(Others, "resume", resume)
    return answered


async def slow(stack: EdgeStack) -> DeviceSocket:
    """A socket whose hello takes its time."""
    socket = await stack.open(stack.token())
    await socket.send("device_hello", device_id="laptop", client_version="slow")
    await eventually(lambda: "laptop" in str(stack.edge.devices.welcoming))
    return socket


async def test_an_older_hello_never_supersedes_a_newer_one(
    stack: EdgeStack, found: asyncio.Event
) -> None:
    older = await slow(stack)
    newer = await stack.device()
    found.set()
    assert await older.closed() == 4409
    await newer.send("ping", nonce="here")
    await newer.expect("pong", nonce="here")


async def test_the_later_of_two_slow_hellos_is_welcomed(
    stack: EdgeStack, found: asyncio.Event
) -> None:
    older = await slow(stack)
    newer = await stack.open(stack.token())
    first = stack.edge.devices.welcoming["user-1", "laptop"]
    await newer.send("device_hello", device_id="laptop", client_version="slow")
    await eventually(lambda: stack.edge.devices.welcoming["user-1", "laptop"] is not first)
    found.set()
    await newer.expect("device_ready")
    assert await older.closed() == 4409
    assert stack.edge.devices.welcoming == {}


async def test_a_socket_that_died_meanwhile_is_not_the_devices(
    stack: EdgeStack, found: asyncio.Event
) -> None:
    alive = await stack.device()
    dead = await slow(stack)
    dead.cut()
    await eventually(lambda: all(socket.gone for socket in stack.edge.devices.arriving))  # type: ignore[attr-defined]
    found.set()
    await eventually(lambda: not stack.edge.devices.arriving)
    await alive.send("ping", nonce="here")
    await alive.expect("pong", nonce="here")


class Slow(Others):
    """Other edges, one of which made the calls; it takes results in when it is `free`."""

    alone = False

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.taken: list[str] = []

    async def deliver(
        self, user_id: str, device_id: str, frame: ClientFrame, *, spoiled: bool
    ) -> list[ServerFrame] | None:
        await self.free.wait()
        call_id = frame.tool_result.call_id
        if call_id == "lost":
            raise AioRpcError(grpc.StatusCode.UNAVAILABLE, Metadata(), Metadata())
        if call_id == "unknown":
            return None
        self.taken.append(call_id)
        return []


@pytest.fixture
def slow_edge(monkeypatch: pytest.MonkeyPatch) -> Slow:
    there = Slow()
    monkeypatch.setattr(Others, "alone", Slow.alone)
    monkeypatch.setattr(Others, "deliver", lambda _, *given, **how: there.deliver(*given, **how))
    return there


async def test_a_result_that_is_repeated_while_its_edge_is_sought_is_no_unknown_one(
    stack: EdgeStack, slow_edge: Slow
) -> None:
    laptop = await stack.device()
    for _ in range(2 * device.SOUGHT):
        await laptop.send("tool_result", call_id="c1", result={})
    await laptop.send("ping", nonce="sent")
    await laptop.expect("pong", nonce="sent")
    slow_edge.free.set()
    await eventually(lambda: slow_edge.taken == ["c1"])
    await laptop.send("ping", nonce="after")
    await laptop.expect("pong", nonce="after")


async def test_of_too_many_results_at_once_the_last_are_asked_to_wait(
    stack: EdgeStack, slow_edge: Slow
) -> None:
    laptop = await stack.device()
    calls = [f"c{number}" for number in range(device.SOUGHT)]
    for call_id in [*calls, "later"]:
        await laptop.send("tool_result", call_id=call_id, result={})
    error = await laptop.expect("error", code="rate_limited")
    assert error["ref"] == {"type": "tool_result", "id": "later"}
    assert error["retry_after_ms"] > 0
    slow_edge.free.set()
    await eventually(lambda: sorted(slow_edge.taken) == sorted(calls))


@pytest.mark.parametrize(
    ("call_id", "code"), [("unknown", "tool_call_unknown"), ("lost", "service_unavailable")]
)
async def test_a_result_that_does_not_arrive_is_told_apart_from_one_that_nobody_asked_for(
    stack: EdgeStack, slow_edge: Slow, call_id: str, code: str
) -> None:
    slow_edge.free.set()
    laptop = await stack.device()
    await laptop.send("tool_result", call_id=call_id, result={})
    error = await laptop.expect("error", code=code)
    assert error["ref"]["id"] == call_id
