"""What one account may hold at an edge, over all of its devices, and that it gets it back."""

import asyncio
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.access.budgets import FEW, USERS, Budget, Pool, Share
from edge.session.device_session import Session
from edge.session.events import Asked, Attached, Broken, Detached, Received, Tick
from edge.session.limits import Limits
from edge.settings import EdgeSettings
from runtime.errors import word
from runtime.held import KEPT, SENT
from switchboard.v3.errors_pb2 import Error, ErrorCode
from switchboard.v3.frames_pb2 import (
    Cancel,
    ClientFrame,
    DeviceHello,
    DeviceReady,
    HomeRequest,
    Resume,
)
from tests.support.edge_stack import KEY, DeviceSocket, EdgeStack, edge_stack, eventually
from tests.support.edges import Pair, pair
from tests.support.scripted_router import Turn

LOST = Error(code=ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE)
LONG = [{"role": "user", "content": "x" * 40_000}]


async def ask(device: DeviceSocket, **fields: Any) -> str:
    request_id = str(uuid4())
    await device.send("home_request", message="hi", request_id=request_id, **fields)
    return request_id


async def refused(device: DeviceSocket, code: str, **fields: Any) -> None:
    """One more request of this device ends at once, and says when to ask again."""
    request_id = await ask(device, **fields)
    end = await device.expect("stream_end", request_id=request_id, seq=1, status="failed")
    assert (end["error"]["code"], end["error"]["retryable"]) == (code, True)
    assert end["error"]["retry_after_ms"] > 0


async def runs(device: DeviceSocket, **fields: Any) -> None:
    request_id = await ask(device, **fields)
    await device.until("stream_start", request_id=request_id)


def held(stack: EdgeStack, go_on: asyncio.Event) -> None:
    """No answer ends before `go_on`."""

    async def script(turn: Turn) -> None:
        await go_on.wait()
        await turn.end()

    stack.behind.router.script = script


# Requests.


async def test_two_devices_of_a_user_share_one_number_of_requests() -> None:
    async with edge_stack(max_requests_per_user=3) as stack:
        held(stack, go_on := asyncio.Event())
        laptop, phone = await stack.device("laptop"), await stack.device("phone")
        for device in (laptop, laptop, phone):
            await runs(device)
        for device in (laptop, phone):
            await refused(device, "too_many_requests")
        status, told = await stack.call("POST", "/api/v1/chat", json={"message": "hi"})
        assert (status, told["error"]["code"]) == (429, "too_many_requests")
        await runs(await stack.device("laptop", user_id="another"))
        go_on.set()
        await phone.until("stream_end", status="completed")
        await laptop.until("stream_end", status="completed")
        await laptop.until("stream_end", status="completed")
        await runs(laptop)
        await laptop.until("stream_end", status="completed")
        assert len(stack.behind.router.turns) == 5  # what was refused was not passed on


async def test_a_device_that_went_away_frees_nothing_while_its_requests_run() -> None:
    async with edge_stack(max_requests_per_user=2, resume_window_s=0) as stack:
        held(stack, go_on := asyncio.Event())
        for name in ("first", "second"):
            device = await stack.device(name)
            await runs(device)
            device.cut()
        await eventually(lambda: not any(found.socket for found in stack.edge.devices))
        third = await stack.device("third")
        await refused(third, "too_many_requests")
        go_on.set()
        await eventually(lambda: stack.edge.devices.running == 0)
        await runs(third)


async def test_seventy_five_devices_bring_the_router_no_more_than_sixteen_requests() -> None:
    async with edge_stack(requests_per_minute=0, cpu_share=0) as stack:
        held(stack, asyncio.Event())
        ends: list[str] = []
        for number in range(75):
            device = await stack.device(f"device-{number}")
            for _ in range(8):
                await ask(device, conversation_history=LONG)
            for _ in range(8):
                frame = await device.next()
                ends += [frame["error"]["code"]] if frame["type"] == "stream_end" else []
            device.cut()
            await eventually(lambda: not any(found.socket for found in stack.edge.devices))
        assert ends == ["too_many_requests"] * (75 * 8 - 16)
        await eventually(lambda: len(stack.behind.router.turns) >= 16)
        assert len(stack.behind.router.turns) == stack.edge.devices.running == 16


