"""PURE: what a model streams over the Responses API, made into events.

Bytes go in, cut anywhere; text, tool calls, usage and one ending come out. OpenAI tells
everything up to four times: piece by piece, as a part, as an item, and in the response
that ends the stream. Other servers leave out some of these, number items all alike, or
name one item by an id of its own in each event. The rules,
beside those of all adapters:

- Each text comes out once: what a later telling adds to what was said, and no more.
- An event belongs to the open item of its id, else of its index, else to the newest.
- The answer is whole once the provider says so (`response.completed`, or `[DONE]`).
- `kept` holds the provider's items, to be said back as they are: reasoning is encrypted,
  and a model that does not get its own back is refused or thinks anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, assert_never

from agent_svc import endings
from agent_svc.clean_json import clean
from agent_svc.events import (
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
from agent_svc.kept import plain
from agent_svc.reading import DONE, code_of, data_of, text_of, tokens_of, without_surrogates
from agent_svc.responses_items import Call, Item, Items, Json, Keys, Message, rest, surest
from agent_svc.responses_items import keys as keys_of
from agent_svc.responses_request import KEPT
from agent_svc.sse import Sent, SseDecoder
from agent_svc.tool_calls import name_of

_Status: TypeAlias = Literal["completed", "incomplete", "failed", "cancelled"]

_ENDS: Final[Mapping[str, _Status]] = {
    "response.completed": "completed",
    "response.done": "completed",  # as gateways say that were made for the realtime API
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}
_STATUSES: Final[Mapping[str, _Status]] = {status: status for status in _ENDS.values()}
_ERRORS: Final = frozenset({"error", "response.error"})
_USAGE: Final = (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens"))
_TEXT: Final = ("output_text", "text")
_FLAGGED: Final = "invalid_prompt"
"""What OpenAI calls a prompt that its own filter flagged."""
_UNTOLD: Final = "unknown"
"""What `code_of` calls an error that says nothing of itself."""


class ResponsesAnswer:
    """One streamed answer of a model: bytes in, events out."""

    def __init__(self) -> None:
        self._sse: SseDecoder[Any] = SseDecoder(data_of)
        self._messages = Items(Message)
        self._calls = Items(Call)
        self._given: list[Json] = []  # the items that were told whole
        self._told: set[tuple[str | int, ...]] = set()  # and their types with their ids
        self._events: list[Event] = []  # of the bytes that are being read
        self._ending: Ending | None = None
        self._refused = False
        self._began = self._done = False
        self._thought = 0  # in characters, of the reasoning item that is under way
        self._half = ""  # a surrogate that waits for its other half
        self.characters = 0  # of all that was written, for want of a usage report

    @property
    def thinks_apart(self) -> bool:
        """Reasoning is an item of its own, wherever there is any."""
        return True

    @property
    def finished(self) -> bool:
        """Whether the response has been told to its end."""
        return self._ending is not None

    @property
    def over(self) -> bool:
        """Whether nothing that may follow matters any more: the response ended, or failed.

        Azure tells only after a bare `response.failed`, in an `error`, why it filtered.
        """
        return self._done or self._ending not in (None, ProviderError(_UNTOLD))

    @property
    def kept(self) -> dict[str, Any]:
        """What of a whole answer is to be said back: the provider's items."""
        if not self._given or not isinstance(self._end(), Finish):
            return {}
        return {KEPT: plain(self._given)}

    def feed(self, data: bytes) -> list[Event]:
        """The text and usage that these bytes bring."""
        try:
            told = self._sse.feed(data)
        except ValueError:
            self._ending = ProviderError("line_too_long")
            return []
        return self._read(told, whole=True)

    def close(self) -> list[Event]:
        """The end of the stream: what was held back, the tool calls, and one ending."""
        events = self._read(self._sse.close(), whole=False)
        ending = self._end()
        calls = self._ready() if isinstance(ending, Finish) else []
        return [*events, *calls, ending]

    def _end(self) -> Ending:
        if isinstance(self._ending, ProviderError):
            return self._ending
        if self._refused:
            return Refused()
        if self._ending is not None:
            return self._ending
        if not self._began:  # nothing, or HTML: no answer of a model
            return ProviderError("no_answer")
        return Finish("") if self._done else Truncated("no response.completed")

    def _ready(self) -> list[ToolCallReady]:
        return [
            ToolCallReady(
                place,
                without_surrogates(call.call_id),
                name_of(without_surrogates(call.name)),
                clean(without_surrogates(call.arguments)),
            )
            for place, call in enumerate(self._calls.all)
        ]

    def _read(self, told: list[Sent[Any]], *, whole: bool) -> list[Event]:
        self._events = []
        for event, is_error in told:
            if self.over:
                break
            if is_error:
                self._ending = _failed(_mapping(event).get("error") or event)
            elif event is DONE:
                self._began = self._done = True
            elif isinstance(event, dict):
                self._take(event)
            elif event is None and whole:  # otherwise the stream broke off inside it
                self._ending = ProviderError("invalid_chunk")
        return self._events

    def _take(self, event: Json) -> None:
        kind = text_of(event.get("type"))
        self._began |= bool(kind) or "object" in event
        if kind in _ERRORS or (not kind and _is_error(event)):
            self._ending = _failed(event.get("error") or event)
        elif self.finished:
            return
        elif kind in _ENDS or (not kind and event.get("object") == "response"):
            self._ended(_ENDS.get(kind, "completed"), _mapping(event.get("response")) or event)
        elif kind.startswith("response.reasoning"):
            thought = len(text_of(event.get("delta")))
            self._thought += thought
            self.characters += thought
        elif reader := _READERS.get(kind):
            reader(self, event)

    # --- items

    def _added(self, event: Json) -> None:
        item = _mapping(event.get("item"))
        match item.get("type"):
            case "message":
                self._announced(self._messages, event, item)
            case "function_call" if not self._calls.held([text_of(item.get("call_id"))]):
                call = self._announced(self._calls, event, item)
                self.characters += call.learn(item, announced=True)

    def _announced(self, items: Items[Item], event: Json, item: Json) -> Item:
        keys = keys_of(event, item)
        return items.name(items.known(surest(keys)) or items.begin(), keys)

    def _item_done(self, event: Json) -> None:
        item = _mapping(event.get("item"))
        name = (text_of(item.get("type")), *keys_of(item)[:1])
        if not item or item in self._given[-1:] or (name[1:] and name in self._told):
            return
        self._given.append(item)
        self._told.add(name)
        match item.get("type"):
            case "message":
                self._text_is(keys_of(event, item), self._text_in(item))
            case "function_call":
                self._call_done(keys_of(event, item), item)
            case "reasoning":
                thought = sum(len(text_of(part.get("text"))) for part in _thoughts(item))
                self.characters += max(0, thought - self._thought)
                self._thought = 0

    def _text_in(self, item: Json) -> str:
        """The text of a message that is told whole; a refusal is none."""
        parts = _mappings(item.get("content"))
        self._refused |= any(part.get("type") == "refusal" for part in parts)
        return "".join(text_of(part.get("text")) for part in parts if part.get("type") in _TEXT)

    # --- text

    def _text_delta(self, event: Json) -> None:
        text = text_of(event.get("delta"))
        if text and (message := self._messages.written(event)):
            self._say(message.add(text))

    def _text_done(self, event: Json) -> None:
        self._part_is(event, text_of(event.get("text")))

    def _part_done(self, event: Json) -> None:
        part = _mapping(event.get("part"))
        self._refused |= part.get("type") == "refusal"
        if part.get("type") in _TEXT:
            self._part_is(event, text_of(part.get("text")))

    def _part_is(self, event: Json, text: str) -> None:
        if message := self._told_whole(keys_of(event), text):
            self._say(message.part_is(text, event.get("content_index")))

    def _text_is(self, keys: Keys, text: str) -> None:
        if message := self._told_whole(keys, text):
            self._say(message.is_whole(text))

    def _told_whole(self, keys: Keys, text: str) -> Message | None:
        """The message of which this is the text, or a part; None where that is no news."""
        message = self._messages.known(keys) or self._messages.newest()
        if message is None:
            held = self._messages.held(surest(keys))
            if not text or (held is not None and held.ended_with(text)):
                return None
            message = self._messages.begin()
        return self._messages.name(message, keys)

    def _refusal(self, event: Json) -> None:
        self._refused = True
        self.characters += len(text_of(event.get("delta")))

    def _say(self, text: str) -> None:
        self.characters += len(text)
        if text := self._mend(text):
            self._events.append(Text(text))

    def _mend(self, text: str) -> str:
        """Joins a character that was cut into two surrogates, each in a piece of its own."""
        if not self._half and text.isascii():
            return text
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return without_surrogates(text)

    # --- tool calls

    def _arguments_delta(self, event: Json) -> None:
        if call := self._calls.written(event):
            self.characters += call.add(text_of(event.get("delta")))

    def _arguments_done(self, event: Json) -> None:
        keys = keys_of(event)
        call = self._calls.known(keys) or self._calls.held(surest(keys)) or self._untold("")
        call = self._calls.name(call or self._calls.begin(), keys)
        self.characters += call.learn(event)

    def _call_done(self, keys: Keys, item: Json) -> None:
        call_id = text_of(item.get("call_id"))
        call = self._calls.known(keys)
        if call is None or not call.may_be(call_id):
            call = self._calls.held([call_id]) or self._untold(call_id) or self._calls.begin()
        self._calls.name(call, keys)
        self.characters += call.learn(item)
        call.closed = True

    def _untold(self, call_id: str) -> Call | None:
        """The newest call, where it may be this one and its arguments are not known to be whole."""
        call = self._calls.newest()
        return call if call and not call.whole and call.may_be(call_id) else None

    # --- the end

    def _ended(self, status: _Status, response: Json) -> None:
        if status == "completed":  # as some servers say whatever happened
            status = _STATUSES.get(text_of(response.get("status")), status)
        self._recall(_mappings(response.get("output")))
        asked, said = (tokens_of(_first(response.get("usage"), names)) for names in _USAGE)
        if asked is not None and said is not None and (asked or said):
            self._events.append(Usage(asked, said))
        match status:
            case "completed":
                self._ending = Finish(status)
            case "incomplete":
                reason = text_of(_mapping(response.get("incomplete_details")).get("reason"))
                refused = endings.ended(endings.reason_of(reason)) == "refused"
                self._ending = Refused() if refused else Truncated(reason or status)
            case "cancelled":
                self._ending = Truncated(status)
            case "failed":
                self._ending = _failed(response.get("error"))
            case _:
                assert_never(status)

    def _recall(self, output: list[Json]) -> None:
        """Says and learns what the response holds that no event has told."""
        text = "".join(self._text_in(item) for item in output if item.get("type") == "message")
        said = "".join(piece for message in self._messages.all for piece in message.said)
        self._say(rest(text, said))
        calls = [item for item in output if item.get("type") == "function_call"]
        if len(calls) >= len(self._calls.all):  # else the list is not whole
            held = {call.call_id: call for call in self._calls.all}
            # As the response has them, which is the last word.
            self._calls.all = [held.pop(text_of(call.get("call_id")), Call()) for call in calls]
            for call, told in zip(self._calls.all, calls, strict=True):
                self.characters += call.learn(told)
        if len(output) > len(self._given):
            self._given = output


