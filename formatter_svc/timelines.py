"""Timelines: dates with a title, in the order of telling (PROTOCOL §6). Pure.

A number is passed on unchanged. A date that is written is one of the user's zone, unless it says
another, and leaves as milliseconds since 1970, UTC. An entry that cannot be read is dropped alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from formatter_svc import numbers
from formatter_svc.chart_config import bounded
from formatter_svc.reasons import Invalid, Reason

MAX_TITLE: Final = 500

_ENTRIES: Final = (
    *("checkpoints", "items", "events", "milestones", "entries", "timeline", "data", "points"),
    *("dates", "phases", "steps", "content"),
)
_TITLES: Final = ("title", "name", "label", "text", "event", "summary", "milestone", "description")
_DATES: Final = (
    *("date", "dueDate", "due_date", "due", "when", "datetime", "dateTime", "timestamp", "time"),
    *("at", "day", "deadline", "start", "startDate", "start_date", "end"),
)
_IDS: Final = ("id", "checkpointId", "checkpoint_id", "key")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_TEXT: Final = 40
_MS: Final = re.compile(r"-?[0-9]{9,15}")
# ISO 8601, and with slashes, without a day (a month's first), with a space before the zone.
_ISO: Final = re.compile(
    r"(?P<day>[0-9]{4}([-/.])[0-9]{1,2}(?:\2[0-9]{1,2})?)"
    r"(?:(?:[Tt]|,? +)(?P<time>[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)"
    r" ?(?P<zone>[Zz]|UTC|GMT|[+-][0-9]{2}:?(?:[0-9]{2})?)?)?"
)
_GERMAN: Final = re.compile(r"([0-9]{1,2})\. ?([0-9]{1,2})\. ?([0-9]{4})")
_MONTHS: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
)
_DAY_FIRST: Final = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)? +([A-Za-z]{3,9})\.?,? +([0-9]{4})")
_MONTH_FIRST: Final = re.compile(r"([A-Za-z]{3,9})\.? +([0-9]{1,2})(?:st|nd|rd|th)?,? +([0-9]{4})")


def zone_of(name: str) -> tzinfo:
    """The time zone of an IANA name; UTC where there is none of it."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return UTC


def check(value: Mapping[str, object], zone: tzinfo) -> dict[str, object]:
    """The timeline as `Timeline` of blocks.proto. Raises Invalid where no entry can be read."""
    entries = next((value[name] for name in _ENTRIES if value.get(name)), None)
    found = [made for each in _each(entries) if (made := _checkpoint(each, zone))]
    if not found:
        raise Invalid(Reason.BAD_TIMELINE)
    taken = {str(made["id"]) for made in found if made["id"] is not None}
    for place, made in enumerate(found, 1):
        if made["id"] is None:
            made["id"] = _free_id(place, taken)
    return {"checkpoints": found}


def milliseconds(written: object, zone: tzinfo) -> int | float | None:
    """A date in milliseconds since 1970, UTC: a number as it is, a text as one of the zone."""
    if isinstance(written, int | float):
        if isinstance(written, bool):
            return None
        number = numbers.exact(written) if abs(written) >= 2**63 else written
        return number if math.isfinite(number) else None
    if not isinstance(written, str) or len(written) > _MAX_TEXT:
        return None
    words = written.strip()
    if _MS.fullmatch(words):
        return int(words)
    moment = _moment(words, zone)
    return None if moment is None else (moment - _EPOCH) // timedelta(milliseconds=1)


def _each(entries: object) -> Iterator[object]:
    """The entries; an object is one of them, or dates with their titles."""
    match entries:
        case list():
            yield from entries
        case dict() if any(name in entries for name in _DATES):
            yield entries
        case dict():
            for key, each in entries.items():
                if isinstance(each, dict):
                    yield (
                        {"title": key, **each}
                        if _first(each, _DATES) is not None
                        else {
                            "date": key,
                            **each,
                        }
                    )
                else:
                    yield [key, each]


def _checkpoint(entry: object, zone: tzinfo) -> dict[str, object] | None:
    match entry:
        case dict():
            return _made(_first(entry, _IDS), _first(entry, _TITLES), _first(entry, _DATES), zone)
        case [one, other]:
            return _made(None, other, one, zone) or _made(None, one, other, zone)
        case str():
            one, _, other = _split(entry)
            return _made(None, other, one, zone) or _made(None, one, other, zone)
    return None


def _split(entry: str) -> tuple[str, str, str]:
    """`2026-03-01: Launch`, with any of the usual marks between."""
    for mark in (": ", " – ", " — ", " - ", " | "):
        if mark in entry:
            return entry.partition(mark)
    return entry, "", ""


def _made(id_: object, title: object, written: object, zone: tzinfo) -> dict[str, object] | None:
    date = milliseconds(written, zone)
    words = _words(title)
    if date is None or not words:
        return None
    return {"id": _words(id_) or None, "title": bounded(words, MAX_TITLE), "date": date}


def _words(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(value) if numbers.is_number(value) else ""


def _first(entry: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def _free_id(place: int, taken: set[str]) -> str:
    """An id from the entry's place: the same answer has the same ids."""
    made = f"checkpoint-{place}"
    while made in taken:
        made += "-"
    taken.add(made)
    return made


def _moment(words: str, zone: tzinfo) -> datetime | None:
    try:
        return _read(words, zone)
    except (ValueError, OverflowError):  # no such day, or past the year 9999
        return None


def _read(words: str, zone: tzinfo) -> datetime | None:
    if found := _ISO.fullmatch(words):
        day = [int(part) for part in re.split("[-/.]", found["day"])]
        iso = f"{day[0]:04}-{day[1]:02}-{day[2] if len(day) > 2 else 1:02}"
        if found["time"]:
            hour, rest = found["time"].replace(",", ".").split(":", 1)
            iso += f"T{int(hour):02}:{rest}{_offset(found['zone'] or '')}"
        moment = datetime.fromisoformat(iso)
    elif found := _GERMAN.fullmatch(words):
        moment = datetime(int(found[3]), int(found[2]), int(found[1]))
    elif found := _DAY_FIRST.fullmatch(words):
        moment = datetime(int(found[3]), _month(found[2]), int(found[1]))
    elif found := _MONTH_FIRST.fullmatch(words):
        moment = datetime(int(found[3]), _month(found[1]), int(found[2]))
    elif re.fullmatch("[0-9]{8}(?:T[0-9]{4,6}Z?)?|[0-9]{4}-?W[0-9]{2}(?:-?[1-7])?", words):
        moment = datetime.fromisoformat(words)
    else:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _offset(zone: str) -> str:
    return "+00:00" if zone.upper() in ("Z", "UTC", "GMT") else zone


def _month(word: str) -> int:
    return _MONTHS.index(word[:3].lower()) + 1
