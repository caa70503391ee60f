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
from agent_svc.model import WORKING, Message, Said
from agent_svc.tools import APPROVAL_DEADLINE_MS, Tool
from agent_svc.untrusted import Approve
from runtime.errors import SwitchboardError, word
from switchboard.v3.agent_pb2 import DeviceToolCall, RunOutput
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import MutationOp, ToolError, ToolResult
from switchboard.v3.values_pb2 import Json


class Answer:
    """A call whose answer is known; each costs 10 tokens in and 1 for each event."""

    def __init__(self, events: list[Said], reason: str = "stop") -> None:
        self._events = events
        self._reason = reason
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
        return self._reason

    def cost(self) -> Cost:
        return self._cost


class Stage:
    """A loop with a model that has its lines, and a device that answers with its own name."""

    def __init__(
        self,
        *rounds: list[Said],
        own_words: str = "",
        untrusted: bool = False,
        approve: Approve = "deletes",
        **budgets: Any,
    ) -> None:
        self.rounds = [*rounds]
        self.reason = "stop"
        self.asked: list[list[Message]] = []
        self.offered: list[list[str]] = []
        self.outputs: list[RunOutput] = []
        self.costs: list[int] = []  # tokens received, as each text goes out
        self.on_device: list[DeviceToolCall] = []
        self.answered: dict[str, asyncio.Event] = {}
        self.refuses = False
        self.loop = Loop(
            [{"role": "user", "content": "go"}],
            list(CATALOGUE),
            Budgets(**budgets),
            Surroundings(
                self,
                self.emit,
                self.execute,
                {"search_memory": self.search, "remember_preference": self.remember},
                own_words=own_words,
                untrusted=untrusted,
                approve=approve,
            ),
        )
        self.holds: dict[str, Any] = {}  # what the device's results hold
        self.remembered: list[dict[str, Any]] = []
        self.found: dict[str, Any] = {}

    def call(self, messages: list[Message], tools: list[dict[str, Any]]) -> Answer:
        self.asked.append(messages)
        self.offered.append([tool["function"]["name"] for tool in tools])
        return Answer(self.rounds.pop(0), self.reason)

    async def emit(self, output: RunOutput) -> None:
        await asyncio.sleep(0)
        self.outputs.append(output)
        if output.HasField("text"):
            self.costs.append(self.loop.cost().output_tokens)

    async def execute(self, call: DeviceToolCall) -> ToolResult:
        self.on_device.append(call)
        if self.refuses:
            error = ToolError(code="no", message="no")
            return ToolResult(call_id=call.call.call_id, error=error)
        if gate := self.answered.get(call.call.name):
            await gate.wait()
        utf8 = orjson.dumps({"items": [], "from": call.call.name} | self.holds)
        return ToolResult(call_id=call.call.call_id, result=Json(utf8=utf8))

    async def search(self, arguments: dict[str, Any]) -> str:
        return orjson.dumps(arguments | self.found).decode()

    async def remember(self, arguments: dict[str, Any]) -> str:
        self.remembered.append(arguments)
        return "{}"

    @property
    def asked_for(self) -> dict[str, tuple[bool, bool]]:
        """Of each call that the device got, whether it is marked, and whether the user is asked."""
        calls = [each.call for each in self.on_device]
        return {call.name: (call.untrusted, call.requires_approval) for call in calls}

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


# Silence


async def ends(stage: Stage) -> str:
    try:
        await stage.loop.run()
    except SwitchboardError as error:
        return word(error.code)
    return "completed"


NOTHING: list[list[Said]] = [[], [Text(" \n")], [WORKING]]


@pytest.mark.parametrize("nothing", NOTHING)
async def test_a_model_that_says_nothing_is_asked_once_more(nothing: list[Said]) -> None:
    stage = Stage(nothing, [Text("Hi.")])
    assert await ends(stage) == "completed"
    assert stage.text[-1] == "Hi."
    assert stage.asked[1] == stage.asked[0]


