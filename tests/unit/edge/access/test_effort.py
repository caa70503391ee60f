"""What reading costs is paid by whoever sends, and large texts let small ones pass."""

import asyncio
import json
from collections.abc import Generator
from typing import Any

import aiohttp
import pytest

from edge.access.effort import (
    CROWDED_S,
    DEAREST,
    LARGE_BYTES,
    MANY,
    MOST_HELD,
    MOST_STANDING,
    WINDOW_S,
    Effort,
    Load,
)
from runtime.errors import SwitchboardError, word
from tests.support.edge_stack import Closed, DeviceSocket, EdgeStack, edge_stack
from tests.support.edges import pair

HEAVY = [{"a": 1, "b": "c"}] * 10_000
"""7 ms and more of CPU."""

SHARE = 0.001
"""4 ms at once, and ten times as long until as much is there again as it takes to read one more."""


async def exhaust(device: DeviceSocket) -> dict[str, Any]:
    """Sends large frames that are valid, until one is refused."""
    for _ in range(100):
        await device.send("ping", unknown=HEAVY)
        frame = await device.next()
        if frame["type"] == "error":
            return frame
    raise AssertionError("nothing was refused")


async def is_told_to_wait(stack: EdgeStack, device: DeviceSocket) -> None:
    await device.send("ping")
    refused = await device.expect("error", code="rate_limited", ref={"type": "ping"})
    assert refused["retry_after_ms"] > 0
    late = await stack.open(stack.token())
    await late.send("device_hello", device_id="late")
    with pytest.raises(Closed) as closed:
        await late.next()
    assert closed.value.code == 4529
    status, told = await stack.call("POST", "/api/v1/chat", json={"message": "hi"})
    assert (status, told["error"]["code"]) == (429, "rate_limited")


async def is_served(stack: EdgeStack, user_id: str) -> None:
    other = await stack.device("other", user_id=user_id)
    await other.send("ping")
    await other.expect("pong")
    await other.close()


async def test_what_one_device_costs_its_user_another_has_no_more_to_spend() -> None:
    async with edge_stack(cpu_share=SHARE) as stack:
        laptop, phone = await stack.device("laptop"), await stack.device("phone")
        refused = await exhaust(laptop)
        assert (refused["code"], refused["retryable"]) == ("rate_limited", True)
        await is_told_to_wait(stack, phone)
        await is_served(stack, "another")


async def test_bodies_of_rest_are_paid_from_the_same_purse() -> None:
    async with edge_stack(cpu_share=SHARE) as stack:
        device = await stack.device()
        for _ in range(100):
            status, _ = await stack.call("POST", "/api/v1/chat", json={"unknown": HEAVY})
            if status == 429:
                break
        await is_told_to_wait(stack, device)
        await is_served(stack, "another")


async def test_each_of_two_edges_has_a_purse_of_its_own() -> None:
    async with pair(cpu_share=SHARE) as two:
        laptop, phone = await two.a.device("laptop"), await two.b.device("phone")
        await exhaust(laptop)
        await is_told_to_wait(two.a, laptop)
        await phone.send("ping")
        await phone.expect("pong")


async def test_a_stranger_s_hellos_are_paid_by_the_address() -> None:
    async with edge_stack(cpu_share=0.0003) as stack:
        known = await stack.device()
        stranger = await stack.open()
        await stranger.send("device_hello", device_id="x", token="none", unknown=HEAVY[:800])
        assert await stranger.closed() == 4401
        # Each hears it a second later: by then the address owes nothing.
        refused, browser, (status, told) = await asyncio.gather(
            stack.open(),
            stack.open(headers={"Origin": stack.url}),
            stack.call("POST", "/api/v1/auth/login", json={}, headers={}),
            return_exceptions=True,
        )
        assert isinstance(refused, aiohttp.WSServerHandshakeError)
        assert refused.status == 429
        assert refused.headers is not None
        assert int(refused.headers["Retry-After"]) > 0
        assert isinstance(browser, DeviceSocket)
        assert await browser.closed() == 4529
        assert (status, told["error"]["code"]) == (429, "rate_limited")
        await known.send("ping")
        await known.expect("pong")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_what_was_spent_is_what_the_clock_says_whatever_comes_of_it() -> None:
    clock = Clock()
    effort = Effort(0.25, clock)  # a second at once
    with pytest.raises(ValueError), effort.spent("user"):
        clock.now += 0.9
        raise ValueError
    effort.check("user")
    with effort.spent("user"):
        clock.now += 0.3
    with pytest.raises(SwitchboardError) as caught:
        effort.check("user")
    assert word(caught.value.code) == "rate_limited"
    assert 700 < (caught.value.retry_after_ms or 0) <= 800
    effort.check("another")


async def test_nobody_owes_more_than_a_burst() -> None:
    clock = Clock()
    effort = Effort(0.1, clock)
    with effort.spent("user"):
        clock.now += 1_000
    assert 3 < effort.wait("user") <= 4


async def test_without_a_share_nothing_is_counted() -> None:
    clock = Clock()
    effort = Effort(0, clock)
    with effort.spent("user"):
        clock.now += 1_000
    assert effort.wait("user") == 0


async def test_one_large_text_at_a_time_is_read_and_small_ones_in_between() -> None:
    effort, read = Effort(1), list[str]()

    async def reads(name: str, size: int) -> None:
        async with effort.turn(name, size):
            read.append(name)

    async def small() -> None:
        for number in range(3):
            await asyncio.sleep(0)
            await reads(f"small {number}", LARGE_BYTES)

    large = [reads(f"large {number}", LARGE_BYTES + 1) for number in range(8)]
    await asyncio.gather(*large, small())
    order = [name.split()[0] for name in read]
    assert order.count("large") == 8
    # Eight that came at once did not go in one pass: the small ones passed them.
    assert order.index("small") <= 2
    assert order[-1] == "large"
    assert [name for name in read if name.startswith("large")] == [f"large {n}" for n in range(8)]


