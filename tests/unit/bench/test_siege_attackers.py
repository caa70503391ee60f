"""A process of attackers: it attacks for its time, ends when told, and says what it heard."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from bench.siege.attack import SENT
from tests.support.ports import free

ATTACK = "accounts that are not there"


@asynccontextmanager
async def refusing(heard: asyncio.Event) -> AsyncIterator[int]:
    """A server that tells everybody to wait; its port."""

    async def refuse(request: web.Request) -> web.Response:
        heard.set()
        return web.json_response({"error": {"code": "rate_limited"}}, status=429)

    app = web.Application()
    app.router.add_post("/api/v1/auth/login", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    (port,) = free(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await runner.cleanup()


async def attackers(
    port: int,
    seconds: float,
    meanwhile: Callable[[asyncio.subprocess.Process], Awaitable[None]] | None = None,
) -> dict[str, Any]:
    hands = [{"attack": ATTACK, "source": "127.0.0.9"}]
    plan = {"host": "127.0.0.1", "port": port, "seconds": seconds, "hands": hands}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.siege.attackers",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    talk = asyncio.create_task(process.communicate(orjson.dumps(plan)))
    if meanwhile is not None:
        await meanwhile(process)
    said, _ = await talk
    assert process.returncode == 0
    return dict(orjson.loads(said))


async def test_it_counts_what_it_sent_and_what_it_was_told() -> None:
    async with refusing(asyncio.Event()) as port:
        told = await attackers(port, 1)
    assert told[ATTACK][SENT] > 0
    assert told[ATTACK]["rate_limited"] > 0


async def test_told_to_end_it_says_what_it_heard_until_then() -> None:
    heard = asyncio.Event()

    async def end(process: asyncio.subprocess.Process) -> None:
        await heard.wait()
        process.terminate()

    async with refusing(heard) as port:
        told = await attackers(port, 600, end)
    assert told[ATTACK][SENT] > 0


async def test_where_nobody_listens_any_more_it_was_cut() -> None:
    told = await attackers(free(1)[0], 1)
    assert set(told[ATTACK]) <= {SENT, "cut"} and told[ATTACK]["cut"] > 0
