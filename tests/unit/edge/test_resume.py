"""Resume over real sockets (PROTOCOL §4.5, §4.6): drops, replays, two sockets at once."""

import asyncio
from typing import Any
from uuid import uuid4

from switchboard.v3.frames_pb2 import MutationOp
from tests.support.edge_stack import DeviceSocket, EdgeStack, Frame, edge_stack, eventually
from tests.support.scripted_router import Turn


async def asked(device: DeviceSocket) -> str:
    request_id = str(uuid4())
    await device.send("home_request", message="x", request_id=request_id)
    return request_id


def resume(request_id: str, seq: int) -> dict[str, Any]:
    return {"resume": {"requests": {request_id: seq}}}


def text(frames: list[Frame]) -> str:
    return "".join(frame.get("chunk", "") for frame in frames)


async def test_an_answer_goes_on_over_a_cut(stack: EdgeStack) -> None:
    cut = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.text("one ")
        await cut.wait()
        for number in range(100):
            await turn.text(f"{number} ")
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    request_id = await asked(device)
    before = await device.until("stream_text")
    device.cut()
    cut.set()
    again = await stack.device(**resume(request_id, before[-1]["seq"]))
    assert again.ready["resumed"] == [request_id]
    assert again.ready["session_id"] == device.ready["session_id"]
    after = await again.until("stream_end")
    frames = before + after
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    assert text(frames) == "one " + "".join(f"{number} " for number in range(100))
    assert len(stack.behind.router.turns) == 1


async def test_what_was_sent_but_never_arrived_comes_again(stack: EdgeStack) -> None:
    device = await stack.device()
    request_id = await asked(device)
    first = await device.until("stream_end")
    device.cut()
    again = await stack.device(**resume(request_id, 1))
    assert await again.until("stream_end") == first[1:]


async def test_a_resume_while_the_old_socket_still_looks_alive(stack: EdgeStack) -> None:
    go_on = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.text("one ")
        await go_on.wait()
        await turn.text("two")
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    request_id = await asked(device)
    before = await device.until("stream_text")
    again = await stack.device(**resume(request_id, 2))
    go_on.set()
    assert await device.closed() == 4409
    assert text(before + await again.until("stream_end")) == "one two"


