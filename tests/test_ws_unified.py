"""Acceptance: one socket for everything — hello, Home, popups, tools, several at once.

All five services are real; the model behind them is a script over HTTP.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.support.edge_stack import Frame
from tests.support.model_server import Call, Reply, Request, answers, calls, says
from tests.support.whole import Whole, whole

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("ws_unified"),  # one stack for all of them
]

TASKS = {"agent": "task_agent", "confidence": 0.95, "reason": "It is about tasks."}


class Model:
    """What the model says; a test puts in its own. The choice of the agent is always tasks."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.script: Callable[[Request], Reply] = lambda _: says("Hello ", "world")
        self.choice = answers(TASKS)

    def __call__(self, request: Request) -> Reply:
        if "response_format" in request.body:
            return self.choice
        return self.script(request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Whole, Model]]:
    model = Model()
    async with whole(module_database, tmp_path_factory.mktemp("whole"), model) as found:
        yield found, model


@pytest_asyncio.fixture(loop_scope="module")
async def stack(running: tuple[Whole, Model]) -> AsyncIterator[Whole]:
    yield running[0]
    await running[0].fresh()


@pytest.fixture
def model(running: tuple[Whole, Model]) -> Iterator[Model]:
    yield running[1]
    running[1].reset()


def in_turn(*replies: Reply) -> Callable[[Request], Reply]:
    """One reply for each round of tools."""
    return lambda request: replies[sum(m["role"] == "tool" for m in request.messages)]


def text(frames: list[Frame]) -> str:
    return "".join(frame["chunk"] for frame in frames if frame["type"] == "stream_text")


def last_said(request: Request) -> str:
    """What the user asks now."""
    return str([m["content"] for m in request.messages if m["role"] == "user"][-1])


def check_one_answer(frames: list[Frame], request_id: str) -> None:
    """Numbered 1, 2, 3 … with one end, which is the last."""
    assert [frame["request_id"] for frame in frames] == [request_id] * len(frames)
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    assert [frame["type"] for frame in frames].count("stream_end") == 1
    assert frames[-1]["type"] == "stream_end"


async def test_hello_tells_what_to_keep_to(stack: Whole) -> None:
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


async def test_home_is_start_text_end(stack: Whole) -> None:
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
    assert end["memory"] == "stored"
    # The choice of the agent, and its answer.
    assert end["usage"] == {"input_tokens": 20, "output_tokens": 10, "model_calls": 2}


async def test_a_home_answer_may_hold_blocks(stack: Whole, model: Model) -> None:
    table = '{"type":"table","headers":["a","b"],"rows":[[1,"x"]]}'
    model.script = lambda _: says("Here: ", table[:20], table[20:], " Done.")
    device = await stack.device()
    await device.send("home_request", message="a table, please")
    frames = await device.until("stream_end", status="completed")
    [block] = [frame for frame in frames if frame["type"] == "stream_block"]
    assert block["block_type"] == "table"
    assert block["data"] == {"headers": ["a", "b"], "rows": [[1, "x"]]}
    assert text(frames[: frames.index(block)]).strip() == "Here:"
    assert text(frames[frames.index(block) :]).strip() == "Done."


async def test_stream_start_waits_for_no_model(stack: Whole, model: Model) -> None:
    release = asyncio.Event()
    model.choice = Reply([release, *answers(TASKS).steps])
    device = await stack.device()
    await device.send("home_request", message="hi")
    await device.expect("stream_start", seq=1)
    release.set()
    await device.until("stream_end", status="completed")


async def test_popup_is_domain_text_end(stack: Whole, model: Model) -> None:
    release = asyncio.Event()
    model.script = lambda _: Reply([release, "Hello ", "world"])
    device = await stack.device()
    request_id = str(uuid4())
    scope = {"type": "task", "id": "t1"}
    await device.send("popup_request", message="hi", scope=scope, request_id=request_id)
    opening = await device.expect("popup_domain", domain="tasks")  # before the first token
    release.set()
    frames = [opening, *await device.until("stream_end", status="completed")]
    check_one_answer(frames, request_id)
    assert {frame["type"] for frame in frames[1:-1]} == {"stream_text"}
    assert text(frames) == "Hello world"
    assert "t1" in str(stack.model.chats[0].messages)  # the agent knows which task it is about


