"""A model provider for tests that speaks the Responses API over HTTP, following a script.

    async with ResponsesServer([says("Hello ", "world")]) as server:
        ...  # OPENAI_BASE_URL = server.url, OPENAI_API=responses

Replies are those of `model_server` (`says`, `calls`, `fails`, `raw`, `Reply`), one for each
request in the order they come, and so are their steps, told as OpenAI tells them: every text
by its pieces, as a part, as an item and in the response. Two steps stand here alone:

    Thought("…", encrypted="…")     a reasoning item
    Refusal("…")                    a message that refuses

A reply's `finish` says how the response ends: "stop" and "tool_calls" complete it, "length"
and "content_filter" leave it incomplete, any other word fails it with that code; None: the
stream ends without a word (`responds` makes a reply of any steps).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aiohttp import web

from tests.support.model_server import CUT, STOP, Call, ModelServer, Reply, Request

Event: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, Any]

_INCOMPLETE: Final[Mapping[str, str]] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}


@dataclass(frozen=True, slots=True)
class Thought:
    """A reasoning item: its summary, and what only the provider can read."""

    summary: str = ""
    encrypted: str | None = "gAAAA-nobody-reads-this"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal in the model's words."""

    text: str


class Telling:
    """One response as it is told: events in their order, numbered, and the items so far."""

    def __init__(self, response_id: str = "resp_1") -> None:
        self._id = response_id
        self._number = 0
        self._text: Item | None = None  # the message that is being written
        self.output: list[Item] = []

    def begin(self) -> list[Event]:
        """That there will be a response."""
        created = {"response": self._response("in_progress")}
        return [self._event("response.created", **created)]

    def step(self, step: object) -> list[Event]:
        """What a step of a script adds."""
        match step:
            case str():
                return self._piece(step)
            case Call():
                return [*self._written(), *self._call(step)]
            case Thought():
                return [*self._written(), *self._thought(step)]
            case Refusal():
                return [*self._written(), *self._refusal(step)]
            case _:
                raise TypeError(f"no response has {step!r}")

    def end(self, finish: str, usage: tuple[int, int] | None) -> list[Event]:
        """How it ends."""
        more: dict[str, Any] = {}
        if usage is not None:
            asked, said = usage
            more["usage"] = {
                "input_tokens": asked,
                "output_tokens": said,
                "total_tokens": asked + said,
                "output_tokens_details": {"reasoning_tokens": 0},
            }
        if finish in {"stop", "tool_calls"}:
            status = "completed"
        elif finish in _INCOMPLETE:
            status, more["incomplete_details"] = "incomplete", {"reason": _INCOMPLETE[finish]}
        else:
            status, more["error"] = "failed", {"code": finish, "message": "scripted failure"}
        written = self._written()
        response = self._response(status) | more
        return [*written, self._event(f"response.{status}", response=response)]

    def _response(self, status: str) -> dict[str, Any]:
        head = {"id": self._id, "object": "response", "created_at": 0, "model": "scripted"}
        return head | {"status": status, "error": None, "output": list(self.output), "usage": None}

    def _event(self, kind: str, **fields: Any) -> Event:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **fields}

    def _added(self, item: Item) -> Event:
        return self._event(
            "response.output_item.added", output_index=len(self.output), item={**item}
        )

    def _done(self, item: Item) -> Event:
        self.output.append(item)
        return self._event(
            "response.output_item.done", output_index=len(self.output) - 1, item=item
        )

    def _part(self, what: str, item: Item, **fields: Any) -> Event:
        place = {"item_id": item["id"], "output_index": len(self.output), "content_index": 0}
        return self._event(f"response.{what}", **place, **fields)

    def _piece(self, text: str) -> list[Event]:
        events: list[Event] = []
        if self._text is None:
            self._text = self._message("in_progress", [])
            events = [self._added(self._text)]
            part = {"type": "output_text", "text": "", "annotations": []}
            events.append(self._part("content_part.added", self._text, part=part))
            self._text["content"] = [{**part}]
        self._text["content"][0]["text"] += text
        return [*events, self._part("output_text.delta", self._text, delta=text, logprobs=[])]

    def _message(self, status: str, content: list[Any]) -> Item:
        head = {"id": f"msg_{len(self.output)}", "type": "message", "role": "assistant"}
        return head | {"status": status, "content": content}

    def _written(self) -> list[Event]:
        """Closes the message that is being written."""
        if self._text is None:
            return []
        item, self._text = self._text, None
        item["status"] = "completed"
        (part,) = item["content"]
        return [
            self._part("output_text.done", item, text=part["text"], logprobs=[]),
            self._part("content_part.done", item, part=part),
            self._done(item),
        ]

    def _call(self, call: Call) -> list[Event]:
        item = {
            "id": f"fc_{len(self.output)}",
            "type": "function_call",
            "status": "in_progress",
            "arguments": "",
            "call_id": call.id,
            "name": call.name,
        }
        half = len(call.text) // 2
        place = {"item_id": item["id"], "output_index": len(self.output)}
        events = [self._added(item)]
        for piece in (call.text[:half], call.text[half:]):
            told = {"delta": piece, **place}
            events.append(self._event("response.function_call_arguments.delta", **told))
        told = {"arguments": call.text, **place}
        events.append(self._event("response.function_call_arguments.done", **told))
        whole = item | {"status": "completed", "arguments": call.text}
        return [*events, self._done(whole)]

    def _thought(self, thought: Thought) -> list[Event]:
        item: Item = {"id": f"rs_{len(self.output)}", "type": "reasoning", "summary": []}
        if thought.encrypted is not None:
            item["encrypted_content"] = thought.encrypted
        events = [self._added(item)]
        if thought.summary:
            place = {"item_id": item["id"], "output_index": len(self.output), "summary_index": 0}
            told = {"delta": thought.summary, **place}
            events.append(self._event("response.reasoning_summary_text.delta", **told))
            item = item | {"summary": [{"type": "summary_text", "text": thought.summary}]}
        return [*events, self._done(item)]

    def _refusal(self, refusal: Refusal) -> list[Event]:
        item = self._message("completed", [{"type": "refusal", "refusal": refusal.text}])
        return [
            self._added(item | {"status": "in_progress", "content": []}),
            self._part("refusal.delta", item, delta=refusal.text),
            self._part("refusal.done", item, refusal=refusal.text),
            self._done(item),
        ]