async def test_all_who_sent_much_share_a_lane_that_rests_and_others_pass_it() -> None:
    effort, read = Effort(1), list[str]()
    for number in range(8):
        effort.charge(f"much {number}", 1)

    async def reads(name: str) -> None:
        async with effort.turn(name, 10):
            read.append(name.split(maxsplit=1)[0])

    async def little() -> None:
        for _ in range(20):
            await asyncio.sleep(0)
            await reads("little")

    await asyncio.gather(*(reads(f"much {number}") for number in range(8)), little())
    assert read.count("much") == 8
    assert "much much" not in " ".join(read[:20])


async def test_where_many_sent_much_who_comes_is_told_and_others_are_not() -> None:
    effort, go_on = Effort(1), asyncio.Event()
    for number in range(MOST_STANDING + 1):
        effort.charge(f"much {number}", 1)

    async def stands(name: str) -> None:
        async with effort.turn(name, 10):
            await go_on.wait()

    standing = [asyncio.create_task(stands(f"much {n}")) for n in range(MOST_STANDING)]
    assert effort.wait("much 8") == 0
    await asyncio.sleep(0)
    assert effort.wait("much 8") == CROWDED_S
    assert effort.wait("little") == 0
    go_on.set()
    await asyncio.gather(*standing)
    assert effort.wait("much 8") == 0


async def test_a_text_that_cannot_be_read_gives_the_turn_back() -> None:
    effort = Effort(1)
    for _ in range(3):
        with pytest.raises(ValueError):
            async with effort.turn("user", LARGE_BYTES + 1):
                raise ValueError
    async with asyncio.timeout(1), effort.turn("user", LARGE_BYTES + 1):
        pass


def prices(senders: int, busy: float, windows: int = 40) -> list[float]:
    """What a second costs after each window in which so many sent, and the edge was so busy."""
    clock = Clock()
    load, found = Load(clock), []
    for window in range(1, windows):
        clock.now += busy * WINDOW_S
        for number in range(senders):
            price = load.price(window * WINDOW_S + number * 1e-6, f"sender {number}")
        found.append(price)
    return found


def test_while_many_keep_the_edge_busy_a_second_is_dear() -> None:
    assert prices(MANY, busy=0.9)[-1] == DEAREST


@pytest.mark.parametrize(("senders", "busy"), [(MANY, 0.2), (MANY - 1, 0.9)])
def test_of_an_edge_that_is_idle_or_has_few_senders_a_second_costs_a_second(
    senders: int, busy: float
) -> None:
    assert set(prices(senders, busy)) == {1.0}


async def test_while_it_is_dear_who_sends_little_goes_on_and_who_sends_much_waits() -> None:
    clock = Clock()
    effort = Effort(0.05, clock)
    for _ in range(30):
        await asyncio.sleep(WINDOW_S / 10)
        clock.now += WINDOW_S
        effort.charge("little", 1e-4)
        for number in range(MANY):
            effort.charge(f"much {number}", 5e-3)
    assert effort.wait("little") == 0
    assert all(effort.wait(f"much {number}") for number in range(MANY))


async def test_calls_that_come_at_once_begin_in_passes_of_their_own() -> None:
    effort, begun = Effort(1), list[str]()

    async def call(name: str) -> None:
        await effort.enter()
        begun.append(name)

    async def other() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
            begun.append("other")

    await asyncio.gather(*(call("call") for _ in range(10)), other())
    assert "call call" not in " ".join(begun[:6])


async def test_a_long_work_lets_others_have_their_turn_after_each_step() -> None:
    effort, done = Effort(1), list[str]()

    def work() -> Generator[None, None, str]:
        for _ in range(3):
            done.append("step")
            yield
        return "result"

    async def other() -> None:
        for _ in range(3):
            done.append("other")
            await asyncio.sleep(0)

    result, _ = await asyncio.gather(effort.run("user", work()), other())
    assert result == "result"
    assert done == ["step", "other"] * 3


async def test_no_more_are_held_back_than_may_be() -> None:
    effort = Effort(1)
    held = [asyncio.create_task(effort.hold()) for _ in range(MOST_HELD)]
    await asyncio.sleep(0)
    async with asyncio.timeout(0.2):  # the next is told at once; held, it would take 0.5 s
        await effort.hold()
    for task in held:
        task.cancel()


async def test_tokens_that_nobody_signed_are_paid_by_the_address() -> None:
    async with edge_stack(cpu_share=0.001) as stack:
        none = {"Authorization": "Bearer none"}
        calls = [stack.call("GET", "/api/v1/memory", headers=none) for _ in range(8)]
        seen = {(status, told["error"]["code"]) for status, told in await asyncio.gather(*calls)}
        assert seen == {(401, "unauthenticated"), (429, "rate_limited")}
        status, _ = await stack.call("GET", "/api/v1/memory")
        assert status != 429


async def test_half_characters_by_the_thousand_cost_their_sender(stack: EdgeStack) -> None:
    device = await stack.device()
    await device.ws.send_str('{"type":"ping","nonce":"' + r"\ud800" * 100_000 + '"}')
    pong = json.dumps(await device.expect("pong"), ensure_ascii=False)
    assert pong.count("\N{REPLACEMENT CHARACTER}") == 100_000
