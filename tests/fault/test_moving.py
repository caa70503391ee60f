"""Devices that move between the edges of the whole stack, in the middle of answers."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.support.fleet import Fleet, several
from tests.support.model_server import Call, ModelServer, Reply, Request, calls, says
from tests.support.nats import nats
from tests.support.roamer import Asked, Roamer, register

pytestmark = pytest.mark.asyncio(loop_scope="module")

EDGES = 3


def script(request: Request) -> Reply:
    """words N: slowly; create: a writing tool, and a few words."""
    asked = [message for message in request.messages if message["role"] == "user"][-1]["content"]
    if request.messages[-1]["role"] == "tool":
        return says("It is ", "done.")
    if found := re.search(r"words (\d+)", asked):
        return Reply([step for word in words(int(found[1])) for step in (word, 0.02)])
    return calls(Call("create_task", {"title": "Water the plants"}))


def words(count: int) -> list[str]:
    return [f"word{number} " for number in range(count)]


@dataclass
class Edges:
    """The stack, and one user who may be anywhere in it."""

    fleet: Fleet
    http: aiohttp.ClientSession
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
) -> AsyncIterator[tuple[Fleet, aiohttp.ClientSession]]:
    folder = tmp_path_factory.mktemp("fleet")
    choice = {"agent": "task_agent", "confidence": 1, "reason": "scripted"}
    async with nats() as broker, ModelServer(script, json=choice) as model:
        fleet = Fleet(
            folder, module_database, several(EDGES), model_url=model.url, NATS_URL=broker.url
        )
        await asyncio.to_thread(fleet.__enter__)
        try:
            async with aiohttp.ClientSession() as http:
                yield fleet, http
        finally:
            await asyncio.to_thread(fleet.__exit__, None, None, None)


@pytest_asyncio.fixture(loop_scope="module")
async def edges(shared: tuple[Fleet, aiohttp.ClientSession]) -> AsyncIterator[Edges]:
    fleet, http = shared
    async with AsyncExitStack() as stack:
        yield Edges(fleet, http, await register(http, fleet.origin()), stack)


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
