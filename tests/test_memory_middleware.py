"""Acceptance: over the socket, what is remembered reaches the model, and what is said is kept.

The whole stack as processes; the model is ours, and shows what it was asked.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.device import Answer, Device
from tests.support.model_server import Call, ModelServer, Reply, Request, calls, says
from tests.support.stack import Running

pytestmark = pytest.mark.xdist_group("e2e")

INTENT = {"agent": "general_agent", "confidence": 0.95, "reason": "talk"}


def script(request: Request) -> Reply:
    """Remembers a name that it is told, once; else it says something kind."""
    messages = request.body["messages"]
    told = messages[-1]["role"] == "user" and "call me Sam" in str(messages[-1]["content"])
    if told:
        return calls(Call("remember_preference", {"key": "name", "value": "Sam"}))
    return says("Of course.")


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer(script, json=INTENT) as server:
        yield server


@pytest.fixture
async def stack(model: ModelServer, tmp_path: Path) -> AsyncIterator[Running]:
    running = Running(tmp_path / "state", OPENAI_BASE_URL=model.url, OPENAI_API_KEY="none")
    try:
        await asyncio.to_thread(running.ready)
        yield running
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def ask(device: Device, message: str, session: str) -> Answer:
    """Asks in a conversation of its own."""
    return await (await device.home(message, session_id=session)).ended()


def told(model: ModelServer) -> str:
    """What the agent's model was last told."""
    return str(model.chats[-1].body["messages"])


async def rest(device: Device, method: str, path: str, **more: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {device.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, f"{device.origin}{path}", **more) as response,
    ):
        text = await response.text()
        return response.status, text


async def test_a_home_requests_model_call_carries_the_enriched_context(
    stack: Running, model: ModelServer
) -> None:
    async with await Device.open(stack.origin) as device:
        answer = await ask(device, "My sister Anna lives in Oslo.", "first")
        assert answer.end["status"] == "completed"
        assert answer.end["memory"] == "stored"
        assert "Oslo" not in str(model.chats[-1].body["messages"][0])
        first = await ask(device, "Hello, call me Sam", "first")
        assert first.end["status"] == "completed"

        # A fresh session without any history: what is known comes from memory.
        answer = await ask(device, "Where does Anna live?", "second")
        assert answer.end["memory"] == "stored"
        seen = told(model)
        assert "My sister Anna lives in Oslo." in seen
        assert '"key":"name"' in seen.replace("\\", "").replace(" ", "")
        assert "Sam" in seen

        status, text = await rest(device, "GET", "/api/v1/memory/core")
        assert status == 200
        assert "Sam" in text
        status, text = await rest(device, "GET", "/api/v1/memory/export")
        assert status == 200
        assert "Anna lives in Oslo" in text

        # Another user knows nothing of it.
        async with await Device.open(stack.origin) as other:
            await other.ask("Where does Anna live?")
            assert "Oslo" not in told(model)
            status, text = await rest(other, "GET", "/api/v1/memory?query=Anna")
            assert "Oslo" not in text


async def test_an_erased_account_is_forgotten_and_signed_out(
    stack: Running, model: ModelServer
) -> None:
    async with await Device.open(stack.origin) as device:
        await device.ask("My sister Anna lives in Oslo.")
        status, _ = await rest(
            device, "DELETE", "/api/v1/account", json={"password": "wrong wrong"}
        )
        assert status == 401
        status, text = await rest(
            device, "DELETE", "/api/v1/account", json={"password": "correct horse battery"}
        )
        assert status in (200, 204), text
        ledger = (stack.state).rglob("*eras*")
        assert any(path.is_file() and path.read_text().strip() for path in ledger)
