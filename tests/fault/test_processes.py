"""Services that crash, freeze, drain and come back, under requests that are being answered."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import pytest

from devstack import health
from runtime.settings import Settings
from tests.support.fleet import Fleet, Plan, Process
from tests.support.roamer import Asked, Roamer, register

SERVICES = ("router", "agent", "formatter", "memory")
SLOW = "rehearse a slow answer of {} words"
BOUND_S = 60.0
FROZEN_S = 15.0
"""PROTOCOL says nothing of it; the operator is promised that it takes no longer."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, module_database: str) -> Iterator[Fleet]:
    """Two of each service behind one edge, and the offline model."""
    folder = tmp_path_factory.mktemp("fleet")
    plan = Plan(router=2, agent=2, formatter=2, memory=2)
    with Fleet(folder, module_database, plan, DRAIN_S="20") as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def device(fleet: Fleet, http: aiohttp.ClientSession) -> AsyncIterator[Roamer]:
    async with await newcomer(fleet, http) as connected:
        yield connected


async def newcomer(fleet: Fleet, http: aiohttp.ClientSession) -> Roamer:
    return Roamer(http, fleet.origin(), await register(http, fleet.origin()))


async def eventually(holds: Callable[[], Any], what: str, within: float = BOUND_S) -> None:
    try:
        async with asyncio.timeout(within):
            while not holds():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {within:g} s: {what}") from None


async def back(fleet: Fleet, process: Process) -> None:
    """Starts a process again, and waits until all that dial it use it."""
    process.start()
    await back_up(fleet, process)


async def back_up(fleet: Fleet, process: Process) -> None:
    """Waits until a process that was started is in use."""
    await eventually(lambda: process.up, f"{process.name} listens")
    if process.name != "edge":
        async with asyncio.timeout(BOUND_S):
            await health.until(health.of_grpc(f"127.0.0.1:{process.port}", Settings()))
        await eventually(lambda: fleet.rejoined(process), f"{process.name} is dialled again")
    await eventually(fleet.answers, "the edge is ready")


async def slow(device: Roamer, count: int) -> Asked:
    return await (await device.ask(SLOW.format(count))).words(2)


def said(count: int) -> list[str]:
    return [f"word{number}" for number in range(1, count + 1)]


async def completes(device: Roamer) -> Asked:
    """Asks again while it is told that this may help."""
    async with asyncio.timeout(BOUND_S):
        while True:
            asked = await (await device.ask("list my tasks")).over()
            if asked.status == "completed":
                return asked
            assert asked.end and asked.end["error"]["retryable"], asked.end


@pytest.mark.parametrize("name", SERVICES)
async def test_one_of_two_is_killed_in_the_middle_of_answers(
    fleet: Fleet, device: Roamer, name: str
) -> None:
    """What ran there ends failed, the rest goes on; the other one takes what is asked next."""
    running = [await slow(device, 60) for _ in range(6)]
    socket = device.ready
    fleet[name, 0].kill()
    after = await completes(device)
    assert after.end is not None
    await asyncio.gather(*(asked.over() for asked in running))
    for asked in running:
        if asked.status == "completed":
            assert asked.text.split() == said(60)
        else:
            assert (asked.status, asked.code) == ("failed", "service_unavailable")
            assert asked.end is not None and asked.end["error"]["retryable"] is True
            assert asked.text.split() == said(len(asked.text.split()))
    if name == "memory":  # an answer under way does not need it
        assert {asked.status for asked in running} == {"completed"}
    await back(fleet, fleet[name, 0])
    assert (await (await device.ask("list my tasks")).over()).status == "completed"
    assert device.ready is socket and device.connected
    assert device.broken == []


@pytest.mark.parametrize("name", ["router", "agent", "formatter"])
async def test_all_of_a_service_are_killed_and_come_back(
    fleet: Fleet, device: Roamer, name: str
) -> None:
    running = [await slow(device, 400) for _ in range(4)]
    for index in range(2):
        fleet[name, index].kill()
    for asked in running:
        await asked.over()
        assert (asked.status, asked.code) == ("failed", "service_unavailable")
    refused = await (await device.ask("list my tasks")).over()
    assert (refused.status, refused.code) == ("failed", "service_unavailable")
    fleet[name, 1].start()
    await back(fleet, fleet[name, 0])
    await back_up(fleet, fleet[name, 1])
    assert (await completes(device)).code == ""
    assert device.connected and device.broken == []


async def test_without_memory_answers_go_on_and_what_is_deferred_is_stored_later(
    fleet: Fleet, device: Roamer, http: aiohttp.ClientSession
) -> None:
    begun = [await slow(device, 40) for _ in range(3)]
    for index in range(2):
        fleet["memory", index].kill()
    without = await (await device.ask("list my tasks")).over()
    for one in (*begun, without):
        await one.over()
        assert one.status == "completed"
        assert one.end is not None and one.end["memory"] in ("off", "deferred")
    assert all(one.end and one.end["memory"] == "deferred" for one in begun)
    fleet["memory", 1].start()
    await back(fleet, fleet["memory", 0])
    await back_up(fleet, fleet["memory", 1])
    headers = {"Authorization": f"Bearer {device.token}"}
    url = f"{fleet.origin()}/api/v1/memory?tier=episodic"
    async with asyncio.timeout(BOUND_S):
        while True:
            async with http.get(url, headers=headers) as response:
                items = (await response.json())["items"] if response.status == 200 else []
            if len(items) == len(begun) + 1:  # what was answered without memories is kept, too
                break
            await asyncio.sleep(0.1)
    assert device.broken == []


