"""Devices that move between the edges of the whole stack, in the middle of answers."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from tests.support.fleet import Fleet, several
from tests.support.model_server import Call, ModelServer, Reply, Request, calls, says
from tests.support.nats import nats
from tests.support.roamer import Asked, Roamer, register

pytestmark = pytest.mark.asyncio(loop_scope="module")

EDGES = 3
STAYS = 2
"""The edge that no test restarts."""
MINUTE_S = 60.0


def script(request: Request) -> Reply:
    """words N: slowly; create, delete: a writing tool, and a few words."""
    asked = [message for message in request.messages if message["role"] == "user"][-1]["content"]
    if request.messages[-1]["role"] == "tool":
        return says("It is ", "done.")
    if found := re.search(r"words (\d+)", asked):
        return Reply([step for word in words(int(found[1])) for step in (word, 0.02)])
    if "delete" in asked:
        return calls(Call("delete_task", {"id": "t1"}))
    return calls(Call("create_task", {"title": "Water the plants"}))


def words(count: int) -> list[str]:
    return [f"word{number} " for number in range(count)]


@dataclass
class Edges:
    """The stack, and one user who may be anywhere in it."""

    fleet: Fleet
    http: aiohttp.ClientSession
    model: ModelServer
    token: str
    stack: AsyncExitStack

    async def device(self, edge: int, **more: Any) -> Roamer:
        origin = self.fleet.origin(edge)
        return await self.stack.enter_async_context(Roamer(self.http, origin, self.token, **more))

    async def move(self, device: Roamer, edge: int) -> None:
        """To another edge; its socket at the last one may still look alive."""
        device.origin = self.fleet.origin(edge)
        await device.connect()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, module_database: str
) -> AsyncIterator[tuple[Fleet, aiohttp.ClientSession, ModelServer]]:
    folder = tmp_path_factory.mktemp("fleet")
    choice = {"agent": "task_agent", "confidence": 1, "reason": "scripted"}
    async with nats() as broker, ModelServer(script, json=choice) as model:
        fleet = Fleet(
            folder, module_database, several(EDGES), model_url=model.url, NATS_URL=broker.url
        )
        await asyncio.to_thread(fleet.__enter__)
        try:
            async with aiohttp.ClientSession() as http:
                yield fleet, http, model
        finally:
            await asyncio.to_thread(fleet.__exit__, None, None, None)


@pytest_asyncio.fixture(loop_scope="module")
async def edges(shared: tuple[Fleet, aiohttp.ClientSession, ModelServer]) -> AsyncIterator[Edges]:
    fleet, http, model = shared
    async with AsyncExitStack() as stack:
        token = await register(http, fleet.origin())
        yield Edges(fleet, http, model, token, stack)


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def approving(
    shared: tuple[Fleet, aiohttp.ClientSession, ModelServer],
) -> AsyncIterator[asyncio.Task[tuple[Roamer, Asked]]]:
    """An approval that takes its minute beside the other tests."""
    fleet, http, model = shared
    async with AsyncExitStack() as stack:
        token = await register(http, fleet.origin())
        task = asyncio.create_task(approve_late(Edges(fleet, http, model, token, stack)))
        yield task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def approve_late(edges: Edges) -> tuple[Roamer, Asked]:
    """Says yes a minute after it was asked, on another connection."""
    device = await edges.device(STAYS, tool=None)
    asked = await device.ask("delete it")
    await asked.until(lambda asked: bool(asked.of("tool_call")))
    (call,) = asked.of("tool_call")
    assert call["requires_approval"]
    came = time.monotonic()
    await asyncio.sleep(MINUTE_S / 2)  # how long a user takes to decide is what is tried
    device.drop()
    await edges.move(device, STAYS)
    await asyncio.sleep(came + MINUTE_S - time.monotonic())
    await device.answer(call, result={"id": "t1"})
    await asked.over()
    return device, asked


def kept(device: Roamer, asked: Asked, text: str) -> None:
    assert device.broken == []
    assert asked.text == text
    assert asked.status == "completed", asked.end


async def test_an_answer_follows_its_device_from_edge_to_edge(edges: Edges) -> None:
    device = await edges.device(0)
    asked = await device.ask("words 120")
    for step, edge in enumerate((1, 2, 0, 1), 1):
        await asked.words(20 * step)
        device.drop()
        await edges.move(device, edge)
        assert device.ready["resumed"] == [asked.request_id]
    await asked.over()
    kept(device, asked, "".join(words(120)))


async def test_a_write_is_done_once_over_edges_and_seen_at_all(edges: Edges) -> None:
    device = await edges.device(0, tool=None)
    watchers = [await edges.device(edge) for edge in range(EDGES)]
    asked = await device.ask("create it")
    await asked.until(lambda asked: bool(asked.of("tool_call")))
    device.drop()
    await edges.move(device, 1)
    (call,) = asked.of("tool_call")
    await device.answer(call, result={"item": {"id": "t1", "title": "Water the plants"}})
    await asked.over()
    kept(device, asked, "It is done.")
    for watcher in watchers:
        await watcher.wait(partial(bool, watcher.mutations))
        (seen,) = watcher.mutations
        assert seen["origin"] == {"device_id": device.device_id, "request_id": asked.request_id}
        assert watcher.broken == []
    assert device.mutations == []


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_wherever_it_goes_it_gets_each_frame_once(edges: Edges, seed: int) -> None:
    chance = random.Random(seed)
    devices = [await edges.device(chance.randrange(EDGES)) for _ in range(3)]
    asked = [(device, await device.ask("words 100")) for device in devices for _ in range(2)]
    for _, each in asked:  # before, it may never have arrived
        await each.until(lambda one: bool(one.frames))
    while not all(each.is_over for _, each in asked):
        device = chance.choice(devices)
        if chance.random() < 0.5:
            device.drop()
        await edges.move(device, chance.randrange(EDGES))
        await asyncio.sleep(chance.random() / 5)
    for device, each in asked:
        kept(device, each, "".join(words(100)))


@dataclass
class Load:
    """A device that asks one thing after another, and goes where it is sent."""

    edges: Edges
    device: Roamer
    going: set[int]
    stop: asyncio.Event
    moves: int = 0
    asked: list[str] = field(default_factory=list)

    async def run(self) -> None:
        while not self.stop.is_set():
            message = f"words 25 {uuid4()}"
            asked, sent_away = await self.device.ask(message), False
            while not asked.is_over:
                if self.device.goaway is not None or not self.device.connected:
                    sent_away = True
                    await self._move()
                await asyncio.sleep(0.01)
            if (sent_away or self.device.goaway is not None) and not asked.of("stream_start"):
                assert asked.lost or asked.code == "service_unavailable", asked.end
                continue  # it crossed the goaway: refused, or never arrived; it was not begun
            kept(self.device, asked, "".join(words(25)))
            self.asked.append(message)

    async def _move(self) -> None:
        self.device.goaway = None
        self.moves += 1
        there = [edge for edge in range(EDGES) if edge not in self.going]
        await self.edges.move(self.device, random.choice(there))


@pytest.mark.timeout(240)  # drains, and starts, one after the other
async def test_a_rolling_restart_of_the_edges_fails_no_request_and_runs_none_twice(
    edges: Edges,
) -> None:
    going: set[int] = set()
    stop = asyncio.Event()
    devices = [await edges.device(number % EDGES) for number in range(4)]
    loads = [Load(edges, device, going, stop) for device in devices]
    async with asyncio.TaskGroup() as tasks:
        for load in loads:
            tasks.create_task(load.run())
        for index in range(STAYS):
            edge = edges.fleet["edge", index]
            going.add(index)
            edge.terminate()
            await eventually(lambda e=edge: not e.alive)  # type: ignore[misc]
            assert edge.status == 0, edge.log
            edge.start()
            await eventually(lambda e=edge: e.up and "can be reached" in e.log)  # type: ignore[misc]
            going.discard(index)
        stop.set()
    assert sum(load.moves for load in loads) >= EDGES - 1
    for message in (message for load in loads for message in load.asked):
        ran = [one for one in edges.model.chats if message in str(one.messages[-1]["content"])]
        assert len(ran) == 1, message


async def eventually(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.05)


async def test_an_approval_may_take_a_minute_over_a_reconnect(
    approving: asyncio.Task[tuple[Roamer, Asked]],
) -> None:
    """Twice the time of other calls, and of the connections between the services."""
    device, asked = await asyncio.wait_for(approving, 1.5 * MINUTE_S)
    kept(device, asked, "It is done.")
    assert asked.end and [change["op"] for change in asked.end["mutations"]] == ["delete"]
