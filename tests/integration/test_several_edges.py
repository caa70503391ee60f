"""Several edges as one (PROTOCOL §4.5, §4.10): a device that moves from edge to edge, and
edges and brokers that die. Real sockets, real gRPC, a real NATS server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import pytest

from edge.cluster.nats import subject
from switchboard.v3.frames_pb2 import EndStatus, MutationOp
from tests.support.edge_stack import DeviceSocket, EdgeStack, Frame, eventually
from tests.support.edges import Pair, met, pair
from tests.support.scripted_router import Turn

CREATED = {"item": {"id": "t1", "title": "x"}}


@pytest.fixture
async def two() -> AsyncIterator[Pair]:
    async with pair() as found:
        yield found


async def asked(device: DeviceSocket, request_id: str = "") -> str:
    request_id = request_id or str(uuid4())
    await device.send("home_request", message="x", request_id=request_id)
    return request_id


def resume(request_id: str, frames: list[Frame]) -> dict[str, Any]:
    return {"resume": {"requests": {request_id: frames[-1]["seq"] if frames else 0}}}


def whole(frames: list[Frame]) -> str:
    """The text of frames that must be all of an answer, each once, in order."""
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    assert [frame["type"] for frame in frames].count("stream_end") == 1
    return "".join(frame.get("chunk", "") for frame in frames)


async def test_an_answer_goes_on_at_another_edge(two: Pair) -> None:
    moved = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.text("one ")
        await moved.wait()
        for number in range(300):
            await turn.text(f"{number} ")
        await turn.end()

    two.run(script)
    device = await two.a.device()
    request_id = await asked(device)
    before = await device.until("stream_text")
    device.cut()
    again = await two.b.device(**resume(request_id, before))
    assert again.ready["resumed"] == [request_id]
    assert "lost" not in again.ready or again.ready["lost"] == []
    moved.set()
    after = await again.until("stream_end")
    assert whole(before + after) == "one " + "".join(f"{number} " for number in range(300))
    assert after[-1]["status"] == "completed"
    assert len(two.a.behind.router.turns) == 1


async def test_a_resume_while_the_old_socket_looks_alive_supersedes_it(two: Pair) -> None:
    moved = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.text("one ")
        await moved.wait()
        await turn.text("two")
        await turn.end()

    two.run(script)
    device = await two.a.device()
    request_id = await asked(device)
    before = await device.until("stream_text")
    again = await two.b.device(**resume(request_id, before))
    assert await device.closed() == 4409
    moved.set()
    assert whole(before + await again.until("stream_end")) == "one two"


async def test_a_note_that_comes_late_never_supersedes_the_later_hello(
    two: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[Callable[[], None]] = []
    others = two.a.edge.devices.others
    arrived = others.arrived
    monkeypatch.setattr(others, "arrived", lambda *told: notes.append(lambda: arrived(*told)))
    watcher = await two.b.device("phone")  # so that its edge hears of the user
    older = await two.a.device()
    await hears(two.a)  # its own note, which would be answered, is held back
    newer = await two.b.device()
    assert await older.closed() == 4409
    notes.pop()()
    await others_heard(two, watcher)
    await newer.send("ping", nonce="here")
    await newer.until("pong", nonce="here")


async def test_an_older_hello_that_was_slow_gives_way_to_the_later_one(
    two: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = asyncio.Event()

    async def nothing_found(*_: Any) -> dict[str, Any]:
        await goes_on.wait()
        return {}

    monkeypatch.setattr(two.a.edge.devices.others, "resume", nothing_found)
    older = await two.a.open(two.a.token())
    await older.send("device_hello", device_id="laptop")
    await eventually(lambda: two.a.edge.devices.welcoming)
    newer = await two.b.device()
    goes_on.set()
    assert await older.closed() == 4409
    await newer.send("ping", nonce="here")
    await newer.expect("pong", nonce="here")


async def hears(stack: EdgeStack) -> None:
    """Returns once this edge's subscription for the user is in force."""
    broker = stack.edge.devices.others._broker  # type: ignore[attr-defined]
    await eventually(lambda: subject("user", "user-1") in broker._heard)
    assert await broker._alive()


async def others_heard(two: Pair, watcher: DeviceSocket) -> None:
    """Returns once edge b has heard all that edge a told it: notes keep their order."""
    pager = await two.a.device("pager")
    mutation = {"op": "update", "entity": "task", "id": "t1", "data": {"id": "t1"}}
    await pager.send("mutation", mutation_id=str(uuid4()), **mutation)
    await watcher.until("mutation")


