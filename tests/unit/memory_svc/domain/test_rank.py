"""What goes with a message: preferences first, then the best that fits the budget."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from memory_svc.domain import rank
from memory_svc.domain.tiers import Item, Tier

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def item(text: str, score: float, tier: Tier = Tier.ASSOCIATIVE) -> Item:
    return Item(id=text, tier=tier, text=text, updated_at=NOW, score=score)


def core(key: str, value: str) -> Item:
    return Item(id=key, tier=Tier.CORE, text=value, key=key, updated_at=NOW)


def test_the_best_first_after_the_preferences() -> None:
    others = [item("low", 0.2), item("high", 0.9), item("none", 0.01)]
    chosen = rank.choose([core("name", "Sam")], others, 1000)
    assert [each.text for each in chosen] == ["Sam", "high", "low"]


def test_preferences_go_whatever_the_budget() -> None:
    assert rank.choose([core("k", "v" * 900)], [item("x", 1.0)], 10) == [core("k", "v" * 900)]


def test_what_is_too_long_makes_room_for_what_is_not() -> None:
    chosen = rank.choose([], [item("long " * 200, 0.9), item("short", 0.5)], 100)
    assert [each.text for each in chosen] == ["short"]


def test_the_same_words_go_once_in_a_tier() -> None:
    others = [
        item("The cat is grey.", 0.9),
        item("the cat is grey", 0.8),
        item("The user said: “The cat is grey.”", 0.7, Tier.EPISODIC),
    ]
    assert [each.score for each in rank.choose([], others, 1000)] == [0.9, 0.7]


@given(st.lists(st.tuples(st.text(max_size=80), st.floats(0, 1))), st.integers(0, 300))
def test_the_budget_is_never_passed(given_items: list[tuple[str, float]], budget: int) -> None:
    chosen = rank.choose([], [item(text, score) for text, score in given_items], budget)
    assert sum(rank.tokens(each.text) for each in chosen) <= budget
    scores = [each.score for each in chosen]
    assert scores == sorted(scores, reverse=True)


def test_why_names_what_found() -> None:
    assert rank.why(0.2, 0.1) == "words"
    assert rank.why(0.0, 0.8) == "meaning"
    assert rank.why(0.2, 0.8) == "words+meaning"
