"""Slots: what a newer statement replaces, and what it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_svc.domain.slots import slot


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("My office is room 12.", "user|offic"),
        ("Our office is now in Berlin", "user|offic @"),
        ("my favourite color is blue", "user|color favourit"),
        ("I live in Rome", "user|hom"),
        ("I moved to Oslo", "user|hom"),
        ("Call me Sam", "user|nam"),
        ("My name is Sam", "user|nam"),
        ("Anna's birthday is May 5", "anna|birthday"),
        ("The deadline for Apollo is Friday", "apollo|deadlin"),
        ("The deadline for Apollo is on friday", "apollo|deadlin"),
        ("My car is a red Volvo", "user|car"),
        ("My phone is an iPhone 15", "user|phon"),
        ("My boss is Anna Berg", "user|boss"),
        ("My flight is LH 123 on Monday", "user|flight"),
        ("My email is sam@example.com", "user|email"),
        ("I'm 41 years old", "user|age"),
        ("I'm 5 minutes late", None),
        ("My dog is sick", None),
        ("My office was room 12", None),
        ("My name is not Sam", None),
        ("If my office is room 12 we meet", None),
        ("My office is room 12 and my desk is by the window", None),
        ("I like tea", None),
    ],
)
def test_slots(sentence: str, found: str | None) -> None:
    assert slot(sentence) == found


@pytest.mark.parametrize(
    ("value", "remark"),
    [
        ("My car is a red Volvo", "My car is dirty"),
        ("My car is a red Volvo", "My car is 5 years old"),
        ("My phone is an iPhone 15", "My phone is dead"),
        ("My laptop is a ThinkPad", "My laptop is slow"),
        ("My office is room 12", "My office is cold"),
        ("My office is room 12", "My office is in Berlin"),
        ("My boss is Anna", "My boss is angry"),
        ("My boss is Anna", "My boss is Canadian"),
        ("My doctor is Dr. Weber", "My doctor is on holiday"),
        ("My flight is LH 123", "My flight is delayed by 30 minutes"),
        ("My job is Head of Sales", "My job is stressful"),
        ("The deadline for Apollo is Friday", "The deadline for Apollo is tight"),
    ],
)
def test_a_remark_does_not_replace_a_value(value: str, remark: str) -> None:
    assert slot(value) is not None
    assert slot(value) != slot(remark)


@given(st.text(max_size=300))
def test_any_text_has_a_slot_or_none(text: str) -> None:
    assert slot(text) != ""
