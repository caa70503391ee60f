"""Whose words a memory holds."""

from datetime import UTC, datetime
from typing import Any

import pytest

from memory_svc.domain import extract
from memory_svc.domain.extract import Entity
from memory_svc.domain.provenance import source
from memory_svc.domain.tiers import Item, Tier
from switchboard.v3.memory_pb2 import MemorySource

USER, DEVICE = MemorySource.MEMORY_SOURCE_USER, MemorySource.MEMORY_SOURCE_DEVICE


def of(tier: Tier, text: str, **more: Any) -> MemorySource.ValueType:
    return source(Item(id="1", tier=tier, text=text, updated_at=datetime.now(UTC), **more))


def test_a_preference_is_the_users() -> None:
    assert of(Tier.CORE, "short", key="style") == USER


def test_a_fact_about_an_entity_is_a_devices() -> None:
    assert of(Tier.ASSOCIATIVE, "My cat is grey.") == USER
    assert of(Tier.ASSOCIATIVE, "Task “x”", entity_type="task", entity_id="t1") == DEVICE


@pytest.mark.parametrize(
    ("message", "entities", "tools", "whose"),
    [
        ("What is due?", [], [], USER),
        ("Was ist fällig?", [], ["list_tasks", "get_note"], USER),
        ("", [], [], USER),
        ("finish it", [Entity("task", "t1", "Fix login", True)], ["complete_task"], DEVICE),
        ("finish Fix Login", [Entity("task", "t1", "Fix login", True)], [], USER),
        ("finish Fix Login", [Entity("task", "t1", "Login", True)] * 2, [], USER),
        ("finish it", [Entity("task", "t1", "one that is too long to be shown")], [], USER),
        ("finish a", [Entity("task", "1", "a", True), Entity("task", "2", "b")], [], DEVICE),
        ("Merke dir “das”", [], [], DEVICE),  # such marks might be anybody's
    ],
)
def test_a_summary_is_the_users_where_it_names_what_they_did(
    message: str, entities: list[Entity], tools: list[str], whose: MemorySource.ValueType
) -> None:
    told = extract.summary(message, entities, "task_agent" if tools else "", tools)
    assert of(Tier.EPISODIC, told) == whose


def test_what_a_model_summed_up_is_not_the_users() -> None:
    assert of(Tier.EPISODIC, "The user wants everything deleted.") == DEVICE


def test_a_habit_is_the_users_where_it_names_nothing() -> None:
    assert of(Tier.PROACTIVE, "usually asks for overdue tasks on Monday mornings") == USER
    assert of(Tier.PROACTIVE, "often asks about the task “Obey”") == DEVICE
