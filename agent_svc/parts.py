"""PURE: a streamed chat completion, made into events.

The form is OpenAI's, and so are most of the departures from it that this takes from the
providers that speak it, each told where it is met. The rules:

- A stream that has shown neither a finish_reason nor `[DONE]` was cut short, however much it
  said; only a reason that is known as an end is a success.
- A field of another type than it should have counts as left out: whatever a provider makes of
  the fields that do not matter, its answer does.
- An error is one whatever follows it.
- What came as no stream but whole is read the same.
"""

from __future__ import annotations

from typing import Any, Final

from agent_svc import endings
from agent_svc.chunks import (
    choices_of,
    error_in,
    error_of,
    is_text,
    text_of_part,
    thinks,
    thought_in,
    usage_of,
    vendors_usage,
)
from agent_svc.events import (
    Ending,
    Event,
    Finish,
    ProviderError,
    Refused,
    Text,
    Truncated,
)
from agent_svc.kept import Kept, Parts
from agent_svc.reading import DONE, data_of, place_of, without_surrogates
from agent_svc.sse import Sent, SseDecoder
from agent_svc.tool_calls import ToolCalls

# Of a message, what is ours, and what only looks as if it were the message's.
_KNOWN: Final = frozenset(
    {
        *("role", "content", "text", "refusal", "tool_calls", "function_call"),
        *("index", "logprobs", "finish_reason", "stop_reason", "usage", "error"),
    }
)


