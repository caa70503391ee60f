"""The model adapter against a provider over HTTP."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from agent_svc.cost import Cost
from agent_svc.events import Text, ToolCallReady
from agent_svc.model import Message, Model, ModelCall
from runtime.errors import SwitchboardError
from runtime.model import client as runtime_model
from runtime.model.client import ModelSettings
from switchboard.v3.errors_pb2 import ErrorCode
from tests.support.model_server import Call, ModelServer, Reply, Script, calls, fails, says

ASKED: list[Message] = [{"role": "user", "content": "hello"}]


@asynccontextmanager
async def model(script: Script) -> AsyncIterator[tuple[Model, ModelServer]]:
    async with ModelServer(script) as server:
        settings = ModelSettings(openai_api_key="sk-test", openai_base_url=server.url)
        async with runtime_model.client(settings) as client:
            yield Model(client, "some-model", settings.profiles(), backoff_s=0.01), server


async def said(call: ModelCall) -> list[str]:
    shown = []
    async with aclosing(call.said()) as events:
        async for event in events:
            match event:
                case Text(text):
                    shown.append(text)
                case ToolCallReady(name=name, arguments=arguments):
                    shown.append(f"{name}({arguments})")
    return shown


async def test_a_call_is_asked_for_as_the_api_wants_it() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    async with model([says("Hi."), says("Hi.")]) as (there, server):
        await said(there.call(ASKED, [tool]))
        await said(there.call(ASKED, []))
        with_tools, without = server.chats
        assert with_tools.body == {
            "model": "some-model",
            "messages": ASKED,
            "stream": True,
            "stream_options": {"include_usage": True},
            "tools": [tool],
        }
        assert "tools" not in without.body  # some providers refuse an empty list
        assert with_tools.headers["authorization"] == "Bearer sk-test"


async def test_text_then_whole_tool_calls() -> None:
    reply = calls(Call("f", {"a": 1}), Call("g", id="call_2"), text=["Let ", "me."])
    async with model([reply]) as (there, _):
        assert await said(there.call(ASKED, [])) == ["Let ", "me.", 'f({"a": 1})', "g({})"]


async def test_one_connection_serves_call_after_call() -> None:
    async with model([says("One."), says("Two."), says("Three.")]) as (there, server):
        for _ in range(3):
            await said(there.call(ASKED, []))
        assert len({request.port for request in server.requests}) == 1


async def test_a_reported_cost_is_taken_and_any_other_estimated() -> None:
    async with model([says("Hi."), says("12345678", usage=None)]) as (there, _):
        reported, counted = there.call(ASKED, []), there.call(ASKED, [])
        assert reported.cost() == Cost()
        await said(reported)
        await said(counted)
        assert reported.cost() == Cost(10, 5, 1)
        cost = counted.cost()
        assert (cost.output_tokens, cost.model_calls, cost.estimated) == (2, 1, True)
        assert 5 < cost.input_tokens < 20
        total = Cost()
        total.add(reported.cost())
        total.add(cost)
        assert total.estimated
        assert total.model_calls == 2


def test_estimated_stands_on_the_wire_only_where_it_is_true() -> None:
    assert not Cost(1, 2, 1).to_proto().HasField("estimated")
    assert Cost(1, 2, 1, estimated=True).to_proto().estimated


async def test_the_wait_that_the_provider_asks_for_is_kept() -> None:
    async with model([fails(429, headers={"retry-after": "0.3"}), says("Hi.")]) as (there, _):
        began = time.monotonic()
        assert await said(there.call(ASKED, [])) == ["Hi."]
        assert time.monotonic() - began >= 0.3


async def test_a_provider_that_cannot_be_reached_for_a_moment_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with ModelServer([says("Hi.")]) as server:
        await server.stop()
        settings = ModelSettings(openai_base_url=server.url)
        async with runtime_model.client(settings) as client:
            there = Model(client, "some-model", settings.profiles(), backoff_s=0.5)
            asked = asyncio.create_task(said(there.call(ASKED, [])))
            async with asyncio.timeout(5):
                while "trying again" not in caplog.text and not asked.done():
                    await asyncio.sleep(0.005)
            async with server:
                assert await asked == ["Hi."]


async def test_a_provider_that_stays_away_is_told_of_as_unavailable() -> None:
    async with model([]) as (there, server):
        await server.stop()
        call = there.call(ASKED, [])
        with pytest.raises(SwitchboardError) as caught:
            await said(call)
        assert caught.value.code == ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE
        assert call.cost() == Cost()  # no answer was opened


async def test_a_kept_connection_that_the_provider_has_closed_fails_no_call() -> None:
    connections = 0

    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await _request(reader)
        body = (
            b'data: {"choices":[{"delta":{"content":"Hi."},"finish_reason":"stop"}]}\n\n'
            b"data: [DONE]\n\n"
        )
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        if connections == 1:
            await _request(reader)  # the second call's, on the same connection
        writer.close()

    async with await asyncio.start_server(answer_one, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = ModelSettings(openai_base_url=f"http://127.0.0.1:{port}/v1")
        async with runtime_model.client(settings) as client:
            there = Model(client, "some-model", settings.profiles(), backoff_s=0.01)
            assert await said(there.call(ASKED, [])) == ["Hi."]
            assert await said(there.call(ASKED, [])) == ["Hi."]
    assert connections == 2


async def _request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = re.findall(rb"(?i)content-length: *(\d+)", head)
    await reader.readexactly(int(length))


async def test_a_time_out_is_not_tried_again() -> None:
    connections, over = 0, asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read()
        writer.close()
        over.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = ModelSettings(openai_base_url=f"http://127.0.0.1:{port}/v1", model_idle_s=0.1)
        async with runtime_model.client(settings) as client:
            with pytest.raises(SwitchboardError) as caught:
                await said(
                    Model(client, "some-model", settings.profiles(), backoff_s=0.01).call(ASKED, [])
                )
        await asyncio.wait_for(over.wait(), 5)
    assert caught.value.code == ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE
    assert connections == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_told_to_the_operator(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with model([fails(status, error="Incorrect key: sk-test")]) as (there, _):
        with pytest.raises(SwitchboardError):
            await said(there.call(ASKED, []))
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert f"status {status}" in line.getMessage()
    assert "API key" in line.getMessage()
    assert "sk-test" not in caplog.text


async def test_nothing_is_tried_again_after_the_first_token() -> None:
    broken = Reply(["Hi", b'data: {"error": {"code": 503}}\n\n'])
    async with model([broken, says("Hi.")]) as (there, server):
        with pytest.raises(SwitchboardError) as caught:
            await said(there.call(ASKED, []))
        assert caught.value.code == ErrorCode.ERROR_CODE_MODEL_TRUNCATED
        assert len(server.chats) == 1


async def test_closing_midway_closes_the_providers_response() -> None:
    async with model([Reply(["One", asyncio.Event()])]) as (there, server):
        async with aclosing(there.call(ASKED, []).said()) as events:
            assert await anext(events) == Text("One")
        await asyncio.wait_for(server.chats[0].closed.wait(), 2)


async def test_cancelling_while_the_provider_says_nothing_closes_it_too() -> None:
    async with model([Reply([asyncio.Event()])]) as (there, server):
        call = there.call(ASKED, [])
        task = asyncio.create_task(said(call))
        request = await server.request(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(request.closed.wait(), 2)
        assert call.cost().estimated


async def test_a_provider_that_ends_late_after_done_holds_nobody_up() -> None:
    hangs = Reply(["Hi.", b"data: [DONE]\n\n", asyncio.Event()])
    async with model([hangs]) as (there, _):
        async with asyncio.timeout(2):
            assert await said(there.call(ASKED, [])) == ["Hi."]


async def test_what_a_model_is_shows_no_key() -> None:
    async with model([]) as (there, _):
        assert repr(there) == "Model(some-model)"
