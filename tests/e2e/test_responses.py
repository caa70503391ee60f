"""The whole stack over the Responses API, with the offline model that speaks it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from devstack.offline_model.server import app
from tests.support.device import Device
from tests.support.stack import Running


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a response: its items, and the status that it was answered with."""

    items: list[dict[str, Any]]
    status: int

    @property
    def types(self) -> list[str]:
        """What was said since the user's last message, by type."""
        types = [f"{item.get('role', '')}{item['type']}" for item in self.items]
        return types[len(types) - types[::-1].index("usermessage") :]


@pytest.fixture
async def asked() -> AsyncIterator[tuple[str, list[Asked]]]:
    """The offline model in this process: its address, and the responses that it was asked for."""
    noted: list[Asked] = []

    async def note(request: web.Request, response: web.StreamResponse) -> None:
        if request.path == "/v1/responses":
            noted.append(Asked(orjson.loads(await request.read())["input"], response.status))

    application = app(tokens_per_s=0)
    application.on_response_prepare.append(note)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", noted
    await runner.cleanup()


@asynccontextmanager
async def running(folder: Path, **settings: str) -> AsyncIterator[Running]:
    """The stack, started and stopped beside this loop, where its model answers."""
    stack = Running(folder / "state", **settings)
    try:
        await asyncio.to_thread(stack.ready)
        yield stack
    finally:
        await asyncio.to_thread(stack.__exit__, None, None, None)


async def test_a_conversation(tmp_path: Path, asked: tuple[str, list[Asked]]) -> None:
    url, requests = asked
    async with (
        running(tmp_path, OPENAI_BASE_URL=url, OPENAI_API="responses") as stack,
        await Device.open(stack.origin) as device,
    ):
        chart = await device.ask("show my overdue tasks as a chart")
        assert chart.end["status"] == "completed"
        assert chart.text.startswith("You have 2 overdue tasks.")
        assert len(chart.blocks["chart"]) == 1
        assert len(chart.blocks["entity_ref"]) == 2
        assert chart.end["usage"]["output_tokens"] > 0
        assert "estimated" not in chart.end["usage"]

        overview = await device.ask("give me an overview")
        assert overview.end["status"] == "completed"
        assert len(overview.tools) == 3  # side by side

        refused = await device.ask("rehearse a refusal")
        assert refused.end["error"]["code"] == "model_refused"
        cut = await device.ask("rehearse a cut")
        assert cut.end["error"]["code"] == "model_truncated"
        assert "word20" in cut.text
    assert {each.status for each in requests} == {200}  # the model takes its reasoning back
    later = [each.types for each in requests if each.types]
    assert later == [
        ["reasoning", "function_call", "function_call_output"],
        ["reasoning", *["function_call"] * 3, *["function_call_output"] * 3],
    ]
