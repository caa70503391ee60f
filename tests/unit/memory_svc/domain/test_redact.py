"""A deleted fact goes from what was said, and little else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_svc.domain import redact
from memory_svc.domain.episode_detail import Detail
from memory_svc.domain.extract import Entity
from memory_svc.domain.redact import Fact


def left(message: str, fact: str, *, source: bool) -> str | None:
    made = redact.without(Detail(message), Fact.of(fact), source=source)
    return made.message if made else None


@pytest.mark.parametrize(
    ("message", "fact", "kept"),
    [
        ("The code is 4711. The cat is grey.", "The code is 4711.", "The cat is grey."),
        ("It's 4711, write it down. I am tired.", "The gate code is 4711", "I am tired."),
        ("The code is 4711. It opens the shed too. I am tired.", "Code: 4711", "I am tired."),
        ("I prefer short answers, call me Sam", "call me Sam", ""),
        ("A riddle, wrapped in a mystery.", "The gate code is 4711", ""),
    ],
)
def test_what_a_fact_comes_from_keeps_nothing_of_it(message: str, fact: str, kept: str) -> None:
    assert left(message, fact, source=True) == kept


@pytest.mark.parametrize(
    ("message", "fact", "kept"),
    [
        ("By the way: the gate code is 4711! Hm.", "The gate code is 4711", "Hm."),
        ("Anna lives in Oslo. I am tired.", "My sister Anna lives in Oslo.", "I am tired."),
        ("My brother lives in Oslo.", "My sister lives in Oslo.", None),
        ("My office is room 12.", "My office is room 14.", None),
        ("Find vegan restaurants near me", "I am vegan.", None),
        ("I work at night.", "My gate code is 4711. It does not work at night.", None),
        ("", "The gate code is 4711", None),
    ],
)
def test_elsewhere_only_what_says_it_goes(message: str, fact: str, kept: str | None) -> None:
    assert left(message, fact, source=False) == kept


def test_the_entity_of_a_fact_goes() -> None:
    entities = (Entity("task", "t1", "Fix login", True), Entity("task", "t2", "Water plants"))
    fact = Fact.of("Task “Fix login”: status is done", ("task", "t1"))
    made = redact.without(Detail("update it", entities=entities), fact, source=True)
    assert made
    assert (made.message, made.entities) == ("update it", entities[1:])


def test_nothing_is_told_of_an_exchange_that_is_empty_now() -> None:
    assert redact.summary(Detail("", tools=("list_tasks",))) == redact.REMOVED


@given(st.text(max_size=200), st.text(min_size=1, max_size=60))
def test_a_source_never_keeps_the_fact_as_it_was(message: str, fact: str) -> None:
    kept = left(f"{message}\n{fact}", fact, source=True)
    assert kept is not None
    assert len(kept) < len(f"{message}\n{fact}")
