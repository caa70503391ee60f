"""Habits, mined from exchanges. Pure.

A habit is something asked on the same weekday at about the same hour (in the user's own
time zone), or an entity asked for again and again; on three distinct days at the least. How
sure it is: the 5 % quantile of Beta(1 + hits, 1 + misses), where a miss is a day on which
it could have happened and did not, up to today. So a habit that stops fades by itself, and
three times out of three says less than nine out of ten.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import regex

from memory_svc.domain import tokens

MIN_DAYS: Final = 3
WINDOW: Final = timedelta(days=70)
"""How far back exchanges count: ten of each weekday."""

_QUANTILE: Final = 0.05
_AROUND: Final = 1
"""Hours before and after that count as the same time of day."""

_MOST: Final = {"topic": 12, "agent": 4, "entity": 4}
"""Habits of a kind: what is in everyone's list must not push out what is asked on Mondays."""

_DAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip
_ASKING: Final = regex.compile(
    r"\b(?:please|show|list|give|tell|find|get|what(?:'s)?|which|are|is|do|can|could|you|me|my|"
    r"the|a|an|all|of|i|have|there|any|for|to|see|let|us|check|look|up|at|now|want|need|would|"
    r"like|whats)\b"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """An exchange as mining sees it; `at` in the user's own time zone."""

    id: UUID
    at: datetime
    agent: str
    message: str
    entities: tuple[tuple[str, str, str], ...] = ()  # kind, id, how it is shown


@dataclass(frozen=True, slots=True)
class Pattern:
    """A habit. `kind`: topic, agent or entity; `subject` tells habits of a kind apart.

    `weekday` (0: Monday) and `hour` in the user's time zone; None for entities.
    """

    kind: str
    subject: frozenset[str]
    text: str
    weekday: int | None
    hour: int | None
    confidence: float
    evidence: tuple[UUID, ...]

    def like(self, other: "Pattern") -> bool:
        """Whether both are the same habit, seen at different times."""
        if self.kind != other.kind or self.weekday != other.weekday:
            return False
        near = abs((self.hour or 0) - (other.hour or 0)) <= 2 * _AROUND
        return near and _alike(self.subject, other.subject)

    def veiled(self, veil: Callable[[str], str]) -> "Pattern":
        """As much of it as another is still known to be like it by."""
        return replace(self, subject=frozenset(map(veil, self.subject)), text="", evidence=())

    def due(self, now: datetime) -> bool:
        """Whether it is the time for it; `now` in the user's time zone."""
        if self.weekday is None or self.hour is None:
            return False
        return now.weekday() == self.weekday and abs(now.hour - self.hour) <= 2 * _AROUND


def mine(asked: Sequence[Asked], now: datetime) -> list[Pattern]:
    """The habits that the exchanges show, surest first. `now` in the user's time zone."""
    recent = sorted(
        (each for each in asked if now - WINDOW <= each.at <= now), key=lambda each: each.at
    )
    if not recent:
        return []
    start = recent[0].at.date()
    topics = _slots(recent, _topics(recent), "topic", start, now)
    agents = _slots(recent, [frozenset({each.agent}) for each in recent], "agent", start, now)
    told = {one for pattern in topics for one in pattern.evidence}
    # That an agent is asked says nothing new where a topic explains it.
    agents = [each for each in agents if len(set(each.evidence) - told) >= MIN_DAYS]
    kinds = (topics, agents, _entities(recent, now.date()))
    found = [each for kind in kinds if kind for each in _surest(kind)[: _MOST[kind[0].kind]]]
    return _surest(found)


def _surest(found: Sequence[Pattern]) -> list[Pattern]:
    return sorted(found, key=lambda each: -each.confidence)


def confidence(hits: int, misses: int) -> float:
    """The 5 % quantile of Beta(1 + hits, 1 + misses), by bisection."""
    a, n = 1 + hits, 1 + hits + misses

    def below(x: float) -> float:  # the distribution function, whole numbers make it a sum
        return sum(math.comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(a, n + 1))

    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < _QUANTILE else (low, middle)
    return low


def _topics(recent: Sequence[Asked]) -> list[frozenset[str]]:
    """What each message is about, messages alike given the same."""
    known: list[frozenset[str]] = []
    topics = []
    for each in recent:
        topic = frozenset(tokens.terms(_phrase(each.message)))
        alike = next((other for other in known if _alike(topic, other)), None)
        if alike is None:
            known.append(topic)
        topics.append(alike if alike is not None else topic)
    return topics


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return one == other or (bool(one & other) and len(one & other) * 2 >= len(one | other))


def _slots(
    recent: Sequence[Asked],
    subjects: Sequence[frozenset[str]],
    kind: str,
    start: date,
    now: datetime,
) -> list[Pattern]:
    buckets: dict[tuple[frozenset[str], int], list[Asked]] = defaultdict(list)
    for each, subject in zip(recent, subjects, strict=True):
        if subject and "" not in subject:
            buckets[subject, each.at.weekday()].append(each)
    found = []
    for (subject, weekday), times in buckets.items():
        hour, there = _hour(times)
        days = {each.at.date() for each in there}
        if len(days) >= MIN_DAYS:
            # Today is a chance only once its hour has passed.
            last = now - timedelta(hours=hour + _AROUND + 1) if now.date() not in days else now
            chances = _count(weekday, start, last.date())
            text = f"usually {_wanted(kind, there)} on {_DAYS[weekday]}{_part(hour)}"
            sure = confidence(len(days), max(0, chances - len(days)))
            ids = tuple(each.id for each in there)
            found.append(Pattern(kind, subject, text, weekday, hour, sure, ids))
    return found


def _hour(times: Sequence[Asked]) -> tuple[int, list[Asked]]:
    """The hour with the most distinct days around it, and what was asked then."""

    def around(hour: int) -> list[Asked]:
        return [each for each in times if abs(each.at.hour - hour) <= _AROUND]

    hours = Counter(each.at.hour for each in times)
    best = max(hours, key=lambda hour: (len({e.at.date() for e in around(hour)}), hours[hour]))
    return best, around(best)


def _count(weekday: int, start: date, today: date) -> int:
    first = start + timedelta(days=(weekday - start.weekday()) % 7)
    return max(0, (today - first).days // 7 + 1)


def _entities(recent: Sequence[Asked], today: date) -> list[Pattern]:
    active = {each.at.date() for each in recent}
    times: dict[tuple[str, str], list[tuple[Asked, str]]] = defaultdict(list)
    for each in recent:
        for kind, entity_id, shown in each.entities:
            times[kind, entity_id].append((each, shown))
    found = []
    for (kind, entity_id), seen in times.items():
        days = {each.at.date() for each, _ in seen}
        if len(days) >= MIN_DAYS:
            since = [day for day in active if day >= min(days)]
            # Days away count once the last time is more than a week ago: it fades.
            idle = max(0, (today - max(days)).days - 7)
            sure = confidence(len(days), len(since) - len(days) + idle)
            text = f"often asks about the {kind} {seen[-1][1]}"
            ids = tuple(dict.fromkeys(each.id for each, _ in seen))
            subject = frozenset({f"{kind}:{entity_id}"})
            found.append(Pattern("entity", subject, text, None, None, sure, ids))
    return found


def _wanted(kind: str, there: Sequence[Asked]) -> str:
    if kind == "agent":
        return f"asks about {there[0].agent.removesuffix('_agent')}s"
    phrases = Counter(_phrase(each.message) for each in there)
    return f"asks for {max(phrases, key=lambda phrase: (phrases[phrase], len(phrase)))}"


def _phrase(message: str) -> str:
    """What a request is about, in its own words."""
    line = " ".join(tokens.words(message.strip().split("\n")[0])[:16])
    return " ".join(_ASKING.sub(" ", line).split()[:6])


def _part(hour: int) -> str:
    if 5 <= hour < 12:
        return " mornings"
    if 12 <= hour < 17:
        return " afternoons"
    return " evenings" if 17 <= hour < 22 else " nights"
