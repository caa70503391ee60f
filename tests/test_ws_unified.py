"""Acceptance: one socket for everything — hello, Home, popups, tools, several at once."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from switchboard.v3.frames_pb2 import MutationOp
from tests.support.edge_stack import EdgeStack, Frame, edge_stack
from tests.support.scripted_router import Turn


@pytest.fixture
async def stack() -> AsyncIterator[EdgeStack]:
    async with edge_stack() as found:
        yield found


def text(frames: list[Frame]) -> str:
    return "".join(frame["chunk"] for frame in frames if frame["type"] == "stream_text")


def check_one_answer(frames: list[Frame], request_id: str) -> None:
    """Numbered 1, 2, 3 … with one end, which is the last."""
    assert [frame["request_id"] for frame in frames] == [request_id] * len(frames)
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    assert [frame["type"] for frame in frames].count("stream_end") == 1
    assert frames[-1]["type"] == "stream_end"


async def test_hello_tells_what_to_keep_to(stack: EdgeStack) -> None:
    device = await stack.device(features=["activity", "telepathy"])
    assert device.ready["protocol"] == 3
    assert device.ready["features"] == ["activity"]
    assert device.ready["resumed"] == device.ready["lost"] == []
    assert device.ready["limits"] == {
        "max_frame_bytes": 1_048_576,
        "max_message_chars": 32_000,
        "max_history_messages": 200,
        "max_history_chars": 200_000,
        "max_concurrent_requests": 8,
        "resume_window_s": 60,
    }


async def test_home_is_start_text_end(stack: EdgeStack) -> None:
    device = await stack.device()
    request_id = str(uuid4())
    await device.send("home_request", message="hi", request_id=request_id)
    frames = await device.until("stream_end")
    check_one_answer(frames, request_id)
    assert frames[0]["type"] == "stream_start"
    assert {frame["type"] for frame in frames[1:-1]} == {"stream_text"}
    assert text(frames) == "Hello world"
    end = frames[-1]
    assert end["status"] == "completed"
    assert end["agent"] == "task_agent"
    assert end["mutations"] == []
    assert end["usage"] == {"input_tokens": 7, "output_tokens": 5, "model_calls": 2}


async def test_stream_start_waits_for_no_model(stack: EdgeStack) -> None:
    release = asyncio.Event()

    async def script(turn: Turn) -> None:
        await release.wait()
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    await device.send("home_request", message="hi")
    await device.expect("stream_start", seq=1)
    release.set()
    await device.expect("stream_end", seq=2)


async def test_popup_is_domain_text_end(stack: EdgeStack) -> None:
    device = await stack.device()
    request_id = str(uuid4())
    scope = {"type": "task", "id": "t1"}
    await device.send("popup_request", message="hi", scope=scope, request_id=request_id)
    frames = await device.until("stream_end")
    check_one_answer(frames, request_id)
    assert frames[0]["type"] == "popup_domain"
    assert frames[0]["domain"] == "tasks"
    assert text(frames) == "Hello world"
    turn = await stack.behind.router.turn()
    assert (turn.start.scope.type, turn.start.scope.id) == ("task", "t1")


async def test_a_tool_runs_in_between(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        await turn.routed()
        await turn.text("Looking. ")
        result = await turn.call("list_tasks", {"status": "todo"})
        await turn.text(f"Found {result.result.utf8.decode()}")
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    await device.send("home_request", message="what is open?")
    call = (await device.until("tool_call"))[-1]
    assert call["name"] == "list_tasks"
    assert call["arguments"] == {"status": "todo"}
    assert call["requires_approval"] is False
    assert 29_000 < call["deadline_ms"] <= 30_000
    result = {"items": [{"id": "t1", "title": "Ünïcode"}]}
    await device.send("tool_result", call_id=call["call_id"], result=result)
    frames = await device.until("stream_end")
    assert text(frames) == 'Found {"items":[{"id":"t1","title":"Ünïcode"}]}'


async def test_a_write_tells_the_other_devices(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        await turn.call("create_task", {"title": "x"}, MutationOp.MUTATION_OP_CREATE)
        await turn.end()

    stack.behind.router.script = script
    laptop, phone = await stack.device("laptop"), await stack.device("phone")
    stranger = await stack.device("laptop", user_id="user-2")
    await laptop.send("home_request", message="add x")
    call = (await laptop.until("tool_call"))[-1]
    item = {"id": "t9", "title": "x"}
    await laptop.send("tool_result", call_id=call["call_id"], result={"item": item})
    end = (await laptop.until("stream_end"))[-1]
    change = {
        "mutation_id": call["call_id"],
        "op": "create",
        "entity": "task",
        "id": "t9",
        "data": item,
    }
    assert end["mutations"] == [change]
    told = await phone.expect("mutation")
    origin = {"device_id": "laptop", "request_id": end["request_id"]}
    assert told == {"type": "mutation", **change, "origin": origin}
    for other in (laptop, stranger):
        await other.send("ping", nonce="n")
        await other.expect("pong", nonce="n")


async def test_eight_requests_at_once_end_once_each_in_order(stack: EdgeStack) -> None:
    started = asyncio.Barrier(8)

    async def script(turn: Turn) -> None:
        await started.wait()
        for number in range(50):
            await turn.text(f"{turn.start.message}{number} ")
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    asked = {str(uuid4()): f"m{number}-" for number in range(8)}
    for request_id, message in asked.items():
        await device.send("home_request", message=message, request_id=request_id)
    got: dict[str, list[Frame]] = {request_id: [] for request_id in asked}
    ends = 0
    while ends < 8:
        frame = await device.next()
        got[frame["request_id"]].append(frame)
        ends += frame["type"] == "stream_end"
    for request_id, message in asked.items():
        check_one_answer(got[request_id], request_id)
        assert text(got[request_id]) == "".join(f"{message}{number} " for number in range(50))


async def test_the_ninth_request_is_told_to_wait(stack: EdgeStack) -> None:
    release = asyncio.Event()

    async def script(turn: Turn) -> None:
        await release.wait()
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    for _ in range(8):
        await device.send("home_request", message="hi")
        await device.expect("stream_start")
    ninth = str(uuid4())
    await device.send("home_request", message="hi", request_id=ninth)
    end = await device.expect("stream_end", request_id=ninth, seq=1, status="failed")
    assert end["error"]["code"] == "too_many_requests"
    assert end["error"]["retryable"] is True
    release.set()
    for _ in range(8):
        await device.expect("stream_end", status="completed")


async def test_the_edge_passes_on_what_the_turn_needs(stack: EdgeStack) -> None:
    device = await stack.device(timezone="Europe/Berlin", tools=["list_tasks"])
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    await device.send("home_request", message="c", conversation_history=history)
    await device.until("stream_end")
    start = (await stack.behind.router.turn()).start
    assert (start.user_id, start.device_id, start.message) == ("user-1", "laptop", "c")
    assert start.session_id == device.ready["session_id"]
    assert start.timezone == "Europe/Berlin"
    assert list(start.tools.values) == ["list_tasks"]
    assert [(said.role, said.content) for said in start.conversation_history] == [
        (1, "a"),
        (2, "b"),
    ]
    assert start.device_connected
    assert not start.wants_activity
