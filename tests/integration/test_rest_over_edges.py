"""A request of REST whose device dies, and the user's other device is at another edge."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from edge.session.device_session import RETURN_S
from switchboard.v3.frames_pb2 import MutationOp
from tests.support.edge_stack import EdgeStack, eventually
from tests.support.edges import Pair, pair
from tests.support.scripted_router import Turn

CREATE = MutationOp.MUTATION_OP_CREATE
CREATED = {"item": {"id": "t1", "title": "x"}}
AT_ONCE_S = RETURN_S + 4
"""Far less than a call's deadline of 30 s."""


@pytest.fixture
async def two() -> AsyncIterator[Pair]:
    async with pair() as found:
        yield found


def chat(stack: EdgeStack) -> "asyncio.Task[tuple[int, Any]]":
    return asyncio.create_task(stack.call("POST", "/api/v1/chat", json={"message": "x"}))


async def reads_twice(turn: Turn) -> None:
    for _ in range(2):
        result = await turn.call("list_tasks")
        await turn.text(result.error.code or result.result.utf8.decode(), " ")
    await turn.end()


async def nothing_is_left(two: Pair) -> None:
    for stack in (two.a, two.b):
        await eventually(lambda stack=stack: not stack.edge.devices.running)


@pytest.mark.parametrize("asked_at", ["a", "b"])
async def test_what_a_dead_device_was_to_read_one_at_another_edge_reads(
    two: Pair, asked_at: str
) -> None:
    two.run(reads_twice)
    phone = await two.b.device("phone")
    laptop = await two.a.device("laptop")
    asked = chat(getattr(two, asked_at))
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
    again = await two.b.device("laptop")
    await again.send("tool_result", call_id=held["call_id"], result=3)
    await again.expect("error", code="tool_call_expired")
    await nothing_is_left(two)


async def test_a_change_that_another_edges_device_makes_is_its_own(two: Pair) -> None:
    asked_first = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.call("list_tasks")
        await asked_first.wait()
        await turn.call("create_task", effect=CREATE)
        await turn.end()

    two.run(script)
    phone, laptop = await two.b.device("phone"), await two.a.device("laptop")
    asked = chat(two.a)
    await laptop.expect("tool_call")
    laptop.cut()
    call = await phone.expect("tool_call", name="list_tasks")
    watch = await two.a.device("watch")
    await phone.send("tool_result", call_id=call["call_id"], result=[])
    asked_first.set()
    call = await phone.expect("tool_call", name="create_task")
    await phone.send("tool_result", call_id=call["call_id"], result=CREATED)
    told = await watch.expect("mutation", id="t1")
    assert told["origin"]["device_id"] == "phone"
    status, answer = await asked
    assert (status, [each["op"] for each in answer["mutations"]]) == (200, ["create"])
    await phone.expect("stream_end")  # and no mutation of its own


async def test_what_a_dead_device_may_have_written_no_edge_asks_for_again(two: Pair) -> None:
    async def script(turn: Turn) -> None:
        written = await turn.call("create_task", effect=CREATE)
        read = await turn.call("list_tasks")
        await turn.text(written.error.code, " ", read.result.utf8.decode())
        await turn.end()

    two.run(script)
    phone, laptop = await two.b.device("phone"), await two.a.device("laptop")
    asked = chat(two.a)
    await laptop.expect("tool_call", name="create_task")
    laptop.cut()
    async with asyncio.timeout(AT_ONCE_S):
        call = await phone.expect("tool_call", name="list_tasks")
        await phone.send("tool_result", call_id=call["call_id"], result=[])
        assert (await asked)[1]["response"] == "device_gone []"


async def test_from_death_to_death_it_goes_back_to_who_returned(two: Pair) -> None:
    two.run(reads_twice)
    phone, laptop = await two.b.device("phone"), await two.a.device("laptop")
    asked = chat(two.a)
    held = await laptop.expect("tool_call")
    laptop.cut()
    await phone.expect("tool_call", call_id=held["call_id"])
    laptop = await two.a.device("laptop")
    phone.cut()
    for number in (1, 2):
        call = await laptop.expect("tool_call")
        assert (call["call_id"] == held["call_id"]) == (number == 1)
        await laptop.send("tool_result", call_id=call["call_id"], result=number)
    assert (await asked)[1]["response"] == "1 2 "
    await nothing_is_left(two)


async def test_it_follows_its_second_device_from_edge_to_edge(two: Pair) -> None:
    two.run(reads_twice)
    phone, laptop = await two.b.device("phone"), await two.a.device("laptop")
    asked = chat(two.a)
    await laptop.expect("tool_call")
    laptop.cut()
    call = await phone.expect("tool_call")
    await phone.send("tool_result", call_id=call["call_id"], result=1)
    held = await phone.expect("tool_call")
    phone.cut()
    phone = await two.a.device("phone")
    again = await phone.until("tool_call", call_id=held["call_id"])
    await phone.send("tool_result", call_id=again[-1]["call_id"], result=2)
    assert (await asked)[1]["response"] == "1 2 "


async def test_a_device_that_is_found_and_gone_again_is_not_waited_for(
    two: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(user_id: str) -> str:
        return "phone"

    two.run(reads_twice)
    monkeypatch.setattr(two.a.edge.devices.others, "heir", found)
    laptop = await two.a.device("laptop")
    asked = chat(two.a)
    await laptop.expect("tool_call")
    laptop.cut()
    async with asyncio.timeout(RETURN_S + AT_ONCE_S):
        assert (await asked)[1]["response"] == "device_gone device_gone "
    await nothing_is_left(two)


async def test_a_device_that_is_slow_to_read_at_its_new_edge_is_given_time(
    two: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.run(reads_twice)
    others = two.a.edge.devices.others
    offer, offered = others.offer, asyncio.Event()

    def late(*told: str) -> None:
        if offered.is_set():
            offer(*told)
        offered.set()  # the first one got lost

    monkeypatch.setattr(others, "offer", late)
    laptop = await two.a.device("laptop")
    asked = chat(two.a)
    held = await laptop.expect("tool_call")
    laptop.cut()
    moved = await two.b.device("laptop")
    for number in (1, 2):
        call = await moved.expect("tool_call")
        assert (call["call_id"] == held["call_id"]) == (number == 1)
        await moved.send("tool_result", call_id=call["call_id"], result=number)
    assert (await asked)[1]["response"] == "1 2 "
    assert offered.is_set()
    await nothing_is_left(two)


async def test_with_no_device_at_any_edge_the_agent_is_told_at_once(two: Pair) -> None:
    two.run(reads_twice)
    laptop = await two.a.device("laptop")
    asked = chat(two.b)
    await laptop.expect("tool_call")
    laptop.cut()
    async with asyncio.timeout(AT_ONCE_S):
        assert (await asked)[1]["response"] == "device_gone device_gone "
    await nothing_is_left(two)