async def test_a_pending_tool_call_is_answered_by_way_of_the_other_edge(two: Pair) -> None:
    async def script(turn: Turn) -> None:
        result = await turn.call("create_task", effect=MutationOp.MUTATION_OP_CREATE)
        await turn.text(result.result.utf8.decode())
        await turn.end()

    two.run(script)
    device, watcher = await two.a.device(), await two.a.device("phone")
    request_id = await asked(device)
    before = await device.until("tool_call")
    device.cut()
    again = await two.b.device(**resume(request_id, before[:-1]))
    repeated = await again.expect("tool_call", call_id=before[-1]["call_id"])
    assert 0 < repeated["deadline_ms"] <= 30_000
    assert {**repeated, "deadline_ms": 0} == {**before[-1], "deadline_ms": 0}
    await again.send("tool_result", call_id=repeated["call_id"], result=CREATED)
    after = await again.until("stream_end")
    assert whole(before + after) == '{"item":{"id":"t1","title":"x"}}'
    assert [each["id"] for each in after[-1]["mutations"]] == ["t1"]
    told = await watcher.expect("mutation", op="create", id="t1")
    assert told["origin"] == {"device_id": "laptop", "request_id": request_id}
    await silent(again)


async def test_a_cancel_by_way_of_the_other_edge_ends_the_request(two: Pair) -> None:
    async def script(turn: Turn) -> None:
        await turn.text("one")
        await turn.cancelled.wait()  # the edge has the last word

    two.run(script)
    device = await two.a.device()
    request_id = await asked(device)
    before = await device.until("stream_text")
    device.cut()
    again = await two.b.device(**resume(request_id, before))
    began = time.monotonic()
    await again.send("cancel", request_id=request_id)
    after = await again.until("stream_end", status="cancelled")
    assert time.monotonic() - began < 1.2
    whole(before + after)
    assert (await two.a.behind.router.turn()).cancelled.is_set()


async def test_it_may_move_on_and_back(two: Pair) -> None:
    goes_on = asyncio.Semaphore(0)

    async def script(turn: Turn) -> None:
        for number in range(6):
            await turn.text(f"{number} ")
            await goes_on.acquire()
        await turn.end()

    two.run(script)
    device = await two.a.device()
    request_id = await asked(device)
    frames = await device.until("stream_text")
    for edge in (two.b, two.a, two.b, two.b, two.a):
        device.cut()
        device = await edge.device(**resume(request_id, frames))
        assert device.ready["resumed"] == [request_id]
        goes_on.release()
        frames += await device.until("stream_text")
    goes_on.release()
    frames += await device.until("stream_end")
    assert whole(frames) == "0 1 2 3 4 5 "


async def test_a_finished_answer_is_kept_for_the_other_edge(two: Pair) -> None:
    device = await two.a.device()
    request_id = await asked(device)
    frames = await device.until("stream_end")
    device.cut()
    again = await two.b.device(**resume(request_id, frames[:1]))
    assert await again.until("stream_end") == frames[1:]


async def test_what_nobody_has_is_lost_at_once(two: Pair) -> None:
    device = await two.a.device()
    request_id = await asked(device)
    await device.until("stream_end")
    theirs, nobodys = str(uuid4()), "no UUID. * >"
    began = time.monotonic()
    # Another device's, an unknown one, and one that is no id at all.
    other = await two.b.device("phone", resume={"requests": {request_id: 1, theirs: 0, nobodys: 0}})
    assert time.monotonic() - began < 1
    assert sorted(other.ready["lost"]) == sorted([request_id, theirs, nobodys])
    stranger = await two.b.device("laptop", "user-2", resume={"requests": {request_id: 1}})
    assert stranger.ready["lost"] == [request_id]
    assert (await two.b.device(resume={"requests": {request_id: 99}})).ready["lost"] == [request_id]


async def test_a_request_that_runs_elsewhere_is_a_duplicate(two: Pair) -> None:
    hold = asyncio.Event()

    async def script(turn: Turn) -> None:
        await hold.wait()
        await turn.end()

    two.run(script)
    first, second = await two.a.device(), await two.b.device("phone")
    request_id = await asked(first)
    await first.expect("stream_start")
    await asked(second, request_id)
    error = await second.expect("error", code="duplicate_request")
    assert error["ref"] == {"type": "home_request", "id": request_id}
    await asked(second)  # another one is welcome
    await second.expect("stream_start")
    hold.set()
    await asyncio.gather(first.until("stream_end"), second.until("stream_end"))
    assert len(two.a.behind.router.turns) == 2


