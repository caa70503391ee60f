"""What of all that is remembered goes with a message. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from memory_svc.crypto.envelope import Keys
from memory_svc.domain import tokens as words
from memory_svc.domain.tiers import Item, Tier

MEANS: Final = 0.25
"""A cosine from which on a text is called related in meaning."""

_LEAST: Final = 0.05
_OVERHEAD: Final = 8
"""Tokens that an item costs beside its text."""


def hashed(keys: Keys, text: str) -> dict[int, int]:
    """A text's terms as the index knows them, with their counts."""
    return {keys.term(term): count for term, count in words.terms(text).items()}


def why(word_fit: float, cosine: float) -> str:
    """What found a fact."""
    found = [
        name for name, there in (("words", word_fit > 0), ("meaning", cosine >= MEANS)) if there
    ]
    return "+".join(found) or "near"


def fit(ranked: float, best: float) -> float:
    """A score of 0–1: the place among the others, times how well the best one fits at all."""
    return max(0.0, min(1.0, ranked)) * max(0.0, min(1.0, best))


def overlap(query: Mapping[str, int], text: str) -> float:
    """How much of the query's words a text has, 0–1."""
    return len(query.keys() & words.terms(text).keys()) / len(query) if query else 0.0


def tokens(text: str) -> int:
    """About how many tokens an item with this text takes."""
    return len(text.encode()) // 4 + _OVERHEAD


def choose(core: Sequence[Item], others: Iterable[Item], budget: int) -> list[Item]:
    """Preferences, then the best of the others that the budget has room for.

    What another chosen item of its tier says already in the same words is left out.
    """
    chosen = list(core)
    left = budget - sum(tokens(f"{item.key} {item.text}") for item in core)
    said: list[tuple[Tier, str]] = []
    for item in sorted(others, key=lambda item: -item.score):
        text = words.normal(item.text)
        cost = tokens(item.text)
        known = any(tier == item.tier and text in other for tier, other in said)
        if item.score < _LEAST or cost > left or known:
            continue
        chosen.append(item)
        said.append((item.tier, text))
        left -= cost
    return chosen
