"""What the formatter lets through, drawn by Recharts in Chromium: all of it is seen, and nothing
else happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import cases
from tests.browser.drawn import Drawn
from tests.support import gallery

# A browser is got, a page built, and a hundred charts are drawn in one go.
pytestmark = pytest.mark.timeout(600)

GIVEN = cases.given()


@pytest.fixture(scope="module")
def drawn(loud_page: Path) -> Iterator[Drawn]:
    """Drawn once: a browser takes longer to start than to draw."""
    yield Drawn(loud_page, {**GIVEN, **cases.corpus()}, point=True)


@pytest.mark.parametrize("name", GIVEN)
def test_a_chart_that_a_person_would_want_is_drawn(drawn: Drawn, name: str) -> None:
    assert name in drawn.blocks, f"not shown: {json.dumps(GIVEN[name])}"
    assert drawn.faults(name) == {}


@pytest.mark.parametrize("name", GIVEN)
def test_a_pointer_on_a_mark_is_told_what_it_says(drawn: Drawn, name: str) -> None:
    place, *values = drawn.charts[name].tooltip.splitlines()
    assert place
    assert values


def test_charts_that_others_wrote_are_drawn_where_they_are_shown(drawn: Drawn) -> None:
    assert drawn.faults("corpus ") == {}


def test_plain_charts_of_every_kind_are_drawn(drawn: Drawn) -> None:
    assert drawn.faults("plain ") == {}


def test_neither_react_nor_recharts_nor_the_browser_complains(drawn: Drawn) -> None:
    assert drawn.report.complaints == []


def test_a_page_of_charts_asks_nobody_for_anything(drawn: Drawn) -> None:
    assert drawn.report.abroad == []
    assert f"GET {gallery.ORIGIN}" in drawn.report.arrived


def test_a_chart_is_said_to_those_who_do_not_see_it(drawn: Drawn) -> None:
    chart = drawn.charts["hours over a year"]

    assert chart.label.startswith("Hours by month and project (area")
    assert chart.table[:2] == [
        ["", "Website", "App", "Operations"],
        ["Jan", "120\u202fh", "80\u202fh", "20\u202fh"],
    ]
    assert drawn.charts["share of time"].table[-1] == ["Travel", "0.5\u202fh"]


def test_numbers_and_days_are_written_as_people_read_them(drawn: Drawn) -> None:
    words = {name: drawn.charts[name].texts for name in GIVEN}

    assert "$1.35M" in words["money, below and above zero"]
    assert "-$450K" in words["money, below and above zero"]
    assert "75%" not in words["progress of projects"]
    assert "Mar 2" in words["burn-down with a plan"]
    assert "Nov 30, 25" in words["dates over two years"]
    assert "Jan 1" in words["moments in milliseconds"]
    assert "Prepare the quarterly re…" in words["lying bars with long names"]
