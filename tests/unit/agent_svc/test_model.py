"""The model adapter against a provider over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from agent_svc.model import Cost, Message, Model, ModelCall
from agent_svc.parts import Text, ToolCallReady
from runtime import model as runtime_model
from runtime.errors import SwitchboardError
from runtime.model import ModelSettings
from switchboard.v3.errors_pb2 import ErrorCode
from tests.support.model_server import Call, ModelServer, Reply, Script, calls, fails, says

ASKED: list[Message] = [{"role": "user", "content": "hello"}]


@asynccontextmanager
async def model(script: Script) -> AsyncIterator[tuple[Model, ModelServer]]:
    async with ModelServer(script) as server:
        settings = ModelSettings(openai_api_key="sk-test", openai_base_url=server.url)
        async with runtime_model.client(settings) as client:
            yield Model(client, "some-model", backoff_s=0.01), server


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
