"""Words of any script, folded and stemmed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_svc.domain import tokens


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Running dogs", ["run", "dog"]),
        ("Anna's CAFÉ", ["anna", "caf"]),
        ("room 3.5", ["room", "3.5"]),
        ("the and of", []),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("Straße", ["strass"]),
        ("e\u0301t\u00e9", ["ete"]),
        ("\u202eevil\u202c wo\u200brd", ["evil", "word"]),
        ("Ｗｉｄｅ", ["wid"]),
        ("😀 !!!", []),
    ],
)
def test_terms(text: str, found: list[str]) -> None:
    assert list(tokens.terms(text)) == found


@pytest.mark.parametrize(
    "forms",
    [
        ("run", "runs", "running"),
        ("live", "lives", "lived", "living"),
        ("party", "parties"),
        ("box", "boxes"),
        ("stop", "stopped", "stopping", "stops"),
        ("class", "classes"),
        ("call", "called", "calling"),
        ("task", "tasks"),
        ("day", "days"),
        ("quick", "quickly"),
    ],
)
def test_the_forms_of_a_word_are_one(forms: tuple[str, ...]) -> None:
    assert len({tokens.stem(form) for form in forms}) == 1


@pytest.mark.parametrize("word", ["bus", "sing", "red", "gas", "x", "thing", "bring", "tokyo"])
def test_what_only_looks_like_an_ending_stays(word: str) -> None:
    assert tokens.stem(word) == word


def test_repetition_is_counted() -> None:
    assert tokens.terms("tea tea teas coffee")["tea"] == 3


@given(st.text())
def test_any_text_has_terms_within_bounds(text: str) -> None:
    found = tokens.terms(text, 5)
    assert len(found) <= 5
    assert all(term and count > 0 for term, count in found.items())


@given(st.text())
def test_case_and_spacing_do_not_matter(text: str) -> None:
    assert tokens.normal(f"  {text}\n") == tokens.normal(text)


def test_a_pasted_book_is_cut() -> None:
    text = " ".join(f"word{number}" for number in range(50_000))
    assert len(tokens.terms(text)) == tokens.MAX_TERMS