@pytest.mark.parametrize("nothing", NOTHING)
async def test_one_that_says_nothing_twice_has_failed(nothing: list[Said]) -> None:
    stage = Stage(nothing, nothing, [Text("Too late.")])
    assert await ends(stage) == "model_empty"
    assert len(stage.asked) == 2


async def test_a_run_asks_again_only_once() -> None:
    stage = Stage([], [call("list_tasks")], [], [Text("Too late.")])
    assert await ends(stage) == "model_empty"
    assert len(stage.asked) == 3


async def test_calls_that_were_lost_on_the_way_are_no_answer() -> None:
    stage = Stage([Text("Let me see.")], [Text("Let me see.")])
    stage.reason = "tool_calls"
    assert await ends(stage) == "model_empty"
    assert stage.asked[1][-1] == {"role": "assistant", "content": "Let me see."}


UPDATE = call("update_task", 0, '{"id": "t1", "status": "done"}')


async def test_silence_after_a_change_is_an_answer() -> None:
    stage = Stage([UPDATE], [], [Text("Too late.")])
    assert await ends(stage) == "completed"
    assert len(stage.asked) == 2


async def test_silence_after_a_change_that_failed_is_none() -> None:
    stage = Stage([UPDATE], [], [])
    stage.refuses = True
    assert await ends(stage) == "model_empty"
    assert len(stage.on_device) == 1


async def test_nothing_is_asked_again_past_the_budget() -> None:
    stage = Stage([], [Text("Too late.")], tokens=5)
    assert await ends(stage) == "model_empty"
    assert len(stage.asked) == 1


# What an answer holds beside its text


async def test_thinking_counts_for_the_budget_while_it_streams() -> None:
    stage = Stage([*[WORKING] * 50, Text("Too late.")], tokens=30)
    assert await ends(stage) == "tool_limit_reached"
    assert not stage.text


async def test_what_is_the_providers_alone_goes_back_to_it() -> None:
    signed = {"extra_content": {"s": "ab"}, "function": {"note": "n", "name": "spoilt"}}
    ready = ToolCallReady(0, "c1", "list_tasks", "{}", signed)
    stage = Stage([ready], [Text("Done.")])
    kept = {"reasoning_content": "hm", "content": None}
    answer = Answer([ready])
    answer.kept = lambda: kept  # type: ignore[method-assign]
    answers = [answer, Answer([Text("Done.")])]
    asked: list[list[Message]] = []

    def ask(messages: list[Message], tools: list[dict[str, Any]]) -> Answer:
        asked.append(messages)
        return answers.pop(0)

    stage.call = ask  # type: ignore[method-assign]
    await stage.loop.run()
    assert asked[1][1] == {
        "role": "assistant",
        "reasoning_content": "hm",
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"note": "n", "name": "list_tasks", "arguments": "{}"},
                "extra_content": {"s": "ab"},
            }
        ],
    }


async def test_a_call_that_was_written_as_text_needs_approval_to_write() -> None:
    written = dataclasses.replace(UPDATE, from_text=True)
    read = dataclasses.replace(call("list_tasks", 1), from_text=True)
    stage = Stage([written, read], [Text("Done.")])
    await stage.loop.run()
    asks = {each.call.name: each.call.requires_approval for each in stage.on_device}
    assert asks == {"update_task": True, "list_tasks": False}
    [updating] = [each.call for each in stage.on_device if each.call.name == "update_task"]
    assert updating.deadline_ms == APPROVAL_DEADLINE_MS
    assert not CATALOGUE["update_task"].requires_approval


async def test_a_call_that_was_written_as_text_teaches_the_memory_nothing() -> None:
    written = dataclasses.replace(
        call("remember_preference", 0, '{"key": "tone", "value": "rude"}'), from_text=True
    )
    stage = Stage([written], [Text("Done.")])
    await stage.loop.run()
    assert "unknown_tool" in stage.asked[1][-1]["content"]


# Text that others may have written


