"""What stands inside two ciphertexts, as JSON: an exchange's detail, and a habit. Pure."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from memory_svc.domain.extract import Entity, meant
from memory_svc.domain.patterns import Asked, Pattern


@dataclass(frozen=True, slots=True)
class Detail:
    """What an exchange was, for the jobs. `answer`: digests of the sentences that the answer
    said, so that they are known when they come back; `recalled`: ids of what memory gave."""

    message: str
    agent: str = ""
    tools: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    timezone: str = "UTC"
    answer: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()
    summarised: bool = False

    def dump(self) -> str:
        """As JSON."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def load(cls, text: str) -> "Detail":
        """From JSON; a key that is not known is left out."""
        given: dict[str, Any] = orjson.loads(text)
        made = cls(given["message"], given["agent"])
        return replace(
            made,
            tools=tuple(given["tools"]),
            entities=tuple(Entity(**each) for each in given["entities"]),
            timezone=given["timezone"],
            answer=tuple(given["answer"]),
            recalled=tuple(given["recalled"]),
            summarised=given["summarised"],
        )

    def asked(self, episode: UUID, at: datetime, shown: dict[str, str]) -> Asked:
        """The exchange as mining sees it; `shown`: entities' ids → how they are called."""
        entities = tuple(
            (each.kind, each.id, shown.get(each.id, each.id))
            for each in meant(self.entities, self.message)
        )
        local = at.astimezone(zone(self.timezone))
        return Asked(episode, local, self.agent, self.message, entities)


def zone(name: str) -> ZoneInfo:
    """The time zone of that name; UTC where there is none."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError):  # unknown, a folder, or no name of a file at all
        return ZoneInfo("UTC")


def dump(habit: Pattern) -> str:
    """A habit as JSON."""
    return orjson.dumps(
        {
            "kind": habit.kind,
            "subject": sorted(habit.subject),
            "text": habit.text,
            "weekday": habit.weekday,
            "hour": habit.hour,
        }
    ).decode()


def pattern(text: str, confidence: float = 0.0, evidence: tuple[UUID, ...] = ()) -> Pattern:
    """A habit from JSON."""
    given = orjson.loads(text)
    return Pattern(
        given["kind"],
        frozenset(given["subject"]),
        given["text"],
        given["weekday"],
        given["hour"],
        confidence,
        evidence,
    )