def _is_error(event: Json) -> bool:
    """Whether an event of no type is an error: as gateways have them, or FastAPI."""
    return any(event.get(name) for name in ("error", "detail", "errors", "code"))


def _failed(error: object) -> Ending:
    code = code_of(error)
    refused = code == _FLAGGED or endings.ended(endings.reason_of(code)) == "refused"
    return Refused() if refused else ProviderError(code, error)


def _first(values: object, names: Sequence[str]) -> object:
    told = _mapping(values)
    return next((told[name] for name in names if name in told), None)


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _mappings(values: object) -> list[Json]:
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


def _thoughts(item: Json) -> list[Json]:
    return [*_mappings(item.get("summary")), *_mappings(item.get("content"))]


_READERS: Final[Mapping[str, Callable[[ResponsesAnswer, Json], None]]] = {
    "response.output_item.added": ResponsesAnswer._added,
    "response.output_item.done": ResponsesAnswer._item_done,
    "response.output_text.delta": ResponsesAnswer._text_delta,
    "response.output_text.done": ResponsesAnswer._text_done,
    "response.content_part.done": ResponsesAnswer._part_done,
    "response.refusal.delta": ResponsesAnswer._refusal,
    "response.refusal.done": ResponsesAnswer._refusal,
    "response.function_call_arguments.delta": ResponsesAnswer._arguments_delta,
    "response.function_call_arguments.done": ResponsesAnswer._arguments_done,
}
