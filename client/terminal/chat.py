"""The conversation: asks, shows what comes, and tells how each answer ended."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from client.terminal import protocol
from client.terminal.device import Device
from client.terminal.protocol import Frame
from client.terminal.render import Screen, left_out
from client.terminal.tools import writes

# Used until `device_ready` tells the server's own limits.
HISTORY_MESSAGES, HISTORY_CHARS = 200, 200_000


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ended: completed, cancelled or failed, and why where it failed."""

    status: str
    code: str = ""
    message: str = ""


@dataclass(slots=True)
class Answer:
    """The answer that is being shown."""

    request_id: str
    ended: asyncio.Future[Ending]
    text: list[str] = field(default_factory=list)
    wrote: bool = False
    stopping: asyncio.Future[None] | None = None


class Chat:
    """One conversation with the server, one answer at a time. A `protocol.Listener`."""

    def __init__(
        self,
        screen: Screen,
        device: Device,
        send: Callable[[Frame], Awaitable[None]],
        close_request: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._screen = screen
        self._device = device
        self._send = send
        self._close_request = close_request
        self._history: list[Frame] = []
        self._limits: dict[str, Any] = {}
        self._answer: Answer | None = None

    async def ask(self, message: str, scope: Frame | None = None) -> Ending:
        """Asks, shows the answer as it comes, and returns how it ended.

        A request that was lost with the connection is asked again, once, by itself, and
        only where this device began no writing tool for it (PROTOCOL §4.5).
        """
        answer, ending = await self._ask_once(message, scope)
        if ending.status == "lost" and not answer.wrote:
            self._screen.note("the connection was lost; asking again")
            answer, ending = await self._ask_once(message, scope)
        if ending.status == "lost":
            ending = Ending("failed", "lost", "the connection was lost before the answer was whole")
        if ending.status == "completed":
            self._history += [
                {"role": "user", "content": message},
                {"role": "assistant", "content": "".join(answer.text)},
            ]
        return ending

    def cancel(self) -> bool:
        """Stops the answer under way; its end still comes from the server.

        Returns False where there is none, or where it was stopped before.
        """
        if self._answer is None or self._answer.stopping is not None:
            return False
        sending = self._send(protocol.cancel(self._answer.request_id))
        self._answer.stopping = asyncio.ensure_future(sending)
        return True

    async def _ask_once(self, message: str, scope: Frame | None) -> tuple[Answer, Ending]:
        answer = Answer(str(uuid.uuid4()), asyncio.get_running_loop().create_future())
        self._answer = answer
        history = self._recent()
        if scope is None:
            frame = protocol.home_request(message, history, answer.request_id)
        else:
            frame = protocol.popup_request(message, scope, history, answer.request_id)
        try:
            await self._send(frame)
            return answer, await answer.ended
        finally:
            self._answer = None
            self._screen.finish_line()

    def _recent(self) -> list[Frame]:
        """The newest of what was said that the server's limits allow; whole exchanges."""
        messages = self._limits.get("max_history_messages", HISTORY_MESSAGES)
        chars = self._limits.get("max_history_chars", HISTORY_CHARS)
        kept: list[Frame] = []
        for start in range(len(self._history) - 2, -1, -2):
            exchange = self._history[start : start + 2]
            chars -= sum(len(said["content"]) for said in exchange)
            if len(kept) + 2 > messages or chars < 0:
                break
            kept = exchange + kept
        return [said for said in kept if said["content"]]

    # What the link tells

    async def on_frame(self, frame: Frame) -> None:
        """Takes a frame. Types that are not known here are ignored (PROTOCOL §1)."""
        try:
            await self._take(frame)
        except (LookupError, TypeError) as error:
            self._screen.note(f"ignored a broken {frame['type']} ({type(error).__name__})")

    async def _take(self, frame: Frame) -> None:
        match frame["type"]:
            case "device_ready":
                self._limits = frame.get("limits") or {}
                await self._device.again(frame.get("resumed") or ())
            case "tool_call":
                await self._on_tool_call(frame)
            case "data_request":
                await self._device.on_data_request(frame)
            case "mutation":
                self._on_mutation(frame)
            case "stream_text" | "stream_block" if self._is_ours(frame):
                self._show(frame)
            case "stream_end":
                self._on_end(frame)
            case "error":
                self._on_error(frame)

    async def on_lost(self, request_id: str) -> None:
        """The server cannot go on with a request."""
        self._device.end(request_id)
        self._finish(request_id, Ending("lost"))

    def on_drop(self) -> None:
        """The connection is gone; an answer under way goes on when it is back."""
        if self._answer is not None and not self._answer.ended.done():
            self._screen.note("connection lost, trying again …")

    def _is_ours(self, frame: Frame) -> bool:
        return self._answer is not None and frame.get("request_id") == self._answer.request_id

    def _show(self, frame: Frame) -> None:
        assert self._answer is not None  # noqa: S101 - asked just before
        if frame["type"] == "stream_text":
            self._answer.text.append(frame["chunk"])
            self._screen.text(frame["chunk"])
        else:
            self._screen.block(frame["block_type"], frame["data"], int(time.time() * 1000))

    async def _on_tool_call(self, frame: Frame) -> None:
        if self._is_ours(frame) and self._answer is not None:
            self._answer.wrote |= writes(frame["name"])
        call = await self._device.on_tool_call(frame)
        if call is not None:
            self._screen.note(f"· {call.name}")

    def _on_mutation(self, frame: Frame) -> None:
        change = self._device.on_mutation(frame)
        if change is not None:
            self._screen.note(f"· another device: {change.op} {change.kind} {change.id}")

    def _on_end(self, frame: Frame) -> None:
        error = frame.get("error") or {}
        self._device.end(frame["request_id"])
        ending = Ending(frame["status"], error.get("code", ""), error.get("message", ""))
        ours = self._is_ours(frame)
        self._finish(frame["request_id"], ending)
        # The last step: an answer has ended even where this cannot be read.
        if ours and (missing := left_out(frame.get("skipped") or ())):
            self._screen.note(missing)

    def _on_error(self, frame: Frame) -> None:
        """One that carries a request's id says that it never began; of a duplicate, one runs."""
        if self._is_ours(frame) and frame["code"] != "duplicate_request":
            self._close_request(frame["request_id"])
            self._finish(frame["request_id"], Ending("failed", frame["code"], frame["message"]))
        else:
            self._screen.note(f"{frame['message']} ({frame['code']})")

    def _finish(self, request_id: str, ending: Ending) -> None:
        answer = self._answer
        if answer and answer.request_id == request_id and not answer.ended.done():
            answer.ended.set_result(ending)
