"""How an answer is told, whichever API asks for it. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

import orjson

from devstack.offline_model.turn import Call

MODEL: Final = "offline-rules"
_TOKEN: Final = re.compile(r"\s*\w{1,8}|\s*[^\w\s]{1,2}|\s+")


COUNTED_CHARS: Final = 16 * 1024
"""Of so much the tokens are counted: to count them all would hold up everybody's answers."""

Json: TypeAlias = Mapping[str, Any]
Reason: TypeAlias = Literal["stop", "tool_calls", "length", "content_filter"]


class Telling(Protocol):
    """One answer: its events as they are streamed, and all of it at the end."""

    def text(self, piece: str) -> Iterable[Json]:
        """A piece of its text."""

    def calls(self, calls: Sequence[Call]) -> Iterable[Json]:
        """Its tool calls, once."""

    def end(self, reason: Reason) -> Iterable[Json]:
        """Why it ends, once and last."""

    def whole(self) -> Json:
        """All of it, for who asked for no stream; it has ended."""

    def encoded(self, event: Json) -> bytes:
        """An event as it stands in the body."""

    @property
    def tail(self) -> bytes:
        """What stands in the body after the last event."""


def tokens(text: str) -> list[str]:
    """Returns a text cut into what passes for tokens here; joined they are the text again."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """Returns how many tokens a text has, one that is long by what its head has."""
    head = len(tokens(text[:COUNTED_CHARS]))
    return head * max(len(text), COUNTED_CHARS) // COUNTED_CHARS


def asked_tokens(chat: Json) -> int:
    """Returns how many tokens a request has, in the form of chat completions."""
    return sum(count_tokens(str(message.get("content") or "")) for message in chat["messages"])


def written(call: Call) -> str:
    """Returns the arguments of a call as a model writes them."""
    return orjson.dumps(call.arguments).decode()