async def test_each_of_two_edges_counts_for_itself() -> None:
    async with pair(max_requests_per_user=1, max_held_bytes_per_user=30_000) as two:
        held(two.a, asyncio.Event())
        laptop, phone = await two.a.device("laptop"), await two.b.device("phone")
        for device in (laptop, phone):
            await refused(device, "overloaded", conversation_history=LONG)
            await runs(device)
            await refused(device, "too_many_requests")


# Bytes.


async def test_two_devices_of_a_user_share_the_bytes_of_their_histories() -> None:
    async with edge_stack(max_held_bytes_per_user=100_000) as stack:
        held(stack, go_on := asyncio.Event())
        laptop, phone = await stack.device("laptop"), await stack.device("phone")
        await runs(laptop, conversation_history=LONG)
        await runs(phone, conversation_history=LONG)
        for device in (laptop, phone):
            await refused(device, "overloaded", conversation_history=LONG)
        body = {"message": "hi", "conversation_history": LONG}
        status, told = await stack.call("POST", "/api/v1/chat", json=body)
        assert (status, told["error"]["code"]) == (503, "overloaded")
        await runs(phone)  # a short one has room
        go_on.set()
        await laptop.until("stream_end", status="completed")
        await phone.until("stream_end", status="completed")
        await phone.until("stream_end", status="completed")
        await runs(laptop, conversation_history=LONG)


async def test_the_edge_holds_no_more_than_it_may_of_all_users() -> None:
    async with edge_stack(max_held_bytes=170_000) as stack:
        held(stack, asyncio.Event())
        for user_id in ("a", "b"):
            await runs(await stack.device(user_id=user_id), conversation_history=LONG)
        third = await stack.device(user_id="c")
        await refused(third, "overloaded", conversation_history=LONG)
        await runs(third)


# What is kept for devices, there or away.

CHUNK = "x" * 10_000
CHUNKS = 400  # 4 MB in all
MUCH = {"conversation_history": [{"role": "user", "content": "x" * 30_000}] * 5}
"""More than the quarter of 400,000 bytes that answers leave to requests."""


def writes(turns: Pair | EdgeStack) -> None:
    """Each answer is long."""

    async def script(turn: Turn) -> None:
        for _ in range(CHUNKS):
            await turn.text(CHUNK)
        await turn.end()

    router = turns.behind.router if isinstance(turns, EdgeStack) else turns.a.behind.router
    router.script = script


async def quiet(*turns: Turn) -> int:
    """How many outputs of these were taken in all, once nothing moves any more."""
    taken = -1
    while taken != sum(turn.sent for turn in turns):
        taken = sum(turn.sent for turn in turns)
        await asyncio.sleep(0.3)
    return taken


def text(frames: list[dict[str, Any]]) -> str:
    return "".join(frame["chunk"] for frame in frames if frame["type"] == "stream_text")


def sent_once(frames: list[dict[str, Any]], request_id: str) -> None:
    seqs = [frame["seq"] for frame in frames if frame.get("request_id") == request_id]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_what_two_absent_devices_are_owed_is_counted_together_and_arrives_whole() -> None:
    async with edge_stack(max_held_bytes_per_user=400_000) as stack:
        writes(stack)
        asked: dict[str, str] = {}
        for name in ("laptop", "phone"):
            asked[name] = await owed(stack, name)
        turns = [await stack.behind.router.turn(n) for n in (0, 1)]
        await quiet(*turns)
        assert stack.edge.pool.held <= 3_000_000  # a message for each may have been on its way
        tablet = await stack.device("tablet")
        await refused(tablet, "overloaded", **MUCH)
        await runs(await stack.device("laptop", user_id="another"))
        for name, request_id in asked.items():
            back = await stack.device(name, resume={"requests": {request_id: 0}})
            assert back.ready["resumed"] == [request_id]
            frames = await back.until("stream_end", request_id=request_id, status="completed")
            assert len(text(frames)) == len(CHUNK) * CHUNKS
            sent_once(frames, request_id)
            await back.close()


