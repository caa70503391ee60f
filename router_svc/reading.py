"""PURE: reads a classifier's answer, in whatever dress a model puts it.

Wanted is one JSON object. Models that cannot be held to it put prose or a fence around it,
write the confidence as 95 or "95%", or the agent's name in their own way.
What names no agent on offer is no answer.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

# The object stands at the end; prose before it may be long.
_LONGEST: Final = 8_000
_DECODER: Final = json.JSONDecoder()


def parse(content: str, offered: Iterable[str]) -> tuple[str, float] | None:
    """The agent and the confidence (0–1) in an answer; None where there is none. Where several
    are named the last counts: a model that weighs them aloud ends with its choice."""
    agents = {name.removesuffix("_agent"): name for name in offered}
    last = None
    for answer in _objects(content[-_LONGEST:]):
        told = {str(key).strip().lower(): value for key, value in answer.items()}
        agent, confidence = _agent(told.get("agent"), agents), _confidence(told.get("confidence"))
        if agent is not None and confidence is not None:
            last = agent, confidence
    return last


def _objects(text: str) -> Iterator[dict[Any, Any]]:
    text = re.sub(r",\s*(?=[}\]])", "", text)
    end, found = 0, False
    for brace in re.finditer(r"\{", text):
        if brace.start() < end:
            continue
        try:
            value, end = _DECODER.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            continue
        found = True
        yield from _within(value)
    if not found:
        yield from _written_as_python(text)


def _within(value: Any) -> Iterator[dict[Any, Any]]:
    """An object, and those that it holds: some wrap their answer."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _within(inner)


def _written_as_python(text: str) -> Iterator[dict[Any, Any]]:
    for flat in re.findall(r"\{[^{}]*\}", text):
        try:
            value = ast.literal_eval(flat)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _agent(told: object, agents: dict[str, str]) -> str | None:
    if not isinstance(told, str):
        return None
    name = re.sub(r"[\s-]+", "_", told.strip().lower()).removesuffix("_agent")
    return agents.get(name) or agents.get(name.removesuffix("s"))


def _confidence(told: object) -> float | None:
    """0–1, however it is written; what is over 1 is of a hundred."""
    if isinstance(told, str):
        number = re.fullmatch(r"\s*(\d+(?:[.,]\d+)?)\s*(%?)\s*", told)
        if number is None:
            return None
        told = float(number[1].replace(",", ".")) / (100 if number[2] else 1)
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    value = float(told) if abs(told) <= 100 else math.nan
    value = value / 100 if value > 1 else value
    return value if 0 <= value <= 1 else None
