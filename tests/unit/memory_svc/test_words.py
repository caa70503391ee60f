"""Words of any script, folded and stemmed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_svc import words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Running dogs", ["run", "dog"]),
        ("Anna's CAFÉ", ["anna", "cafe"]),
        ("room 3.5", ["room", "3.5"]),
        ("the and of", []),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("Straße", ["strass"]),
        ("e\u0301t\u00e9", ["ete"]),
        ("\u202eevil\u202c wo\u200brd", ["evil", "word"]),
        ("Ｗｉｄｅ", ["wide"]),
        ("😀 !!!", []),
    ],
)
def test_terms(text: str, found: list[str]) -> None:
    assert list(words.terms(text)) == found


def test_repetition_is_counted() -> None:
    assert words.terms("tea tea teas coffee")["tea"] == 3


@given(st.text())
def test_any_text_has_terms_within_bounds(text: str) -> None:
    found = words.terms(text, 5)
    assert len(found) <= 5
    assert all(term and count > 0 for term, count in found.items())


@given(st.text())
def test_case_and_spacing_do_not_matter(text: str) -> None:
    assert words.normal(f"  {text}\n") == words.normal(text)


def test_a_pasted_book_is_cut() -> None:
    text = " ".join(f"word{number}" for number in range(50_000))
    assert len(words.terms(text)) == words.MAX_TERMS
