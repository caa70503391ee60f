"""Numbers as people write them, and what is none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatter_svc.numbers import Quantity, decimal_comma, exact, family, in_unit, quantity


@pytest.mark.parametrize(
    ("written", "value", "unit"),
    [
        ("3", 3, ""),
        (" 3 ", 3, ""),
        ("+3", 3, ""),
        ("-3.50", -3.5, ""),
        ("−3", -3, ""),
        ("~3", 3, ""),
        (".5", 0.5, ""),
        ("1e3", 1000, ""),
        ("1,000", 1000, ""),
        ("1,234.5", 1234.5, ""),
        ("1.234,5", 1234.5, ""),
        ("1,234,567", 1234567, ""),
        ("1.234.567", 1234567, ""),
        ("1 234,5", 1234.5, ""),
        ("1\u202f234", 1234, ""),
        ("1'234", 1234, ""),
        ("1_000", 1000, ""),
        ("1,20,000", 120000, ""),
        ("1,5", 1.5, ""),
        ("0,200", 0.2, ""),
        ("45%", 45, "%"),
        ("45 %", 45, "%"),
        ("$3", 3, "$"),
        ("-$3", -3, "$"),
        ("$-3", -3, "$"),
        ("($3)", -3, "$"),
        ("US$3", 3, "$"),
        ("3 USD", 3, "$"),
        ("EUR 3", 3, "€"),
        ("3 €", 3, "€"),
        ("$1.2M", 1_200_000, "$"),
        ("3 Mio. €", 3_000_000, "€"),
        ("3k", 3000, ""),
        ("3 M", 3, "M"),
        ("3 h", 3, "h"),
        ("3h", 3, "h"),
        ("2h 30m", 2.5, "h"),
        ("1d 2h", 26, "h"),
        ("5 story points", 5, "story points"),
        ("90 km/h", 90, "km/h"),
        ("3 (60%)", 3, ""),
        ("$5 (est.)", 5, "$"),
        ("３", 3, ""),
        ("٣٫٥", 3.5, ""),
        ("१२", 12, ""),
        ("3件", 3, "件"),
        ("3 घंटे", 3, "घंटे"),
        ("٤٥٪", 45, "%"),
    ],
)
def test_numbers(written: str, value: float, unit: str) -> None:
    assert quantity(written) == Quantity(value, unit)


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "-", "%", "$", "h", "x3", "Q1", "v2", "#3", "0x1", "NaN", "Infinity", "1e999"),
        *("3rd", "3 Jan", "3 pm", "2026-01-05", "10:30", "3/5", "3-5", "3–5", "1,2,3", "1..2"),
        *(
            "007",
            "1_0",
            "12 34",
            "3 of 5",
            "1. Design",
            "(3)",
            "$3 €",
            "3 " + "x" * 17,
            "1" * 81,
            "½",
            "³",
        ),
    ],
)
def test_what_is_no_number(written: str) -> None:
    assert quantity(written) is None


def test_a_decimal_comma_is_told_by_another_cell() -> None:
    assert not decimal_comma(["1,200", "1,200,300", "1,200.5", "a,b"])
    for telling in ("1,5", "1.200,50 €", "0,200", "12,5 %"):
        assert decimal_comma(["1,200", telling])
    assert quantity("1.200") == Quantity(1.2)
    assert quantity("1.200", comma=True) == Quantity(1200)
    assert quantity("1,200", comma=True) == Quantity(1.2)
    assert quantity("1.5", comma=True) == Quantity(1.5)


def test_units_of_one_family() -> None:
    assert family("min") == family("Stunden") == "time"
    assert family("tasks") == family("task") == "task"
    assert family("kg") != family("km")
    assert in_unit(Quantity(90, "min"), "h") == 1.5
    assert in_unit(Quantity(500, "MB"), "GB") == 0.5
    assert in_unit(Quantity(3), "h") == 3


def test_integers_past_what_a_double_holds() -> None:
    assert exact(2**53 - 1) == 2**53 - 1
    assert isinstance(exact(2**70), float)
    assert exact(10**400) == math.inf
    assert quantity("9" * 30) == Quantity(1e30)


@given(st.text(max_size=90))
def test_any_text_is_a_finite_number_or_none(text: str) -> None:
    for comma in (False, True):
        found = quantity(text, comma=comma)
        assert found is None or (math.isfinite(found.value) and len(found.unit) <= 16)
    decimal_comma([text])


@given(st.floats(-1e15, 1e15, allow_nan=False).map(lambda number: round(number, 2)))
def test_what_a_locale_writes_is_read(number: float) -> None:
    english = f"{number:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    for written, comma in ((english, False), (german, True), (f"{number}", False)):
        found = quantity(written, comma=comma)
        assert found is not None
        assert math.isclose(found.value, number)
