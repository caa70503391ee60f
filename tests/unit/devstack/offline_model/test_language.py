"""Messages as people write them, and what the rules read in them."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstack.offline_model.dates import day_of, due_at, millis, range_of
from devstack.offline_model.language import read
from devstack.offline_model.words import Act

# A Wednesday.
NOW = datetime(2026, 3, 11, 10, tzinfo=ZoneInfo("Europe/Berlin"))


def at(year: int, month: int, day: int, hour: int = 23, minute: int = 59) -> int:
    return millis(datetime(year, month, day, hour, minute, tzinfo=NOW.tzinfo))


@pytest.mark.parametrize(
    ("message", "act", "kind", "title"),
    [
        ("what is overdue?", Act.LIST, "task", ""),
        ("show my overdue tasks as a chart", Act.LIST, "task", ""),
        ("any overdue checkpoints?", Act.LIST, "checkpoint", ""),
        ("what is overdue in the Apollo project?", Act.LIST, "task", ""),
        ("what is in progress?", Act.LIST, "task", ""),
        ("show the task Call Bob", Act.LIST, "task", "Call Bob"),
        ("show my task list", Act.LIST, "task", ""),
        ("show the project called Apollo", Act.LIST, "project", "Apollo"),
        ("list my projects", Act.LIST, "project", ""),
        ("how many tasks by status?", Act.COUNT, "task", ""),
        ("find notes about milk", Act.SEARCH, "note", "milk"),
        ("which notes mention the milk?", Act.SEARCH, "note", "milk"),
        ('search notes for "launch plan"', Act.SEARCH, "note", "launch plan"),
        ('add a task "Call Bob" due tomorrow high priority', Act.CREATE, "task", "Call Bob"),
        (
            "Please create a task to write the report by Friday",
            Act.CREATE,
            "task",
            "write the report",
        ),
        ("remind me to buy milk tomorrow", Act.CREATE, "task", "buy milk"),
        ("create a project called Zephyr", Act.CREATE, "project", "Zephyr"),
        ("add a note “Ideas” saying buy more milk", Act.CREATE, "note", "Ideas"),
        ("create a note titled Ideas with content buy milk", Act.CREATE, "note", "Ideas"),
        ("set the text of the note Ideas to buy milk", Act.UPDATE, "note", "Ideas"),
        ("add a checkpoint Beta on 2026-05-01 to project Apollo", Act.CREATE, "checkpoint", "Beta"),
        ("move Call Bob to in progress", Act.UPDATE, "task", "Call Bob"),
        ('rename "Call Bob" to "Call Robert"', Act.UPDATE, "task", "Call Bob"),
        ("rename project Apollo to Artemis", Act.UPDATE, "project", "Apollo"),
        ("set the priority of Call Bob to high", Act.UPDATE, "task", "Call Bob"),
        ("assign Call Bob to Ann", Act.UPDATE, "task", "Call Bob"),
        ("put the Apollo project on hold", Act.UPDATE, "project", "Apollo"),
        ("complete Call Bob", Act.COMPLETE, "task", "Call Bob"),
        ("mark Call Bob as done", Act.COMPLETE, "task", "Call Bob"),
        ("I finished the report", Act.COMPLETE, "task", "report"),
        ("delete the task Call Bob", Act.DELETE, "task", "Call Bob"),
        ("delete the note about milk", Act.DELETE, "note", "milk"),
        ("suggest checkpoints for Apollo", Act.SUGGEST, "checkpoint", "Apollo"),
        ("approve the checkpoint Beta", Act.APPROVE, "checkpoint", "Beta"),
        ("give me an overview", Act.OVERVIEW, "task", ""),
        ("hello", Act.TALK, "task", ""),
        ("tell me a joke", Act.TALK, "task", "tell me a joke"),
    ],
)
def test_reads_what_is_wanted(message: str, act: Act, kind: str, title: str) -> None:
    intent = read(message, "task", NOW)
    assert (intent.act, intent.kind) == (act, kind)
    assert intent.title == title or act is Act.TALK


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("add a task x due tomorrow", {"dueDate": at(2026, 3, 12)}),
        ("add a task x by Friday, high priority", {"dueDate": at(2026, 3, 13), "priority": "high"}),
        ("add a task x assigned to Ann", {"assignee": "Ann"}),
        ("move x to in progress", {"status": "in_progress"}),
        ("start x", {"status": "in_progress"}),
        ("reopen x", {"status": "todo"}),
        ("put project x on hold", {"status": "on_hold"}),
        ("rename x to y", {"title": "y"}),
        ("rename project x to y", {"name": "y"}),
        ("postpone x to next week", {"dueDate": at(2026, 3, 16)}),
        ("set the priority of x to urgent", {"priority": "high"}),
        ('add a note "x" saying well, well', {"content": "well, well"}),
        ("add a note x with the text well, well", {"content": "well, well"}),
        ("update the note x: content is well, well", {"content": "well, well"}),
        ("set the text of the note x to well, well", {"content": "well, well"}),
        ("add a checkpoint x on May 3", {"date": at(2026, 5, 3)}),
        ("add a checkpoint x on 2027-01-02", {"date": at(2027, 1, 2)}),
    ],
)
def test_reads_the_fields_to_set(message: str, changes: dict[str, object]) -> None:
    assert read(message, "task", NOW).changes == changes


def test_no_word_of_a_quoted_title_is_read_as_a_wish() -> None:
    intent = read('add a task "Delete the overdue notes tomorrow"', "task", NOW)
    assert (intent.act, intent.kind, intent.changes) == (Act.CREATE, "task", {})
    assert intent.title == "Delete the overdue notes tomorrow"


def test_filters() -> None:
    assert read("show high priority tasks", "task", NOW).filters.priority == "high"
    assert read("which tasks are in progress?", "task", NOW).filters.status == "in_progress"
    assert read("show active projects", "task", NOW).filters.status == "active"
    assert read("show tasks assigned to Ann", "task", NOW).filters.assignee == "Ann"
    assert read("what is overdue", "task", NOW).filters.overdue
    week = read("what is due this week?", "task", NOW).filters.due
    assert week and (week.start, week.end) == (at(2026, 3, 9, 0, 0), at(2026, 3, 16, 0, 0))
    assert read("show tasks in project Apollo", "task", NOW).project == "Apollo"


def test_a_note_is_wanted_where_the_agent_looks_after_notes() -> None:
    assert read('delete "Ideas"', "note", NOW).kind == "note"


@pytest.mark.parametrize(
    ("phrase", "day"),
    [
        ("today", 11),
        ("tomorrow", 12),
        ("Friday", 13),
        ("wednesday", 18),
        ("in 3 days", 14),
        ("end of week", 15),
        ("end of the month", 31),
        ("March 20th", 20),
        ("20 March", 20),
        ("2026-03-30", 30),
    ],
)
def test_days(phrase: str, day: int) -> None:
    found = day_of(phrase, NOW)
    assert found and (found.month, found.day) == (3, day)


def test_days_are_those_of_the_user_over_a_change_of_clocks() -> None:
    # Germany's clocks go forward on 29 March 2026: that day has 23 hours.
    week = range_of("next week", datetime(2026, 3, 18, 10, tzinfo=NOW.tzinfo))
    assert week and week.end - week.start == 7 * 86_400_000 - 3_600_000


def test_what_names_no_day() -> None:
    assert day_of("some time", NOW) is None
    assert due_at("2026-02-31", NOW) is None
    assert range_of("whenever", NOW) is None


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_as_something(message: str) -> None:
    assert read(message, "task", NOW).act in Act


@pytest.mark.parametrize(
    ("message", "remembered"),
    [
        ("call me Sam", {"name": "Sam"}),
        ("I prefer short answers", {"answer_style": "short answers"}),
        (
            "I prefer short answers, call me Sam",
            {"answer_style": "short answers", "name": "Sam"},
        ),
        (
            "remember that my name is Sam and my team is Blue",
            {"name": "Sam", "team": "Blue"},
        ),
        ("I prefer tea, milk and honey", {"tea_milk_and_honey": "tea, milk and honey"}),
    ],
)
def test_reads_all_that_is_to_be_remembered(message: str, remembered: dict[str, str]) -> None:
    intent = read(message, "task", NOW)
    assert (intent.act, intent.changes) == (Act.REMEMBER, remembered)