async def owed(stack: EdgeStack, name: str) -> str:
    """A device that went away from a long answer; returns the request."""
    device = await stack.device(name)
    request_id = await ask(device)
    await device.until("stream_start", request_id=request_id)
    device.cut()
    return request_id


async def test_what_absent_devices_are_owed_is_counted_at_each_of_two_edges() -> None:
    async with pair(max_held_bytes_per_user=400_000) as two:
        writes(two)
        request_id = await owed(two.a, "laptop")
        await quiet(await two.a.behind.router.turn(0))
        await refused(await two.a.device("phone"), "overloaded", **MUCH)
        await runs(await two.b.device("tablet"), **MUCH)
        back = await two.b.device("laptop", resume={"requests": {request_id: 0}})
        frames = await back.until("stream_end", request_id=request_id, status="completed")
        assert len(text(frames)) == len(CHUNK) * CHUNKS
        sent_once(frames, request_id)


async def test_a_user_who_holds_too_much_is_still_answered_where_devices_read() -> None:
    async with edge_stack(max_held_bytes_per_user=400_000) as stack:
        writes(stack)
        laptop = await stack.device("laptop")
        request_id = await ask(laptop)
        await laptop.until("stream_start", request_id=request_id)
        await owed(stack, "phone")
        await quiet(await stack.behind.router.turn(1))
        frames = await laptop.until("stream_end", request_id=request_id, status="completed")
        assert len(text(frames)) == len(CHUNK) * CHUNKS


async def test_answers_that_arrived_make_room_for_a_new_request() -> None:
    async with edge_stack(max_held_bytes_per_user=150_000) as stack:

        async def script(turn: Turn) -> None:
            for _ in range(10):
                await turn.text("x" * 10_000)
            await turn.end()

        stack.behind.router.script = script
        device = await stack.device()
        request_id = await ask(device)
        await device.until("stream_end", request_id=request_id)
        # They are kept to be told again, and 100 KB and 60 are more than may be held.
        await runs(device, conversation_history=[{"role": "user", "content": "x" * 60_000}])


async def test_two_devices_share_the_bytes_of_their_results() -> None:
    heard: list[str] = []

    async def script(turn: Turn) -> None:
        for _ in range(2):
            result = await turn.call()
            heard.append(result.error.code or "a result")
        await turn.end()

    async with edge_stack(max_held_bytes_per_user=100_000) as stack:
        stack.behind.router.script = script
        laptop, phone = await stack.device("laptop"), await stack.device("phone")
        for device, told in ((laptop, "a result"), (phone, "overloaded")):
            await ask(device)
            call = (await device.until("tool_call"))[-1]
            await device.send("tool_result", call_id=call["call_id"], result="x" * 60_000)
            if told == "overloaded":
                await device.expect(
                    "error", code="overloaded", ref={"type": "tool_result", "id": call["call_id"]}
                )
            again = await device.expect("tool_call")
            assert heard[-1] == told
        await phone.send("tool_result", call_id=again["call_id"], result="short")
        await phone.expect("stream_end", status="completed")


async def test_sockets_that_do_not_read_hold_no_more_than_their_user_may() -> None:
    """What changes on one device is told to the others, and nothing slows whoever tells it."""
    async with edge_stack(max_held_bytes_per_user=1_000_000, frames_per_second=10_000) as stack:
        slow = [await stack.device(f"slow-{n}") for n in range(4)]
        reads, other = await stack.device("reads"), await stack.device("other", user_id="another")
        for number in range(60):
            data = {"text": "x" * 500_000}
            change = {"op": "update", "entity": "note", "id": "n", "data": data}
            await reads.send("mutation", mutation_id=str(number), **change)
            await other.send("ping")
            await other.expect("pong")
        codes = [await device.closed() for device in slow]
        assert codes == [4508] * 4
        assert stack.edge.pool.held < 2_000_000
        await reads.send("ping")
        await reads.expect("pong")


# Sockets.