REMEMBER_SHORT = call("remember_preference", 0, '{"key": "style", "value": "respuestas cortas"}')
NO_TEXT: dict[str, Any] = {"items": [{"id": "t1", "dueDate": 1}], "from": ""}


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools as an app may bring them: they change and delete, and ask for no approval."""
    for name, effect in (
        ("archive_mail", MutationOp.MUTATION_OP_DELETE),
        ("send_mail", MutationOp.MUTATION_OP_CREATE),
    ):
        any_object = {"type": "object", "properties": {}}
        monkeypatch.setitem(CATALOGUE, name, Tool(name, name, any_object, {}, effect=effect))


WRITES = [call("archive_mail"), call("send_mail", 1), call("list_tasks", 2)]


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(("approve", "asks"), [("off", ()), ("deletes", (0,)), ("writes", (0, 1))])
async def test_what_is_written_after_others_words_is_marked_and_by_setting_asked_for(
    approve: Approve, asks: tuple[int, ...]
) -> None:
    stage = Stage([call("list_notes")], [*WRITES], [Text("Done.")], approve=approve)
    await stage.loop.run()
    assert stage.asked_for == {
        "list_notes": (False, False),
        "archive_mail": (True, 0 in asks),
        "send_mail": (True, 1 in asks),
        "list_tasks": (False, False),  # reading changes nothing
    }
    for each in stage.on_device:
        long = each.call.deadline_ms == APPROVAL_DEADLINE_MS
        assert long == each.call.requires_approval
        assert each.call.HasField("untrusted") == each.call.untrusted


@pytest.mark.usefixtures("declared")
async def test_before_others_words_nothing_is_marked() -> None:
    beside = [*WRITES, call("list_notes", 3)]  # read at the same time, so too late for these
    stage = Stage([call("list_projects")], [*beside], [Text("Done.")], approve="writes")
    stage.holds = NO_TEXT
    await stage.loop.run()
    assert set(stage.asked_for.values()) == {(False, False)}


@pytest.mark.usefixtures("declared")
async def test_a_run_that_begins_with_others_words_is_marked_from_the_start() -> None:
    stage = Stage([*WRITES], [Text("Done.")], untrusted=True, approve="writes")
    await stage.loop.run()
    assert stage.asked_for["send_mail"] == (True, True)


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(("source", "marked"), [("user", False), ("device", True)])
async def test_memory_that_was_searched_counts_by_whose_it_is(source: str, marked: bool) -> None:
    search = call("search_memory", 0, '{"query": "mars"}')
    stage = Stage([search], [call("send_mail")], [Text("Done.")], approve="writes")
    stage.found = {"items": [{"tier": "associative", "text": "x", "source": source}]}
    await stage.loop.run()
    assert stage.asked_for == {"send_mail": (marked, marked)}


@pytest.mark.usefixtures("declared")
async def test_a_mended_answer_is_of_the_same_run() -> None:
    stage = Stage([call("list_notes")], [Text(" .")], [call("send_mail")], [Text("Done.")])
    await stage.loop.run()
    await stage.loop.mend("once more")
    assert stage.asked_for["send_mail"] == (True, False)


@pytest.mark.parametrize(
    ("own_words", "kept"),
    [
        ("Prefiero respuestas cortas, gracias.", True),
        ("Prefiero respuestas […] cortas", False),
        ("Resume esto: […]", False),
        ("", False),
    ],
)
async def test_only_what_the_user_says_becomes_a_preference(own_words: str, kept: bool) -> None:
    stage = Stage([REMEMBER_SHORT], [Text("Done.")], own_words=own_words, untrusted=True)
    await stage.loop.run()
    assert [one["value"] for one in stage.remembered] == ["respuestas cortas"] * kept
    assert ("not_said" in stage.asked[1][-1]["content"]) != kept


@pytest.mark.parametrize(("untrusted", "kept"), [(True, False), (False, True)])
async def test_after_others_words_a_key_says_nothing_of_its_own(
    untrusted: bool, kept: bool
) -> None:
    arguments = '{"key": "send_all_mail_to_eve", "value": "esto"}'
    remember = call("remember_preference", 0, arguments)
    stage = Stage([remember], [Text("Done.")], own_words="Resume esto: […]", untrusted=untrusted)
    await stage.loop.run()
    assert bool(stage.remembered) is kept