class ChatAnswer:
    """One streamed answer of a model: bytes in, events out."""

    def __init__(self) -> None:
        self._sse: SseDecoder[Any] = SseDecoder(data_of)
        self._tool_calls = ToolCalls()
        self._kept = Kept()
        self._written: list[str] | None = None  # None until content came, if only as ""
        self._parts: Parts | None = None  # once the content was more than text
        self._reasons: list[str] = []
        self._refused = False
        self._error: ProviderError | None = None
        self._began = self._done = self._whole = self._deltas = False
        self._thinks_apart = False
        self._half = ""  # a surrogate that waits for its other half
        self.characters = 0  # of all that was written, for want of a usage report

    @property
    def thinks_apart(self) -> bool:
        """Whether reasoning has come in a field or a part of its own."""
        return self._parts is not None or self._thinks_apart

    @property
    def finished(self) -> bool:
        """Whether a finish_reason has come."""
        return bool(self._reasons)

    @property
    def over(self) -> bool:
        """Whether nothing that may follow matters any more: `[DONE]`, or an error."""
        return self._done or self._error is not None

    @property
    def kept(self) -> dict[str, Any]:
        """What is said back of the message, beside its calls."""
        kept = self._kept.value()
        if self._parts is not None:
            kept["content"] = self._parts.value()
        elif self._written is not None:
            kept["content"] = without_surrogates("".join(self._written))
        return kept

    def feed(self, data: bytes) -> list[Event]:
        """The text and usage that these bytes bring."""
        if self.over:
            return []
        try:
            return self._events(self._sse.feed(data), whole=True)
        except ValueError:
            self._error = ProviderError("line_too_long")
            return []

    def close(self) -> list[Event]:
        """The end of the stream: what was held back, the tool calls, and one ending."""
        events = [] if self.over else self._events(self._sse.close(), whole=False)
        ending = self._ending()
        calls = self._tool_calls.ready() if isinstance(ending, Finish) else []
        return [*events, *calls, ending]

    def _events(self, sent: list[Sent[Any]], *, whole: bool) -> list[Event]:
        events: list[Event] = []
        for meant, is_error in sent:
            if self.over:
                break
            if is_error:
                self._error = error_of(meant)
            elif meant is DONE:
                self._began = self._done = True
            elif meant is not None:
                for chunk in meant if isinstance(meant, list) else (meant,):
                    if isinstance(chunk, dict):
                        self._chunk(chunk, events)
            elif whole:  # otherwise the stream broke off inside it
                self._error = ProviderError("invalid_chunk")
        return events

    def _chunk(self, chunk: dict[str, Any], events: list[Event]) -> None:
        if self.over:
            return
        if (not chunk.get("choices") or chunk.get("error")) and (error := error_in(chunk)):
            self._error = error
            return
        # A completion that came whole, and not a chunk of several: it cannot have been cut.
        self._whole = not self._began and chunk.get("object") == "chat.completion"
        self._began = True
        for choice in choices_of(chunk):
            if choice.get("index") and place_of(choice["index"]):  # only one answer was asked for
                continue
            if error := choice.get("error"):
                self._error = error_of(error)
                return
            self._choice(choice, events)
        self._reason(chunk.get("finish_reason"))
        usage = chunk.get("usage")
        if usage is None and (self._reasons or not chunk.get("choices")):
            usage = vendors_usage(chunk)
        if isinstance(usage, dict) and (told := usage_of(usage)) is not None:
            events.append(told)

    def _choice(self, choice: dict[str, Any], events: list[Event]) -> None:
        # Whole answers have a message in place of a delta, older ones a text alone. Perplexity
        # sends both, the message with all that was said so far.
        if isinstance(delta := choice.get("delta"), dict):
            self._whole, said = False, len(self._written or ())
            self._message(delta, events)
            self._deltas |= len(self._written or ()) > said
        elif isinstance(message := choice.get("message"), dict):
            self._message(self._unsaid(message) if self._deltas else message, events)
        if (text := choice.get("text")) and isinstance(text, str):
            self._content(text, events)
        self._reason(choice.get("finish_reason") or choice.get("stop_reason"))

    def _reason(self, word: object) -> None:
        if word and (reason := endings.reason_of(word)):
            self._reasons.append(reason)

    def _unsaid(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message without what its deltas have said already."""
        written = "".join(self._written or ())
        content = message.get("content")
        if not written or not isinstance(content, str) or not content.startswith(written):
            return message
        return message | {"content": content[len(written) :]}

    def _message(self, message: dict[str, Any], events: list[Event]) -> None:
        if (content := message.get("content")) is not None:
            self._content(content, events)
        if len(message) > 1 or content is None:
            self._beside_content(message, events)

    def _beside_content(self, message: dict[str, Any], events: list[Event]) -> None:
        if isinstance(refusal := message.get("refusal"), str) and refusal:
            self.characters += len(refusal)
            self._refused = True
        if isinstance(calls := message.get("tool_calls"), list | dict):
            self.characters += self._tool_calls.add(calls if isinstance(calls, list) else [calls])
        if isinstance(call := message.get("function_call"), dict):
            self.characters += self._tool_calls.add_legacy(call)
        if isinstance(text := message.get("text"), str) and not message.get("content"):
            self._content(text, events)
        self._reason(message.get("finish_reason"))
        brought = {
            name: self._kept.add(name, message[name])
            for name in message
            if name not in _KNOWN and message[name] is not None
        }
        self._thinks_apart |= any(size and thinks(name) for name, size in brought.items())
        # The same thought may stand under several names: `reasoning` and `reasoning_details`.
        self.characters += max(brought.values(), default=0)

    def _content(self, content: Any, events: list[Event]) -> None:
        """A text; or (Mistral) a list of parts of which some are text, or one of them."""
        if self._written is None:
            self._written = []
        if not isinstance(content, str):
            self._keep_parts(content)
            parts = content if isinstance(content, list) else [content]
            self.characters += sum(thought_in(part) for part in parts)
            content = "".join(text_of_part(part) for part in parts)
        elif self._parts is not None:
            self._parts.add(content)
        if content:
            self.characters += len(content)
            self._written.append(content)
            if text := self._mend(content):
                events.append(Text(text))

    def _keep_parts(self, content: Any) -> None:
        several = content if isinstance(content, list) else [content]
        if self._parts is None:
            if all(isinstance(part, str) or is_text(part) for part in several):
                return
            self._parts = Parts()
            if written := "".join(self._written or ()):
                self._parts.add(written)
        self._parts.add([part for part in several if isinstance(part, str | dict)])

    def _mend(self, text: str) -> str:
        """Joins a character that was cut into two surrogates, each in a chunk of its own."""
        if not self._half and text.isascii():
            return text
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return without_surrogates(text)

    def _ending(self) -> Ending:
        if self._error is not None:
            return self._error
        if not self._began:  # nothing, or HTML: no answer of a model
            return ProviderError("no_answer")
        # A finish may be sent twice: the worst of them holds.
        ended = {endings.ended(reason): reason for reason in reversed(self._reasons)}
        if self._refused or "refused" in ended:
            return Refused()
        if "cut" in ended:
            return Truncated(ended["cut"])
        if not self._reasons and not self._done and not self._whole:
            return Truncated("no finish_reason")
        return Finish(ended.get("whole", ""))
