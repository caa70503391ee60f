"""`make run` with models that are set up wrong or cannot do everything: one line says what is
wrong, and what can be done is done."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.device import Device
from tests.support.limited_model import LimitedModel
from tests.support.stack import Running

WORST = re.compile(r"^(\w+) +\| \S+ (?:warning|error) +(.*)$", re.MULTILINE)


@asynccontextmanager
async def running(folder: Path, **settings: str) -> AsyncIterator[Running]:
    """The stack, started and stopped beside this loop, where its model answers."""
    stack = Running(folder / "state", **settings)
    try:
        await asyncio.to_thread(stack.ready)
        yield stack
    finally:
        await asyncio.to_thread(stack.__exit__, None, None, None)


def told(stack: Running) -> dict[str, list[str]]:
    """What each process warned of."""
    found: dict[str, list[str]] = {}
    for name, line in WORST.findall(stack.log()):
        found.setdefault(name, []).append(line)
    return found


async def warned(stack: Running, *names: str) -> dict[str, list[str]]:
    """Waits until each of these has warned of something."""
    async with asyncio.timeout(30):
        while not set(names) <= set(told(stack)):
            await asyncio.sleep(0.1)
    return told(stack)


async def test_a_wrong_key_is_told_in_a_line_of_each_that_needs_it(tmp_path: Path) -> None:
    wrong = "sk-wrong-0123456789"
    async with (
        LimitedModel(key="sk-right") as provider,
        running(tmp_path, OPENAI_BASE_URL=provider.url, OPENAI_API_KEY=wrong) as stack,
    ):
        lines = await warned(stack, "agent", "router", "memory")
        for name, setting in (("agent", "AGENT"), ("router", "ROUTER"), ("memory", "EMBEDDING")):
            (line,) = [each for each in lines[name] if "model call failed" in each]
            assert "status 401, code invalid_api_key" in line
            assert f"is the API key right (OPENAI_API_KEY or {setting}_API_KEY)" in line
        assert wrong not in stack.log()
        async with await Device.open(stack.origin) as device:
            answer = await device.ask("hello")
            assert answer.end["error"]["code"] == "model_misconfigured"
            assert answer.end["error"]["retryable"] is False


async def test_each_model_has_its_own_endpoint_and_what_is_wrong_there_is_told_apart(
    tmp_path: Path,
) -> None:
    async with (
        LimitedModel(model="big", key="sk-agent") as agents,
        LimitedModel(model="small", key="sk-router", schemas=False, json=False) as routing,
        LimitedModel(embeddings=False) as embeddings,
        running(
            tmp_path,
            OPENAI_BASE_URL=embeddings.url,
            AGENT_BASE_URL=agents.url,
            AGENT_API_KEY="sk-agent",
            AGENT_MODEL="bigger",
            ROUTER_BASE_URL=routing.url,
            ROUTER_API_KEY="sk-router",
            ROUTER_MODEL="small",
        ) as stack,
    ):
        lines = await warned(stack, "agent", "memory")
        (line,) = [each for each in lines["agent"] if "model call failed" in each]
        assert "The model `bigger` does not exist" in line and "are AGENT_MODEL" in line
        (line,) = [each for each in lines["memory"] if "model call failed" in each]
        assert "This server does not support embeddings" in line and "EMBEDDING_MODEL" in line
        assert "router" not in lines
        assert "it cannot be held to a schema, which is told it in words now" in stack.log()
        async with await Device.open(stack.origin) as device:
            answer = await device.ask("hello")
            assert answer.end["error"]["code"] == "model_misconfigured"
            assert answer.end["agent"] == "general_agent"
        routed = [body.get("response_format", {}).get("type") for body, _ in routing.asked]
        assert routed == ["json_schema", "json_object", None, None]


async def test_a_model_without_tools_answers_without_them(tmp_path: Path) -> None:
    refuses = ("stream_options", "parallel_tool_calls")
    async with (
        LimitedModel(
            tools=False, refuses=refuses, dimensions=576, any_dimensions=False
        ) as provider,
        running(tmp_path, OPENAI_BASE_URL=provider.url) as stack,
    ):
        lines = await warned(stack, "agent", "memory")
        assert any("it takes no tools" in each for each in lines["agent"])
        (line,) = [each for each in lines["memory"] if "dimensions" in each]
        assert "gives 576 dimensions, 1536 are needed (EMBEDDING_MODEL)" in line
        before = len(provider.asked)
        async with await Device.open(stack.origin) as device:
            answer = await device.ask("hello")
            assert (answer.end["status"], answer.text) == ("completed", "Hello there.")
        after = provider.asked[before:]
        assert [status for _, status in after] == [200] * len(after), "nothing is refused twice"
