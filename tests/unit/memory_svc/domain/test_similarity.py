"""What says the same, and what only looks like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_svc.domain.similarity import Text, contains, same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("My dog is called Rex.", "my dog's name is Rex"),
        ("Rex is the name of my dog", "My dog is called Rex"),
        ("I drink coffee with milk.", "I drink my coffee with milk"),
        ("The box is red", "the boxes are red!"),
    ],
)
def test_the_same(one: str, other: str) -> None:
    assert same(Text.of(one), Text.of(other))
    assert same(Text.of(other), Text.of(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I eat nuts", "I do not eat nuts"),
        ("I eat nuts at work every day", "I dont eat nuts at work every day"),
        ("I can eat peanuts at lunch", "I cant eat peanuts at lunch"),
        ("I passed the driving exam", "I almost passed the driving exam"),
        ("ik eet vlees op zondag", "ik eet geen vlees op zondag"),
        ("eu como carne aos domingos", "eu não como carne aos domingos"),
        ("я ем мясо по воскресеньям", "я не ем мясо по воскресеньям"),
        ("my desk is on the sixth floor", "my desk is on the seventh floor"),
        ("ich habe zwei Katzen zu Hause", "ich habe drei Katzen zu Hause"),
        ("I eat nuts", "I don't eat nuts"),
        ("I eat nuts", "I never eat nuts"),
        ("The rent is 900 euros a month", "The rent is 950 euros a month"),
        ("It takes two weeks of work", "It takes three weeks of work"),
        ("Version 1.2 of the tool works", "Version 1.3 of the tool works"),
        ("My friend Anna bakes bread", "My friend Berta bakes bread"),
        ("The plumber comes on Monday", "The plumber comes on Tuesday"),
        ("I like cold soup", "I hate cold soup"),
        ("My dog is Rex", "My dog is Max"),
    ],
)
def test_not_the_same_however_near_their_vectors(one: str, other: str) -> None:
    assert not same(Text.of(one), Text.of(other), cosine=0.999)


def test_what_was_added_counts() -> None:
    one, other = Text.of("I drink my coffee with milk"), Text.of("I drink my coffee with oat milk")
    assert not same(one, other)
    assert not same(one, other, cosine=0.93)


def test_vectors_alone_do_not_make_duplicates() -> None:
    one, other = Text.of("the roof leaks badly again"), Text.of("water drips into the attic")
    assert not same(one, other, cosine=0.98)


def test_vectors_help_where_words_agree_in_part() -> None:
    one = Text.of("my favourite drink in winter is hot tea")
    other = Text.of("in winter my preferred drink is hot tea")
    assert same(one, other, cosine=0.95)


@given(st.text())
def test_every_text_is_the_same_as_itself(text: str) -> None:
    assert same(Text.of(text), Text.of(text))


def test_containing() -> None:
    whole = Text.of("My sister Anna lives in Oslo with 2 cats.")
    assert contains(whole, Text.of("Anna lives in Oslo"))
    assert not contains(whole, Text.of("Anna lives in Rome"))
    assert not contains(whole, Text.of("Anna does not live in Oslo"))
    assert not contains(whole, Text.of("3 cats"))
    assert not contains(whole, Text.of("..."))
