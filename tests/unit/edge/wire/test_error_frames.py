"""What is refused, and that whoever waits for it is told at once (PROTOCOL §3, §5)."""

import json
from typing import Any
from uuid import uuid4

import pytest

from switchboard.v3.frames_pb2 import MutationOp
from tests.support.edge_stack import EdgeStack, Frame, edge_stack
from tests.support.scripted_router import Turn

ASK = '{"type":"home_request","request_id":"%s","message":"hi"%s}'


# Requests.


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (',"conversation_history":[{"role":"system","content":"x"}]', "invalid_frame"),
        (',"session_id":""', "invalid_frame"),
        (',"message":"twice"', "invalid_frame"),
        (',"temperature":NaN', "invalid_frame"),
        (',"a":' + "[" * 2000 + "]" * 2000, "invalid_frame"),
        (',"conversation_history":' + json.dumps([{"role": "user", "content": "x"}] * 201), None),
    ],
)
async def test_a_request_that_is_refused_is_named_and_never_began(
    stack: EdgeStack, rest: str, code: str | None
) -> None:
    device, request_id = await stack.device(), str(uuid4())
    await device.ws.send_str(ASK % (request_id, rest))
    error = await device.expect("error", code=code or "history_too_long")
    assert error["request_id"] == request_id
    assert error["ref"] == {"type": "home_request", "id": request_id}
    # So it may be asked under this name.
    await device.ws.send_str(ASK % (request_id, ""))
    assert (await device.until("stream_end"))[-1]["status"] == "completed"


@pytest.mark.parametrize("request_id", ["no UUID", "x" * 5000, "ünï \N{PILE OF POO}"])
async def test_a_request_is_named_as_its_client_named_it(stack: EdgeStack, request_id: str) -> None:
    device = await stack.device()
    await device.send("popup_request", message="x", scope={"type": "task"}, request_id=request_id)
    error = await device.expect("error", code="invalid_frame", request_id=request_id[:128])
    assert error["ref"] == {"type": "popup_request", "id": request_id[:128]}


