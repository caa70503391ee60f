"""Times between the wire, which counts milliseconds, and models, which read and write dates.

On the wire a time is milliseconds since 1970, UTC. A model is told local time beside them
(`2026-12-01T09:00 Tuesday`) and may write what it was told, or any ISO date or date-time, which
is then one of the user's time zone. What is written here is read here to the same minute.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal
from zoneinfo import ZoneInfo

DateAlone = Literal["start", "after", "due"]
"""What a date without a time means: the start of its day, the last moment before it (for a bound
that is itself left out), or the last minute of the day (due today is not overdue yet)."""

DAYS_AROUND: Final = 14

_SHIFT: Final = {"today": 0, "tomorrow": 1, "yesterday": -1}
_WEEKDAY: Final = re.compile(
    r"[ ,]*\(?\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b\)?[ ,]*", re.I
)
# Before it and after it no calendar reaches in every zone: the years 1 and 9999 lack a neighbour.
_EARLIEST_MS: Final = -62_000_000_000_000
_LATEST_MS: Final = 253_300_000_000_000


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the user's: its date, and when it starts, in milliseconds."""

    date: date
    start: int

    @property
    def weekday(self) -> str:
        """Its name in English."""
        return f"{self.date:%A}"


def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name; UTC where there is none of that name."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):  # unknown, or no name at all
        return ZoneInfo("UTC")


def millis(moment: datetime) -> int:
    """An aware time in milliseconds since 1970, UTC."""
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def day_start(day: date, where: tzinfo | None) -> int:
    """When a day starts in a zone. Where the clocks skip midnight, at the moment they do."""
    return millis(datetime.combine(day, time.min, where))


def days_around(now: datetime) -> Iterator[Day]:
    """The days from two weeks before today to two weeks after it, and the one after them, by
    which the last one ends; `now` in the user's zone."""
    for distance in range(-DAYS_AROUND, DAYS_AROUND + 2):
        day = now.date() + timedelta(days=distance)
        yield Day(day, day_start(day, now.tzinfo))


def local(ms: float, where: tzinfo | None) -> str | None:
    """A time as a model reads it, to the minute; None past the calendar's ends.

    The offset is told only in the hour that the clocks run through twice.
    """
    if not _EARLIEST_MS < ms < _LATEST_MS:
        return None
    moment = (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)).astimezone(where)
    twice = moment.utcoffset() != moment.replace(fold=1 - moment.fold).utcoffset()
    told = moment if twice else moment.replace(tzinfo=None)
    return f"{told.isoformat(timespec='minutes')} {moment:%A}"


def parse(text: str, now: datetime, alone: DateAlone = "start") -> int | None:
    """The milliseconds that a date or date-time means to a user whose clock shows `now`.

    Takes ISO 8601, `now`, `today`, `tomorrow` and `yesterday`; None for anything else, for
    "friday" or "3/4/26" would be a guess.
    """
    words = _WEEKDAY.sub("", text.strip())
    if words.lower() == "now":
        return millis(now)
    try:
        if words.lower() in _SHIFT:
            return _of_day(now.date() + timedelta(days=_SHIFT[words.lower()]), now, alone)
        if (day := _date(words)) is not None:
            return _of_day(day, now, alone)
        moment = datetime.fromisoformat(words.replace(" ", "T", 1).replace(" ", ""))
        return millis(moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo))
    except (ValueError, OverflowError):
        return None


def _date(words: str) -> date | None:
    try:
        return date.fromisoformat(words)
    except ValueError:
        return None


def _of_day(day: date, now: datetime, alone: DateAlone) -> int:
    match alone:
        case "start":
            return day_start(day, now.tzinfo)
        case "after":
            return day_start(day, now.tzinfo) - 1
        case "due":
            return day_start(day + timedelta(days=1), now.tzinfo) - 60_000
