"""The model adapter against a provider over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from agent_svc.cost import Cost
from agent_svc.events import Text, ToolCallReady
from agent_svc.model import Message, Model, ModelCall
from runtime import metrics
from runtime.errors import SwitchboardError
from runtime.model import client as runtime_model
from runtime.model.client import ModelSettings
from switchboard.v3.errors_pb2 import ErrorCode
from tests.support.model_server import (
    CUT,
    Call,
    ModelServer,
    Reply,
    Request,
    Script,
    calls,
    fails,
    raw,
    says,
)

ASKED: list[Message] = [{"role": "user", "content": "hello"}]


@asynccontextmanager
async def model(script: Script, **profile: Any) -> AsyncIterator[tuple[Model, ModelServer]]:
    async with ModelServer(script) as server:
        settings = ModelSettings(openai_api_key="sk-test", openai_base_url=server.url)
        profiles = settings.profiles(("*", profile))
        async with runtime_model.client(settings) as client:
            yield Model(client, "some-model", profiles, backoff_s=0.01), server


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


async def failing(call: ModelCall) -> SwitchboardError:
    with pytest.raises(SwitchboardError) as caught:
        await said(call)
    return caught.value


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
FINISHED = b'data: {"choices":[{"index":0,"delta":{"content":"Hi."},"finish_reason":"stop"}]}\n\n'


# What is asked


def picky(refused: str, message: str, answer: Reply) -> Script:
    """A provider that refuses requests with this in them."""

    def script(request: Request) -> Reply:
        asked = str(request.body)
        return fails(400, error=message) if refused in asked else answer

    return script


async def test_what_a_provider_refuses_is_left_out_and_no_second_call_pays() -> None:
    script = picky("stream_options", "Unknown parameter: 'stream_options'.", says("Hi."))
    async with model(script) as (there, server):
        assert await said(there.call(ASKED, [])) == ["Hi."]
        assert len(server.chats) == 2
        assert await said(there.call(ASKED, [])) == ["Hi."]
        assert len(server.chats) == 3


async def test_each_parameter_is_left_out_once() -> None:
    refusal = fails(400, error="Unknown parameter: 'stream_options'.")
    async with model(lambda _: refusal) as (there, server):
        error = await failing(there.call(ASKED, []))
        assert error.code == ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED
        assert len(server.chats) == 2
        # It did not help, and so nothing was learned.
        await failing(there.call(ASKED, []))
        assert "stream_options" in server.chats[2].body


async def test_a_model_that_takes_no_tools_is_told_that_it_has_none() -> None:
    script = picky("'tools'", "this model does not support tools", says("Hi."))
    messages = [{"role": "system", "content": "Use your tools."}, *ASKED]
    async with model(script) as (there, server):
        assert there.takes_tools
        assert await said(there.call(messages, [TOOL])) == ["Hi."]
        assert "No tools after all" in server.chats[1].messages[0]["content"]
        assert not there.takes_tools


SAID: list[Message] = [
    *ASKED,
    {
        "role": "assistant",
        "reasoning_content": "hm",
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
                "extra_content": {"google": {"thought_signature": "ab"}},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "{}"},
]


async def test_a_provider_that_refuses_its_own_words_gets_them_no_more() -> None:
    message = "'messages.1': property 'reasoning_content' is unsupported"
    script = picky("reasoning_content", message, says("Hi."))
    async with model(script) as (there, server):
        assert await said(there.call(SAID, [])) == ["Hi."]
        assert await said(there.call(SAID, [])) == ["Hi."]
        assert len(server.chats) == 3
        bare = server.chats[1].messages[1]
        assert bare == {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        }


async def test_a_provider_that_misses_content_gets_some() -> None:
    def script(request: Request) -> Reply:
        missing = "content" not in request.messages[1]
        return fails(422, error="messages[1]: missing field `content`") if missing else says("Hi.")

    async with model(script) as (there, server):
        assert await said(there.call(SAID, [])) == ["Hi."]
        assert server.chats[1].messages[1]["content"] == ""
        assert server.chats[1].messages[1]["reasoning_content"] == "hm"


async def test_messages_that_say_nothing_are_not_sent() -> None:
    blank = {"role": "assistant", "content": ""}
    async with model([says("Hi.")]) as (there, server):
        await said(there.call([*ASKED, blank, {"role": "user", "content": "and?"}], []))
        assert [message["content"] for message in server.chats[0].messages] == ["hello", "and?"]


# A window that is too small


def history(turns: int, size: int) -> list[Message]:
    roles = ("user", "assistant")
    turns_said = [{"role": roles[n % 2], "content": f"{n} " + "x" * size} for n in range(turns)]
    return [{"role": "system", "content": "Be brief."}, *turns_said, *ASKED]


async def test_a_window_that_is_known_is_respected_before_the_call() -> None:
    async with model([says("Hi.")], context_window=4_000) as (there, server):
        assert await said(there.call(history(40, 1_000), [])) == ["Hi."]
        sent = server.chats[0].messages
        assert [sent[0]["content"], sent[-1]["content"]] == ["Be brief.", "hello"]
        assert 4_000 < len(str(sent)) < 4 * 4_000
        assert sent[-2]["content"].startswith("39 ")  # the oldest went


def takes_bytes(most: int, message: str = "too long") -> Script:
    """A model that refuses more than so many bytes of messages."""

    def script(request: Request) -> Reply:
        size = len(json.dumps(request.messages))
        if size > most:
            return fails(400, error=message, code="context_length_exceeded")
        return says("Hi.", usage=(size // 4, 1))

    return script


async def test_a_conversation_that_is_too_long_is_trimmed_within_the_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    counted = metrics.MODEL_LESSONS.labels("context_window")._value
    before = counted.get()
    async with model(takes_bytes(12_000)) as (there, server):
        assert await said(there.call(history(40, 1_000), [])) == ["Hi."]
        assert len(server.chats) == 4
        for _ in range(4):
            assert await said(there.call(history(40, 1_000), [])) == ["Hi."]
        assert len(server.chats) == 8  # what was learned is kept
    assert counted.get() > before
    assert "it takes no longer conversation (context_window=" in caplog.text


async def test_a_window_that_is_told_is_learned_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told = "This model's maximum context length is 8192 tokens."
    async with model(takes_bytes(4 * 8192, told)) as (there, server):
        for _ in range(3):
            assert await said(there.call(history(40, 1_000), [])) == ["Hi."]
        assert len(server.chats) == 4
        assert len(str(server.chats[1].messages)) > 20_000  # no more went than had to
        assert server.chats[-1].body == server.chats[1].body
    assert caplog.text.count("(context_window=8192)") == 1


async def test_a_window_that_is_told_and_yet_too_much_is_not_believed() -> None:
    told = "This model's maximum context length is 8192 tokens."
    async with model(takes_bytes(9_000, told)) as (there, server):
        assert await said(there.call(history(40, 1_000), [])) == ["Hi."]
        paid = len(server.chats)
        for _ in range(3):
            assert await said(there.call(history(40, 1_000), [])) == ["Hi."]
        assert len(server.chats) == paid + 3


async def test_a_key_that_is_refused_within_a_stream_is_told_to_the_operator(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = {"code": 401, "message": "No user for sk-test found.", "type": "authentication_error"}
    async with model([raw(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")]) as (
        there,
        _,
    ):
        failed = await failing(there.call(ASKED, []))
        assert failed.code == ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED
    (told,) = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert "status 401, code 401, No user for [key] found. - is the API key right" in told
    assert "sk-test" not in caplog.text


async def test_one_that_cannot_be_made_to_fit_is_too_long() -> None:
    too_long = fails(413, error="Request too large")
    async with model(lambda _: too_long) as (there, server):
        error = await failing(there.call(history(4, 1_000), []))
        assert error.code == ErrorCode.ERROR_CODE_CONTEXT_TOO_LONG
        assert not error.retryable
        assert len(server.chats) <= 5


async def test_tokens_are_counted_as_the_model_reports_them() -> None:
    dense = says("Hi.", usage=(20_000, 1))
    async with model([dense, dense, says("12345678", usage=None)]) as (there, _):
        for _ in range(2):
            await said(there.call(history(20, 1_000), []))
        counted = there.call(history(20, 1_000), [])
        await said(counted)
        assert 10_000 < counted.cost().input_tokens < 20_000  # a byte a token, or nearly


# How answers end


@pytest.mark.parametrize("after", [CUT, asyncio.Event()], ids=["reset", "silence"])
async def test_an_answer_that_has_ended_is_whole_at_once(after: Any) -> None:
    async with model([Reply([FINISHED, after], done=False)]) as (there, _):
        async with asyncio.timeout(3):
            assert await said(there.call(ASKED, [])) == ["Hi."]


async def test_a_provider_that_never_stops_pinging_after_the_end_holds_nobody_up() -> None:
    def pings() -> Iterator[Any]:
        yield FINISHED
        while True:
            yield b": ping\n\n"
            yield 0.05

    async with model([Reply(pings(), done=False)]) as (there, _):
        async with asyncio.timeout(3):
            assert await said(there.call(ASKED, [])) == ["Hi."]


async def test_usage_that_comes_after_the_end_is_taken() -> None:
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
    async with model([Reply([FINISHED, 0.1, usage], finish=None, done=False, usage=None)]) as (
        there,
        _,
    ):
        call = there.call(ASKED, [])
        await said(call)
        assert call.cost() == Cost(7, 3, 1)


async def test_what_a_gateway_added_by_itself_and_had_refused_is_asked_for_once_more() -> None:
    told = {"error": {"message": "Unsupported parameter: 'top_p'.", "param": "top_p"}}
    async with model([fails(400, body=told), says("Hi.")]) as (there, _):
        assert await said(there.call(ASKED, [])) == ["Hi."]
    async with model(lambda _: fails(400, body=told)) as (there, server):
        error = await failing(there.call(ASKED, []))
        assert (error.code, error.retryable) == (
            ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED,
            False,
        )
        assert len(server.chats) == 2


async def test_what_is_no_answer_is_asked_for_again() -> None:
    script = [raw(b""), raw(b"<html>\n</html>"), says("Hi.")]
    async with model(script) as (there, _):
        assert await said(there.call(ASKED, [])) == ["Hi."]


async def test_a_long_wait_is_told_at_once_with_its_time() -> None:
    date = "Wed, 21 Oct 2099 07:28:00 GMT"
    for asked, wanted in (("60", 60_000), (date, 3_600_000)):
        async with model([fails(429, headers={"retry-after": asked})]) as (there, server):
            error = await failing(there.call(ASKED, []))
            assert error.code == ErrorCode.ERROR_CODE_MODEL_RATE_LIMITED
            assert error.retry_after_ms == wanted
            assert len(server.chats) == 1


async def test_what_failed_after_it_had_written_still_counts() -> None:
    thought = b'data: {"choices":[{"delta":{"reasoning_content":"12345678"}}]}\n\n'
    broken = raw(thought, b'data: {"error": {"code": 503}}\n\n')
    async with model([broken, says("Hi.")]) as (there, _):
        call = there.call(ASKED, [])
        assert await said(call) == ["Hi."]
        cost = call.cost()
        assert (cost.model_calls, cost.output_tokens, cost.estimated) == (2, 5 + 2, True)


# What is not for people


async def test_thinking_is_not_shown_but_goes_back() -> None:
    async with model([says("<think>a plan</th", "ink>Hi.")]) as (there, _):
        call = there.call(ASKED, [])
        assert await said(call) == ["Hi."]
        assert call.kept() == {"content": "<think>a plan</think>Hi."}


async def test_a_model_that_begins_in_its_thinking_shows_it_once_at_most() -> None:
    answer = says("a secret plan\n", "</think>\n\n", "Hi.")
    async with model([answer, answer]) as (there, _):
        assert await said(there.call(ASKED, [])) == ["a secret plan\n", "Hi."]
        assert await said(there.call(ASKED, [])) == ["Hi."]


async def test_one_that_wrote_such_a_tag_by_chance_streams_again_after_its_next_answer() -> None:
    chance = says("So it ends with\n", "</think>\n", "Hi.")
    plain = says("who", "le")
    async with model([chance, plain, plain]) as (there, _):
        shown = [await said(there.call(ASKED, [])) for _ in range(3)]
        assert shown[1:] == [["whole"], ["who", "le"]]


async def test_thinking_that_the_token_limit_cut_is_not_shown() -> None:
    cut = says("a secret plan", finish="length")
    async with model([cut], opens_thinking=True) as (there, _):
        with pytest.raises(SwitchboardError):
            async for event in there.call(ASKED, []).said():
                assert not isinstance(event, Text)


WRITTEN = 'Well.\n<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'


async def test_calls_written_as_text_are_called_where_a_model_is_known_to_write_so() -> None:
    async with model(lambda _: says(WRITTEN), text_tool_calls=True) as (there, _):
        call = there.call(ASKED, [TOOL])
        assert await said(call) == ["Well.\n", 'f({"a": 1})']
        assert call.kept() == {"content": "Well.\n"}
        assert await said(there.call(ASKED, [])) == ["Well.\n"]  # no such tool is offered
    async with model([says(WRITTEN)]) as (there, _):
        assert await said(there.call(ASKED, [TOOL])) == ["Well.\n"]
