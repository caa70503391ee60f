"""The offline model over HTTP, through the real openai package."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import orjson
import pytest
from aiohttp import web
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionToolParam

from devstack.offline_model.server import app

LIST_TASKS: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "list_tasks",
        "parameters": {"type": "object", "properties": {"overdue": {"type": "boolean"}}},
    },
}
ROUTE: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "route",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "agent": {"type": "string", "enum": ["task_agent", "note_agent", "general_agent"]},
                "confidence": {"type": "number"},
                "reason": {"type": "string"},
            },
            "required": ["agent", "confidence", "reason"],
        },
    },
}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    runner = web.AppRunner(app(tokens_per_s=0))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as made:
        yield made


async def test_an_answer_streams_token_by_token_and_reports_its_usage(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": "hello"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    pieces = [
        c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content
    ]
    assert len(pieces) > 10
    assert "".join(pieces).startswith("Hello! I am the offline model")
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == len(pieces)
    assert usage.prompt_tokens > 0


async def test_a_stream_closes_with_done(url: str) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/chat/completions", json=body) as response,
    ):
        assert response.headers["Content-Type"] == "text/event-stream"
        text = await response.text()
    assert text.endswith("data: [DONE]\n\n")
    assert '"usage"' not in text


async def test_calls_a_tool_and_answers_from_its_result(client: AsyncOpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "what is overdue?"}]
    stream = await client.chat.completions.create(
        model="any", messages=messages, tools=[LIST_TASKS], stream=True
    )
    name, call_id, arguments, reason = "", "", "", None
    async for chunk in stream:
        for delta in chunk.choices[0].delta.tool_calls or ():
            assert delta.function is not None
            name += delta.function.name or ""
            call_id += delta.id or ""
            arguments += delta.function.arguments or ""
        reason = chunk.choices[0].finish_reason or reason
    assert (name, orjson.loads(arguments), reason) == (
        "list_tasks",
        {"overdue": True},
        "tool_calls",
    )

    task = {"id": "t1", "title": "Pay rent", "status": "todo", "dueDate": 1_700_000_000_000}
    messages += [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": name, "arguments": arguments},
                }
            ],
        },
        {
            "role": "tool",
            "tool_call_id": call_id,
            "content": orjson.dumps({"items": [task]}).decode(),
        },
    ]
    whole = await client.chat.completions.create(model="any", messages=messages, tools=[LIST_TASKS])
    assert whole.choices[0].message.content is not None
    assert whole.choices[0].message.content.startswith("You have 1 overdue task.\n- Pay rent")


@pytest.mark.parametrize(
    ("message", "agent"),
    [
        ("what is overdue?", "task_agent"),
        ("find my notes about milk", "note_agent"),
        ("how are you?", "general_agent"),
        ("move Call Bob to in progress", "task_agent"),
    ],
)
async def test_chooses_an_agent(client: AsyncOpenAI, message: str, agent: str) -> None:
    answer = await client.chat.completions.create(
        model="any", messages=[{"role": "user", "content": message}], response_format=ROUTE
    )
    said = orjson.loads(answer.choices[0].message.content or "")
    assert said["agent"] == agent
    assert 0.5 <= said["confidence"] <= 1
    assert message not in said["reason"]


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_embeds(client: AsyncOpenAI, encoding: Any) -> None:
    answer = await client.embeddings.create(
        model="any", input=["buy milk", "milk"], encoding_format=encoding
    )
    assert [one.index for one in answer.data] == [0, 1]
    raw = answer.data[0].embedding
    assert len(raw) == (1536 if encoding == "float" else 4 * 1536 * 4 // 3)


async def test_lists_itself_by_an_honest_name(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["offline-rules"]


async def test_a_bad_request_is_told_what_is_bad(client: AsyncOpenAI, url: str) -> None:
    with pytest.raises(openai.BadRequestError, match="must be a list"):
        await client.chat.completions.create(model="any", messages=[])
    with pytest.raises(openai.BadRequestError, match="'dimensions' must be"):
        await client.embeddings.create(model="any", input="x", dimensions=0)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/chat/completions", data=b"{") as response,
    ):
        assert response.status == 400
