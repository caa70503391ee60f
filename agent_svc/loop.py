"""The tool loop: the model speaks, its tools run, and it speaks again, until it is done.

    ask the model ──► text goes out as it comes
         ▲                 │ no tool calls: done
         │                 ▼
         └── results ◄── tool calls, side by side (device: `execute_on_client`)

A model that says nothing is asked once more, unless a change was made: then silence is an
answer. When the rounds are used up it is asked one last time, without tools, for what it found
and what was not done.

The loop ends by returning, or by raising SwitchboardError; what it has spent and what the
device returned can be asked at any time, for a run that is cancelled too.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import orjson

from agent_svc import metrics, untrusted
from agent_svc.agents import Budgets
from agent_svc.catalogue import CATALOGUE
from agent_svc.context import blank
from agent_svc.cost import Cost
from agent_svc.events import Text, ToolCallReady
from agent_svc.model import Message, ModelCall, Working
from agent_svc.results import failed, told
from agent_svc.rounds import NOT_SAID, Round
from agent_svc.seconds import Seconds
from agent_svc.tools import APPROVAL_DEADLINE_MS, BadArguments, Tool, unknown_tool
from agent_svc.transcript import CALLS_FOLLOW, Called, assistant_message, result_message
from agent_svc.untrusted import Approve
from runtime.errors import SwitchboardError
from runtime.model.client import spent
from switchboard.v3.agent_pb2 import DeviceToolCall, RunActivity, RunOutput, RunText, ToolRecord
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import ActivityState, ToolCall, ToolResult
from switchboard.v3.values_pb2 import Json

log = logging.getLogger(__name__)

MAX_CALLS_PER_ROUND: Final = 32

Emit = Callable[[RunOutput], Awaitable[None]]
"""Sends one output on; waits while the reader is behind, and so slows the model down."""

ExecuteOnClient = Callable[[DeviceToolCall], Awaitable[ToolResult]]
"""Runs a tool on the device. Never fails: what goes wrong there is told in the result."""

ServerTool = Callable[[dict[str, Any]], Awaitable[str]]
"""Runs a tool on the server: arguments in, JSON text for the model out."""


class CallsModel(Protocol):
    """What the loop needs of a model."""

    def call(self, messages: list[Message], tools: list[dict[str, Any]]) -> ModelCall:
        """One call, not yet made."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run reaches outside itself, and what it must know of how it was asked.

    `now`: when it began, in the user's time zone. `own_words`: of the message what is not quoted.
    `untrusted`: whether others than the user may have written some of what it begins with;
    `approve`: what the user is asked for after such a text.
    """

    model: CallsModel
    emit: Emit
    execute_on_client: ExecuteOnClient
    server_tools: Mapping[str, ServerTool]
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    own_words: str = ""
    untrusted: bool = False
    approve: Approve = "deletes"


class Loop:
    """One run of an agent. `offered`: the names of the tools that the model may call."""

    def __init__(
        self,
        messages: list[Message],
        offered: Collection[str],
        budgets: Budgets,
        around: Surroundings,
    ) -> None:
        self._messages = messages
        self._offered = offered
        self._budgets = budgets
        self._around = around
        self._seconds = Seconds(budgets.seconds)
        self._rounds_left = budgets.rounds
        self._said = ""  # the end of what was said, to part the text of two rounds
        self._asked_again = self._changed = False
        self._untrusted = around.untrusted
        self._ids: set[str] = set()
        self._call: ModelCall | None = None  # the one under way
        self._spent = Cost()
        self.tool_results: list[ToolRecord] = []

    def cost(self) -> Cost:
        """What the run has cost so far, the call under way included."""
        total = Cost()
        total.add(self._spent)
        if self._call is not None:
            total.add(self._call.cost())
        return total

    async def run(self) -> None:
        """Runs to the end. Raises SwitchboardError; what was said before stands."""
        while calls := await self._answer():
            if self.cost().tokens >= self._budgets.tokens:
                raise _limit()
            if not self._rounds_left:
                await self._last_words(calls)
                raise _limit()
            self._rounds_left -= 1
            await self._run_tools(calls)

    async def mend(self, why: str) -> None:
        """After a run whose answer could not be shown: asks once more, telling why. The budgets
        are those of the run. Does nothing where the model was asked once more already."""
        if not self._asked_again:
            self._asked_again = True
            self._messages.append({"role": "user", "content": why})
            await self.run()

    async def _answer(self) -> list[Called]:
        """One round of the model, once more where it said nothing. Returns its tool calls."""
        calls, answered = await self._ask(self._tools())
        if answered or self._changed:
            return calls
        if not self._asked_again and self.cost().tokens < self._budgets.tokens:
            self._asked_again = True
            log.info("the model gave no answer: asking once more")
            calls, answered = await self._ask(self._tools())
        if not answered:
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_MODEL_EMPTY, "The model did not give an answer."
            )
        return calls

    async def _last_words(self, calls: list[Called]) -> None:
        """Asks, without tools, what was found and what was not done. It may fail: the run ends
        as one that used up its tools in any case."""
        refused = _refused(
            "tool_limit",
            "Not run: no more tools may be used for this request. "
            "Tell the user what you found, and what was not done.",
        )
        for called in calls:
            self._messages.append(result_message(called, refused))
        try:
            await self._ask([])
        except SwitchboardError as error:
            log.info("no last words after the tools were used up: %s", error)

    async def _ask(self, offered: list[str]) -> tuple[list[Called], bool]:
        """Asks the model: says its text. Returns its tool calls, and whether it gave an answer."""
        await self._activity(ActivityState.ACTIVITY_STATE_THINKING)
        tools = [CATALOGUE[name].for_model() for name in offered]
        call = self._call = self._around.model.call(list(self._messages), tools)
        calls: list[Called] = []
        spoke = seen = False
        began = time.monotonic()
        try:
            async with self._seconds.own() as clock, aclosing(call.said()) as events:
                async for event in events:
                    if not (spoke or calls) and not isinstance(event, Working):
                        metrics.FIRST_OUTPUT_SECONDS.observe(time.monotonic() - began)
                    match event:
                        case Text(piece):
                            async with self._seconds.readers(clock):
                                await self._say(piece, first=not spoke)
                            spoke, seen = True, seen or not piece.isspace()
                        case ToolCallReady():
                            calls.append(Called(event, self._id(event.provider_id)))
                    if not calls:
                        self._watch_tokens()
        finally:
            cost, self._call = call.cost(), None
            self._spent.add(cost)
            spent("chat", cost.input_tokens, cost.output_tokens)
        message = assistant_message(call.kept(), calls)
        if not blank(message):
            self._messages.append(message)
        lost = not calls and call.reason() in CALLS_FOLLOW
        return calls, bool(calls) or (seen and not lost)

    def _tools(self) -> list[str]:
        """What is offered now: once a device has answered, its data must not teach the memory."""
        return [
            name for name in self._offered if not CATALOGUE[name].own_words or not self.tool_results
        ]

    async def _say(self, piece: str, *, first: bool) -> None:
        if first:
            await self._activity(ActivityState.ACTIVITY_STATE_WRITING)
            if self._said and not self._said[-1].isspace():
                piece = "\n\n" + piece
        self._said = piece
        await self._around.emit(RunOutput(text=RunText(text=piece)))

    def _watch_tokens(self) -> None:
        if self.cost().tokens > self._budgets.tokens:
            raise _limit()

    async def _run_tools(self, calls: list[Called]) -> None:
        """Runs a round's calls side by side; the model reads the results in its own order."""
        around = self._around
        run = Round(frozenset(self._tools()), self._untrusted, around.approve, around.own_words)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._result(called, run, place))
                    for place, called in enumerate(calls)
                ]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        for called, task in zip(calls, tasks, strict=True):
            self._messages.append(result_message(called, task.result()))

    async def _result(self, called: Called, run: Round, place: int) -> str:
        """What the model is told of one call: its result, or why there is none."""
        name, offered = called.ready.name, run.offered
        if place >= MAX_CALLS_PER_ROUND:
            return _refused("too_many_calls", f"At most {MAX_CALLS_PER_ROUND} calls at once.")
        if name not in offered:
            return _refused("unknown_tool", unknown_tool(name, offered))
        tool = CATALOGUE[name]
        try:
            arguments = tool.checked(called.ready.arguments, self._around.now)
        except BadArguments as bad:
            return _refused("invalid_arguments", str(bad))
        if called.ready.from_text and tool.own_words:  # it writes, and nobody can be asked
            return _refused("unknown_tool", unknown_tool(name, offered))
        if not run.was_said(tool, arguments):
            return _refused("not_said", NOT_SAID)
        await self._activity(ActivityState.ACTIVITY_STATE_CALLING_TOOL, name)
        if tool.runs_on_server:
            async with self._seconds.own():
                result = await self._around.server_tools[name](arguments)
            self._untrusted |= untrusted.in_found(result)
            return result
        asks = run.asks(tool, from_text=called.ready.from_text)
        return await self._on_device(tool, arguments, asks=asks, marked=run.marks(tool))

    async def _on_device(
        self, tool: Tool, arguments: dict[str, Any], *, asks: bool, marked: bool
    ) -> str:
        # The provider's ids may be empty or repeat; this one is ours alone.
        call = ToolCall(
            call_id=str(uuid.uuid4()),
            name=tool.name,
            arguments=Json(utf8=orjson.dumps(arguments)),
            deadline_ms=APPROVAL_DEADLINE_MS if asks else tool.deadline_ms,
            requires_approval=asks,
            untrusted=marked or None,
        )
        with metrics.tool(tool.name, call.call_id) as waiting:
            result = await self._around.execute_on_client(
                DeviceToolCall(call=call, entity=tool.kind, effect=tool.effect)
            )
            waiting.answered(result)
        self.tool_results.append(
            ToolRecord(
                call_id=call.call_id, name=call.name, arguments=call.arguments, result=result
            )
        )
        self._changed |= tool.effect is not None and result.HasField("result")
        self._untrusted |= untrusted.in_result(result, arguments)
        return told(tool, result, arguments, self._around.now.tzinfo)

    async def _activity(self, state: ActivityState.ValueType, tool: str | None = None) -> None:
        await self._around.emit(RunOutput(activity=RunActivity(state=state, tool=tool)))

    def _id(self, provider_id: str) -> str:
        """The id of a call between us and the provider: its own where that is of use."""
        given = provider_id if provider_id and provider_id not in self._ids else uuid.uuid4().hex
        self._ids.add(given)
        return given


def _refused(reason: str, message: str) -> str:
    """Tells the model why its call went nowhere."""
    metrics.TOOLS_REFUSED.labels(reason).inc()
    return failed(reason, message)


def _limit() -> SwitchboardError:
    return SwitchboardError(
        ErrorCode.ERROR_CODE_TOOL_LIMIT_REACHED, "The agent used up what one request may use."
    )