async def test_a_pending_call_comes_again_and_its_result_counts(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        result = await turn.call("create_task", {}, MutationOp.MUTATION_OP_CREATE)
        await turn.text(result.result.utf8.decode())
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    request_id = await asked(device)
    call = (await device.until("tool_call"))[-1]
    device.cut()
    again = await stack.device(**resume(request_id, 1))
    repeat = await again.expect("tool_call", call_id=call["call_id"], seq=2)
    assert repeat["deadline_ms"] <= call["deadline_ms"]
    await again.send("tool_result", call_id=call["call_id"], result={"item": {"id": "a"}})
    await again.send("tool_result", call_id=call["call_id"], result={"item": {"id": "b"}})
    frames = await again.until("stream_end")
    assert text(frames) == '{"item":{"id":"a"}}'
    assert [change["id"] for change in frames[-1]["mutations"]] == ["a"]


async def test_what_waits_for_the_device_comes_again_whatever_it_has_seen(
    stack: EdgeStack,
) -> None:
    async def script(turn: Turn) -> None:
        first, second = turn.call("list_tasks"), turn.call("delete_task", requires_approval=True)
        query = turn.query("t1")
        await turn.text("meanwhile ")
        await first
        await turn.text("one ")
        await asyncio.gather(second, query)
        await turn.text("all")
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    request_id = await asked(device)
    seen = await device.until("stream_text")
    read, approval, query = seen[1:4]
    device.cut()
    again = await stack.device(**resume(request_id, seen[-1]["seq"]))
    assert again.ready["resumed"] == [request_id]
    repeated = [await again.next() for _ in range(3)]
    assert [lasting(frame) for frame in repeated] == [lasting(f) for f in seen[1:4]]
    assert repeated[1]["deadline_ms"] > 290_000
    await again.send("tool_result", call_id=read["call_id"], result={"items": []})
    seen += await again.until("stream_text")
    again.cut()
    # What has its answer is not asked again.
    third = await stack.device(**resume(request_id, seen[-1]["seq"]))
    repeated = [await third.next() for _ in range(2)]
    assert [lasting(frame) for frame in repeated] == [lasting(f) for f in (approval, query)]
    await third.send("tool_result", call_id=approval["call_id"], rejected={})
    await third.send("data_response", query_id=query["query_id"], items=[])
    seen += await third.until("stream_end")
    assert text(seen) == "meanwhile one all"
    assert [frame["seq"] for frame in seen] == list(range(1, len(seen) + 1))


async def test_a_full_journal_drops_no_call_that_waits() -> None:
    async def script(turn: Turn) -> None:
        waiting = turn.call("list_tasks")
        for _ in range(20):
            await turn.text("x" * 1000)
            await asyncio.sleep(0)
        await waiting
        await turn.end()

    async with edge_stack(journal_bytes=2000) as stack:
        stack.behind.router.script = script
        device = await stack.device()
        request_id = await asked(device)
        seen: list[Frame] = []
        while len(text(seen)) < 20_000:
            seen.append(await device.next())
        device.cut()
        again = await stack.device(**resume(request_id, seen[-1]["seq"]))
        call = await again.expect("tool_call", seq=seen[1]["seq"], call_id=seen[1]["call_id"])
        await again.send("tool_result", call_id=call["call_id"], result={"items": []})
        await again.expect("stream_end", seq=seen[-1]["seq"] + 1, status="completed")


def lasting(frame: Frame) -> Frame:
    """All of a frame but the time that remained as it was sent."""
    return {name: value for name, value in frame.items() if name != "deadline_ms"}


async def test_a_call_made_while_the_device_is_away_waits_for_it(stack: EdgeStack) -> None:
    gone = asyncio.Event()

    async def script(turn: Turn) -> None:
        await gone.wait()
        await turn.call()
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    request_id = await asked(device)
    await device.expect("stream_start")
    device.cut()
    (known,) = list(stack.edge.devices)
    await eventually(lambda: known.socket is None)
    gone.set()
    await eventually(lambda: bool(known.session._calls))
    again = await stack.device(**resume(request_id, 1))
    call = await again.expect("tool_call")
    assert call["deadline_ms"] > 29_000
    await again.send("tool_result", call_id=call["call_id"], result={})
    await again.expect("stream_end", status="completed")


async def test_others_requests_and_unknown_ones_are_lost(stack: EdgeStack) -> None:
    never = asyncio.Event()

    async def script(turn: Turn) -> None:
        await never.wait()

    stack.behind.router.script = script
    owner = await stack.device()
    request_id = await asked(owner)
    await owner.expect("stream_start")
    thief = await stack.device(user_id="user-2", **resume(request_id, 0))
    assert (thief.ready["resumed"], thief.ready["lost"]) == ([], [request_id])
    phone = await stack.device("phone", **resume(request_id, 0))
    assert phone.ready["lost"] == [request_id]
    await owner.send("ping")
    await owner.expect("pong")


async def test_after_the_window_it_is_lost_and_the_agent_goes_on_without() -> None:
    done = asyncio.Event()

    async def script(turn: Turn) -> None:
        result = await turn.call()
        assert result.error.code == "device_gone"
        await turn.end()
        done.set()

    async with edge_stack(resume_window_s=0.2) as stack:
        stack.behind.router.script = script
        device = await stack.device()
        request_id = await asked(device)
        await device.until("tool_call")
        device.cut()
        async with asyncio.timeout(5):
            await done.wait()
        await eventually(lambda: not stack.edge.devices.running)
        again = await stack.device(**resume(request_id, 2))
        assert again.ready["lost"] == [request_id]


async def test_nothing_is_left_of_a_device_that_went_away() -> None:
    async with edge_stack(resume_window_s=0.1) as stack:
        device = await stack.device()
        await asked(device)
        await device.until("stream_end")
        await device.close()
        await eventually(lambda: not list(stack.edge.devices))
