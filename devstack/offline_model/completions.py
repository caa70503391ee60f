"""Chat completions: the answer as OpenAI tells it, chunk by chunk or whole. Pure."""

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from devstack.offline_model.telling import MODEL, Json, Reason, asked_tokens, tokens, written
from devstack.offline_model.turn import Call


class Completion:
    """One chat completion; see `Telling`. `body` is the request."""

    tail = b"data: [DONE]\n\n"

    def __init__(self, body: Json) -> None:
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": MODEL,
        }
        self._wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        self._asked = asked_tokens(body)
        self._answered = 0
        self._begun = False
        self._streamed = bool(body.get("stream"))
        self._text: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._reason: Reason = "stop"

    def text(self, piece: str) -> Iterator[Json]:
        """A piece of its text."""
        yield from self._begin("")
        if not self._streamed:  # nobody asks for the whole of it then
            self._text.append(piece)
        self._answered += 1
        yield self._chunk({"content": piece})

    def calls(self, calls: Sequence[Call]) -> Iterator[Json]:
        """Its tool calls: a name first, then the arguments piece by piece."""
        yield from self._begin(None)
        for index, call in enumerate(calls):
            made = _made(call)
            self._calls.append(made)
            opened = {**made, "function": {"name": call.tool, "arguments": ""}}
            yield self._chunk({"tool_calls": [{"index": index, **opened}]})
            pieces = tokens(written(call))
            self._answered += len(pieces) + 1
            for piece in pieces:
                delta = {"index": index, "function": {"arguments": piece}}
                yield self._chunk({"tool_calls": [delta]})

    def end(self, reason: Reason) -> Iterator[Json]:
        """Why it ends, and what it cost where that was asked for."""
        self._reason = reason
        yield from self._begin("")
        yield self._chunk({}, reason)
        if self._wants_usage:
            yield {**self._head, **_CHUNK, "choices": [], "usage": self._usage()}

    def whole(self) -> Json:
        """All of it."""
        text = "".join(self._text) if self._text or not self._calls else None
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if self._calls:
            message["tool_calls"] = self._calls
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": self._reason,
            "logprobs": None,
        }
        kind = {"object": "chat.completion"}
        return {**self._head, **kind, "choices": [choice], "usage": self._usage()}

    def encoded(self, event: Json) -> bytes:
        """A chunk as it stands in the body."""
        return b"data: " + orjson.dumps(event) + b"\n\n"

    def _begin(self, content: str | None) -> Iterator[Json]:
        if not self._begun:
            self._begun = True
            yield self._chunk({"role": "assistant", "content": content})

    def _chunk(self, delta: Json, reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        usage = {"usage": None} if self._wants_usage else {}
        return {**self._head, **_CHUNK, "choices": [choice], **usage}

    def _usage(self) -> Json:
        return {
            "prompt_tokens": self._asked,
            "completion_tokens": self._answered,
            "total_tokens": self._asked + self._answered,
        }


_CHUNK = {"object": "chat.completion.chunk"}


def _made(call: Call) -> dict[str, Any]:
    function = {"name": call.tool, "arguments": written(call)}
    return {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}
