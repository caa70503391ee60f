"""Times as models read and write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_svc import times

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 28, 18, 0, tzinfo=BERLIN)  # the clocks go on in the night that follows

ZONES = st.sampled_from(
    [
        *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"),
        *("Africa/Cairo", "America/Santiago", "Pacific/Apia", "America/Havana", "Asia/Tokyo"),
    ]
).map(ZoneInfo)
MOMENTS = st.datetimes(datetime(1975, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)


def ms(text: str) -> int:
    return times.millis(datetime.fromisoformat(text))


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe"])
def test_an_unknown_time_zone_is_utc(name: str) -> None:
    assert times.zone(name).key == "UTC"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-12-01", "2026-12-01T00:00+01:00"),
        (" 2026-12-01 ", "2026-12-01T00:00+01:00"),
        ("20261201", "2026-12-01T00:00+01:00"),
        ("2026-W49-2", "2026-12-01T00:00+01:00"),
        ("2026-12-01T09:30", "2026-12-01T09:30+01:00"),
        ("2026-12-01 09:30", "2026-12-01T09:30+01:00"),
        ("2026-12-01 09:30:15 +00:00", "2026-12-01T09:30:15+00:00"),
        ("2026-12-01T09:30Z", "2026-12-01T09:30+00:00"),
        ("2026-07-01T09:30", "2026-07-01T09:30+02:00"),
        ("2026-12-01T09:30 Tuesday", "2026-12-01T09:30+01:00"),
        ("2026-12-01 (Tuesday)", "2026-12-01T00:00+01:00"),
        ("Tuesday, 2026-12-01", "2026-12-01T00:00+01:00"),
        ("now", "2026-03-28T18:00+01:00"),
        ("Today", "2026-03-28T00:00+01:00"),
        ("tomorrow", "2026-03-29T00:00+01:00"),
        ("yesterday", "2026-03-27T00:00+01:00"),
        ("2026-03-30", "2026-03-30T00:00+02:00"),  # 23 hours after the day before
    ],
)
def test_what_can_mean_one_time_only_is_read(text: str, meant: str) -> None:
    assert times.parse(text, NOW) == ms(meant)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "friday",
        "next week",
        "3/4/26",
        "01.12.2026",
        "2026-13-01",
        "2026-02-30",
        "12:00",
        "x" * 9000,
    ],
)
def test_what_would_be_a_guess_is_not(text: str) -> None:
    assert times.parse(text, NOW) is None


def test_a_date_alone_means_what_its_place_asks_for() -> None:
    for text in ("2026-03-29", "tomorrow"):
        assert times.parse(text, NOW, "start") == ms("2026-03-29T00:00+01:00")
        assert times.parse(text, NOW, "after") == ms("2026-03-29T00:00+01:00") - 1
        assert times.parse(text, NOW, "due") == ms("2026-03-29T23:59+02:00")
    exact = ms("2026-03-29T09:00+02:00")
    assert times.parse("2026-03-29T09:00", NOW, "after") == exact
    assert times.parse("2026-03-29T09:00", NOW, "due") == exact


@settings(deadline=None)
@given(MOMENTS, ZONES)
def test_what_is_told_is_read_again_to_the_minute(moment: datetime, zone: ZoneInfo) -> None:
    told = times.local(times.millis(moment), zone)
    assert told is not None
    minute = timedelta(minutes=1)
    read = times.parse(told, NOW.replace(tzinfo=zone))
    assert read is not None and timedelta() <= moment - _at(read) < minute


def _at(value: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=value)


def test_the_hour_that_comes_twice_is_told_with_its_offset() -> None:
    first = ms("2026-10-25T02:30+02:00")
    assert times.local(first, BERLIN) == "2026-10-25T02:30+02:00 Sunday"
    assert times.local(first + 3_600_000, BERLIN) == "2026-10-25T02:30+01:00 Sunday"
    assert times.local(first + 7_200_000, BERLIN) == "2026-10-25T03:30 Sunday"


@pytest.mark.parametrize("value", [-1e18, 1e18, 253_402_300_800_000.0, float("inf")])
def test_no_time_past_the_ends_of_the_calendar(value: float) -> None:
    assert times.local(value, BERLIN) is None


@settings(deadline=None)
@given(MOMENTS, ZONES)
def test_the_days_around_are_whole_and_hold_today(moment: datetime, zone: ZoneInfo) -> None:
    now = moment.astimezone(zone)
    days = [*times.days_around(now)]
    assert [day.date - now.date() for day in days] == [timedelta(d) for d in range(-14, 16)]
    today = days[14]
    assert today.start <= times.millis(now) < days[15].start
    for before, after in pairwise(days):
        # Apia left out a whole day in 2011: it has no length there.
        assert 0 <= after.start - before.start <= 25 * 3_600_000
    for day in days:
        assert _at(day.start).astimezone(zone).date() >= day.date
        assert (_at(day.start) - timedelta(milliseconds=1)).astimezone(zone).date() <= day.date
