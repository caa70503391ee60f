"""Services that are sent away in the middle of everything that can be under way: they end as an
operator would want it, without a stack, and without an error in their logs."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.support.fleet import Fleet, Plan
from tests.support.model_server import Call, ModelServer, Reply, Request, calls
from tests.support.roamer import Asked, Roamer, register

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOUND_S = 30.0
STACK = "Traceback|Exception|never retrieved|was destroyed|Unclosed"
BAD = re.compile(rf"^\S+ (?:error|critical) .*|.*(?:{STACK}).*", re.MULTILINE)
UNDER_WAY = ("words", "flood", "delete it", "silence", "half a word", "create it")


def script(request: Request) -> Reply:
    """What a model is in the middle of, by the user's word."""
    asked = [message for message in request.messages if message["role"] == "user"][-1]["content"]
    match asked:
        case "words":
            return Reply(step for word in itertools.count() for step in (f"word{word} ", 0.02))
        case "flood":
            return Reply(itertools.repeat("x" * 4096))
        case "silence":
            return Reply([600.0])
        case "half a word":
            return Reply(['{"type":"text","content":"ha', 600.0])
        case "create it":
            return calls(Call("create_task", {"title": "x"}))
        case _:
            return calls(Call("delete_task", {"id": "t1"}))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(
    tmp_path_factory: pytest.TempPathFactory, module_database: str
) -> AsyncIterator[Fleet]:
    choice = {"agent": "task_agent", "confidence": 1, "reason": "scripted"}
    folder: Path = tmp_path_factory.mktemp("fleet")
    async with ModelServer(script, json=choice) as model:
        made = Fleet(
            folder, module_database, Plan(), model_url=model.url, DRAIN_S="1", AGENT_TOKENS="10" * 6
        )
        await asyncio.to_thread(made.__enter__)
        try:
            yield made
        finally:
            await asyncio.to_thread(made.__exit__, None, None, None)


async def begin(device: Roamer) -> list[Asked]:
    """Requests in the middle of all that can be; a word of REST among them."""
    asked = [await device.ask(message) for message in UNDER_WAY]
    for one, message in zip(asked, UNDER_WAY, strict=True):
        if message in ("words", "flood"):
            await one.words(3) if message == "words" else await one.until(lambda a: bool(a.text))
        elif message.endswith(" it"):
            await one.until(lambda a: bool(a.of("tool_call")))
    return asked


@pytest.mark.parametrize("name", ["edge", "router", "agent", "formatter", "memory"])
async def test_a_service_that_is_sent_away_in_the_middle_ends_quietly(
    fleet: Fleet, name: str
) -> None:
    process = fleet[name, 0]
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        token = await register(http, fleet.origin())
        device = await stack.enter_async_context(Roamer(http, fleet.origin(), token, tool=None))
        asked = await begin(device)
        headers = {"Authorization": f"Bearer {token}"}
        beside = asyncio.create_task(
            http.post(f"{fleet.origin()}/api/v1/chat", json={"message": "words"}, headers=headers)
        )
        process.terminate()
        async with asyncio.timeout(BOUND_S):
            while process.alive:
                await asyncio.sleep(0.05)
        device.may_lose = True
        if name in ("router", "agent", "formatter"):
            for one in asked:
                assert (await one.over()).status == "failed", one
        for one in asked:
            with suppress(ConnectionError):
                await device.cancel(one)
        beside.cancel()
        await asyncio.gather(beside, return_exceptions=True)
    status, bad = process.status, {each.name: BAD.findall(each.log) for each in fleet}
    process.start()
    async with asyncio.timeout(BOUND_S):
        while not (process.up and await asyncio.to_thread(fleet.answers)):
            await asyncio.sleep(0.05)
    assert status == 0
    assert bad == {each.name: [] for each in fleet}
