"""PURE: what of a model's answer is for people and for tools: its thinking is taken out, and the
calls that it wrote as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from agent_svc.events import Event, Text, ToolCallReady
from agent_svc.text_calls import TextCalls
from runtime.model.profiles import Profile
from runtime.thinking import Thinking


class Asked(Protocol):
    """What the answer is to."""

    @property
    def profile(self) -> Profile:
        """How its model writes."""

    @property
    def offered(self) -> frozenset[str]:
        """The names of the tools that may be called."""

    def begins_thinking(self, found: bool) -> None:
        """Told whether the model's answers begin inside its thinking."""


class Shown:
    """One answer."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._thinking = Thinking(asked.profile.opens_thinking)
        self._text_calls = TextCalls()
        self._written: list[str] = []
        self._said: list[str] = []
        self.in_place: dict[str, Any] = {}
        """What stands in the assistant message in place of what the provider wrote."""

    @property
    def kept(self) -> dict[str, Any]:
        """The content of the assistant message as it was written, thinking and all."""
        written = "".join(self._written)
        return {"content": written} if written else {}

    def feed(self, events: Iterable[Event], *, apart: bool = False) -> list[Text | ToolCallReady]:
        """Of these events what may go out now; tool calls come at the close. `apart`: thinking has
        come in a place of its own."""
        held = self._texts(self._text_calls.feed(self._thinking.apart())) if apart else []
        return held + [
            text for event in events if isinstance(event, Text) for text in self._text(event)
        ]

    def _text(self, event: Text) -> list[Text | ToolCallReady]:
        self._written.append(event.text)
        return self._texts(self._text_calls.feed(self._thinking.feed(event.text)))

    def close(self, events: Iterable[Event], *, whole: bool) -> list[Text | ToolCallReady]:
        """The rest, and the calls. `whole`: the answer ended as it should."""
        events = list(events)
        said: list[Text | ToolCallReady] = list(self.feed(events))
        rest = self._text_calls.feed(self._thinking.close(whole=whole)) + self._text_calls.close()
        if self._thinking.late or self._thinking.endless:
            self._asked.begins_thinking(self._thinking.late)
        calls = [event for event in events if isinstance(event, ToolCallReady)]
        said += self._texts(rest)
        if whole and not calls and (calls := self._calls_in_text()):
            # The calls are said back as calls; in the text they would stand twice.
            self.in_place = {"content": "".join(self._said) or None}
        return said + calls

    def _texts(self, text: str) -> list[Text | ToolCallReady]:
        self._said.append(text)
        return [Text(text)] if text else []

    def _calls_in_text(self) -> list[ToolCallReady]:
        """Calls to run that were written as text: of a model that is known to, and by name."""
        if not self._asked.profile.text_tool_calls:
            return []
        return [call for call in self._text_calls.calls if call.name in self._asked.offered]
