"""What a model streams, made into events: text, tool calls, usage, and how it ended.

Bytes of a streaming chat completion go in, cut anywhere; events come out. The form is
OpenAI's, and so are most of the departures from it that this takes from the providers
that speak it, each told where it is met. The rules:

- Tool calls come out together at the end, and only of an answer that is whole: a call
  whose arguments broke off must never run.
- `close()` gives exactly one ending. A stream that has shown neither a finish_reason
  nor `[DONE]` was cut short, however much it said.
- A field of another type than it should have counts as left out: whatever a provider
  makes of the fields that do not matter, its answer does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from agent_svc.events import (
    MAX_TOKENS,
    Ending,
    Event,
    Finish,
    ProviderError,
    Refused,
    Text,
    ToolCallReady,
    Truncated,
    Usage,
)
from agent_svc.sse import SseDecoder

_CUT_SHORT: Final = frozenset(
    # OpenAI, Mistral, others; then OpenRouter and DeepSeek for failures of their own.
    {"length", "max_tokens", "model_length", "error", "insufficient_system_resource"}
)
_USAGE: Final = ("prompt_tokens", "completion_tokens")
_FILTERED: Final = frozenset({"content_filter", "refusal", "safety"})


class _Delta(msgspec.Struct):
    content: Any = None
    refusal: Any = None
    tool_calls: Any = None
    # Thinking, by the names that DeepSeek and OpenRouter give it: counted, not shown.
    reasoning_content: Any = None
    reasoning: Any = None


class _Choice(msgspec.Struct):
    index: Any = None
    delta: _Delta | None = None
    finish_reason: Any = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    code: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


@dataclass(slots=True)
class _OpenCall:
    provider_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def begins_another(self, provider_id: str, name: str, arguments: str) -> bool:
        """Whether a delta at this call's place belongs to a call of its own.

        Only a name can begin a call. Some providers give every parallel call the index 0,
        or none; others repeat id and name in each delta of one call.
        """
        if not name:
            return False
        if written := "".join(self.arguments):
            if not _is_json(written):
                return False
            if arguments:
                return True
        if provider_id and self.provider_id:
            return provider_id != self.provider_id
        return name != self.name

    def add(self, provider_id: str, name: str, arguments: str) -> None:
        self.provider_id = self.provider_id or provider_id
        self.name = self.name or name
        if arguments:
            self.arguments.append(arguments)


class ToolCalls:
    """The tool calls of one answer, put together from their deltas."""

    def __init__(self) -> None:
        self._calls: list[_OpenCall] = []
        self._at: dict[int, _OpenCall] = {}  # the newest at each of the provider's places

    def add(self, delta: dict[str, Any]) -> int:
        """Takes one delta; returns how many characters it brought."""
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        provider_id = _text_of_id(delta.get("id"))
        name = _text(function.get("name"))
        arguments = _text_of_arguments(function.get("arguments"))
        index = _place_of(delta.get("index"))
        call = self._place(index, provider_id)
        if call is None or call.begins_another(provider_id, name, arguments):
            call = _OpenCall()
            self._calls.append(call)
            if index is not None:
                self._at[index] = call
        call.add(provider_id, name, arguments)
        return len(name) + len(arguments)

    def ready(self) -> list[ToolCallReady]:
        """All calls, in the order they were begun."""
        return [
            ToolCallReady(
                index,
                _without_surrogates(call.provider_id),
                _without_surrogates(call.name),
                _without_surrogates("".join(call.arguments)),
            )
            for index, call in enumerate(self._calls)
        ]

    def _place(self, index: int | None, provider_id: str) -> _OpenCall | None:
        if index is not None:
            return self._at.get(index)
        same = [call for call in self._calls if provider_id and call.provider_id == provider_id]
        candidates = same or self._calls
        return candidates[-1] if candidates else None


class ChatAnswer:
    """One streamed answer of a model: bytes in, events out."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._tool_calls = ToolCalls()
        self._reasons: list[str] = []
        self._refused = False
        self._error: ProviderError | None = None
        self._done = False
        self._half = ""  # a surrogate that waits for its other half
        self.characters = 0  # of all that was written, for want of a usage report
        self.kept: dict[str, Any] = {}

    @property
    def finished(self) -> bool:
        """Whether a finish_reason has come."""
        return bool(self._reasons)

    @property
    def over(self) -> bool:
        """Whether nothing that may follow matters any more: `[DONE]`, or an error."""
        return self._done or self._error is not None

    def feed(self, data: bytes) -> list[Event]:
        """The text and usage that these bytes bring."""
        try:
            chunks = self._sse.feed(data)
        except ValueError:
            self._error = ProviderError("line_too_long")
            return []
        return self._events(chunks, whole=True)

    def close(self) -> list[Event]:
        """The end of the stream: what was held back, the tool calls, and one ending."""
        events = self._events(self._sse.close(), whole=False)
        ending = self._ending()
        calls = self._tool_calls.ready() if isinstance(ending, Finish) else []
        return [*events, *calls, ending]

    def _events(self, chunks: list[bytes], *, whole: bool) -> list[Event]:
        events: list[Event] = []
        for data in chunks:
            if self.over:
                break
            if data.strip() == b"[DONE]":
                self._done = True
                break
            if not data.strip():
                continue
            chunk = _chunk_of(data)
            if chunk is None:
                if whole:  # otherwise the stream broke off inside it
                    self._error = ProviderError("invalid_chunk")
                break
            self._chunk(chunk, events)
        return events

    def _chunk(self, chunk: _Chunk, events: list[Event]) -> None:
        if chunk.error or chunk.object == "error":  # vLLM puts the error where the chunk would be
            self._error = ProviderError(_code_of(chunk.error or {"code": chunk.code}))
            return
        for choice in chunk.choices or ():
            if _place_of(choice.index):  # only one answer was asked for
                continue
            if choice.delta is not None:
                self._delta(choice.delta, events)
            if reason := _text(choice.finish_reason):
                self._reasons.append(reason.lower())
        if isinstance(chunk.usage, dict):
            asked, said = (_tokens_of(chunk.usage.get(key)) for key in _USAGE)
            if asked is not None and said is not None and (asked or said):
                events.append(Usage(asked, said))

    def _delta(self, delta: _Delta, events: list[Event]) -> None:
        if text := _text_of_content(delta.content):
            self.characters += len(text)
            if text := self._mend(text):
                events.append(Text(text))
        if refusal := _text(delta.refusal):
            self.characters += len(refusal)
            self._refused = True
        for thought in (delta.reasoning_content, delta.reasoning):
            self.characters += len(_text(thought))
        if isinstance(delta.tool_calls, list):
            for call in delta.tool_calls:
                if isinstance(call, dict):
                    self.characters += self._tool_calls.add(call)

    def _mend(self, text: str) -> str:
        """Joins a character that was cut into two surrogates, each in a chunk of its own."""
        if not self._half and text.isascii():
            return text
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return _without_surrogates(text)

    def _ending(self) -> Ending:
        if self._error is not None:
            return self._error
        if self._refused or not _FILTERED.isdisjoint(self._reasons):
            return Refused()
        # A finish may be sent twice: the worst of them holds.
        if cut := _CUT_SHORT.intersection(self._reasons):
            return Truncated(min(cut))
        if not self._reasons and not self._done:
            return Truncated("no finish_reason")
        return Finish(self._reasons[0] if self._reasons else "")


