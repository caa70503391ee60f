"""PURE: what a model's answer consists of, whichever API it came by.

An adapter (`Answer`) takes the bytes of one streamed answer, cut anywhere, and gives these
events. The rules that every adapter keeps:

- Tool calls come out together at the end, and only of an answer that is whole: a call
  whose arguments broke off must never run.
- `close()` gives exactly one ending, last.
- What belongs to the provider alone (reasoning, signatures, fields that nobody here knows)
  is gathered in `kept`, to be said back unchanged in the tool loop's next round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

MAX_TOKENS: Final = 2**32 - 1
"""What a frame's count can hold; no provider's window comes near it."""


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer, never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallReady:
    """A whole tool call. The provider's id may be empty or stand in several calls.

    `kept`: the call's fields that are the provider's alone, such as `extra_content`.
    `from_text`: the model wrote the call as text, so that a user must agree before it writes.
    """

    index: int
    provider_id: str
    name: str
    arguments: str
    kept: Mapping[str, Any] = field(default_factory=dict)
    from_text: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counts them; the last one of a stream holds."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The answer is whole. The reason is the provider's word; empty where only [DONE] came."""

    reason: str


@dataclass(frozen=True, slots=True)
class Truncated:
    """The answer is not whole: it was cut short, or ended by a word that is no known end."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The model refused, or a content filter stopped it."""


@dataclass(frozen=True, slots=True)
class ProviderError:
    """The provider sent an error, or nothing that could be read, in place of an answer.

    `code` is its word or number for it. `body` is the error as it came: it tells whether to ask
    again, and may quote anything, so that it never reaches a user, nor a log as it is.
    """

    code: str
    body: Any = field(default=None, repr=False, compare=False)


Ending: TypeAlias = Finish | Truncated | Refused | ProviderError
Event: TypeAlias = Text | ToolCallReady | Usage | Ending


class Answer(Protocol):
    """One streamed answer: bytes in, events out."""

    @property
    def characters(self) -> int:
        """All that was written, thinking and arguments too, for want of a usage report."""

    @property
    def thinks_apart(self) -> bool:
        """Whether thinking has come in a place of its own, and so is not in the text."""

    @property
    def finished(self) -> bool:
        """Whether the model has said its end: nothing but usage may follow, and is not needed."""

    @property
    def over(self) -> bool:
        """Whether nothing that may follow matters any more: the stream's own end, or an error."""

    @property
    def kept(self) -> dict[str, Any]:
        """Fields of the assistant message to be said back beside its text and calls.

        `content` stands in it where the message's content is more than its text; under
        `responses_output` stand the items of the Responses API, for its request builder alone.
        """

    def feed(self, data: bytes) -> list[Event]:
        """The text and usage that these bytes bring."""

    def close(self) -> list[Event]:
        """The end of the stream: what was held back, the tool calls, and one ending, last."""
