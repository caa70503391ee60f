"""Charts that were written to do harm: what passes does none, and what does not would have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import attributes, cases
from tests.browser.drawn import Drawn
from tests.support import gallery

pytestmark = pytest.mark.timeout(600)

ODD = 300


@pytest.fixture(scope="module")
def drawn(page: Path) -> Iterator[Drawn]:
    """Drawn once: a browser takes longer to start than to draw."""
    renamed = cases.renamed({**cases.given(), **cases.corpus()})
    asked = {**cases.odd(ODD), **cases.swept(), **renamed, **cases.full()}
    yield Drawn(page, asked, theme="dark")


def test_charts_as_nobody_would_write_them_are_drawn_or_not_shown(drawn: Drawn) -> None:
    assert len(drawn.names("odd ")) >= ODD // 2
    assert drawn.faults("odd ") == {}


def test_charts_of_very_many_rows_are_drawn(drawn: Drawn) -> None:
    assert drawn.names("full ") == list(cases.full())
    assert drawn.faults("full ") == {}


def test_charts_are_drawn_whatever_their_words_are(drawn: Drawn) -> None:
    assert [name for name in drawn.asked if name not in drawn.blocks and "renamed" in name] == []
    assert drawn.faults("renamed ") == {}
    for name in cases.given():
        asked, shown = (each[f"renamed {name}"] for each in (drawn.asked, drawn.blocks))
        assert _quantities(shown) == _quantities(asked)


def _quantities(block: gallery.Block) -> list[float]:
    """The numbers of a chart that are no moments."""
    cells = [cell for row in block["data"] for cell in row.values()]
    return sorted(cell for cell in cells if isinstance(cell, int | float) and cell < 1e12)


def test_no_key_of_a_row_becomes_an_attribute(drawn: Drawn) -> None:
    assert len(drawn.names("key ")) >= len(attributes.of_recharts()) // 2
    assert drawn.faults("key ") == {}


def test_no_chart_makes_the_page_ask_anybody(drawn: Drawn) -> None:
    assert drawn.report.abroad == []


def test_no_chart_makes_the_browser_complain(drawn: Drawn) -> None:
    assert drawn.report.complaints == []


# Past the formatter.

THEME = {"light": "var(--color-n)", "dark": "url(http://127.0.0.1:4711/dark)"}
ABROAD = "http://127.0.0.1:4711/"


def _bars(key: str, text: str) -> dict[str, Any]:
    rows = [{key: text, "n": 3, "fill": "transparent"}]
    return {"chartType": "bar", "title": "", "data": rows, "config": {"n": {"label": "N"}}}


@pytest.fixture(scope="module")
def unchecked(page: Path) -> gallery.Report:
    """What charts do that no formatter has seen: three that reach out, one of an odd attribute, and
    one that is blank."""
    reaching = {key: _bars(key, f"url({ABROAD}{key}#m)") for key in ("mask", "filter", "markerEnd")}
    blank = {"chartType": "pie", "title": "", "data": [{"p": "a", "n": 0}], "config": {}}
    colours = _bars("m", "a") | {"config": {"n": {"label": "N", "theme": THEME}}}
    blocks = {**reaching, "odd": _bars("elevation", "high"), "blank": blank, "colours": colours}
    return asyncio.run(gallery.draw(page, blocks))


def test_unchecked_a_row_makes_the_browser_ask_another_host(unchecked: gallery.Report) -> None:
    # By the page's word, and by the proxy's.
    for key in ("mask", "filter", "markerEnd"):
        assert f"{ABROAD}{key}" in unchecked.abroad
    assert any(each.startswith(f"GET {ABROAD}") for each in unchecked.abroad)
    assert all(chart.foreign for chart in unchecked.drawn[:3])


def test_unchecked_a_row_brings_an_attribute(unchecked: gallery.Report) -> None:
    assert "path@elevation" in unchecked.drawn[3].vocabulary


def test_unchecked_a_chart_is_blank(unchecked: gallery.Report) -> None:
    assert unchecked.drawn[4].marks == []


def test_unchecked_colours_are_none(unchecked: gallery.Report) -> None:
    assert unchecked.drawn[5].colorless == [*THEME.values(), "transparent"]
    assert unchecked.drawn[5].seen("bar") == []
