"""PURE: a conversation made to fit a model's window.

What goes first is what is oldest: turns of the history, whole; then the long results of tools
are shortened; then whole rounds of tools go, a call never without its results. The prompt and
the message that is being answered stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

import orjson

Message: TypeAlias = dict[str, Any]

BYTES_PER_TOKEN: Final = 4.0
"""Of JSON, where nothing is known of a model; less is told by its reports (`Calibration`)."""

_LEAST, _MOST = 1.0, 8.0
SHORT: Final = 2_000
"""Characters that are left of a tool's result where all of them are too much."""
_SHORTEST: Final = 200


@dataclass(slots=True)
class Calibration:
    """How many bytes of JSON one token of a model is, as its reports tell."""

    bytes_per_token: float = BYTES_PER_TOKEN

    def tokens(self, size: int) -> int:
        """How many tokens so many bytes are, about."""
        return int(-(-size // self.bytes_per_token))

    def note(self, size: int, tokens: int) -> None:
        """Takes a report: so many bytes were so many tokens."""
        if size >= 1000 and tokens > 0:  # a short one says more of the frame than of the text
            measured = min(max(size / tokens, _LEAST), _MOST)
            self.bytes_per_token += (measured - self.bytes_per_token) / 2


def size_of(value: object) -> int:
    """The size of what is sent, in bytes of JSON."""
    return len(orjson.dumps(value))


def fitted(messages: Sequence[Message], room: int) -> list[Message]:
    """The messages in `room` bytes; where that cannot be, the fewest that may be sent."""
    sizes = [size_of(message) for message in messages]
    over = sum(sizes) - room
    if over <= 0:
        return list(messages)
    asked = _asked(messages)
    kept, over = _without_history(messages, sizes, asked, over)
    for short in (SHORT, _SHORTEST):
        if over > 0:
            kept, over = _shortened(kept, short, over)
    return _without_rounds(kept, over) if over > 0 else kept


def without_blanks(messages: Sequence[Message]) -> list[Message]:
    """Without messages that say nothing, but for the one that is being answered."""
    asked = _asked(messages)
    return [each for place, each in enumerate(messages) if place == asked or not blank(each)]


def blank(message: Message) -> bool:
    """Whether it says nothing: some providers refuse that."""
    content = message.get("content")
    silent = content is None or (isinstance(content, str) and not content.strip())
    return silent and message["role"] in {"user", "assistant"} and not message.get("tool_calls")


def _asked(messages: Sequence[Message]) -> int:
    """The place of the message that is being answered: the last of the user's before any tool."""
    asked = 0
    for place, message in enumerate(messages):
        if message.get("tool_calls") or message["role"] == "tool":
            break
        if message["role"] == "user":
            asked = place
    return asked


def _without_history(
    messages: Sequence[Message], sizes: list[int], asked: int, over: int
) -> tuple[list[Message], int]:
    first = 0
    while first < asked and messages[first]["role"] in {"system", "developer"}:
        first += 1
    end = first
    # An answer without its question says little, and some templates want the user first.
    while end < asked and (over > 0 or messages[end]["role"] != "user"):
        over -= sizes[end]
        end += 1
    return [*messages[:first], *messages[end:]], over


def _shortened(messages: list[Message], short: int, over: int) -> tuple[list[Message], int]:
    kept = []
    for message in messages:
        content = message.get("content")
        if over > 0 and message["role"] == "tool" and isinstance(content, str):
            less = _short(content, short)
            over -= size_of(content) - size_of(less)
            kept.append(message | {"content": less})
        else:
            kept.append(message)
    return kept, over


def _short(content: str, short: int) -> str:
    if len(content) <= 2 * short:
        return content
    return orjson.dumps({"shortened": True, "text": content[:short]}).decode()


def _without_rounds(messages: list[Message], over: int) -> list[Message]:
    """Without the oldest rounds of tools, but for the last one, which is being answered."""
    rounds = [place for place, message in enumerate(messages) if message.get("tool_calls")]
    for begin, end in pairwise(rounds):
        if over <= 0:
            break
        over -= sum(map(size_of, messages[begin:end]))
        messages = [*messages[:begin], *[_GONE] * (end - begin), *messages[end:]]
    return [message for message in messages if message is not _GONE]


_GONE: Final[Message] = {"role": "gone"}
