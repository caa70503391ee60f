"""AgentService over real gRPC, its model over real HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import grpc
import orjson
import pytest

from agent_svc import service
from agent_svc.agents import AGENTS, Budgets
from agent_svc.catalogue import CATALOGUE
from agent_svc.cost import Cost
from runtime.errors import from_rpc
from switchboard.v3 import agent_pb2
from switchboard.v3.agent_pb2 import RunCancel, RunInput, RunOutput, Surface
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import ChatMessage, EndStatus, MutationOp, Role, Scope
from switchboard.v3.memory_pb2 import MemoryItem, MemoryTier
from switchboard.v3.values_pb2 import StringList
from tests.support.agents import KEY, Memory, agents
from tests.support.model_server import CUT, STOP, Call, Reply, Step, calls, fails, raw, says

LIST = Call("list_tasks")
NOTHING: dict[str, list[object]] = {"items": []}


def texts(outputs: list[RunOutput]) -> str:
    return "".join(output.text.text for output in outputs)


# Tools


async def test_calls_of_one_round_run_side_by_side_and_are_read_in_their_own_order() -> None:
    both = calls(Call("list_tasks", id="a"), Call("list_notes", id="b"))
    async with agents([both, says("Done.")]) as there, there.run() as run:
        tasks, notes = await run.tool_call(), await run.tool_call()  # both wait
        await run.answer(notes, result={"items": [{"id": "n1", "title": "N"}]})
        await run.answer(tasks, result={"items": [{"id": "t1", "title": "T"}]})
        end = await run.end()
        # Kept as they came, told as they were asked.
        assert [record.name for record in end.tool_results] == ["list_notes", "list_tasks"]
        told = [m for m in there.model.chats[1].messages if m["role"] == "tool"]
        assert [m["tool_call_id"] for m in told] == ["a", "b"]
        assert "t1" in told[0]["content"]
        assert "n1" in told[1]["content"]


@pytest.mark.parametrize("ids", [("", ""), ("same", "same")])
async def test_ids_of_the_provider_may_be_empty_or_repeat(ids: tuple[str, str]) -> None:
    script = [
        calls(*(Call("get_task", {"id": str(n)}, id=id_) for n, id_ in enumerate(ids))),
        calls(Call("list_tasks", id=ids[0])),
        says("Done."),
    ]
    async with agents(script) as there, there.run() as run:
        seen = []
        for _ in range(3):
            seen.append(call := await run.tool_call())
            await run.answer(call, result={"items": [{"id": call.call.call_id, "title": "T"}]})
        assert (await run.end()).status == EndStatus.END_STATUS_COMPLETED
        assert len({call.call.call_id for call in seen}) == 3
        # Between us and the provider, too, each result names its own call.
        messages = there.model.chats[2].messages
        asked = [call["id"] for m in messages for call in m.get("tool_calls") or ()]
        told = [m["tool_call_id"] for m in messages if m["role"] == "tool"]
        assert asked == told
        assert len(set(asked)) == 3


@pytest.mark.parametrize(
    ("name", "arguments", "code", "hint"),
    [
        ("get_task", {}, "invalid_arguments", "'id' is a required property"),
        ("list_tasks", {"overdue": "often"}, "invalid_arguments", "overdue"),
        ("list_tasks", {"assigned": "Ann"}, "invalid_arguments", "Did you mean assignee?"),
        ("list_tasks", '{"overdue": tr', "invalid_arguments", "JSON"),
        ("list_tasks", "[1]", "invalid_arguments", "object"),
        ("update_task", {"id": "t1"}, "invalid_arguments", "enough properties"),
        ("launch_rocket", {}, "unknown_tool", "There is no tool launch_rocket here."),
        ("listTasks", {}, "unknown_tool", "Did you mean list_tasks"),
        ("delete_project", {"id": "p1"}, "unknown_tool", ""),  # no tool of the task agent's
    ],
)
async def test_a_bad_call_goes_back_to_the_model_and_never_to_the_device(
    name: str, arguments: dict[str, object] | str, code: str, hint: str
) -> None:
    script = [calls(Call(name, arguments)), says("I see.")]
    async with agents(script) as there, there.run() as run:
        outputs = await run.rest()
        assert not [output for output in outputs if output.HasField("tool_call")]
        assert outputs[-1].end.status == EndStatus.END_STATUS_COMPLETED
        error = orjson.loads(there.model.chats[1].messages[-1]["content"])["error"]
        assert error["code"] == code
        assert hint in error["message"]
        # What stands in the history is JSON: providers refuse anything else there.
        echoed = there.model.chats[1].messages[-2]["tool_calls"][0]["function"]["arguments"]
        assert isinstance(orjson.loads(echoed), dict)


async def test_the_model_can_mend_a_bad_call() -> None:
    script = [calls(Call("get_task")), calls(Call("get_task", {"id": "t1"})), says("There.")]
    async with agents(script) as there, there.run() as run:
        call = await run.tool_call()
        assert orjson.loads(call.call.arguments.utf8) == {"id": "t1"}
        await run.answer(call, result=NOTHING)
        assert (await run.end()).status == EndStatus.END_STATUS_COMPLETED


async def test_the_model_is_told_of_errors_and_rejections_and_goes_on() -> None:
    script = [
        calls(Call("list_tasks"), Call("delete_task", {"id": "t1"}, id="call_2")),
        says("Not done."),
    ]
    async with agents(script) as there, there.run() as run:
        listing, deleting = await run.tool_call(), await run.tool_call()
        assert (listing.call.deadline_ms, listing.call.requires_approval) == (30_000, False)
        assert (deleting.call.deadline_ms, deleting.call.requires_approval) == (300_000, True)
        assert deleting.effect == MutationOp.MUTATION_OP_DELETE
        await run.answer(listing, error=("tool_call_expired", "Too late."))
        await run.answer(deleting, rejected="keep it")
        end = await run.end()
        assert end.status == EndStatus.END_STATUS_COMPLETED
        assert [r.result.WhichOneof("outcome") for r in end.tool_results] == ["error", "rejected"]
        failed, rejected = (orjson.loads(m["content"]) for m in there.model.chats[1].messages[-2:])
        assert failed == {"error": {"code": "tool_call_expired", "message": "Too late."}}
        assert rejected == {"rejected": True, "reason": "keep it"}


@pytest.mark.parametrize("result", [None, 7, "text", [1], {"other": True}, {"items": [{"x": 1}]}])
async def test_a_result_of_another_shape_is_passed_on_as_it_is(result: object) -> None:
    async with agents([calls(LIST), says("Hm.")]) as there, there.run() as run:
        await run.answer(await run.tool_call(), result=result)
        [record] = (await run.end()).tool_results
        assert orjson.loads(record.result.result.utf8) == result
        assert orjson.loads(there.model.chats[1].messages[-1]["content"]) == result


async def test_a_very_long_result_is_shortened_for_the_model_but_kept_whole() -> None:
    items = [{"id": f"t{n}", "title": "x" * 1000} for n in range(200)]
    async with agents([calls(LIST), says("Many.")]) as there, there.run() as run:
        await run.answer(await run.tool_call(), result={"items": items})
        [record] = (await run.end()).tool_results
        assert orjson.loads(record.result.result.utf8) == {"items": items}
        told = orjson.loads(there.model.chats[1].messages[-1]["content"])
        assert [item["id"] for item in told["items"]] == [item["id"] for item in items]
        assert all(item["title"].startswith("x" * 200) for item in told["items"])
        assert "Long texts are cut here" in told["notice"]
        assert "there may be more" in told["notice"]


async def test_dates_go_to_the_device_as_milliseconds_and_come_back_as_local_time() -> None:
    asked = Call("list_tasks", {"due_before": "2026-12-01", "limit": "1000"})
    task = {"id": "t1", "title": "T", "dueDate": 1_796_000_400_000}
    async with agents([calls(asked), says("One.")]) as there:
        async with there.run(timezone="Asia/Tokyo") as run:
            call = await run.tool_call()
            assert orjson.loads(call.call.arguments.utf8) == {
                "dueBefore": 1_796_050_800_000,  # the start of that day in Tokyo
                "limit": 200,
            }
            await run.answer(call, result={"items": [task], "total": 1})
            [record] = (await run.end()).tool_results
        assert orjson.loads(record.result.result.utf8) == {"items": [task], "total": 1}
        told = orjson.loads(there.model.chats[1].messages[-1]["content"])
        assert told["items"] == [task | {"dueDateLocal": "2026-11-30T10:00 Monday"}]


async def test_counting_is_offered_to_devices_that_name_it() -> None:
    async with agents([says("Hi."), says("Hi.")]) as there:
        for tools in (None, StringList(values=["count_tasks"])):
            async with there.run(tools=tools) as run:
                await run.end()
        first, second = (chat.tools for chat in there.model.chats)
        assert "count_tasks" not in first and "list_tasks" in first
        assert "count_tasks" in second and "list_tasks" not in second


async def test_the_first_result_wins_and_one_for_nobody_is_dropped() -> None:
    async with agents([calls(LIST), calls(LIST), says("Done.")]) as there, there.run() as run:
        first = await run.tool_call()
        await run.answer(first, result={"items": [{"id": "a", "title": "A"}]})
        await run.answer(first, result={"items": [{"id": "b", "title": "B"}]})
        await run.answer(await run.tool_call(), result=NOTHING)
        end = await run.end()
        assert len(end.tool_results) == 2
        assert b'"a"' in end.tool_results[0].result.result.utf8


async def test_only_tools_that_the_device_has_are_offered() -> None:
    async with agents([says("Hi.")]) as there:
        tools = StringList(values=["list_tasks", "list_notes", "delete_note", "unheard_of"])
        async with there.run(tools=tools) as run:
            await run.end()
        assert set(there.model.chats[0].tools) == {
            *("list_tasks", "list_notes"),
            *("remember_preference", "search_memory"),
        }


async def test_without_a_device_no_tool_of_it_is_offered_and_the_model_is_told() -> None:
    async with agents([says("Hi.")]) as there:
        async with there.run(device_connected=False) as run:
            await run.end()
        [chat] = there.model.chats
        assert set(chat.tools) == {"remember_preference", "search_memory"}
        assert "None of the user's devices is connected" in chat.messages[0]["content"]


# Memory


async def test_a_preference_is_remembered_until_the_device_has_spoken() -> None:
    remember = Call("remember_preference", {"key": "tone", "value": "short"})
    script = [calls(remember), calls(LIST), calls(remember), says("Noted.")]
    message = "Keep it short. What is due?"
    async with agents(script) as there, there.run(message=message) as run:
        await run.answer(await run.tool_call(), result=NOTHING)
        end = await run.end()
        assert there.memory.core == {("user-1", "tone"): "short"}
        # Tools of the server are none of the device's results.
        assert [record.name for record in end.tool_results] == ["list_tasks"]
        offered = ["remember_preference" in chat.tools for chat in there.model.chats]
        assert offered == [True, True, False, False]
        refused = orjson.loads(there.model.chats[3].messages[-1]["content"])
        assert refused["error"]["code"] == "unknown_tool"


async def test_memory_can_be_searched() -> None:
    item = MemoryItem(id="1", tier=MemoryTier.MEMORY_TIER_EPISODIC, text="Asked about Mars.")
    memory = Memory(item)  # type: ignore[abstract] # the rest answers UNIMPLEMENTED
    script = [calls(Call("search_memory", {"query": "planets"})), says("Mars.")]
    async with agents(script, memory=memory) as there, there.run() as run:
        await run.end()
        [search] = there.memory.searches
        assert (search.user_id, search.query) == ("user-1", "planets")
        told = orjson.loads(there.model.chats[1].messages[-1]["content"])
        assert told == {"items": [{"tier": "episodic", "text": "Asked about Mars."}]}


async def test_memory_that_fails_does_not_fail_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Memory, request: object, context: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Memory, "Search", broken)
    script = [calls(Call("search_memory", {"query": "planets"})), says("No idea.")]
    async with agents(script) as there, there.run() as run:
        assert (await run.end()).status == EndStatus.END_STATUS_COMPLETED
        told = orjson.loads(there.model.chats[1].messages[-1]["content"])
        assert told["error"]["code"] == "memory_unavailable"


# What the model is told


async def test_the_model_reads_history_scope_memory_and_the_users_clock() -> None:
    async with agents([says("Hi.")]) as there:
        start = there.run(
            surface=Surface.SURFACE_POPUP,
            message="and now?",
            conversation_history=[
                ChatMessage(role=Role.ROLE_USER, content="hello"),
                ChatMessage(role=Role.ROLE_ASSISTANT, content="hi"),
            ],
            scope=Scope(type="task", id="t-77"),
            memory=[MemoryItem(tier=MemoryTier.MEMORY_TIER_CORE, key="tone", text="short")],
            timezone="Asia/Tokyo",
        )
        async with start as run:
            await run.end()
        system, *rest = there.model.chats[0].messages
        assert rest == [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "hi"},
            {"role": "user", "content": "and now?"},
        ]
        for part in ('{"type":"task","id":"t-77"}', '"key":"tone"', "Asia/Tokyo", "plain text"):
            assert part in system["content"]


# Ends


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (["All ", "is ", CUT], "All is "),
        (["All ", "is ", STOP], "All is "),
        ([b'data: {"choices": []}\n\n', STOP], ""),
        (["All ", b"data: {not json}\n\n"], "All "),
        (["All ", b'data: {"error": {"code": 500, "message": "secret words"}}\n\n'], "All "),
    ],
)
async def test_an_answer_that_breaks_off_is_no_success(steps: list[Step], said: str) -> None:
    broken = Reply(steps, finish=None, done=False, usage=None)
    async with agents(lambda _: broken) as there, there.run() as run:
        outputs = await run.rest()
        end = outputs[-1].end
        assert end.status == EndStatus.END_STATUS_FAILED
        assert end.error.code == ErrorCode.ERROR_CODE_MODEL_TRUNCATED
        assert end.error.retryable
        assert "secret" not in end.error.message
        assert texts(outputs) == said
        assert end.usage.estimated
        assert end.usage.model_calls == 1


async def test_stopping_at_the_token_limit_is_no_success_and_runs_no_tool() -> None:
    cut = Reply(["So ", Call("list_tasks", {"status": "todo"})], finish="length")
    async with agents([cut]) as there, there.run() as run:
        outputs = await run.rest()
        assert texts(outputs) == "So "
        assert outputs[-1].end.error.code == ErrorCode.ERROR_CODE_MODEL_TRUNCATED
        assert not [output for output in outputs if output.HasField("tool_call")]
        assert not outputs[-1].end.usage.HasField("estimated")  # this one was reported


@pytest.mark.parametrize(
    "reply",
    [
        Reply(["I "], finish="content_filter"),
        Reply([{"choices": [{"index": 0, "delta": {"refusal": "I cannot."}}]}]),
        fails(400, code="content_filter"),
    ],
)
async def test_a_refusal_is_told_as_one(reply: Reply) -> None:
    async with agents([reply]) as there, there.run() as run:
        end = await run.end()
        assert end.error.code == ErrorCode.ERROR_CODE_MODEL_REFUSED
        assert not end.error.retryable


@pytest.mark.parametrize(
    "failure",
    [
        fails(429, headers={"retry-after-ms": "1"}),
        fails(500),
        fails(503),
        raw(b'data: {"error": {"code": 429, "message": "slow down"}}\n\n'),
    ],
)
async def test_what_may_pass_is_tried_again_before_the_first_token(failure: Reply) -> None:
    async with agents([failure, failure, says("At last.")]) as there, there.run() as run:
        outputs = await run.rest()
        assert texts(outputs) == "At last."
        assert outputs[-1].end.status == EndStatus.END_STATUS_COMPLETED
        assert outputs[-1].end.usage.model_calls == 1  # what failed cost nothing
        assert len(there.model.chats) == 3


@pytest.mark.parametrize(
    ("failure", "code", "tries"),
    [
        (fails(500), ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, 3),
        (fails(429), ErrorCode.ERROR_CODE_MODEL_RATE_LIMITED, 3),
        (raw(b"data: <html>\n\n"), ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, 3),
        (raw(b""), ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, 3),
        (raw(b"<html>\n<body>502</body>"), ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, 3),
        (raw(b'{"error": {"code": 503}}'), ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, 3),
        (raw(b'data: {"error": {"code": 401}}\n\n'), ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED, 1),
        (fails(401), ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED, 1),
        (fails(404), ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED, 1),
        (fails(429, code="insufficient_quota"), ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED, 1),
    ],
)
async def test_what_does_not_pass_ends_with_its_code(
    failure: Reply, code: ErrorCode.ValueType, tries: int
) -> None:
    async with agents(lambda _: failure) as there, there.run() as run:
        end = await run.end()
        assert (end.status, end.error.code) == (EndStatus.END_STATUS_FAILED, code)
        assert len(there.model.chats) == tries


async def test_a_provider_that_asks_for_a_long_wait_is_not_waited_for() -> None:
    async with agents([fails(429, headers={"retry-after": "120"})]) as there, there.run() as run:
        end = await run.end()
        assert end.error.code == ErrorCode.ERROR_CODE_MODEL_RATE_LIMITED
        assert end.error.retry_after_ms == 120_000
        assert len(there.model.chats) == 1


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    async with agents([]) as there:
        await there.model.stop()
        async with there.run() as run:
            assert (await run.end()).error.code == ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE


async def test_a_failure_after_a_tool_call_keeps_its_results_and_its_cost() -> None:
    async with agents([calls(LIST, usage=(100, 7)), fails(401)]) as there, there.run() as run:
        await run.answer(await run.tool_call(), result=NOTHING)
        end = await run.end()
        assert end.error.code == ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED
        assert (end.usage.input_tokens, end.usage.output_tokens) == (100, 7)
        assert len(end.tool_results) == 1


# Budgets


async def test_rounds_of_tools_are_limited() -> None:
    budgets = Budgets(rounds=2)
    script = lambda _: calls(LIST, text=["Once more."])  # noqa: E731
    async with agents(script, budgets=budgets) as there, there.run() as run:
        for _ in range(2):
            await run.answer(await run.tool_call(), result=NOTHING)
        outputs = await run.rest()
        assert "Once more." in texts(outputs)  # what was said stands
        assert outputs[-1].end.error.code == ErrorCode.ERROR_CODE_TOOL_LIMIT_REACHED
        assert len(there.model.chats) == 4
        assert there.model.chats[2].tools
        assert not there.model.chats[3].tools  # the last round is one of words alone


async def test_tokens_are_limited_between_rounds_and_within_an_answer() -> None:
    costly = calls(LIST, usage=(9_000, 2_000))
    async with agents([costly], budgets=Budgets(tokens=10_000)) as there, there.run() as run:
        assert (await run.end()).error.code == ErrorCode.ERROR_CODE_TOOL_LIMIT_REACHED

    endless = Reply("word " * 100 for _ in iter(int, 1))
    async with agents([endless], budgets=Budgets(tokens=20_000)) as there, there.run() as run:
        end = await run.end()
        assert end.error.code == ErrorCode.ERROR_CODE_TOOL_LIMIT_REACHED
        assert 15_000 < end.usage.input_tokens + end.usage.output_tokens < 25_000
        await asyncio.wait_for(there.model.chats[0].closed.wait(), 5)


async def test_seconds_are_limited_but_not_those_of_the_device() -> None:
    budgets = Budgets(seconds=0.5)
    script = [calls(LIST), Reply(["Well, ", asyncio.Event()])]
    async with agents(script, budgets=budgets) as there, there.run() as run:
        call = await run.tool_call()
        await asyncio.sleep(0.7)  # the very time that must not count
        await run.answer(call, result=NOTHING)
        assert "Well, " in await run.text()
        end = await run.end()
        assert end.error.code == ErrorCode.ERROR_CODE_DEADLINE_EXCEEDED
        await asyncio.wait_for(there.model.chats[1].closed.wait(), 5)


@pytest.mark.parametrize("usage", [(-1, 5), (2**40, 5)])
async def test_a_count_of_tokens_that_cannot_be_does_not_hold_up_the_end(
    usage: tuple[int, int],
) -> None:
    async with agents([says("Hi.", usage=usage)]) as there, there.run() as run:
        end = await run.end()
        assert end.status == EndStatus.END_STATUS_COMPLETED
        assert end.usage.estimated


async def test_half_a_character_in_a_call_does_not_end_the_run() -> None:
    half = "\\ud83d"
    delta = f'{{"index":0,"id":"c{half}","function":{{"name":"f{half}","arguments":"{{}}"}}}}'
    chunk = f'{{"choices":[{{"delta":{{"tool_calls":[{delta}]}},"finish_reason":"stop"}}]}}'
    script = [raw(f"data: {chunk}\n\n".encode()), says("I see.")]
    async with agents(script) as there, there.run() as run:
        assert (await run.end()).status == EndStatus.END_STATUS_COMPLETED
        assert there.model.chats[1].messages[-1]["tool_call_id"] == "c\ufffd"


async def test_an_end_that_cannot_be_made_is_one_of_our_own_faults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails_to_count(cost: Cost) -> None:
        raise ValueError("out of range")

    monkeypatch.setattr(Cost, "to_proto", fails_to_count)
    async with agents([says("Hi.")]) as there, there.run() as run:
        end = await run.end()
        assert end.status == EndStatus.END_STATUS_FAILED
        assert end.error.code == ErrorCode.ERROR_CODE_INTERNAL


async def test_a_model_without_tools_is_offered_none_and_told_so() -> None:
    async with agents([says("Hi.")], profile={"tools": False}) as there, there.run() as run:
        assert (await run.end()).status == EndStatus.END_STATUS_COMPLETED
        [request] = there.model.chats
        assert not request.tools
        assert "You have no tools" in request.messages[0]["content"]


async def test_a_call_written_as_text_runs_where_the_profile_says_so() -> None:
    written = says('<tool_call>{"name": "update_task", "arguments": {"id": "t1", "title": "T"}}')
    profile = {"text_tool_calls": True}
    async with agents([written, says("Done.")], profile=profile) as there, there.run() as run:
        call = await run.tool_call()
        assert (call.call.name, call.call.requires_approval) == ("update_task", True)
        await run.answer(call, rejected="no")
        assert (await run.end()).status == EndStatus.END_STATUS_COMPLETED
        said, told = there.model.chats[1].messages[-2:]
        assert "content" not in said
        assert said["tool_calls"][0]["function"]["name"] == "update_task"
        assert "rejected" in told["content"]


async def test_what_the_provider_alone_understands_goes_back_in_the_next_round() -> None:
    delta = {
        "content": None,
        "reasoning_content": "hm",
        "tool_calls": [
            {
                "index": 0,
                "id": "c1",
                "function": {"name": "list_tasks", "arguments": "{}"},
                "extra_content": {"google": {"thought_signature": "ab"}},
            }
        ],
    }
    thought: Step = {"choices": [{"index": 0, "delta": delta}]}
    first = Reply([thought], finish="tool_calls")
    async with agents([first, says("Done.")]) as there, there.run() as run:
        await run.answer(await run.tool_call(), result=NOTHING)
        await run.end()
        said = there.model.chats[1].messages[-2]
        assert said["reasoning_content"] == "hm"
        assert "content" not in said
        [call] = said["tool_calls"]
        assert call["extra_content"] == {"google": {"thought_signature": "ab"}}


# Nothing could be shown

BAD = ("chart", "chart_values")


async def test_a_model_whose_answer_could_not_be_shown_is_told_why_and_asked_once_more() -> None:
    script = [calls(LIST), says('{"type":"chart"}'), says("In words.")]
    async with agents(script) as there, there.run() as run:
        run.waits = True
        await run.answer(await run.tool_call(), result=NOTHING)
        first = (await run.until("end")).end
        await run.nothing_shown(BAD)
        assert "In words." in await run.text()
        second = await run.end()
        for end in (first, second):
            assert end.status == EndStatus.END_STATUS_COMPLETED
            assert len(end.tool_results) == 1
        assert first.usage.model_calls == 2
        assert second.usage.model_calls == 3
        assert second.usage.input_tokens > first.usage.input_tokens
        said, told = there.model.chats[2].messages[-2:]
        assert said == {"role": "assistant", "content": '{"type":"chart"}'}
        assert "chart: chart_values" in told["content"]
        assert "not from the user" in told["content"]


async def test_a_model_that_was_asked_once_more_already_is_not_asked_again() -> None:
    async with agents([says(), says('{"type":"chart"}')]) as there, there.run() as run:
        run.waits = True
        await run.until("end")
        await run.nothing_shown(BAD)
        assert (await run.end()).status == EndStatus.END_STATUS_COMPLETED
        assert len(there.model.chats) == 2


async def test_the_second_end_is_the_last() -> None:
    async with agents([says("{}"), says("{}")]) as there, there.run() as run:
        run.waits = True
        await run.until("end")
        await run.nothing_shown(BAD)
        run.waits = True
        assert (await run.end()).usage.model_calls == 2  # with no word from the router


async def test_the_mending_can_be_cancelled() -> None:
    async with agents([says("{}"), Reply(["Now ", asyncio.Event()])]) as there, there.run() as run:
        run.waits = True
        await run.until("end")
        await run.nothing_shown(BAD)
        assert "Now " in await run.text()
        await run.cancel()
        assert (await run.end()).status == EndStatus.END_STATUS_CANCELLED
        await asyncio.wait_for(there.model.chats[1].closed.wait(), 1)


@pytest.mark.parametrize("how", ["half-close", "cancel", "silence"])
async def test_a_run_is_over_when_the_router_has_nothing_to_say_to_its_end(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "silence":
        monkeypatch.setattr(service, "VERDICT_S", 0.1)
    async with agents([says("Hi.")]) as there, there.run() as run:
        run.waits = True
        await run.until("end")
        if how == "half-close":
            await run.call.done_writing()
        if how == "cancel":
            await run.cancel()
        assert await run.rest() == []


async def test_a_run_that_failed_waits_for_nothing() -> None:
    async with agents([fails(401)]) as there, there.run() as run:
        run.waits = True
        assert (await run.end()).status == EndStatus.END_STATUS_FAILED


async def test_half_an_answer_of_thinking_and_arguments_is_bounded_by_the_budget() -> None:
    def thought() -> Iterator[Step]:
        while True:
            yield {"choices": [{"delta": {"reasoning_content": "hm " * 100}}]}

    budgets = Budgets(tokens=10_000)
    async with agents([Reply(thought())], budgets=budgets) as there, there.run() as run:
        end = await run.end()
        assert end.error.code == ErrorCode.ERROR_CODE_TOOL_LIMIT_REACHED
        assert end.usage.input_tokens + end.usage.output_tokens < 15_000
        await asyncio.wait_for(there.model.chats[0].closed.wait(), 5)


# Stop means stop


async def test_cancel_closes_the_providers_call_and_tells_what_was_spent() -> None:
    script = [Reply(["One ", "two ", asyncio.Event()])]
    async with agents(script) as there, there.run() as run:
        assert [await run.text(), await run.text()] == ["One ", "two "]
        began = asyncio.get_running_loop().time()
        await run.cancel()
        end = await run.end()
        assert asyncio.get_running_loop().time() - began < 0.5
        assert end.status == EndStatus.END_STATUS_CANCELLED
        assert end.error.code == ErrorCode.ERROR_CODE_CANCELLED
        assert end.usage.estimated
        assert end.usage.output_tokens == 2  # 8 characters
        assert end.usage.input_tokens > 100  # the prompt
        await asyncio.wait_for(there.model.chats[0].closed.wait(), 1)


async def test_cancel_abandons_tools() -> None:
    script = [calls(LIST, usage=(100, 7))]
    async with agents(script) as there, there.run() as run:
        call = await run.tool_call()
        await run.cancel()
        await run.answer(call, result=NOTHING)
        end = await run.end()
        assert end.status == EndStatus.END_STATUS_CANCELLED
        assert not end.tool_results
        assert (end.usage.input_tokens, end.usage.output_tokens) == (100, 7)
        assert len(there.model.chats) == 1


async def test_cancel_before_the_first_step_still_ends() -> None:
    async with agents([]) as there, there.run(RunInput(cancel=RunCancel())) as run:
        end = await run.end()
        assert end.status == EndStatus.END_STATUS_CANCELLED
        assert end.usage.model_calls == 0
        assert not there.model.requests


async def test_cancel_while_nobody_reads() -> None:
    """The model wrote more than fits; the end must come through all the same."""
    endless = Reply("word " * 100 for _ in iter(int, 1))
    async with agents([endless]) as there, there.run() as run:
        await run.text()
        await run.cancel()
        assert (await run.end()).status == EndStatus.END_STATUS_CANCELLED


@pytest.mark.parametrize("lose", ["half-close", "drop"])
async def test_a_lost_router_closes_the_providers_call(lose: str) -> None:
    async with agents([Reply(["One ", asyncio.Event()])]) as there, there.run() as run:
        await run.text()
        if lose == "half-close":
            await run.call.done_writing()
        else:
            run.call.cancel()
        await asyncio.wait_for(there.model.chats[0].closed.wait(), 5)


async def test_reading_from_the_model_stops_while_nobody_reads_the_run() -> None:
    piece = "x" * 10_000
    flood = Reply(piece for _ in range(20_000))  # 200 MB
    budgets = Budgets(tokens=10**9)
    async with agents([flood], budgets=budgets) as there, there.run() as run:
        await run.text()
        request = there.model.chats[0]
        sent = -1
        async with asyncio.timeout(20):
            while sent != request.sent:  # until the provider can write no more
                sent = request.sent
                await asyncio.sleep(0.3)
        assert sent < 5_000
        assert await run.text() == piece  # and it goes on once it is read
        async with asyncio.timeout(20):
            while request.sent <= sent:
                await run.text()


# The stream's own rules


async def test_what_waits_goes_out_as_one_message() -> None:
    gate = asyncio.Event()
    script = [Reply([*"abc", gate, *("word " for _ in range(300))])]
    async with agents(script) as there, there.run() as run:
        await run.text()
        gate.set()
        outputs = await run.rest()
        assert texts(outputs).count("word ") == 300
        assert len(run.batches) < 200
        assert {batch.request_id for batch in run.batches} == {"request-1"}


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ([RunInput(cancel=RunCancel())], ErrorCode.ERROR_CODE_INVALID_FRAME),
        ([], ErrorCode.ERROR_CODE_INVALID_FRAME),
        (
            [RunInput(start=agent_pb2.RunStart(agent_name="nobody"))],
            ErrorCode.ERROR_CODE_NOT_FOUND,
        ),
    ],
)
async def test_a_run_that_cannot_begin_is_refused(
    inputs: list[RunInput], code: ErrorCode.ValueType
) -> None:
    async with agents([]) as there:
        call = there.stub.Run()
        await call.write(agent_pb2.RunRequest(request_id="r", inputs=inputs))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert from_rpc(caught.value).code == code


async def test_runs_side_by_side_do_not_mix() -> None:
    def script(request: object) -> Reply:
        word = request.messages[-1]["content"]  # type: ignore[attr-defined]
        return says(*([word] * 50))

    async def one(there: object, word: str) -> str:
        async with there.run(message=word) as run:  # type: ignore[attr-defined]
            return texts(await run.rest())

    async with agents(script) as there:
        answers = await asyncio.gather(*(one(there, f"w{n} ") for n in range(16)))
        assert answers == [f"w{n} " * 50 for n in range(16)]


async def test_lists_agents_and_tools() -> None:
    async with agents([]) as there:
        listed = (await there.stub.ListAgents(agent_pb2.ListAgentsRequest())).agents
        assert [agent.name for agent in listed] == sorted(AGENTS)
        tools = (await there.stub.ListTools(agent_pb2.ListToolsRequest())).tools
        assert [tool.name for tool in tools] == sorted(CATALOGUE)
        by_name = {tool.name: tool for tool in tools}
        assert by_name["delete_note"].requires_approval
        assert by_name["delete_note"].effect == MutationOp.MUTATION_OP_DELETE
        assert not by_name["list_notes"].HasField("effect")
        assert by_name["search_memory"].runs_on_server
        schema = orjson.loads(by_name["create_task"].arguments_schema.utf8)
        assert schema["required"] == ["title"]


# Secrets


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


async def test_keys_and_words_are_in_no_log_and_no_output(
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    words = "my-very-own-words"
    script = [
        fails(500, error=f"{KEY} was used by {words}"),
        calls(Call("list_tasks", {"query": words})),
        fails(401, error=f"Incorrect API key provided: {KEY}"),
    ]
    async with agents(script) as there, there.run(message=words) as run:
        call = await run.tool_call()
        await run.answer(call, result={"other": words})
        end = await run.end()
        assert end.error.code == ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED
        # The provider did get the key, and from us.
        assert there.model.chats[0].headers["authorization"] == f"Bearer {KEY}"
        assert KEY not in str(run.batches)
        assert words not in str(end.error)
    ours = [
        r for r in everything_logged.records if r.name.split(".")[0] in {"agent_svc", "runtime"}
    ]
    assert ours
    for record in ours:
        assert KEY not in record.getMessage()
        assert words not in record.getMessage()
