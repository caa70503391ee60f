"""The agents' model by either API: the same stories, over real HTTP and real gRPC."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any, Literal

import orjson
import pytest

from agent_svc.agents import Budgets
from switchboard.v3.agent_pb2 import RunOutput
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import EndStatus
from tests.support.agents import agents
from tests.support.model_server import CUT, STOP, Call, Reply, Request, calls, fails, raw, says
from tests.support.responses_server import Refusal, Thought, responds, told

Api = Literal["chat", "responses"]
APIS: list[Api] = ["chat", "responses"]
both = pytest.mark.parametrize("api", APIS)

LIST = Call("list_tasks", id="call_a")
TASKS = {"items": [{"id": "t1", "title": "Pay rent"}]}


def texts(outputs: list[RunOutput]) -> str:
    return "".join(output.text.text for output in outputs)


def results(request: Request) -> dict[str, Any]:
    """The results of tools that a model was told, by the ids of its calls."""
    if "input" in request.body:
        outputs = [each for each in request.body["input"] if each["type"] == "function_call_output"]
        return {each["call_id"]: orjson.loads(each["output"]) for each in outputs}
    told = [each for each in request.messages if each["role"] == "tool"]
    return {each["tool_call_id"]: orjson.loads(each["content"]) for each in told}


@both
async def test_text_is_passed_on_as_it_comes_and_its_cost_told(api: Api) -> None:
    gate = asyncio.Event()
    reply = Reply(["Hel", gate, "lo."])
    async with agents([reply], api=api) as there, there.run() as run:
        assert await run.text() == "Hel"
        gate.set()
        outputs = await run.rest()
        assert texts(outputs) == "lo."
        end = outputs[-1].end
        assert end.status == EndStatus.END_STATUS_COMPLETED
        assert (end.usage.input_tokens, end.usage.output_tokens) == (10, 5)
        assert not end.usage.HasField("estimated")
        (request,) = there.model.requests
        assert ("input" in request.body) == (api == "responses")


@both
async def test_the_model_reads_the_result_of_its_call(api: Api) -> None:
    script = [calls(LIST, text=["Let me see."]), says("One.")]
    async with agents(script, api=api) as there, there.run() as run:
        assert await run.text() == "Let me see."
        call = await run.tool_call()
        assert call.call.name == "list_tasks"
        await run.answer(call, result=TASKS)
        assert texts(await run.rest()).strip() == "One."
        assert results(there.model.requests[1]) == {"call_a": TASKS}
        assert "Let me see." in orjson.dumps(there.model.requests[1].body).decode()


@both
async def test_calls_run_side_by_side_and_each_gets_its_own_result(api: Api) -> None:
    script = [calls(LIST, Call("list_notes", id="call_b")), says("Done.")]
    async with agents(script, api=api) as there, there.run() as run:
        tasks, notes = await run.tool_call(), await run.tool_call()  # both wait
        await run.answer(notes, result={"items": []})
        await run.answer(tasks, result=TASKS)
        await run.end()
        assert results(there.model.requests[1]) == {"call_a": TASKS, "call_b": {"items": []}}


@both
@pytest.mark.parametrize("call_id", ["", "same"])
async def test_ids_of_the_provider_may_be_empty_or_repeat(api: Api, call_id: str) -> None:
    script = [calls(Call("list_tasks", id=call_id), Call("list_notes", id=call_id)), says("Done.")]
    async with agents(script, api=api) as there, there.run() as run:
        for _ in range(2):
            call = await run.tool_call()
            await run.answer(call, result={"items": [], "of": call.call.name})
        await run.end()
        told = results(there.model.requests[1])
        assert len(told) == 2
        said = orjson.dumps(there.model.requests[1].body).decode()
        assert all(said.count(f'"{call_id}"') == 2 for call_id in told)


@pytest.mark.parametrize(
    ("api", "reply"),
    [
        ("chat", says(finish="content_filter")),
        ("responses", responds(Refusal("I cannot."))),
        ("responses", responds(finish="content_filter")),
        ("responses", responds(finish="invalid_prompt")),
    ],
)
async def test_a_refusal_is_told_as_one(api: Api, reply: Reply) -> None:
    async with agents([reply], api=api) as there, there.run() as run:
        outputs = await run.rest()
        assert texts(outputs) == ""
        assert outputs[-1].end.error.code == ErrorCode.ERROR_CODE_MODEL_REFUSED


@both
@pytest.mark.parametrize(
    "reply", [says("Hi.", finish="length"), Reply(["Hi.", CUT]), Reply(["Hi.", LIST, STOP])]
)
async def test_an_answer_that_is_not_whole_is_no_success(api: Api, reply: Reply) -> None:
    async with agents([reply], api=api) as there, there.run() as run:
        outputs = await run.rest()
        assert texts(outputs) == "Hi."
        assert outputs[-1].end.error.code == ErrorCode.ERROR_CODE_MODEL_TRUNCATED
        assert not any(output.HasField("tool_call") for output in outputs)


@both
@pytest.mark.parametrize("failure", [fails(503), fails(429, headers={"retry-after": "0"})])
async def test_what_may_pass_is_tried_again(api: Api, failure: Reply) -> None:
    async with agents([failure, says("Hi.")], api=api) as there, there.run() as run:
        assert texts(await run.rest()) == "Hi."
        assert len(there.model.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [
        responds(finish="server_error"),
        responds(finish="rate_limit_exceeded"),
        raw(b'data: {"type":"error","code":"server_error","message":"secret"}\n\n'),
    ],
)
async def test_a_response_that_fails_before_its_first_word_is_tried_again(reply: Reply) -> None:
    async with agents([reply, says("Hi.")], api="responses") as there, there.run() as run:
        assert texts(await run.rest()) == "Hi."


@pytest.mark.parametrize(
    ("finish", "code"),
    [
        ("insufficient_quota", ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED),
        ("context_length_exceeded", ErrorCode.ERROR_CODE_CONTEXT_TOO_LONG),
        ("rate_limit_exceeded", ErrorCode.ERROR_CODE_MODEL_RATE_LIMITED),
        ("server_error", ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE),
        ("bio_policy", ErrorCode.ERROR_CODE_MODEL_REFUSED),
    ],
)
async def test_failures_in_a_stream_are_told_apart(finish: str, code: ErrorCode.ValueType) -> None:
    async with (
        agents(lambda _: responds(finish=finish), api="responses") as there,
        there.run() as run,
    ):
        assert (await run.end()).error.code == code


@pytest.mark.parametrize("indent", [None, 2])
async def test_a_response_that_comes_whole_in_place_of_a_stream(indent: int | None) -> None:
    end = told(Thought("hm"), "Let me see.", LIST)[-1]["response"]
    whole = raw(json.dumps(end, indent=indent).encode())
    async with agents([whole, says("One.")], api="responses") as there, there.run() as run:
        assert await run.text() == "Let me see."
        await run.answer(await run.tool_call(), result=TASKS)
        assert texts(await run.rest()).strip() == "One."
        assert results(there.model.requests[1]) == {"call_a": TASKS}


@pytest.mark.parametrize("body", [b"", b"<html><body>Sign in</body></html>"])
async def test_what_is_no_answer_is_asked_for_again(body: bytes) -> None:
    async with agents([raw(body), says("Hi.")], api="responses") as there, there.run() as run:
        assert texts(await run.rest()) == "Hi."


@both
async def test_a_run_that_is_cancelled_closes_the_providers_response(api: Api) -> None:
    async with agents([Reply(["One", asyncio.Event()])], api=api) as there, there.run() as run:
        assert await run.text() == "One"
        await run.cancel()
        end = await run.end()
        assert end.status == EndStatus.END_STATUS_CANCELLED
        assert end.usage.estimated
        await asyncio.wait_for(there.model.requests[0].closed.wait(), 5)


async def test_reasoning_is_not_shown() -> None:
    reply = responds(Thought("I think."), "Hi.")
    async with agents([reply], api="responses") as there, there.run() as run:
        assert texts(await run.rest()) == "Hi."


async def test_reasoning_goes_back_as_it_came() -> None:
    sealed = "gAAAAABo+/=="
    thought = Thought("Which tasks?", encrypted=sealed)
    script = [responds(thought, "Let me see.", LIST), responds(Thought(), LIST), says("One.")]
    async with agents(script, api="responses") as there, there.run() as run:
        for _ in range(2):
            await run.answer(await run.tool_call(), result=TASKS)
        await run.end()
        _, second, third = (request.body["input"] for request in there.model.requests)
        assert [item["type"] for item in second[1:]] == [
            "reasoning",
            "message",
            "function_call",
            "function_call_output",
        ]
        assert second[1] == {
            "type": "reasoning",
            "id": "rs_0",
            "summary": [{"type": "summary_text", "text": "Which tasks?"}],
            "encrypted_content": sealed,
        }
        assert third[: len(second)] == second  # so that the provider's cache works


async def test_a_model_that_does_not_reason_is_asked_again_without() -> None:
    def script(request: Request) -> Reply:
        if "include" in request.body:
            return fails(400, error="Encrypted content is not supported with this model.")
        return says("Hi.")

    async with agents(script, api="responses") as there:
        for tries in (2, 3):
            async with there.run() as run:
                assert texts(await run.rest()) == "Hi."
            assert len(there.model.requests) == tries  # the second run pays nothing


async def test_a_provider_without_the_api_is_asked_by_the_other() -> None:
    def script(request: Request) -> Reply:
        return fails(404, error="Not Found") if "input" in request.body else says("Hi.")

    async with agents(script, api="responses") as there:
        for tries in (2, 3):
            async with there.run() as run:
                assert texts(await run.rest()) == "Hi."
            assert len(there.model.requests) == tries


async def test_a_model_that_only_the_other_api_knows_is_asked_by_it() -> None:
    def script(request: Request) -> Reply:
        if "messages" in request.body:
            return fails(404, error="This model is only supported in v1/responses.")
        return says("Hi.")

    async with agents(script) as there, there.run() as run:
        assert texts(await run.rest()) == "Hi."


THOUGHT = {"type": "response.reasoning_summary_text.delta", "item_id": "rs_0", "delta": "Hm. " * 50}
ARGUMENTS = {
    "type": "response.function_call_arguments.delta",
    "item_id": "fc_0",
    "delta": "1, " * 50,
}
WRITTEN = {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm. " * 50}}]}


@pytest.mark.parametrize(
    ("api", "event"), [("chat", WRITTEN), ("responses", THOUGHT), ("responses", ARGUMENTS)]
)
async def test_what_is_not_shown_counts_against_the_tokens(api: Api, event: dict[str, Any]) -> None:
    endless = Reply(itertools.repeat(event))
    budgets = Budgets(tokens=10_000)
    async with agents([endless], api=api, budgets=budgets) as there, there.run() as run:
        end = (await run.rest())[-1].end
        assert end.error.code == ErrorCode.ERROR_CODE_TOOL_LIMIT_REACHED
        assert 10_000 < end.usage.input_tokens + end.usage.output_tokens < 20_000
        await asyncio.wait_for(there.model.requests[0].closed.wait(), 5)