async def test_a_tool_runs_in_between(stack: Whole, model: Model) -> None:
    def script(request: Request) -> Reply:
        results = [m["content"] for m in request.messages if m["role"] == "tool"]
        if not results:
            return calls(Call("list_tasks", {"status": "todo"}), text=["Looking. "])
        return says("Found Ünïcode." if "Ünïcode" in str(results) else "Found nothing.")

    model.script = script
    device = await stack.device()
    await device.send("home_request", message="what is open?")
    frames = await device.until("tool_call")
    call = frames[-1]
    assert call["name"] == "list_tasks"
    assert call["arguments"] == {"status": "todo"}
    assert call["requires_approval"] is False
    assert 29_000 < call["deadline_ms"] <= 30_000
    result = {"items": [{"id": "t1", "title": "Ünïcode"}]}
    await device.send("tool_result", call_id=call["call_id"], result=result)
    frames += await device.until("stream_end", status="completed")
    assert text(frames).split() == ["Looking.", "Found", "Ünïcode."]
    check_one_answer(frames, call["request_id"])


async def test_an_entity_is_shown_as_the_device_has_it(stack: Whole, model: Model) -> None:
    shown = '{"type":"entity_ref","entity":"task","id":"t1"}'
    model.script = in_turn(calls(Call("list_tasks")), says(shown))
    device = await stack.device()
    await device.send("home_request", message="show me")
    call = (await device.until("tool_call"))[-1]
    item = {"id": "t1", "title": "Report", "colour": "red"}
    await device.send("tool_result", call_id=call["call_id"], result={"items": [item]})
    frames = await device.until("stream_end", status="completed")
    [block] = [frame for frame in frames if frame["type"] == "stream_block"]
    assert block["data"] == {"entity": "task", "item": item}


async def test_a_write_tells_the_other_devices(stack: Whole, model: Model) -> None:
    model.script = in_turn(calls(Call("create_task", {"title": "x"})), says("Done."))
    laptop, phone = await stack.device("laptop"), await stack.device("phone")
    stranger = await stack.device("laptop", "grace")
    await laptop.send("home_request", message="add x")
    call = (await laptop.until("tool_call"))[-1]
    item = {"id": "t9", "title": "x"}
    await laptop.send("tool_result", call_id=call["call_id"], result={"item": item})
    end = (await laptop.until("stream_end", status="completed"))[-1]
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


async def test_a_cancel_ends_the_provider_s_call(stack: Whole, model: Model) -> None:
    model.script = lambda _: Reply(["One ", asyncio.Event()])
    device = await stack.device()
    request_id = str(uuid4())
    await device.send("home_request", message="count", request_id=request_id)
    await device.until("stream_text")
    await device.send("cancel", request_id=request_id)
    async with asyncio.timeout(2):
        end = (await device.until("stream_end"))[-1]
        await stack.model.chats[0].closed.wait()
    assert end["status"] == "cancelled"
    assert end["error"]["code"] == "cancelled"
    assert end["usage"]["estimated"] is True


async def test_eight_requests_at_once_end_once_each_in_order(stack: Whole, model: Model) -> None:
    all_there, arrived = asyncio.Event(), 0

    def script(request: Request) -> Reply:
        nonlocal arrived
        arrived += 1
        if arrived == 8:
            all_there.set()
        name = next(word for word in last_said(request).split() if word.endswith("-"))
        return Reply([all_there, *(f"{name}{number} " for number in range(50))])

    model.script = script
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
        said = text(got[request_id]).split()
        assert said == [f"{message}{number}" for number in range(50)]


async def test_the_ninth_request_is_told_to_wait(stack: Whole, model: Model) -> None:
    release = asyncio.Event()
    model.script = lambda _: Reply([release, "Hello"])
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
        await device.until("stream_end", status="completed")


async def test_the_model_is_told_what_the_device_said(stack: Whole, model: Model) -> None:
    device = await stack.device(timezone="Asia/Tokyo", tools=["list_tasks"])
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "what was a?"},
        {"role": "assistant", "content": "a was b"},
    ]
    await device.send("home_request", message="and c?", conversation_history=history)
    await device.until("stream_end", status="completed")
    asked = stack.model.chats[0]
    spoken = [(m["role"], m["content"]) for m in asked.messages if m["role"] != "system"]
    assert spoken[:2] == [("user", "what was a?"), ("assistant", "a was b")]
    assert "and c?" in last_said(asked)
    assert "Asia/Tokyo" in str(asked.messages)
    on_device = [
        name for name in asked.tools if name not in ("remember_preference", "search_memory")
    ]
    assert on_device == ["list_tasks"]
