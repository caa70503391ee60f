"""Edges that die, freeze and drain while a device has moved from one to another: real
processes, a real broker (PROTOCOL §4.1, §4.5)."""

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest

from edge.session.device_session import RETURN_S
from runtime.channels import dial
from runtime.settings import ServiceSettings
from switchboard.v3.edge_pb2 import ChatRequest
from switchboard.v3.edge_pb2_grpc import EdgeServiceStub
from tests.support.certs import Authority
from tests.support.edge_stack import Closed, DeviceSocket, EdgeStack, Frame, edge_stack, eventually
from tests.support.edges import EdgeProcess, edge_process, met
from tests.support.nats import nats
from tests.support.scripted_router import Behind, Turn


@dataclass(slots=True)
class Story:
    """Edge `a` is a process, `b` runs here. A request says `first`, and goes on when told."""

    a: EdgeProcess
    b: EdgeStack
    behind: Behind
    goes_on: asyncio.Event

    async def begin(self, edge: EdgeStack) -> tuple[DeviceSocket, str, list[Frame]]:
        """A request at an edge, and its frames up to its first word."""
        device = await edge.device()
        request_id = str(uuid4())
        await device.send("home_request", message="x", request_id=request_id)
        return device, request_id, await device.until("stream_text")


@pytest.fixture
async def story() -> AsyncIterator[Story]:
    goes_on = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.text("first ")
        await goes_on.wait()
        await turn.text("last")
        await turn.end()

    async with Behind() as behind, nats() as broker:
        behind.router.script = script
        addresses = {"router_addr": behind.address, "memory_addr": behind.address}
        async with (
            edge_process(behind, broker.url) as a,
            edge_stack(nats_url=broker.url, **addresses) as b,
        ):
            await eventually(lambda: met(b))
            yield Story(a, b, behind, goes_on)


def after(request_id: str, frames: list[Frame]) -> dict[str, Any]:
    return {"resume": {"requests": {request_id: frames[-1]["seq"]}}}


def whole(frames: list[Frame]) -> str:
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    return "".join(frame.get("chunk", "") for frame in frames)


async def test_the_edge_that_runs_it_dies_in_the_middle(story: Story) -> None:
    device, request_id, frames = await story.begin(story.a)
    device.cut()
    again = await story.b.device(**after(request_id, frames))
    assert again.ready["resumed"] == [request_id]
    began = time.monotonic()
    await story.a.kill()
    frames += await again.until("stream_end")
    assert time.monotonic() - began < 2
    assert whole(frames) == "first "
    assert frames[-1]["status"] == "failed"
    assert frames[-1]["error"]["code"] == "service_unavailable"
    assert frames[-1]["error"]["retryable"]
    story.goes_on.set()
    await again.send("home_request", message="again", request_id=request_id)
    assert whole(await again.until("stream_end")) == "first last"


async def test_an_edge_that_died_with_a_request_leaves_it_lost(story: Story) -> None:
    device, request_id, frames = await story.begin(story.a)
    began = time.monotonic()
    await story.a.kill()
    with pytest.raises(Closed):
        await device.until("stream_end")
    again = await story.b.device(**after(request_id, frames))
    assert time.monotonic() - began < 2
    assert again.ready["lost"] == [request_id]


async def test_the_edge_that_passes_it_on_dies(story: Story) -> None:
    device, request_id, frames = await story.begin(story.b)
    device.cut()
    moved = await story.a.device(**after(request_id, frames))
    assert moved.ready["resumed"] == [request_id]
    await story.a.kill()
    back = await story.b.device(**after(request_id, frames))
    assert back.ready["resumed"] == [request_id]
    story.goes_on.set()
    assert whole(frames + await back.until("stream_end")) == "first last"


async def reads(turn: Turn) -> None:
    result = await turn.call("list_tasks")
    await turn.text(result.error.code or result.result.utf8.decode())
    await turn.end()


def chat(edge: EdgeStack) -> "asyncio.Task[tuple[int, Any]]":
    return asyncio.create_task(edge.call("POST", "/api/v1/chat", json={"message": "x"}))