async def test_a_duplicate_is_named_and_the_one_that_runs_goes_on(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        await turn.call()
        await turn.end()

    stack.behind.router.script = script
    device, request_id = await stack.device(), str(uuid4())
    for _ in range(2):
        await device.ws.send_str(ASK % (request_id, ""))
    seen = await device.until("error", code="duplicate_request", request_id=request_id)
    call = next((f for f in seen if f["type"] == "tool_call"), None)
    call = call or (await device.until("tool_call"))[-1]
    await device.send("tool_result", call_id=call["call_id"], result={})
    await device.until("stream_end", status="completed")


@pytest.mark.parametrize(
    ("frame", "ref"),
    [
        ({"type": "cancel", "request_id": 5}, {"type": "cancel"}),
        ({"type": "teleport", "request_id": "r"}, {"type": "teleport", "id": "r"}),
        ({"type": "tool_result", "call_id": "c", "request_id": "r"}, None),
        ({"type": "tool_result", "call_id": "c", "request_id": "r", "result": 1}, None),
        ({"type": "mutation", "mutation_id": "c", "request_id": "r"}, None),
        ({"type": "x" * 500, "request_id": "y" * 500}, {"type": "x" * 128, "id": "y" * 128}),
    ],
)
async def test_only_an_error_about_a_request_carries_its_id_at_the_top(
    stack: EdgeStack, frame: Frame, ref: Frame | None
) -> None:
    device = await stack.device()
    await device.ws.send_str(json.dumps(frame))
    error = await device.expect("error")
    assert "request_id" not in error
    assert error["ref"] == (ref or {"type": frame["type"], "id": "c"})


async def test_strings_cut_in_the_middle_of_a_character_are_taken(stack: EdgeStack) -> None:
    device = await stack.device()
    history = r',"conversation_history":[{"role":"user","content":"\udc00"}]'
    await device.ws.send_str(ASK.replace("hi", r"a\ud83d") % (str(uuid4()), history))
    assert (await device.until("stream_end"))[-1]["status"] == "completed"
    start = stack.behind.router.turns[0].start
    assert start.message == "a\ufffd"
    assert start.conversation_history[0].content == "\ufffd"
    body = rb'{"message":"\ud83d\ude00 \ude00"}'
    assert (await stack.call("POST", "/api/v1/chat", data=body))[0] == 200
    assert stack.behind.router.turns[1].start.message == "😀 \ufffd"


# Results.


BAD_RESULTS = [
    '{"type":"tool_result","call_id":"%s"}',
    '{"type":"tool_result","call_id":"%s","result":1,"error":{"code":"a","message":"b"}}',
    '{"type":"tool_result","call_id":"%s","error":"a word"}',
    '{"type":"tool_result","call_id":"%s","error":{"code":5}}',
    '{"type":"tool_result","result":{"a":1,"a":2},"call_id":"%s"}',
    '{"type":"tool_result","result":{"a":NaN},"call_id":"%s"}',
    '{"type":"tool_result","call_id":"%s","result":{"call_id":"other","a":',
    '{"type":"tool_result","call_id":"%s","result":' + "[" * 400 + "]" * 400 + "}",
    '{"type":"tool_result","call_id":"%s","result":' + "[" * 4000 + "]" * 4000 + "}",
]


@pytest.mark.parametrize("text", BAD_RESULTS)
@pytest.mark.parametrize("binary", [False, True])
async def test_of_a_result_that_cannot_be_read_the_agent_hears_at_once(
    stack: EdgeStack, text: str, binary: bool
) -> None:
    async def script(turn: Turn) -> None:
        result = await turn.call()
        await turn.text(f"{result.error.code}: {result.error.message}")
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    await device.send("home_request", message="x")
    call = (await device.until("tool_call"))[-1]
    sent = text % call["call_id"]
    await (device.ws.send_bytes(sent.encode()) if binary else device.ws.send_str(sent))
    error = await device.expect("error", code="invalid_frame")
    assert error["ref"] == {"type": "tool_result", "id": call["call_id"]}
    seen = await device.until("stream_end", status="completed")
    assert seen[0]["chunk"].startswith("invalid_result: ")
    assert call["call_id"] not in seen[0]["chunk"]


async def test_of_an_answer_to_a_query_the_same_holds(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        await turn.text((await turn.query("t1")).error.code)
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    await device.send("home_request", message="x")
    asked = (await device.until("data_request"))[-1]
    await device.send("data_response", query_id=asked["query_id"], items={"t1": {}})
    await device.expect("error", code="invalid_frame")
    await device.expect("stream_text", chunk="invalid_result")


async def test_a_good_result_after_a_bad_one_is_late_but_its_change_is_told(
    stack: EdgeStack,
) -> None:
    async def script(turn: Turn) -> None:
        await turn.call("create_task", effect=MutationOp.MUTATION_OP_CREATE)
        await turn.cancelled.wait()

    stack.behind.router.script = script
    device, phone = await stack.device(), await stack.device("phone")
    await device.send("home_request", message="x")
    call = (await device.until("tool_call"))[-1]
    await device.send("tool_result", call_id=call["call_id"])
    await device.expect("error", code="invalid_frame")
    await device.send("tool_result", call_id=call["call_id"], result={"item": {"id": "t"}})
    await device.expect("error", code="tool_call_expired")
    await phone.expect("mutation", id="t")


async def test_a_bad_result_of_no_call_gets_one_error_only(stack: EdgeStack) -> None:
    device = await stack.device()
    await device.send("tool_result", call_id="nobody's")
    await device.expect("error", code="invalid_frame")
    await device.send("ping")
    await device.expect("pong")


# What is switched on.


async def test_names_that_nobody_knows_are_told(stack: EdgeStack) -> None:
    await stack.catalogued()
    device = await stack.device(tools=["list_tasks", "list_taks", "list_taks", "x" * 500])
    assert device.ready["catalogue"] == {
        "tools": ["list_tasks"],
        "agents": ["general_agent", "task_agent"],
        "entities": ["task", "project", "note", "checkpoint"],
        "unknown": ["list_taks", "x" * 128],
    }
    many = await stack.device("phone", tools=[f"tool_{n}" for n in range(10_000)])
    assert len(many.ready["catalogue"]["unknown"]) == 64
    silent = await stack.device("pad")
    assert silent.ready["catalogue"]["unknown"] == []


async def test_a_hello_waits_for_nobody_to_tell_what_is_on() -> None:
    async with edge_stack(router_addr="127.0.0.1:1") as stack:
        assert "catalogue" not in (await stack.device(tools=["anything"])).ready


# Upgrades.


def reason(text: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


async def test_a_browser_is_told_of_the_limit_by_a_close() -> None:
    async with edge_stack(hellos_per_minute=1) as stack:
        await stack.device()
        turned_away = await stack.open(headers={"Origin": "http://localhost:5173"})
        message = await turned_away.ws.receive(10)
        assert message.data == 4529
        told = reason(message.extra)
        assert told["code"] == "rate_limited"
        assert 0 < told["retry_after_ms"] <= 60_000


async def test_a_browser_is_told_of_a_drain_by_a_close(stack: EdgeStack) -> None:
    stack.edge.devices.draining = True
    turned_away = await stack.open(headers={"Origin": "null"})
    message = await turned_away.ws.receive(10)
    assert (message.data, reason(message.extra)) == (4503, {"code": "service_unavailable"})


async def test_who_sends_too_fast_is_told_for_how_long_to_wait() -> None:
    async with edge_stack(frames_per_second=1) as stack:
        device = await stack.device()
        for _ in range(150):
            await device.send("ping")
        while (message := await device.ws.receive(10)).type.name == "TEXT":
            pass
        assert message.data == 4529
        assert reason(message.extra)["retry_after_ms"] > 0
