"""What the model is told before the user speaks.

What is the same in every request of an agent comes first, then what is the user's, and the clock
last: providers keep the beginning of a prompt that they have seen before, and ask less for it.

Everything that is not ours (memory, scope, what devices return, what a device says is quoted)
stands in the prompt as JSON on a line of its own, below words that say it is data and whose:
quoting keeps it from looking like our words, or the user's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from agent_svc import times
from agent_svc.agents import Agent, shared
from agent_svc.cutting import dumped
from runtime import enums, quoting
from switchboard.v3.agent_pb2 import RunStart, Surface
from switchboard.v3.frames_pb2 import Quoted, Role
from switchboard.v3.memory_pb2 import MemoryItem, MemorySource, MemoryTier


def conversation(
    agent: Agent, start: RunStart, now: datetime, *, tools: bool = True
) -> list[dict[str, Any]]:
    """The messages that a run begins with: the prompt, what was said before, the message.

    `tools` False: the model cannot call any. What was said before without a word is left out.
    """
    history = [
        {
            "role": "assistant" if said.role == Role.ROLE_ASSISTANT else "user",
            "content": _told(said.content, said.quoted),
        }
        for said in start.conversation_history
        if said.content.strip()
    ]
    return [
        {"role": "system", "content": system(agent, start, now, tools=tools)},
        *history,
        {"role": "user", "content": _told(start.message, start.quoted)},
    ]


def _told(message: str, spans: Sequence[Quoted]) -> str:
    """A message; what a device told to be quoted stands in it as data, since nothing else shows
    where it begins and ends. Markdown shows that by itself."""
    if not spans:
        return message
    said, at = [], 0
    for begin, end in quoting.quotes(message, spans):
        said += [message[at:begin], shared.QUOTED, dumped(message[begin:end]), "\n"]
        at = end
    return "".join([*said, message[at:]])


def system(agent: Agent, start: RunStart, now: datetime, *, tools: bool = True) -> str:
    """The system prompt. `now` is aware; it is told in the user's time zone."""
    here = now.astimezone(times.zone(start.timezone))
    sections = [
        *_stable(agent, start, tools=tools),
        "" if start.device_connected or not tools else shared.NO_DEVICE,
        _scope(start, tools=tools),
        _memory(start),
        _time(here, days=tools),
    ]
    return "\n".join(section for section in sections if section)


def _stable(agent: Agent, start: RunStart, *, tools: bool) -> Iterator[str]:
    """The sections that no user and no minute changes."""
    home = start.surface == Surface.SURFACE_HOME
    if not tools:
        yield f"# You\n{agent.prompt}"
        yield shared.RULES_WITHOUT_TOOLS
        yield shared.HOME_WITHOUT_TOOLS if home else shared.POPUP_WITHOUT_TOOLS
        return
    yield f"# You\n{agent.prompt}{agent.guide}"
    yield shared.RULES
    yield shared.HOME if home else shared.POPUP
    if home:
        yield shared.EXAMPLES + agent.examples


def _time(now: datetime, *, days: bool) -> str:
    monday = now.date() - timedelta(days=now.weekday())
    return (
        "# Time\n"
        f"- time zone: {now.tzinfo}\n"
        f"- this week starts on Monday, {monday}, the next on {monday + timedelta(days=7)}\n"
        f"{_days(now) if days else ''}"
        f"- now: {now:%Y-%m-%dT%H:%M %A}{f', {times.millis(now)}' if days else ''}\n"
    )


def _days(now: datetime) -> str:
    """The days by which the milliseconds in results can be told apart: no two need be as long."""
    rows = "".join(
        f"{day.date} {day.weekday} {day.start}{_remark(now, day, after)}\n"
        for day, after in pairwise(times.days_around(now))
    )
    return f"- the days around today, each with its start in milliseconds since 1970, UTC:\n{rows}"


def _remark(now: datetime, day: times.Day, after: times.Day) -> str:
    """What is special about a day: that it is near, or that the clocks change."""
    names = {-1: "yesterday", 0: "today", 1: "tomorrow"}
    name = names.get((day.date - now.date()).days)
    hours = (after.start - day.start) / 3_600_000
    changed = f"{hours:g} hours long: the clocks change" if hours != 24 else None
    said = ", ".join(filter(None, (name, changed)))
    return f" ({said})" if said else ""


def _scope(start: RunStart, *, tools: bool) -> str:
    if not start.HasField("scope"):
        return ""
    scope = {"type": start.scope.type}
    if not start.scope.HasField("id"):
        what = shared.SCOPE_KIND
    else:
        scope["id"] = start.scope.id
        what = shared.SCOPE_ITEM if tools else shared.SCOPE_ITEM_WITHOUT_TOOLS
    return f"{shared.SCOPE}{what}{dumped(scope)}\n"


def _memory(start: RunStart) -> str:
    if not start.memory:
        return ""
    lines = "\n".join(dumped(remembered(item)) for item in start.memory)
    return f"{shared.MEMORY}{lines}\n"


def remembered(item: MemoryItem) -> dict[str, str]:
    """A memory as the model reads it."""
    shown = {"tier": enums.word(MemoryTier.DESCRIPTOR, item.tier), "text": item.text}
    if item.HasField("key"):
        shown["key"] = item.key
    if item.source:
        shown["source"] = enums.word(MemorySource.DESCRIPTOR, item.source)
    if item.HasField("updated_at"):
        shown["date"] = item.updated_at.ToDatetime(UTC).date().isoformat()
    if item.HasField("superseded_at"):  # it no longer holds
        shown["until"] = item.superseded_at.ToDatetime(UTC).date().isoformat()
    return shown
