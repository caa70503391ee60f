"""The first call of a model, which tells an operator what is wrong before a user meets it."""

import asyncio

from runtime.model.startup import checking
from tests.support import ports


async def test_the_first_call_waits_until_its_provider_listens() -> None:
    (port,) = ports.free(1)
    asked = asyncio.Event()

    async def ask() -> None:
        asked.set()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with checking(f"http://127.0.0.1:{port}/v1", ask):
        await asyncio.sleep(0)
        assert not asked.is_set()
        async with await asyncio.start_server(hang_up, "127.0.0.1", port), asyncio.timeout(10):
            await asked.wait()


async def test_what_the_first_call_raises_stays_there_and_leaving_ends_it() -> None:
    ended = asyncio.Event()

    async def failing() -> None:
        raise OSError("down")

    async def hanging() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with checking(url, failing):
            await asyncio.sleep(0.05)
        async with checking(url, hanging):
            await asyncio.sleep(0.05)
        assert ended.is_set()
