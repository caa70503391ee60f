"""What a siege holds against what it saw: plain values in, complaints in words out. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from bench.siege.attack import SENT

GOAL: Final = 5.0
"""An honest device's ping may take so many times what it takes when all is calm (p99)."""

MIB: Final = 2**20
ENOUGH: Final = 100
"""Pings that a 99th percentile is read from, at least."""


@dataclass(frozen=True, slots=True)
class Service:
    """A process of the stack. `ended`: how, where it did; empty where it lives. Sizes in bytes;
    `busy`: how much of a processor it used under attack (1: all of one)."""

    name: str
    limit: int
    peak: int
    ended: str = ""
    busy: float = 0.0


@dataclass(slots=True)
class Seen:
    """All that was seen. Pings in seconds, while it was calm and under attack."""

    services: list[Service] = field(default_factory=list)
    calm: list[float] = field(default_factory=list)
    pings: list[float] = field(default_factory=list)
    answers: int = 0
    """Honest ones that were whole under attack."""
    sign_ups: int = 0
    wrong: list[str] = field(default_factory=list)
    """What an honest device got that it should not have, in words."""
    refused: Counter[str] = field(default_factory=Counter)
    """What honest devices were refused, by code."""
    told: dict[str, Counter[str]] = field(default_factory=dict)
    """What each attack sent and heard."""
    failed: list[str] = field(default_factory=list)
    """Attackers that ended by a fault of their own."""
    faults: list[str] = field(default_factory=list)
    """Exceptions in the logs."""
    others: float = 0.0
    """So many processors were busy with what is none of it, under attack."""


def percentile(values: Sequence[float], part: float) -> float:
    """The value that so great a part of the values (0–1) does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, ceil(part * len(ordered)) - 1)] if ordered else 0.0


def complaints(seen: Seen, expected: Mapping[str, frozenset[str]], goal: float = GOAL) -> list[str]:
    """What broke. `expected`: what each attack must hear one of; nothing: it is not refused."""
    return [
        *_services(seen),
        *_honest(seen),
        *_slow(seen, goal),
        *_untold(seen.told, expected),
        *seen.failed,
        *(f"an exception in a log: {line}" for line in seen.faults),
    ]


def _services(seen: Seen) -> list[str]:
    return [
        f"{each.name} {each.ended}, of {each.limit // MIB} MiB it used {each.peak / MIB:.0f}"
        for each in seen.services
        if each.ended
    ]


def _honest(seen: Seen) -> list[str]:
    found = [f"honest devices were refused: {n} {code}" for code, n in seen.refused.items()]
    found += [f"an honest device: {line}" for line in seen.wrong]
    if not seen.answers:
        found.append("no honest device got an answer")
    return found


def _slow(seen: Seen, goal: float) -> list[str]:
    if min(len(seen.calm), len(seen.pings)) < ENOUGH:
        return [f"too few pings to judge: {len(seen.calm)} calm, {len(seen.pings)} under attack"]
    calm, now = percentile(seen.calm, 0.99), percentile(seen.pings, 0.99)
    if now <= goal * calm:
        return []
    return [
        f"an honest ping takes {now * 1000:.0f} ms (p99), {now / calm:.1f} times the calm"
        f" {calm * 1000:.0f} ms; the goal is {goal:g} times"
    ]


def _untold(told: Mapping[str, Counter[str]], expected: Mapping[str, frozenset[str]]) -> list[str]:
    found = []
    for name, codes in expected.items():
        heard = told.get(name, Counter[str]())
        if not heard[SENT]:
            found.append(f"no attack: {name} sent nothing")
        elif codes and not any(heard[code] for code in codes):
            found.append(f"not told: {name} heard none of {', '.join(sorted(codes))}")
    return found