async def test_of_two_edges_that_are_asked_at_once_one_runs_it(two: Pair) -> None:
    laptop, phone = await two.a.device(), await two.b.device("phone")
    for times in range(1, 21):
        request_id = str(uuid4())
        await asyncio.gather(asked(laptop, request_id), asked(phone, request_id))
        first, second = await asyncio.gather(laptop.next(), phone.next())
        assert sorted([first["type"], second["type"]]) == ["error", "stream_start"]
        ran, refused = (laptop, second) if first["type"] == "stream_start" else (phone, first)
        assert (refused["code"], refused["request_id"]) == ("duplicate_request", request_id)
        assert (await ran.until("stream_end"))[-1]["status"] == "completed"
        assert len(two.a.behind.router.turns) == times


async def test_a_request_that_was_refused_may_be_asked_at_the_other_edge(two: Pair) -> None:
    laptop, phone = await two.a.device(), await two.b.device("phone")
    request_id = str(uuid4())
    bad = [{"role": "user", "content": "x"}] * 201
    await laptop.send("home_request", message="x", request_id=request_id, conversation_history=bad)
    await laptop.expect("error", code="history_too_long", request_id=request_id)
    await asked(phone, request_id)
    assert whole(await phone.until("stream_end")) == "Hello world"


async def test_a_call_that_waits_is_said_again_at_the_other_edge_whatever_was_seen(
    two: Pair,
) -> None:
    async def script(turn: Turn) -> None:
        result = turn.call("delete_task", requires_approval=True)
        await turn.text("meanwhile ")
        await turn.text((await result).WhichOneof("outcome"))
        await turn.end()

    two.run(script)
    device = await two.a.device()
    request_id = await asked(device)
    seen = await device.until("stream_text")
    for edge in (two.b, two.a, two.b):
        device.cut()
        device = await edge.device(**resume(request_id, seen))
        call = await device.expect("tool_call", call_id=seen[1]["call_id"], seq=seen[1]["seq"])
        assert call["deadline_ms"] > 200_000
    await device.send("tool_result", call_id=call["call_id"], rejected={})
    assert whole(seen + await device.until("stream_end")) == "meanwhile rejected"


@pytest.mark.parametrize("resumed", [True, False])
async def test_of_a_bad_result_at_the_other_edge_the_agent_hears_at_once(
    two: Pair, resumed: bool
) -> None:
    async def script(turn: Turn) -> None:
        await turn.text((await turn.call(effect=MutationOp.MUTATION_OP_CREATE)).error.code)
        await turn.end()

    two.run(script)
    device, phone = await two.a.device(), await two.a.device("phone")
    request_id = await asked(device)
    seen = await device.until("tool_call")
    device.cut()
    again = await two.b.device(**(resume(request_id, seen) if resumed else {}))
    if resumed:
        await again.expect("tool_call")
    call_id = seen[-1]["call_id"]
    await again.send("tool_result", call_id=call_id)
    await again.expect("error", code="invalid_frame", ref={"type": "tool_result", "id": call_id})
    turn = await two.a.behind.router.turn()
    await eventually(lambda: turn.results)
    assert [result.error.code for result in turn.results] == ["invalid_result"]
    if resumed:
        assert whole(seen + await again.until("stream_end")) == "invalid_result"
    # The right answer comes too late for the agent, and its change is one.
    await again.send("tool_result", call_id=call_id, result=CREATED)
    await again.expect("error", code="tool_call_expired")
    await phone.expect("mutation", id="t1")


async def test_the_right_result_may_follow_a_bad_one_at_once(two: Pair) -> None:
    async def script(turn: Turn) -> None:
        await turn.call(effect=MutationOp.MUTATION_OP_CREATE)
        await turn.end()

    two.run(script)
    device, phone = await two.a.device(), await two.a.device("phone")
    await asked(device)
    call_id = (await device.until("tool_call"))[-1]["call_id"]
    device.cut()
    again = await two.b.device()
    await again.send("tool_result", call_id=call_id)
    await again.send("tool_result", call_id=call_id, result=CREATED)
    await phone.expect("mutation", id="t1")


async def test_of_a_bad_answer_to_a_query_at_the_other_edge_the_agent_hears(two: Pair) -> None:
    async def script(turn: Turn) -> None:
        await turn.text((await turn.query("t1")).error.code)
        await turn.end()

    two.run(script)
    device = await two.a.device()
    request_id = await asked(device)
    seen = await device.until("data_request")
    device.cut()
    again = await two.b.device(**resume(request_id, seen))
    query = await again.expect("data_request")
    await again.send("data_response", query_id=query["query_id"], items=3)
    await again.expect("error", code="invalid_frame")
    assert whole(seen + await again.until("stream_end")) == "invalid_result"


