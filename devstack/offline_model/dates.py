"""Dates as people write them. Pure.

Every range is half-open, in milliseconds UTC, with its days those of the user's
time zone (`now` carries it).
"""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_DAY = "|".join(f"{day}|{day[:3]}" for day in WEEKDAYS)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*"
# One phrase that names a day, longest forms first.
DAY_PHRASE = (
    r"(?:\d{4}-\d{2}-\d{2}|today|tonight|tomorrow|yesterday|in \d+ (?:days?|weeks?)|"
    r"in a (?:day|week)|next week|end of (?:the )?(?:week|month)|"
    rf"(?:next |this |on )?(?:{_DAY})\b|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?\b|"
    rf"\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH})"
)
RANGE_PHRASE = r"(?:today|tonight|tomorrow|yesterday|this week|next week|this month|soon)"


@dataclass(frozen=True, slots=True)
class Range:
    """Times from `start` up to, but not including, `end`; milliseconds, UTC."""

    start: int
    end: int
    words: str


def millis(moment: datetime) -> int:
    """Returns a moment in milliseconds since 1970, UTC."""
    return int(moment.timestamp() * 1000)


def _midnight(now: datetime, days: int = 0) -> datetime:
    return datetime.combine(now.date() + timedelta(days=days), time(), now.tzinfo)


def day_of(phrase: str, now: datetime) -> datetime | None:
    """Returns the midnight that opens the day a phrase names, None for no such phrase.

    A weekday is the next one to come; a month and day without a year is the next.
    """
    words = phrase.lower().strip()
    fixed = {"today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1, "in a day": 1}
    if words in fixed:
        return _midnight(now, fixed[words])
    if words == "in a week":
        return _midnight(now, 7)
    if words == "next week":
        return _midnight(now, 7 - now.weekday())
    if words.startswith("end of"):
        return _end_of(words, now)
    if match := re.fullmatch(r"in (\d{1,4}) (day|week)s?", words):
        return _midnight(now, int(match[1]) * (7 if match[2] == "week" else 1))
    if match := re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", words):
        return _date(now, int(match[1]), int(match[2]), int(match[3]))
    return _weekday(words, now) or _month_day(words, now)


def _end_of(words: str, now: datetime) -> datetime:
    if words.endswith("week"):
        return _midnight(now, 6 - now.weekday())
    in_next_month = now.date().replace(day=28) + timedelta(days=4)
    last = in_next_month - timedelta(days=in_next_month.day)
    return _midnight(now, (last - now.date()).days)


def _weekday(words: str, now: datetime) -> datetime | None:
    name = words.removeprefix("next ").removeprefix("this ").removeprefix("on ")
    for number, day in enumerate(WEEKDAYS):
        if name in (day, day[:3]):
            return _midnight(now, (number - now.weekday() - 1) % 7 + 1)
    return None


def _month_day(words: str, now: datetime) -> datetime | None:
    match = re.fullmatch(r"([a-z]+) (\d{1,2})(?:st|nd|rd|th)?", words)
    if match:
        name, day = match[1], int(match[2])
    elif match := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)? (?:of )?([a-z]+)", words):
        name, day = match[2], int(match[1])
    else:
        return None
    if name[:3] not in MONTHS:
        return None
    month = MONTHS.index(name[:3]) + 1
    found = _date(now, now.year, month, day)
    if found and found < _midnight(now):
        return _date(now, now.year + 1, month, day)
    return found


def _date(now: datetime, year: int, month: int, day: int) -> datetime | None:
    try:
        return datetime(year, month, day, tzinfo=now.tzinfo)
    except ValueError:
        return None


def due_at(phrase: str, now: datetime) -> int | None:
    """Returns the last minute of the day a phrase names: due today is not overdue yet."""
    day = day_of(phrase, now)
    return None if day is None else millis(day + timedelta(hours=23, minutes=59))


def range_of(phrase: str, now: datetime) -> Range | None:
    """Returns the days that a phrase covers: today, this week (to Sunday), next week …"""
    words = phrase.lower().strip()
    week = -now.weekday()
    days = {
        "this week": (week, week + 7),
        "next week": (week + 7, week + 14),
        "soon": (0, 7),
    }.get(words)
    if words == "this month":
        first = _midnight(now, 1 - now.day)
        after = (first + timedelta(days=32)).replace(day=1)
        return Range(millis(first), millis(after), words)
    if days is None:
        day = day_of(words, now)
        if day is None:
            return None
        offset = (day.date() - now.date()).days
        days = (offset, offset + 1)
    return Range(millis(_midnight(now, days[0])), millis(_midnight(now, days[1])), words)
