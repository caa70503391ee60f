"""Habits: noticed on three days, surer with more, fading when they stop."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_svc.domain.patterns import Asked, Pattern, confidence, mine

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
WEEK = timedelta(weeks=1)


def asked(at: datetime, message: str = "show my overdue tasks", agent: str = "task_agent") -> Asked:
    return Asked(uuid4(), at, agent, message)


def mondays(count: int, hour: int = 9) -> list[Asked]:
    return [asked(MONDAY.replace(hour=hour) - week * WEEK) for week in range(count)]


def test_three_mondays_are_a_habit() -> None:
    (habit,) = mine(mondays(3), MONDAY)
    assert habit.text == "usually asks for overdue tasks on Monday mornings"
    assert (habit.weekday, habit.hour, habit.kind) == (0, 9, "topic")
    assert len(habit.evidence) == 3
    assert habit.confidence == pytest.approx(0.473, abs=0.001)


def test_two_are_not_nor_is_one_busy_day() -> None:
    assert mine(mondays(2), MONDAY) == []
    assert mine([asked(MONDAY - timedelta(minutes=n)) for n in range(50)], MONDAY) == []


def test_around_the_hour_is_the_same_habit() -> None:
    times = [asked(MONDAY.replace(hour=h) - w * WEEK) for w, h in enumerate((8, 9, 10, 9))]
    (habit,) = mine(times, MONDAY)
    assert habit.hour == 9
    assert len(habit.evidence) == 4


def test_wordings_are_one_topic() -> None:
    times = [
        asked(MONDAY.replace(hour=9) - week * WEEK, message)
        for week, message in enumerate(("what is overdue?", "overdue tasks", "show overdue tasks"))
    ]
    (habit,) = mine(times, MONDAY)
    assert "overdue" in habit.text


def test_different_topics_of_one_agent_are_its_habit() -> None:
    topics = ("rent receipts", "garden hoses", "flight bookings", "school forms")
    times = [asked(MONDAY.replace(hour=9) - w * WEEK, t) for w, t in enumerate(topics)]
    (habit,) = mine(times, MONDAY)
    assert habit.text == "usually asks about tasks on Monday mornings"


def test_it_fades_when_it_stops() -> None:
    times = mondays(5)
    sure = [mine(times, MONDAY + week * WEEK)[0].confidence for week in range(5)]
    assert sure == sorted(sure, reverse=True)
    assert mine(times, MONDAY + 11 * WEEK) == []


def test_today_is_no_miss_before_its_hour() -> None:
    times = mondays(4, hour=15)[1:]
    early, late = (mine(times, MONDAY.replace(hour=h))[0] for h in (8, 20))
    assert early.confidence > late.confidence


def test_an_entity_asked_for_again_and_again() -> None:
    times = [
        Asked(
            uuid4(), MONDAY - timedelta(days=n), "a", f"step {n}", (("project", "p1", "“Apollo”"),)
        )
        for n in range(4)
    ]
    assert "often asks about the project “Apollo”" in [each.text for each in mine(times, MONDAY)]


def test_entities_do_not_push_out_what_is_asked_on_mondays() -> None:
    listed = tuple(("project", f"p{number}", f"“{number}”") for number in range(30))
    every_day = [
        Asked(uuid4(), MONDAY - timedelta(days=n, hours=5), "", f"step {n}", listed)
        for n in range(1, 40)
    ]
    found = [each.text for each in mine(mondays(4) + every_day, MONDAY)]
    assert "usually asks for overdue tasks on Monday mornings" in found
    assert sum("often asks about" in text for text in found) == 4


@given(st.integers(0, 60), st.integers(0, 60))
def test_confidence_is_a_careful_probability(hits: int, misses: int) -> None:
    sure = confidence(hits, misses)
    assert 0 < sure < 1
    assert sure < (hits + 1) / (hits + misses + 2)
    assert confidence(hits + 1, misses) > sure > confidence(hits, misses + 1)


def test_due_at_its_time() -> None:
    (habit,) = mine(mondays(3), MONDAY)
    assert habit.due(MONDAY.replace(hour=9))
    assert not habit.due(MONDAY.replace(hour=18))
    assert not habit.due(MONDAY + timedelta(days=1))
    entity = Pattern("entity", frozenset({"task:t1"}), "x", None, None, 0.5, ())
    assert not entity.due(MONDAY)