async def test_what_was_never_asked_is_told_once_to_who_answers_badly(two: Pair) -> None:
    device = await two.b.device()
    await device.send("tool_result", call_id="nobody's")
    await device.expect("error", code="invalid_frame")
    await silent(device)
    await device.send("tool_result", call_id="nobody's", result={})
    await device.expect("error", code="tool_call_unknown")
    await device.send("cancel", request_id=str(uuid4()))
    await silent(device)


async def test_what_is_lost_at_another_edge_can_be_cancelled(two: Pair) -> None:
    async def script(turn: Turn) -> None:
        await turn.text("one ")
        await turn.cancelled.wait()
        await turn.end(EndStatus.END_STATUS_CANCELLED)

    two.run(script)
    device = await two.a.device()
    request_id = await asked(device)
    await device.until("stream_text")
    device.cut()
    again = await two.b.device()  # it does not know any more how far it was
    await again.send("cancel", request_id=request_id)
    turn = await two.a.behind.router.turn()
    await eventually(turn.cancelled.is_set)
    await silent(again)


async def test_mutations_reach_devices_of_other_edges_once(two: Pair) -> None:
    async def script(turn: Turn) -> None:
        await turn.call("create_task", effect=MutationOp.MUTATION_OP_CREATE)
        await turn.end()

    two.run(script)
    laptop, phone = await two.a.device(), await two.b.device("phone")
    stranger = await two.b.device("laptop", "user-2")
    await laptop.send("mutation", mutation_id="m1", op="update", entity="note", id="n1", data={})
    told = await phone.expect("mutation", mutation_id="m1", op="update", id="n1")
    assert told["origin"] == {"device_id": "laptop"}
    request_id = await asked(laptop)
    call = (await laptop.until("tool_call"))[-1]
    await laptop.send("tool_result", call_id=call["call_id"], result=CREATED)
    told = await phone.expect("mutation", id="t1")
    assert told["origin"] == {"device_id": "laptop", "request_id": request_id}
    await laptop.until("stream_end")
    for device in (laptop, phone, stranger):
        await silent(device)


async def test_a_large_mutation_reaches_the_other_edge(two: Pair) -> None:
    laptop, phone = await two.a.device(), await two.b.device("phone")
    words = "".join(str(uuid4()) for _ in range(28_000))  # 1 MB, less what stands around it
    data = {"content": words}
    await laptop.send("mutation", mutation_id="m", op="update", entity="note", id="n", data=data)
    assert (await phone.expect("mutation"))["data"] == data


async def test_a_write_that_finishes_late_at_another_edge_is_told(two: Pair) -> None:
    async def script(turn: Turn) -> None:
        turn.call("create_task", effect=MutationOp.MUTATION_OP_CREATE)
        await turn.cancelled.wait()

    two.run(script)
    laptop, phone = await two.a.device(), await two.a.device("phone")
    request_id = await asked(laptop)
    call = (await laptop.until("tool_call"))[-1]
    await laptop.send("cancel", request_id=request_id)
    await laptop.until("stream_end")
    laptop.cut()
    again = await two.b.device()
    await again.send("tool_result", call_id=call["call_id"], result=CREATED)
    await phone.expect("mutation", id="t1")
    await again.expect("error", code="tool_call_expired")
    await again.send("tool_result", call_id=str(uuid4()), result=CREATED)
    await again.expect("error", code="tool_call_unknown")


async def test_a_device_has_one_socket_over_all_edges(two: Pair) -> None:
    first = await two.a.device()
    second = await two.b.device()
    assert await first.closed() == 4409
    await second.send("ping", nonce="n")
    await second.expect("pong", nonce="n")


async def test_logout_and_erasure_close_sockets_everywhere(two: Pair) -> None:
    a, b = two.a, two.b
    status, signed_in = await a.call(
        "POST", "/api/v1/auth/register", json={"email": "a@example.com", "password": "p" * 12}
    )
    assert status == 201
    bearer = {"Authorization": f"Bearer {signed_in['access_token']}"}
    device = await b.open(signed_in["access_token"])
    await device.send("device_hello", device_id="laptop")
    await device.expect("device_ready")
    status, _ = await a.call(
        "POST",
        "/api/v1/auth/logout",
        json={"refresh_token": signed_in["refresh_token"]},
        headers=bearer,
    )
    assert status == 204
    assert await device.closed() == 4401
    assert (await b.call("GET", "/api/v1/memory/core", headers=bearer))[0] == 401


def idle_s(stack: EdgeStack) -> float:
    latest = stack.edge.devices.latest("user-1")
    return latest.idle_s if latest else 0


