"""Sockets of one device that come while others are asked what it left there."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from edge.others import Others
from edge.relay import Relay
from switchboard.v3.frames_pb2 import DeviceHello
from tests.support.edge_stack import DeviceSocket, EdgeStack, eventually


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once the other edges have answered the hellos that say that they are slow."""
    answered = asyncio.Event()

    async def resume(
        self: Others, user_id: str, hello: DeviceHello, known: Collection[str]
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
