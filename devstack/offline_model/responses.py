"""The Responses API: requests as turns read them, and answers as OpenAI tells them. Pure."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from devstack.offline_model import reasoning
from devstack.offline_model.refusals import check_items, check_outputs
from devstack.offline_model.telling import MODEL, Json, Reason, asked_tokens, tokens, written
from devstack.offline_model.turn import Call

_ENCRYPTED: Final = "reasoning.encrypted_content"
_INCOMPLETE: Final[Mapping[Reason, str]] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}


def chat_form(body: Json) -> dict[str, Any]:
    """Returns a request in the form of chat completions. Raises Refused for its input."""
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    check_items(items)
    reasoning.check(items)
    check_outputs(items)
    prompt = body.get("instructions")
    messages = [{"role": "system", "content": prompt}] if prompt else []
    messages += [message for item in items if (message := _message(item))]
    tools = [{"type": "function", "function": tool} for tool in body.get("tools") or ()]
    asked: dict[str, Any] = {"messages": messages, "tools": tools, "stream": body.get("stream")}
    wanted = (body.get("text") or {}).get("format") or {}
    if wanted.get("type") == "json_schema":
        asked["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return asked


def _message(item: Json) -> dict[str, Any] | None:
    match item.get("type", "message"):
        case "message":
            return {"role": item.get("role"), "content": _text(item.get("content"))}
        case "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        case "function_call_output":
            told = {"role": "tool", "tool_call_id": item.get("call_id")}
            return {**told, "content": item.get("output")}
        case _:
            return None


def _text(content: Any) -> str:
    """The text of a message's content, which is one or consists of parts."""
    parts = content if isinstance(content, list) else [{"text": content}]
    return "".join(str(part.get("text") or "") for part in parts)


class Response:
    """One response; see `Telling`. `body` is the request, `chat` the same as a turn reads it."""

    tail = b""

    def __init__(self, body: Json, chat: Json) -> None:
        self._head = {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "model": MODEL,
            "store": bool(body.get("store", True)),
            "parallel_tool_calls": body.get("parallel_tool_calls", True),
            "tools": body.get("tools") or [],
            "tool_choice": body.get("tool_choice") or "auto",
        }
        self._thinks = _ENCRYPTED in (body.get("include") or ())
        self._thought: Json = {}
        self._asked = asked_tokens(chat)
        self._answered = 0
        self._number = 0
        self._text: list[str] = []
        self._message: dict[str, Any] | None = None  # that is being written
        self._output: list[Json] = []
        self._ended: dict[str, Any] = {"status": "in_progress"}

    def text(self, piece: str) -> Iterator[Json]:
        """A piece of its text."""
        if self._message is None:
            yield from self._begin()
            self._message = self._item("msg", type="message", role="assistant", content=[])
            yield self._event("output_item.added", item=self._message)
            yield self._part("content_part.added", part=_part(""))
        self._text.append(piece)
        self._answered += 1
        yield self._part("output_text.delta", delta=piece, logprobs=[])

    def calls(self, calls: Sequence[Call]) -> Iterator[Json]:
        """Its tool calls, one item after the other."""
        yield from self._begin()
        for call in calls:
            call_id = f"call_{uuid.uuid4().hex[:24]}"
            item = self._item("fc", type="function_call", name=call.tool, call_id=call_id)
            yield self._event("output_item.added", item={**item, "arguments": ""})
            pieces = tokens(written(call))
            self._answered += len(pieces) + 1
            told = {"item_id": item["id"]}
            for piece in pieces:
                yield self._event("function_call_arguments.delta", **told, delta=piece)
            told["arguments"] = item["arguments"] = written(call)
            yield self._event("function_call_arguments.done", **told)
            yield from self._done({**item, "status": "completed"})

    def end(self, reason: Reason) -> Iterator[Json]:
        """The message's end and the response's."""
        yield from self._begin()
        if self._message is not None:
            part = _part("".join(self._text))
            yield self._part("output_text.done", text=part["text"], logprobs=[])
            yield self._part("content_part.done", part=part)
            status = "incomplete" if reason in _INCOMPLETE else "completed"
            yield from self._done({**self._message, "status": status, "content": [part]})
        self._ended = {"status": "completed"}
        if reason in _INCOMPLETE:
            self._ended = {
                "status": "incomplete",
                "incomplete_details": {"reason": _INCOMPLETE[reason]},
            }
        yield self._event(self._ended["status"], placed=False, response=self.whole())

    def whole(self) -> Json:
        """All of it."""
        usage = {
            "input_tokens": self._asked,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": self._answered,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self._asked + self._answered,
        }
        nothing = {"error": None, "incomplete_details": None}
        return {**self._head, **nothing, **self._ended, "output": self._output, "usage": usage}

    def encoded(self, event: Json) -> bytes:
        """An event as it stands in the body."""
        return f"event: {event['type']}\ndata: ".encode() + orjson.dumps(event) + b"\n\n"

    def _begin(self) -> Iterator[Json]:
        """What stands before all items: the response, and what was thought."""
        if self._number:
            return
        begun = {**self.whole(), "usage": None}
        yield self._event("created", placed=False, response=begun)
        yield self._event("in_progress", placed=False, response=begun)
        if self._thinks:
            self._thought = reasoning.thought()
            unsaid = {**self._thought, "encrypted_content": ""}
            yield self._event("output_item.added", item=unsaid)
            yield from self._done(self._thought)

    def _item(self, kind: str, **fields: Any) -> dict[str, Any]:
        place = len(self._output)
        name = f"{kind}_{uuid.uuid4().hex}"
        if self._thought:
            name = reasoning.led_to(self._thought, kind, place)
        return {"id": name, "status": "in_progress", **fields}

    def _done(self, item: Json) -> Iterator[Json]:
        yield self._event("output_item.done", item=item)
        self._output.append(item)

    def _part(self, kind: str, **fields: Any) -> Json:
        assert self._message is not None  # noqa: S101 - there is no part before
        return self._event(kind, item_id=self._message["id"], content_index=0, **fields)

    def _event(self, kind: str, *, placed: bool = True, **fields: Any) -> Json:
        self._number += 1
        place = {"output_index": len(self._output)} if placed else {}
        number = {"sequence_number": self._number - 1}
        return {"type": f"response.{kind}", **number, **place, **fields}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
