"""Story: the agent streams its tokens, calls the device's tools, and keeps their results."""

from __future__ import annotations

import asyncio

import orjson

from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.frames_pb2 import ActivityState, EndStatus
from tests.support.agents import agents
from tests.support.model_server import Call, Reply, calls, says

TASKS = {
    "items": [
        {"id": "t1", "title": "Ship it", "status": "todo", "dueDate": 1767225600000, "colour": 7},
        {"id": "t2", "title": "Write it down", "status": "done"},
    ]
}


async def test_tokens_stream_as_the_model_writes_them() -> None:
    gate = asyncio.Event()
    script = [Reply(["Two ", "tasks ", gate, "are due."])]
    async with agents(script) as there, there.run(message="what is due?") as run:
        # The first tokens are here while the model has not written the last one yet.
        assert [await run.text(), await run.text()] == ["Two ", "tasks "]
        gate.set()
        assert await run.text() == "are due."
        assert (await run.end()).status == EndStatus.END_STATUS_COMPLETED


async def test_tool_results_hold_structured_data_after_a_tool_call() -> None:
    script = [
        calls(Call("list_tasks", {"status": "todo"}), text=["Let me look."], usage=(100, 10)),
        says("Ship it ", "is due.", usage=(150, 20)),
    ]
    async with agents(script) as there, there.run(message="what is due?") as run:
        assert await run.text() == "Let me look."
        call = await run.tool_call()
        assert call.call.request_id == "request-1"
        assert call.call.name == "list_tasks"
        assert orjson.loads(call.call.arguments.utf8) == {"status": "todo"}
        assert call.entity == EntityKind.ENTITY_KIND_TASK
        assert not call.HasField("effect")
        await run.answer(call, result=TASKS)

        outputs = await run.rest()
        texts = [output.text.text for output in outputs if output.HasField("text")]
        assert texts == ["\n\nShip it ", "is due."]

        end = outputs[-1].end
        assert end.status == EndStatus.END_STATUS_COMPLETED
        assert (end.usage.input_tokens, end.usage.output_tokens) == (250, 30)
        assert end.usage.model_calls == 2
        assert not end.usage.HasField("estimated")

        [record] = end.tool_results
        assert record.call_id == call.call.call_id
        assert record.name == "list_tasks"
        assert orjson.loads(record.arguments.utf8) == {"status": "todo"}
        # Raw: every key that the device gave.
        assert orjson.loads(record.result.result.utf8) == TASKS

        # The model read the same, as the answer to its own call, with the user's time beside.
        *_, said, told = there.model.chats[1].messages
        assert said["tool_calls"][0]["function"]["name"] == "list_tasks"
        assert told["tool_call_id"] == said["tool_calls"][0]["id"]
        seen = orjson.loads(told["content"])
        assert seen["items"][0].pop("dueDateLocal") == "2026-01-01T00:00 Thursday"
        assert seen == TASKS


async def test_the_user_sees_what_the_agent_does() -> None:
    script = [calls(Call("list_tasks")), says("Nothing.")]
    async with agents(script) as there, there.run() as run:
        seen = []
        while True:
            output = await run.next()
            match output.WhichOneof("output"):
                case "activity":
                    seen.append((output.activity.state, output.activity.tool))
                case "tool_call":
                    await run.answer(output.tool_call, result={"items": []})
                case "end":
                    break
        assert seen == [
            (ActivityState.ACTIVITY_STATE_THINKING, ""),
            (ActivityState.ACTIVITY_STATE_CALLING_TOOL, "list_tasks"),
            (ActivityState.ACTIVITY_STATE_THINKING, ""),
            (ActivityState.ACTIVITY_STATE_WRITING, ""),
        ]
