"""The offline model's Responses API, through the real openai package."""

from collections.abc import AsyncIterator
from typing import Any

import openai
import orjson
import pytest
from aiohttp import web
from openai import AsyncOpenAI
from openai.types.responses import (
    FunctionToolParam,
    Response,
    ResponseFunctionToolCall,
    ResponseReasoningItem,
)

from devstack.offline_model.server import app

LIST_TASKS: FunctionToolParam = {
    "type": "function",
    "name": "list_tasks",
    "description": None,
    "parameters": {"type": "object", "properties": {"overdue": {"type": "boolean"}}},
    "strict": False,
}
TASK = {"id": "t1", "title": "Pay rent", "status": "todo", "dueDate": 1_700_000_000_000}
ASKED: Any = {"role": "user", "content": "what is overdue?"}


@pytest.fixture
async def client() -> AsyncIterator[AsyncOpenAI]:
    runner = web.AppRunner(app(tokens_per_s=0))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as made:
        yield made
    await runner.cleanup()


async def thinking(client: AsyncOpenAI, items: list[Any]) -> Response:
    """A response as a model gives it that reasons, to what was asked and said so far."""
    return await client.responses.create(
        model="any",
        input=items,
        tools=[LIST_TASKS],
        store=False,
        include=["reasoning.encrypted_content"],
    )


async def first_round(client: AsyncOpenAI) -> tuple[list[Any], ResponseFunctionToolCall]:
    """The items that were said in answer, and the call among them."""
    items = (await thinking(client, [ASKED])).output
    (call,) = [item for item in items if isinstance(item, ResponseFunctionToolCall)]
    return [item.to_dict() for item in items], call


def result(call: ResponseFunctionToolCall) -> dict[str, Any]:
    output = orjson.dumps({"items": [TASK]}).decode()
    return {"type": "function_call_output", "call_id": call.call_id, "output": output}


async def test_an_answer_streams_token_by_token_and_reports_its_usage(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="any", input="hello") as stream:
        pieces = [e.delta async for e in stream if e.type == "response.output_text.delta"]
        response = await stream.get_final_response()
    assert len(pieces) > 10
    assert "".join(pieces) == response.output_text
    assert response.output_text.startswith("Hello! I am the offline model")
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.output_tokens == len(pieces)
    assert response.usage.input_tokens > 0


async def test_events_are_numbered_and_tell_the_same_as_the_response(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(
        model="any",
        input=[ASKED],
        tools=[LIST_TASKS],
        stream=True,
        include=["reasoning.encrypted_content"],
    )
    events: list[Any] = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [events[0].type, events[1].type] == ["response.created", "response.in_progress"]
    assert events[-1].type == "response.completed"
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert done == events[-1].response.output
    pieces = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    (call,) = [item for item in done if isinstance(item, ResponseFunctionToolCall)]
    assert (call.name, orjson.loads("".join(pieces))) == ("list_tasks", {"overdue": True})


async def test_calls_a_tool_and_answers_from_its_result(client: AsyncOpenAI) -> None:
    said, call = await first_round(client)
    assert (call.name, orjson.loads(call.arguments)) == ("list_tasks", {"overdue": True})
    answer = await thinking(client, [ASKED, *said, result(call)])
    assert answer.output_text.startswith("You have 1 overdue task.\n- Pay rent")


async def test_the_prompt_is_read(client: AsyncOpenAI) -> None:
    answer = await client.responses.create(
        model="any", instructions="# Facts\n- surface: home\n", input="hello"
    )
    assert orjson.loads(answer.output_text)["type"] == "text"


async def test_chooses_an_agent(client: AsyncOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"agent": {"type": "string", "enum": ["task_agent", "note_agent"]}},
    }
    wanted: Any = {"format": {"type": "json_schema", "name": "route", "schema": schema}}
    content = [{"type": "input_text", "text": "find my notes about milk"}]
    asked: Any = [{"role": "user", "content": content}]
    answer = await client.responses.create(model="any", input=asked, text=wanted)
    assert orjson.loads(answer.output_text) == {"agent": "note_agent"}


async def test_it_reasons_where_its_reasoning_is_asked_for(client: AsyncOpenAI) -> None:
    silent = await client.responses.create(model="any", input="hello")
    assert [item.type for item in silent.output] == ["message"]
    thought, _ = (await thinking(client, [ASKED])).output
    assert isinstance(thought, ResponseReasoningItem)
    assert thought.encrypted_content


async def test_reasoning_is_to_come_back_as_it_was(client: AsyncOpenAI) -> None:
    (thought, said), call = await first_round(client)
    with pytest.raises(openai.BadRequestError, match="without its required 'reasoning' item"):
        await thinking(client, [ASKED, said, result(call)])
    with pytest.raises(openai.BadRequestError, match="could not be verified"):
        changed = thought | {"encrypted_content": "x"}
        await thinking(client, [ASKED, changed, said, result(call)])
    with pytest.raises(openai.NotFoundError, match="Items are not persisted"):
        changed = thought | {"encrypted_content": None}
        await thinking(client, [ASKED, changed, said, result(call)])
    with pytest.raises(openai.BadRequestError, match="required following item"):
        await thinking(client, [ASKED, thought])


async def test_calls_and_their_outputs_belong_together(client: AsyncOpenAI) -> None:
    said, call = await first_round(client)
    with pytest.raises(openai.BadRequestError, match="No tool output found"):
        await thinking(client, [ASKED, *said])
    with pytest.raises(openai.BadRequestError, match="No tool call found"):
        await thinking(client, [ASKED, result(call)])


@pytest.mark.parametrize(
    ("message", "status", "reason", "text"),
    [
        ("rehearse a length stop", "incomplete", "max_output_tokens", "word1"),
        ("rehearse a refusal", "incomplete", "content_filter", ""),
        ("rehearse a long answer of 3 words", "completed", None, "word1 word2 word3 "),
    ],
)
async def test_rehearsals(
    client: AsyncOpenAI, message: str, status: str, reason: str | None, text: str
) -> None:
    stream = await client.responses.create(model="any", input=message, stream=True)
    *_, last = [event async for event in stream]
    assert last.type in {"response.completed", "response.incomplete"}
    assert isinstance(response := getattr(last, "response", None), Response)
    assert response.status == status
    assert (response.incomplete_details and response.incomplete_details.reason) == reason
    assert response.output_text.startswith(text)


async def test_a_rehearsed_cut_breaks_the_connection(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(model="any", input="rehearse a cut", stream=True)
    with pytest.raises((openai.APIError, OSError)):
        async for event in stream:
            assert event.type != "response.completed"


async def test_an_answer_may_be_held_short(client: AsyncOpenAI) -> None:
    short = await client.responses.create(model="any", input="hello", max_output_tokens=16)
    assert short.status == "incomplete"
    assert short.usage is not None
    assert short.usage.output_tokens == 16
    chat = await client.chat.completions.create(
        model="any", messages=[{"role": "user", "content": "hello"}], max_completion_tokens=3
    )
    assert chat.choices[0].finish_reason == "length"
    assert chat.usage is not None
    assert chat.usage.completion_tokens == 3


async def test_what_it_does_not_know_is_refused_by_name(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Unknown parameter: 'top_k'") as caught:
        await client.responses.create(model="any", input="hello", extra_body={"top_k": 5})
    assert (caught.value.param, caught.value.code) == ("top_k", "unknown_parameter")
