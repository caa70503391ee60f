"""POST /chat (PROTOCOL §7): its id, what a failed one tells, and devices that go away."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from edge.session.device_session import RETURN_S
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import EndStatus, MutationOp, SkippedBlock
from tests.support.edge_stack import EdgeStack, eventually
from tests.support.scripted_router import USAGE, Turn

CREATE = MutationOp.MUTATION_OP_CREATE
CREATED = {"item": {"id": "t1", "title": "x"}}
AT_ONCE_S = RETURN_S + 3
"""Far less than the resume window of 60 s, for which a socket's request would be held."""


def chat(stack: EdgeStack, **fields: object) -> "asyncio.Task[tuple[int, Any]]":
    asked = {"message": "x", **fields}
    return asyncio.create_task(stack.call("POST", "/api/v1/chat", json=asked))


async def test_what_a_failed_one_did_and_said_is_told(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        await turn.routed("task_agent")
        await turn.call("create_task", effect=CREATE)
        await turn.text("I made it, and ")
        await turn.block({"headers": ["a"], "rows": [[1]]})
        error = SwitchboardError(ErrorCode.ERROR_CODE_MODEL_TRUNCATED, "It broke off.")
        await turn.end(EndStatus.END_STATUS_FAILED, error)

    stack.behind.router.script = script
    device, request_id = await stack.device(), str(uuid4())
    asked = chat(stack, request_id=request_id)
    call = await device.expect("tool_call", request_id=request_id)
    await device.send("tool_result", call_id=call["call_id"], result=CREATED)
    status, answer = await asked
    assert status == 502
    (mutation,) = answer.pop("mutations")
    assert (mutation["op"], mutation["data"]) == ("create", CREATED["item"])
    assert answer == {
        "error": {"code": "model_truncated", "message": "It broke off.", "retryable": True},
        "request_id": request_id,
        "agent": "task_agent",
        "response": "I made it, and ",
        "blocks": [{"block_type": "table", "data": {"headers": ["a"], "rows": [[1]]}}],
        "usage": {"input_tokens": 7, "output_tokens": 5, "model_calls": 2},
    }


async def test_blocks_that_were_left_out_are_told(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        end = {"status": EndStatus.END_STATUS_COMPLETED, "usage": USAGE}
        skipped = [SkippedBlock(block_type="chart", reason="no data")]
        await turn.frame(stream_end={**end, "skipped": skipped})

    stack.behind.router.script = script
    status, answer = await chat(stack)
    assert (status, answer["skipped"]) == (200, [{"block_type": "chart", "reason": "no data"}])


async def test_a_request_of_rest_has_the_id_that_its_caller_gives_and_runs_once(
    stack: EdgeStack,
) -> None:
    goes_on = asyncio.Event()

    async def script(turn: Turn) -> None:
        await goes_on.wait()
        await turn.end()

    stack.behind.router.script = script
    device, request_id = await stack.device(), str(uuid4())
    first, second = chat(stack, request_id=request_id), chat(stack, request_id=request_id)
    done, _ = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
    status, answer = done.pop().result()
    error = answer["error"]
    assert (status, error["code"], error["retryable"]) == (409, "duplicate_request", False)
    await device.send("home_request", message="x", request_id=request_id)
    await device.expect("error", code="duplicate_request", request_id=request_id)
    goes_on.set()
    results = [await each for each in (first, second)]
    assert sorted(status for status, _ in results) == [200, 409]
    assert [turn.request_id for turn in stack.behind.router.turns] == [request_id]
    assert (await chat(stack, request_id="no UUID"))[0] == 400
    assert (await chat(stack, request_id=5))[0] == 400
    assert (await chat(stack, request_id=None))[0] == 200


async def test_what_a_dead_device_was_to_read_another_one_reads(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        for _ in range(2):
            result = await turn.call("list_tasks")
            await turn.text(result.result.utf8.decode(), " ")
        await turn.end()

    stack.behind.router.script = script
    phone, laptop = await stack.device("phone"), await stack.device("laptop")
    asked = chat(stack)
    first = await laptop.expect("tool_call", seq=1)
    await laptop.send("tool_result", call_id=first["call_id"], result=1)
    held = await laptop.expect("tool_call", seq=2)
    laptop.cut()
    async with asyncio.timeout(AT_ONCE_S):
        moved = await phone.expect("tool_call", seq=1, call_id=held["call_id"])
        assert moved["arguments"] == held["arguments"]
        assert 20_000 < moved["deadline_ms"] <= 30_000
        await phone.send("tool_result", call_id=moved["call_id"], result=2)
        await phone.expect("stream_end", seq=2, status="completed")
        status, answer = await asked
    assert (status, answer["response"]) == (200, "1 2 ")
    # Who comes back late is told that it is.
    again = await stack.device("laptop")
    await again.send("tool_result", call_id=held["call_id"], result=3)
    await again.expect("error", code="tool_call_expired")
    await phone.close()
    await again.close()
    await eventually(lambda: not stack.edge.devices.running)


async def test_what_a_dead_device_may_have_written_no_other_one_writes_again(
    stack: EdgeStack,
) -> None:
    async def script(turn: Turn) -> None:
        written = await turn.call("create_task", effect=CREATE)
        result = await turn.call("list_tasks")
        await turn.text(written.error.code, " ", result.result.utf8.decode())
        await turn.end()

    stack.behind.router.script = script
    phone, laptop = await stack.device("phone"), await stack.device("laptop")
    asked = chat(stack)
    written = await laptop.expect("tool_call", name="create_task")
    laptop.cut()
    async with asyncio.timeout(AT_ONCE_S):
        call = await phone.expect("tool_call", name="list_tasks")
        await phone.send("tool_result", call_id=call["call_id"], result=[])
        status, answer = await asked
    assert (status, answer["response"]) == (200, "device_gone []")
    # It had made it: that is told, late, to whom it concerns.
    again = await stack.device("laptop")
    await again.send("tool_result", call_id=written["call_id"], result=CREATED)
    await phone.until("mutation", id="t1")


async def test_with_no_other_device_the_agent_is_told_at_once(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        await turn.text((await turn.call("list_tasks")).error.code)
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    asked = chat(stack)
    await device.expect("tool_call")
    device.cut()
    async with asyncio.timeout(AT_ONCE_S):
        status, answer = await asked
    assert (status, answer["response"]) == (200, "device_gone")
    await eventually(lambda: not stack.edge.devices.running)


async def test_a_device_that_comes_straight_back_goes_on(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        result = await turn.call("create_task", effect=CREATE)
        await turn.text(result.WhichOneof("outcome"))
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    asked = chat(stack)
    call = await device.expect("tool_call")
    device.cut()
    again = await stack.device()
    repeated = await again.expect("tool_call", call_id=call["call_id"], seq=call["seq"])
    await again.send("tool_result", call_id=repeated["call_id"], result=CREATED)
    assert (await asked)[1]["response"] == "result"


@pytest.mark.parametrize("devices", [1, 2])
async def test_a_turn_that_needs_no_device_any_more_is_not_disturbed(
    stack: EdgeStack, devices: int
) -> None:
    gone = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.text("one ")
        await gone.wait()
        await turn.text("two")
        await turn.end()

    stack.behind.router.script = script
    others = [await stack.device(f"other-{n}") for n in range(devices - 1)]
    device = await stack.device()
    asked = chat(stack)
    await stack.behind.router.turn()
    device.cut()
    (known,) = [d for d in stack.edge.devices if d.session.device_id == "laptop"]
    await eventually(lambda: all(each.abandoned for each in known.session._answers))
    gone.set()
    assert (await asked)[1]["response"] == "one two"
    for other in others:
        await other.expect("stream_end", seq=1)
