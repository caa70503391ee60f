"""Every limit of the edge's settings, crossed with two devices and with two edges.

Where it is one device's or one address's own, the second device, or the other edge, shows that.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import aiohttp

from tests.support.edge_stack import DeviceSocket, EdgeStack, edge_stack, eventually
from tests.support.edges import pair
from tests.support.scripted_router import Turn

WORD = "x" * 1_000
LONG = [{"role": "user", "content": "x" * 40_000}]


@asynccontextmanager
async def edges(number: int, **settings: Any) -> AsyncIterator[list[EdgeStack]]:
    """One edge twice, for what two devices of it do; or two edges."""
    if number == 1:
        async with edge_stack(**settings) as stack:
            yield [stack, stack]
    else:
        async with pair(**settings) as two:
            yield [two.a, two.b]


def never_ends(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        await turn.cancelled.wait()
        await turn.end()

    stack.behind.router.script = script


async def ask(device: DeviceSocket, **fields: Any) -> dict[str, Any]:
    """The first frame of an answer, or why there is none."""
    request_id = str(uuid4())
    await device.send("home_request", message="hi", request_id=request_id, **fields)
    while True:
        frame = await device.next()
        if frame.get("request_id") == request_id:
            return frame


async def code(device: DeviceSocket, **fields: Any) -> str:
    """What comes of one more request: started, or the code of its refusal."""
    frame = await ask(device, **fields)
    if frame["type"] == "stream_start":
        return "started"
    found: str = (frame if frame["type"] == "error" else frame["error"])["code"]
    return found


async def opened(stack: EdgeStack, user_id: str = "user-1") -> int:
    """The status of one more socket."""
    try:
        await stack.open(stack.token(user_id))
    except aiohttp.WSServerHandshakeError as error:
        return error.status
    return 101


# Two devices of one edge, of one user.


async def test_each_of_two_devices_may_have_so_many_requests_on_its_socket() -> None:
    async with edges(1, max_concurrent_requests=1) as (stack, _):
        never_ends(stack)
        for name in ("laptop", "phone"):
            device = await stack.device(name)
            assert [await code(device), await code(device)] == ["started", "too_many_requests"]


async def test_a_user_of_two_devices_has_no_third_socket() -> None:
    async with edges(1, max_sockets_per_user=2) as (stack, _):
        await stack.device("laptop")
        phone = await stack.device("phone")
        third = await stack.open(stack.token())
        await third.send("device_hello", device_id="tablet")
        assert await third.closed() == 4529
        await phone.close()
        await eventually(lambda: len(stack.edge.devices.of("user-1")) == 1)
        await stack.device("tablet")


async def drops_after(stack: EdgeStack, device: DeviceSocket, words: int) -> str:
    """The request whose long answer a device read to its end, and then forgot all about."""

    async def script(turn: Turn) -> None:
        for number in range(words):
            await turn.text(f"{number} {WORD}" + "x" * 5_000)
        await turn.end()

    stack.behind.router.script = script
    request_id: str = (await ask(device))["request_id"]
    await device.until("stream_end", request_id=request_id)
    return request_id


async def test_each_of_two_devices_has_a_journal_for_each_request() -> None:
    async with edges(1, journal_bytes=20_000) as (stack, _):
        for name in ("laptop", "phone"):
            device = await stack.device(name)
            short, long = await drops_after(stack, device, 2), await drops_after(stack, device, 20)
            back = await stack.device(name, resume={"requests": {short: 0, long: 0}})
            assert (back.ready["resumed"], back.ready["lost"]) == ([short], [long])


async def test_each_of_two_devices_may_send_so_many_frames() -> None:
    async with edges(1, frames_per_second=1) as (stack, _):  # ten at once, the hello among them
        for name in ("laptop", "phone"):
            device = await stack.device(name)
            for _ in range(20):
                await device.send("ping")
            frames = [await device.next() for _ in range(20)]
            assert frames[0]["type"] == "pong"
            assert frames[-1]["code"] == "rate_limited"


async def test_two_devices_of_an_address_share_its_sockets_and_its_sign_ins() -> None:
    async with edges(1, hellos_per_minute=2, sign_ins_per_minute=2, refreshes_per_minute=2) as (
        stack,
        _,
    ):
        assert [await opened(stack, user) for user in ("a", "b", "a", "b")] == [101, 101, 429, 429]
        for path in ("login", "refresh"):
            assert await signs_in(stack, path) == [False, False, True]


async def signs_in(stack: EdgeStack, path: str) -> list[bool]:
    """Whether each of three calls came too soon."""
    calls = [
        await stack.call("POST", f"/api/v1/auth/{path}", json={}, headers={}) for _ in range(3)
    ]
    return [status == 429 for status, _ in calls]


# Two edges: each counts for itself.


async def test_two_edges_have_sockets_frames_and_requests_of_their_own() -> None:
    settings = {"max_sockets": 2, "max_concurrent_requests": 1, "max_sockets_per_user": 1}
    async with edges(2, **settings) as two:
        never_ends(two[0])
        for number, stack in enumerate(two):
            device = await stack.device(f"device-{number}")
            assert [await code(device), await code(device)] == ["started", "too_many_requests"]
            second = await stack.open(stack.token())
            await second.send("device_hello", device_id=f"second-{number}")
            assert await second.closed() == 4529
            await eventually(lambda stack=stack: "1 of 2" in repr(stack.edge.doors))
            assert [await opened(stack, "another"), await opened(stack, "third")] == [101, 503]


async def test_two_edges_hold_what_they_may_each() -> None:
    async with edges(2, max_held_bytes=110_000) as two:
        never_ends(two[0])
        for stack in two:
            first = await stack.device("first", user_id="a")
            assert await code(first, conversation_history=LONG) == "started"
            second = await stack.device("second", user_id="b")
            assert await code(second, conversation_history=LONG) == "overloaded"


async def test_two_edges_have_rates_of_their_own() -> None:
    settings = {"requests_per_minute": 2, "frames_per_second": 1}
    async with edges(2, **settings) as two:
        for number, stack in enumerate(two):
            device = await stack.device(f"device-{number}")
            found = [await code(device) for _ in range(3)]
            assert found == ["started", "started", "rate_limited"]
            for _ in range(20):
                await device.send("ping")
            for _ in range(20):
                last = await device.next()
            assert last["code"] == "rate_limited"


async def test_two_edges_count_an_address_each() -> None:
    settings = {"hellos_per_minute": 6, "sign_ins_per_minute": 2, "refreshes_per_minute": 2}
    async with edges(2, **settings) as two:
        for stack in two:
            assert [await opened(stack) for _ in range(7)] == [101] * 6 + [429]
            for path in ("login", "refresh"):
                assert await signs_in(stack, path) == [False, False, True]


async def test_what_is_past_its_journal_is_lost_at_the_other_edge_too() -> None:
    async with edges(2, journal_bytes=20_000) as (a, b):
        laptop = await a.device("laptop")
        short, long = await drops_after(a, laptop, 2), await drops_after(a, laptop, 20)
        laptop.cut()
        back = await b.device("laptop", resume={"requests": {short: 0, long: 0}})
        assert (back.ready["resumed"], back.ready["lost"]) == ([short], [long])
        frames = await back.until("stream_end", request_id=short)
        text = "".join(frame["chunk"] for frame in frames if frame["type"] == "stream_text")
        assert len(text) == 2 * len(f"0 {WORD}" + "x" * 5_000)