def _chunk_of(data: bytes) -> _Chunk | None:
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:  # the fast decoder refuses half a surrogate pair, which some servers send
        return msgspec.convert(json.loads(data), _Chunk)
    except (ValueError, RecursionError):
        return None


def _without_surrogates(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _text_of_content(content: object) -> str:
    """Content is a text, or (Mistral) a list of parts of which some are text."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return _text(content)


def _text_of_id(value: object) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _text_of_arguments(arguments: object) -> str:
    if isinstance(arguments, dict):
        return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
    return _text(arguments)


def _place_of(index: object) -> int | None:
    """A whole number, in whatever form it came."""
    try:
        return int(index) if isinstance(index, int | float | str) else None
    except (ValueError, OverflowError):  # no number, infinite or none at all
        return None


def _tokens_of(count: object) -> int | None:
    """A count of tokens; None for one that cannot be: some providers know none and say -1."""
    try:
        counted = int(count) if isinstance(count, int | float | str) else 0
    except (ValueError, OverflowError):  # no number, infinite or none at all
        return None
    return counted if 0 <= counted <= MAX_TOKENS else None


def _code_of(error: object) -> str:
    """A provider's word or number for an error; never its message, which may quote anything."""
    if isinstance(error, dict):
        for key in ("code", "type", "status"):
            if isinstance(value := error.get(key), str | int) and value:
                return _without_surrogates(str(value)[:64])
    return "unknown"


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