async def test_past_its_ceiling_the_edge_takes_no_socket() -> None:
    async with edge_stack(max_sockets=2) as stack:
        laptop, phone = await stack.device("laptop"), await stack.device("phone")
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await stack.open(stack.token("another"))
        assert caught.value.headers is not None
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "5")
        browser = await stack.open(headers={"Origin": stack.url})
        assert await browser.closed() == 4529
        await laptop.send("ping")
        await laptop.expect("pong")
        await phone.close()
        await eventually(lambda: repr(stack.edge.doors) == "Doors(1 of 2)")
        await stack.device("phone", user_id="another")


@pytest.mark.parametrize(
    ("given", "most"),
    [({"memory_limit": 512 << 20}, 5_734), ({"memory_limit": 1}, 1), ({"max_sockets": 9}, 9)],
)
def test_the_ceiling_is_what_fits_into_the_memory(given: dict[str, int], most: int) -> None:
    assert EdgeSettings(auth_signing_keys=KEY, **given).most_sockets == most


# What is counted is given back, however a request ends.

IDS = [str(uuid4()) for _ in range(4)]
WAYS = ("ask", "rest", "cancel", "break", "drop", "resume", "wait")


@given(st.lists(st.tuples(st.sampled_from(WAYS), st.sampled_from(IDS))))
# The alarms of a request's first answer must not touch the second one of its name.
@example([(way, IDS[0]) for way in ("ask", "cancel", "drop", "wait", "rest", "wait")])
def test_what_runs_is_held_and_nothing_else(steps: list[tuple[str, str]]) -> None:
    pool = Pool(Budget(requests_per_user=3))
    ids = iter(range(1_000))
    session = Session(
        user_id="user",
        device_id="device",
        limits=Limits(),
        ready=DeviceReady(),
        claimed=set(),
        share=Share(pool),
        new_id=lambda: str(next(ids)),
    )
    now = 0.0
    for way, id_ in steps:
        request = HomeRequest(request_id=id_, message="x" * 50)
        match way:
            case "ask":
                session.feed(Received(ClientFrame(home_request=request)), now)
            case "rest" if not session.owns(id_):
                session.feed(Asked(request, session.connected), now)
            case "cancel":
                session.feed(Received(ClientFrame(cancel=Cancel(request_id=id_))), now)
            case "break":
                session.feed(Broken(id_, LOST), now)
            case "drop":
                session.feed(Detached(), now)
            case "resume":
                hello = DeviceHello(device_id="device", resume=Resume(requests={id_: 0}))
                session.feed(Attached(hello), now)
            case "wait":
                now += 40
                session.feed(Tick(), now)
        assert pool.kinds[SENT] == session.running * request.ByteSize()
        assert (pool.kinds[KEPT] == 0) == session.idle
        assert pool.held == sum(pool.kinds.values())
        assert session.running <= 3


@given(st.lists(st.integers(1, 16), max_size=200))
def test_however_many_requests_run_anybody_may_ask_twice(held_by_others: list[int]) -> None:
    pool = Pool(Budget())
    for wanted in held_by_others:
        share = Share(pool)
        for _ in range(wanted):
            if share.problem(1) is None:
                share.begin(1)
    newcomer = Share(pool)
    for _ in range(FEW):
        assert newcomer.problem(1) is None
        newcomer.begin(1)


def test_past_so_many_requests_who_has_a_few_has_no_more() -> None:
    pool = Pool(Budget())
    for _ in range(USERS * pool.budget.requests_per_user):
        Share(pool).begin(1)
    share = Share(pool)
    for _ in range(FEW):
        share.begin(1)
    problem = share.problem(1)
    assert problem is not None
    assert word(problem.code) == "too_many_requests"
    assert problem.retry_after_ms


@pytest.mark.parametrize("code", ["too_many_requests", "overloaded"])
def test_the_refusal_says_when_to_ask_again(code: str) -> None:
    share = Share(Pool(Budget(requests_per_user=1 if code == "too_many_requests" else 2)))
    share.begin(8 * 1024 * 1024)
    problem = share.problem(1)
    assert problem is not None
    assert word(problem.code) == code
    assert problem.retryable
    assert problem.retry_after_ms
