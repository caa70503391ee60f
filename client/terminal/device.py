"""What a device owes the server: to run each tool call once and in time, to ask its
user before a delete, and to answer questions about its store (PROTOCOL §4.6).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from client.terminal import tools
from client.terminal.protocol import Frame
from client.terminal.reading import ToolError
from client.terminal.store import KINDS, Answer, Change, Store

# How many ended requests are remembered; a call that comes later than that is no race.
REMEMBERED_ENDS = 256


@dataclass(frozen=True, slots=True)
class Call:
    """One `tool_call` frame; `ends_at` in seconds of the monotonic clock. `untrusted`: the agent
    had read text that others than the user may have written."""

    request_id: str
    call_id: str
    name: str
    arguments: dict[str, Any]
    ends_at: float
    requires_approval: bool
    untrusted: bool = False


Ask = Callable[[Call], Awaitable[str | None]]
"""Asks the user for a call: None where they agree, else their reason not to."""


class Device:
    """Runs tools on a store. `save` makes the store durable; `now` is in milliseconds, UTC."""

    def __init__(
        self,
        store: Store,
        save: Callable[[], None],
        send: Callable[[Frame], Awaitable[None]],
        ask: Ask,
        now: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._store = store
        self._save = save
        self._send = send
        self._ask = ask
        self._now = now
        self._asking: dict[str, tuple[Call, asyncio.Task[None]]] = {}
        self._told: dict[str, str] = {}  # by call id, the request that runs and was answered
        self._ended: deque[str] = deque(maxlen=REMEMBERED_ENDS)

    async def on_tool_call(self, frame: Frame) -> Call | None:
        """Runs a call, or answers it again. Returns the call where it is begun, else None.

        A call that waits for its user does not hold up what comes after it.
        """
        call = _call(frame)
        if answer := self._store.answer_to(call.call_id):
            await self._answer(call.call_id, call.request_id, answer)
            return None
        if call.request_id in self._ended or call.call_id in self._asking:
            return None
        if call.requires_approval:
            task = asyncio.create_task(self._run_if_allowed(call))
            self._asking[call.call_id] = (call, task)
        else:
            await self._run(call)
        return call

    async def again(self, resumed: Collection[str]) -> None:
        """After a drop: sends what was answered for requests that go on once more. An answer may
        have been lost with the connection; of two the server takes the first."""
        for call_id, request_id in list(self._told.items()):
            if request_id in resumed and (answer := self._store.answer_to(call_id)):
                await self._answer(call_id, request_id, answer)

    async def on_data_request(self, frame: Frame) -> None:
        """Answers from the store: the entities with these ids, or all of a kind."""
        kind, ids, limit = frame.get("entity"), frame.get("ids"), frame.get("limit")
        answer: Answer
        if kind in KINDS:
            items = self._store.all(kind)
            if ids is not None:
                items = [item for item in items if item["id"] in ids]
            answer = {"items": items[:limit]}
        else:
            answer = {"error": {"code": "unknown_entity", "message": "no such kind here"}}
        await self._send({"type": "data_response", "query_id": frame["query_id"], **answer})

    def on_mutation(self, frame: Frame) -> Change | None:
        """Takes a change made on another device; None where it is none for this store."""
        kind, entity_id, data = frame.get("entity"), frame.get("id"), frame.get("data")
        if kind not in KINDS or not isinstance(entity_id, str):
            return None
        if frame.get("op") == "delete":
            change = Change("delete", kind, entity_id)
        elif isinstance(data, dict):
            old = self._store.get(kind, entity_id)
            item = {**(old or {}), **data, "id": entity_id}
            change = Change("update" if old else "create", kind, entity_id, item)
        else:
            return None
        self._store.apply([change])
        self._save()
        return change

    def end(self, request_id: str) -> None:
        """Notes that a request is over: nothing more is begun for it."""
        self._ended.append(request_id)
        self._told = {call: of for call, of in self._told.items() if of != request_id}
        for call, task in list(self._asking.values()):
            if call.request_id == request_id:
                task.cancel()

    async def _run_if_allowed(self, call: Call) -> None:
        """Asks first. When the time is up before the user speaks, nothing is answered:
        the server has told the agent so already."""
        try:
            async with asyncio.timeout_at(_loop_time(call.ends_at)):
                reason = await self._ask(call)
        except TimeoutError:
            return
        finally:
            self._asking.pop(call.call_id, None)
        if reason is None:
            await self._run(call)
        else:
            await self._keep_and_answer(call, {"rejected": {"reason": reason}})

    async def _run(self, call: Call) -> None:
        if time.monotonic() >= call.ends_at:
            return
        try:
            outcome = tools.run(self._store, call.name, call.arguments, self._now())
        except ToolError as error:
            answer: Answer = {"error": {"code": error.code, "message": error.message}}
        else:
            self._store.apply(outcome.changes)
            answer = {"result": outcome.result}
        await self._keep_and_answer(call, answer)

    async def _keep_and_answer(self, call: Call, answer: Answer) -> None:
        """One write keeps the change and its answer; only then is it told."""
        self._store.keep_answer(call.call_id, answer, self._now())
        self._save()
        await self._answer(call.call_id, call.request_id, answer)

    async def _answer(self, call_id: str, request_id: str, answer: Answer) -> None:
        if request_id not in self._ended:
            self._told[call_id] = request_id
        await self._send({"type": "tool_result", "call_id": call_id, **answer})


def _call(frame: Frame) -> Call:
    return Call(
        request_id=frame["request_id"],
        call_id=frame["call_id"],
        name=frame["name"],
        arguments=frame.get("arguments") or {},
        ends_at=time.monotonic() + frame["deadline_ms"] / 1000,
        requires_approval=bool(frame.get("requires_approval")),
        untrusted=bool(frame.get("untrusted")),
    )


def _loop_time(monotonic: float) -> float:
    return asyncio.get_running_loop().time() + monotonic - time.monotonic()