def told(
    *steps: object, finish: str | None = "stop", usage: tuple[int, int] | None = (10, 5)
) -> list[Event]:
    """A whole response, event by event."""
    telling = Telling()
    events = telling.begin()
    for step in steps:
        events += telling.step(step)
    return events if finish is None else [*events, *telling.end(finish, usage)]


def sse(event: Event) -> bytes:
    """An event as it stands in the body."""
    data = json.dumps(event, ensure_ascii=False).encode()
    return b"event: " + str(event.get("type", "")).encode() + b"\ndata: " + data + b"\n\n"


def responds(
    *steps: Any, finish: str | None = "stop", usage: tuple[int, int] | None = (10, 5)
) -> Reply:
    """A reply of any steps, those that stand here alone among them."""
    return Reply(steps, finish=finish, usage=usage, done=finish is None)


class ResponsesServer(ModelServer):
    """The provider; see the top of this file. It speaks chat completions, too."""

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        return [web.post("/v1/responses", self._respond), *super().routes()]

    async def _respond(self, http: web.Request) -> web.StreamResponse:
        return await self.answer(http, _write, _whole)


async def _whole(reply: Reply) -> web.Response:
    *_, end = told(*reply.steps, finish=reply.finish, usage=reply.usage)
    return web.json_response(end["response"])


async def _write(
    http: web.Request, response: web.StreamResponse, request: Request, reply: Reply
) -> None:
    telling = Telling()
    raw = reply.finish is None and not reply.done
    for event in [] if raw else telling.begin():
        await response.write(sse(event))
    for step in reply.steps:
        if step is CUT and http.transport is not None:
            http.transport.abort()
        if step is CUT or step is STOP:
            return
        for piece in await _pieces(telling, step):
            await response.write(piece)
        request.sent += 1
    if reply.finish is not None:
        for event in telling.end(reply.finish, reply.usage):
            await response.write(sse(event))


async def _pieces(telling: Telling, step: object) -> Iterator[bytes]:
    match step:
        case asyncio.Event():
            await step.wait()
        case float():
            await asyncio.sleep(step)
        case bytes():
            return iter([step])
        case dict():
            return iter([sse(step)])
        case _:
            return map(sse, telling.step(step))
    return iter(())