async def test_a_call_of_rest_ends_at_once_where_the_edge_of_its_device_dies(
    story: Story,
) -> None:
    story.behind.router.script = reads
    device = await story.a.device()
    asked = chat(story.b)
    await device.expect("tool_call")
    await story.a.kill()
    async with asyncio.timeout(5):
        status, answer = await asked
    error = answer["error"]
    assert (status, error["code"], error["retryable"]) == (503, "service_unavailable", True)


async def test_a_call_of_rest_that_moved_to_an_edge_that_dies_is_not_waited_for(
    story: Story,
) -> None:
    story.behind.router.script = reads
    phone, laptop = await story.a.device("phone"), await story.b.device("laptop")
    asked = chat(story.b)
    await laptop.expect("tool_call")
    laptop.cut()
    await phone.expect("tool_call")
    await story.a.kill()
    async with asyncio.timeout(RETURN_S + 5):  # a call's deadline is 30 s
        status, answer = await asked
    assert (status, answer["response"]) == (200, "device_gone")


async def test_a_frozen_edge_is_lost_within_five_seconds(story: Story) -> None:
    device, request_id, frames = await story.begin(story.a)
    device.cut()
    story.a.freeze()
    began = time.monotonic()
    again = await story.b.device(**after(request_id, frames))
    assert time.monotonic() - began < 5
    assert again.ready["lost"] == [request_id]
    # It may still run there: it is not run a second time under its name.
    await again.send("home_request", message="x", request_id=request_id)
    await again.expect("error", code="duplicate_request")
    story.a.thaw()


async def test_an_edge_that_freezes_in_the_middle_is_noticed(story: Story) -> None:
    device, request_id, frames = await story.begin(story.a)
    device.cut()
    again = await story.b.device(**after(request_id, frames))
    story.a.freeze()
    async with asyncio.timeout(15):
        while True:
            try:
                frames += await again.until("stream_end")
                break
            except TimeoutError:
                continue
    assert frames[-1]["error"]["code"] == "service_unavailable"
    story.a.thaw()


async def test_a_drain_moves_a_running_answer_to_the_other_edge(story: Story) -> None:
    device, request_id, frames = await story.begin(story.a)
    story.a.process.send_signal(signal.SIGTERM)
    await device.until("goaway")
    again = await story.b.device(**after(request_id, frames))
    assert again.ready["resumed"] == [request_id]
    story.goes_on.set()
    frames += await again.until("stream_end")
    assert whole(frames) == "first last"
    assert frames[-1]["status"] == "completed"
    assert await story.a.process.wait() == 0


async def test_an_answer_that_ends_during_a_drain_waits_for_its_device(story: Story) -> None:
    device, request_id, frames = await story.begin(story.a)
    device.cut()
    story.a.process.send_signal(signal.SIGTERM)
    story.goes_on.set()
    await eventually(story.behind.router.turns[0].lost.is_set)
    again = await story.b.device(**after(request_id, frames))
    assert whole(frames + await again.until("stream_end")) == "first last"


async def test_with_certificates_edges_speak_to_edges_only(tmp_path: Path) -> None:
    authority = Authority()
    ours, theirs = (authority.issue(tmp_path / name, name) for name in ("edge", "router"))
    async with Behind(**theirs) as behind, nats() as broker:
        settings = {
            **ours,
            "tls_callers": ("edge",),
            "nats_url": broker.url,
            "router_addr": behind.address,
            "memory_addr": behind.address,
        }
        async with edge_stack(**settings) as a, edge_stack(**settings) as b:
            await eventually(lambda: met(a) and met(b))
            device = await a.device()
            request_id = str(uuid4())
            await device.send("home_request", message="x", request_id=request_id)
            frames = await device.until("stream_end")
            # They are dialled by address, which no certificate names.
            again = await b.device(**after(request_id, frames[:1]))
            assert await again.until("stream_end") == frames[1:]
            intruder = dial(address(a), ServiceSettings.model_validate(theirs), "edge")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await EdgeServiceStub(intruder).Chat(ChatRequest(user_id="user-1"), timeout=5)
            assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
            await intruder.close()


def address(stack: EdgeStack) -> str:
    """Where other edges reach this one."""
    found = re.search(r"127\.0\.0\.1:\d+", repr(stack.edge.devices.others))
    assert found
    return found[0]
