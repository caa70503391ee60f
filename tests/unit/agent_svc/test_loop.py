"""The tool loop by itself: its model, its device and its reader are parameters."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from agent_svc.agents import Budgets
from agent_svc.catalogue import CATALOGUE
from agent_svc.cost import Cost
from agent_svc.events import Text, ToolCallReady
from agent_svc.loop import MAX_CALLS_PER_ROUND, Loop, Surroundings
from agent_svc.model import Message, Said
from runtime.errors import SwitchboardError
from switchboard.v3.agent_pb2 import DeviceToolCall, RunOutput
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import ToolResult
from switchboard.v3.values_pb2 import Json


class Answer:
    """A call whose answer is known; each costs 10 tokens in and 1 for each event."""

    def __init__(self, events: list[Said]) -> None:
        self._events = events
        self._cost = Cost()

    async def said(self) -> AsyncGenerator[Said, None]:
        self._cost = Cost(10, 0, 1)
        for event in self._events:
            self._cost.output_tokens += 1
            yield event

    def kept(self) -> dict[str, Any]:
        text = "".join(event.text for event in self._events if isinstance(event, Text))
        return {"content": text or None}

    def reason(self) -> str:
        return "stop"

    def cost(self) -> Cost:
        return self._cost


class Stage:
    """A loop with a model that has its lines, and a device that answers with its own name."""

    def __init__(self, *rounds: list[Said], **budgets: Any) -> None:
        self.rounds = [*rounds]
        self.asked: list[list[Message]] = []
        self.offered: list[list[str]] = []
        self.outputs: list[RunOutput] = []
        self.costs: list[int] = []  # tokens received, as each text goes out
        self.on_device: list[DeviceToolCall] = []
        self.answered: dict[str, asyncio.Event] = {}
        self.loop = Loop(
            [{"role": "user", "content": "go"}],
            list(CATALOGUE),
            Budgets(**budgets),
            Surroundings(self, self.emit, self.execute, {"search_memory": self.search}),
        )

    def call(self, messages: list[Message], tools: list[dict[str, Any]]) -> Answer:
        self.asked.append(messages)
        self.offered.append([tool["function"]["name"] for tool in tools])
        return Answer(self.rounds.pop(0))

    async def emit(self, output: RunOutput) -> None:
        await asyncio.sleep(0)
        self.outputs.append(output)
        if output.HasField("text"):
            self.costs.append(self.loop.cost().output_tokens)

    async def execute(self, call: DeviceToolCall) -> ToolResult:
        self.on_device.append(call)
        if gate := self.answered.get(call.call.name):
            await gate.wait()
        utf8 = orjson.dumps({"items": [], "from": call.call.name})
        return ToolResult(call_id=call.call.call_id, result=Json(utf8=utf8))

    async def search(self, arguments: dict[str, Any]) -> str:
        return orjson.dumps(arguments).decode()

    @property
    def text(self) -> list[str]:
        return [output.text.text for output in self.outputs if output.HasField("text")]


def call(name: str, index: int = 0, arguments: str = "{}") -> ToolCallReady:
    return ToolCallReady(index, f"id{index}", name, arguments)


async def test_text_of_two_rounds_does_not_run_together() -> None:
    stage = Stage(
        [Text("Let me "), Text("look."), call("list_tasks")],
        [call("list_notes")],
        [Text("Two.\n"), call("list_tasks")],
        [Text("Done.")],
    )
    await stage.loop.run()
    assert stage.text == ["Let me ", "look.", "\n\nTwo.\n", "Done."]


async def test_the_model_reads_its_own_words_as_it_wrote_them() -> None:
    stage = Stage([Text("A"), call("list_tasks")], [Text("B"), call("list_tasks")], [Text("C")])
    await stage.loop.run()
    assert [m["content"] for m in stage.asked[2] if m["role"] == "assistant"] == ["A", "B"]


async def test_results_are_kept_as_they_come_and_told_as_asked() -> None:
    stage = Stage([call("list_tasks"), call("list_notes", 1)], [Text("Done.")])
    stage.answered = {"list_tasks": asyncio.Event()}
    task = asyncio.create_task(stage.loop.run())
    async with asyncio.timeout(5):
        while not stage.loop.tool_results:
            await asyncio.sleep(0)
    assert len(stage.on_device) == 2  # both under way at once
    stage.answered["list_tasks"].set()
    await task
    assert [record.name for record in stage.loop.tool_results] == ["list_notes", "list_tasks"]
    told = [orjson.loads(m["content"])["from"] for m in stage.asked[1] if m["role"] == "tool"]
    assert told == ["list_tasks", "list_notes"]


async def test_a_call_that_fails_leaves_the_others_alone() -> None:
    stage = Stage([call("no_such"), call("list_tasks", 1)], [Text("Done.")])
    await stage.loop.run()
    assert [record.name for record in stage.loop.tool_results] == ["list_tasks"]
    assert "unknown_tool" in stage.asked[1][-2]["content"]


async def test_calls_of_one_round_are_bounded() -> None:
    many: list[Said] = [call("list_tasks", n) for n in range(MAX_CALLS_PER_ROUND + 2)]
    stage = Stage(many, [Text("Done.")])
    await stage.loop.run()
    assert len(stage.on_device) == MAX_CALLS_PER_ROUND
    assert "too_many_calls" in stage.asked[1][-1]["content"]
    assert len([m for m in stage.asked[1] if m["role"] == "tool"]) == len(many)


async def test_tools_of_the_server_run_here() -> None:
    stage = Stage([call("search_memory", 0, '{"query": "mars"}')], [Text("Done.")])
    await stage.loop.run()
    assert not stage.on_device
    assert stage.asked[1][-1]["content"] == '{"query":"mars"}'


async def test_preferences_are_not_learnt_from_what_a_device_returned() -> None:
    stage = Stage([call("list_tasks")], [Text("Done.")])
    await stage.loop.run()
    assert ["remember_preference" in names for names in stage.offered] == [True, False]


@pytest.mark.parametrize("rounds", [0, 1, 3])
async def test_so_many_rounds_and_no_more(rounds: int) -> None:
    again: list[Said] = [Text("On. "), call("list_tasks")]
    stage = Stage(*[again] * 9, rounds=rounds)
    with pytest.raises(SwitchboardError) as caught:
        await stage.loop.run()
    assert caught.value.code == ErrorCode.ERROR_CODE_TOOL_LIMIT_REACHED
    assert len(stage.on_device) == rounds
    assert len(stage.text) == rounds + 2  # what was said stands
    assert stage.offered[-1] == []  # asked once more, for what was found and was not done
    assert "tool_limit" in stage.asked[-1][-1]["content"]


async def test_an_answer_without_tools_is_no_round() -> None:
    stage = Stage([Text("Hi.")], rounds=0)
    await stage.loop.run()
    assert stage.text == ["Hi."]


async def test_tokens_are_counted_over_all_rounds() -> None:
    again: list[Said] = [call("list_tasks")]
    stage = Stage(*[again] * 9, tokens=25)
    with pytest.raises(SwitchboardError):
        await stage.loop.run()
    assert len(stage.asked) == 3
    assert stage.loop.cost().tokens == 33


async def test_what_is_under_way_counts_for_the_cost() -> None:
    stage = Stage([call("list_tasks")], [Text("a"), Text("b"), Text("c")])
    await stage.loop.run()
    assert stage.costs == [2, 3, 4]  # the tool call was one


async def test_a_reader_that_is_behind_does_not_use_up_the_seconds() -> None:
    stage = Stage([Text("One. "), Text("Two.")], seconds=0.2)
    emit = stage.loop._around.emit

    async def emit_slowly(output: RunOutput) -> None:
        if output.HasField("text"):
            await asyncio.sleep(0.3)  # the very time that must not count
        await emit(output)

    stage.loop._around = dataclasses.replace(stage.loop._around, emit=emit_slowly)
    await stage.loop.run()
    assert stage.text == ["One. ", "Two."]


async def test_the_models_own_time_still_counts_after_a_slow_reader() -> None:
    stage = Stage([Text("One. ")], seconds=0.2)
    emit, answer = stage.loop._around.emit, Answer([Text("One. ")])
    said = answer.said

    async def then_silence() -> AsyncGenerator[Said, None]:
        async for event in said():
            yield event
        await asyncio.Event().wait()

    async def emit_slowly(output: RunOutput) -> None:
        await asyncio.sleep(0.05)
        await emit(output)

    answer.said = then_silence  # type: ignore[method-assign]
    stage.call = lambda *_: answer  # type: ignore[method-assign]
    stage.loop._around = dataclasses.replace(stage.loop._around, emit=emit_slowly)
    async with asyncio.timeout(5):
        with pytest.raises(SwitchboardError) as caught:
            await stage.loop.run()
    assert caught.value.code == ErrorCode.ERROR_CODE_DEADLINE_EXCEEDED
    assert stage.text == ["One. "]