@pytest.mark.parametrize("name", ["router", "agent", "formatter"])
async def test_a_frozen_process_is_noticed(fleet: Fleet, device: Roamer, name: str) -> None:
    running = [await slow(device, 600) for _ in range(4)]
    frozen = fleet[name, 0]
    frozen.freeze()
    try:
        began = time.monotonic()
        held = [asked for asked in running if await _stops(asked)]
        for asked in held:
            await asked.over()
            assert (asked.status, asked.code) == ("failed", "service_unavailable")
        took = time.monotonic() - began
        assert (await completes(device)).code == ""
    finally:
        frozen.thaw()
    for asked in running:
        await device.cancel(asked)
        await asked.over()
    assert held, "none of four requests ran there"
    assert took < FROZEN_S + 10  # the promise is 15 s; others use this machine, too
    await eventually(lambda: fleet.rejoined(frozen), "it is dialled again")
    assert device.connected and device.broken == []


async def _stops(asked: Asked) -> bool:
    """Whether its text does not grow any more: it runs where the clock stands still."""
    for _ in range(2):  # what was under way may still come
        length = len(asked.text)
        with contextlib.suppress(TimeoutError):
            await asked.until(lambda a, was=length: len(a.text) > was or a.is_over, 2)  # type: ignore[misc]
        if len(asked.text) == length:
            return True
    return False


async def test_frozen_memory_makes_no_request_fail(fleet: Fleet, device: Roamer) -> None:
    for index in range(2):
        fleet["memory", index].freeze()
    try:
        asked = await (await device.ask("list my tasks")).over()
        assert asked.status == "completed"
        assert asked.end is not None and asked.end["memory"] in ("off", "deferred")
    finally:
        for index in range(2):
            fleet["memory", index].thaw()
    await eventually(fleet.answers, "the edge is ready")
    assert device.broken == []


async def test_a_rolling_restart_under_load_fails_no_request(
    fleet: Fleet, http: aiohttp.ClientSession
) -> None:
    devices = [await newcomer(fleet, http) for _ in range(4)]
    done, stop = [0], asyncio.Event()

    async def load(device: Roamer) -> None:
        async with device:
            while not stop.is_set():
                pair = [await device.ask(SLOW.format(20)), await device.ask("list my tasks")]
                for asked in pair:
                    assert (await asked.over()).status == "completed", asked.end
                assert pair[0].text.split() == said(20)
                done[0] += 2
            assert device.broken == []

    async with asyncio.TaskGroup() as tasks:
        for device in devices:
            tasks.create_task(load(device))
        for index in range(2):  # the first of every service at once, then the second
            before, wave = done[0], [fleet[name, index] for name in SERVICES]
            for process in wave:
                process.terminate()
            for process in wave:
                await eventually(lambda p=process: not p.alive, f"{process.name} ends")  # type: ignore[misc]
                assert process.status == 0, process.log
                process.start()
            for process in wave:
                await back_up(fleet, process)
            await eventually(lambda was=before: done[0] > was, "answers")  # type: ignore[misc]
        stop.set()
    assert done[0] >= 16


async def test_an_edge_that_drains_lets_requests_finish(
    fleet: Fleet, http: aiohttp.ClientSession
) -> None:
    edge = fleet["edge", 0]
    device = await newcomer(fleet, http)
    async with device:
        asked = await slow(device, 40)
        edge.terminate()
        await device.wait(lambda: device.goaway is not None)
        assert device.goaway is not None and device.goaway["reconnect_after_ms"] > 0
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get(f"{fleet.origin()}/healthz")
        await asked.over()
        assert asked.status == "completed" and asked.text.split() == said(40)
        assert await device.closed() == 4503
        await eventually(lambda: not edge.alive, "the edge ends")
        assert edge.status == 0
        await back(fleet, edge)
        await device.connect()
        assert (await (await device.ask("list my tasks")).over()).status == "completed"
        assert device.broken == []


async def test_an_edge_that_is_killed_says_what_is_lost_when_it_is_back(
    fleet: Fleet, device: Roamer
) -> None:
    edge = fleet["edge", 0]
    asked = await slow(device, 400)
    edge.kill()
    await device.closed()
    await back(fleet, edge)
    began = time.monotonic()
    device.may_lose = True
    await device.connect()
    assert asked.status == "lost"
    assert time.monotonic() - began < 5  # the promise is two
    assert (await (await device.ask("list my tasks")).over()).status == "completed"
    assert device.broken == []