async def test_chat_finds_the_device_at_another_edge(two: Pair) -> None:
    async def script(turn: Turn) -> None:
        assert turn.start.device_connected
        result = await turn.call("list_tasks")
        await turn.text("found ", result.result.utf8.decode())
        await turn.block({"headers": ["a"], "rows": []})
        await turn.end()

    two.run(script)
    await two.b.device("older")
    await eventually(lambda: idle_s(two.b) > 0.2)
    device = await two.a.device()
    calling = asyncio.create_task(two.b.call("POST", "/api/v1/chat", json={"message": "x"}))
    call = (await device.until("tool_call"))[-1]
    await device.send("tool_result", call_id=call["call_id"], result={"items": []})
    status, answer = await calling
    assert status == 200
    assert answer["response"] == 'found {"items":[]}'
    assert answer["blocks"] == [{"block_type": "table", "data": {"headers": ["a"], "rows": []}}]
    assert answer["request_id"] == call["request_id"]
    assert answer["usage"]["model_calls"] == 2
    await device.expect("stream_end", status="completed")


async def test_a_device_that_moves_gets_what_rest_asks_of_it(two: Pair) -> None:
    async def script(turn: Turn) -> None:
        result = await turn.call("list_tasks")
        await turn.text(result.result.utf8.decode())
        await turn.end()

    two.run(script)
    device = await two.a.device()
    calling = asyncio.create_task(two.a.call("POST", "/api/v1/chat", json={"message": "x"}))
    call = (await device.until("tool_call"))[-1]
    device.cut()
    moved = await two.b.device()
    repeated = await moved.expect("tool_call", call_id=call["call_id"])
    await moved.send("tool_result", call_id=repeated["call_id"], result={"items": []})
    await moved.expect("stream_end", status="completed")
    status, answer = await calling
    assert (status, answer["response"]) == (200, '{"items":[]}')


async def test_chat_with_no_device_anywhere_runs_here(two: Pair) -> None:
    status, answer = await two.b.call("POST", "/api/v1/chat", json={"message": "x"})
    assert (status, answer["response"]) == (200, "Hello world")
    assert not two.a.behind.router.turns[0].start.device_connected


async def test_a_slow_device_at_another_edge_slows_the_model(two: Pair) -> None:
    chunk, chunks = "x" * 10_000, 6_000  # 60 MB in all

    async def script(turn: Turn) -> None:
        for _ in range(chunks):
            await turn.text(chunk)
        await turn.end()

    two.run(script)
    device = await two.a.device()
    request_id = await asked(device)
    before = await device.until("stream_start")
    device.cut()
    again = await two.b.device(**resume(request_id, before))
    turn = await two.a.behind.router.turn()
    taken = 0
    while taken != turn.sent:  # until nothing moves any more
        taken = turn.sent
        await asyncio.sleep(0.5)
    assert taken * len(chunk) < 20_000_000  # sockets, windows and bounds hold 7 MB in all
    other = await two.b.device("phone")
    await other.send("ping")
    await other.expect("pong")
    after = await again.until("stream_end")
    assert len(whole(before + after)) == len(chunk) * chunks


async def test_without_a_broker_edges_serve_on_alone_and_meet_again(two: Pair) -> None:
    laptop, phone = await two.a.device(), await two.b.device("phone")
    await two.broker.stop()
    await asked(laptop)
    assert whole(await laptop.until("stream_end")) == "Hello world"
    assert (await two.a.call("GET", "/readyz"))[0] == 200
    lost = await two.a.device("tablet", resume={"requests": {str(uuid4()): 1}})
    assert len(lost.ready["lost"]) == 1
    await eventually(lambda: not met(two.a) and not met(two.b))
    await two.broker.start()
    await eventually(lambda: met(two.a) and met(two.b))
    await laptop.send("mutation", mutation_id="m2", op="delete", entity="note", id="n2")
    await phone.expect("mutation", mutation_id="m2")


async def test_a_frozen_broker_delays_but_loses_nothing(two: Pair) -> None:
    laptop = await two.a.device()
    two.broker.freeze()
    try:
        began = time.monotonic()
        await asked(laptop)
        assert whole(await laptop.until("stream_end")) == "Hello world"
        assert time.monotonic() - began < 2
    finally:
        two.broker.thaw()


async def silent(device: DeviceSocket) -> None:
    """Nothing is on its way to this device: the next frame is the answer to a ping."""
    await asyncio.sleep(0.1)
    await device.send("ping", nonce="still")
    await device.expect("pong", nonce="still")
