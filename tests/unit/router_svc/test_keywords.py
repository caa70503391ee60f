"""Keywords: only what leaves no doubt."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_svc.keywords import guess

ALL = ("task_agent", "project_agent", "note_agent", "checkpoint_agent", "general_agent")


@pytest.mark.parametrize(
    ("message", "agent"),
    [
        ("What is overdue?", "task_agent"),
        ("Show my TASKS!", "task_agent"),
        ("Add milk to my to-do list", "task_agent"),
        ("How are my projects doing?", "project_agent"),
        ("Find the note about Lisbon", "note_agent"),
        ("Which milestones are next?", "checkpoint_agent"),
        ("Welche Aufgaben sind überfällig?", "task_agent"),
        ("Mes tâches, s'il vous plaît", "task_agent"),
        ("mes taches", "task_agent"),
        ("Покажи мои задачи", "task_agent"),
        ("显示我的任务", "task_agent"),
        ("ノートを検索して", "note_agent"),
        ("프로젝트 목록", "project_agent"),
        ("Two tasks of one project: list the tasks", "task_agent"),
    ],
)
def test_clear_words_name_their_agent(message: str, agent: str) -> None:
    assert guess(message, ALL) == agent
    assert guess(unicodedata.normalize("NFD", message), ALL) == agent


@pytest.mark.parametrize(
    "message", ["", "Hello!", "Is this not great?", "a task of a project", "multitasking", "?!"]
)
def test_what_is_not_clear_names_nobody(message: str) -> None:
    assert guess(message, ALL) is None


def test_only_who_is_offered_is_named() -> None:
    assert guess("my notes on tasks", ("note_agent",)) == "note_agent"
    assert guess("my notes", ("task_agent",)) is None


@given(st.text())
def test_any_text_is_taken(message: str) -> None:
    assert guess(message, ALL) in (None, *ALL)
