"""What stands on the screen, as plain text of a fixed width."""

import io
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from client.terminal import render
from client.terminal.render import Screen, plain

NOW = 1_790_000_000_000
DAY = 86_400_000


def screen() -> tuple[Screen, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Screen(Console(file=out, width=80), Console(file=err, width=80)), out, err


def shown(block_type: str, data: Any) -> str:
    to, out, _ = screen()
    to.block(block_type, data, NOW)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


# Text


def test_text_is_shown_as_it_comes_with_no_markup_taken() -> None:
    to, out, _ = screen()
    for chunk in ("You have [b", "old]2[/bold] tasks", " :smile: ", "", "https://a.b/c\n"):
        to.text(chunk)
    assert out.getvalue() == "You have [bold]2[/bold] tasks :smile: https://a.b/c\n"


def test_a_long_line_is_left_to_the_terminal_to_wrap() -> None:
    to, out, _ = screen()
    to.text("word " * 100)
    assert "\n" not in out.getvalue()


def test_a_block_and_a_note_begin_on_a_line_of_their_own() -> None:
    to, out, err = screen()
    to.text("Look:")
    to.block("table", {"headers": ["a"], "rows": [["b"]]}, NOW)
    to.text("Done")
    to.note("failed: why")
    assert out.getvalue().startswith("Look:\n") and out.getvalue().endswith("Done\n")
    assert err.getvalue() == "failed: why\n"


@given(st.text(st.characters(codec=None)))
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    out = plain(text)
    out.encode()  # no lone surrogates
    for character in out:
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs")
    assert not set(out) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\x9b")


@given(st.text(), st.text())
def test_where_text_is_cut_makes_no_difference(one: str, two: str) -> None:
    assert plain(one) + plain(two) == plain(one + two)


def test_people_can_still_write_as_they_write() -> None:
    text = "Ünïcode, 漢字, नमस्ते, 👩‍👩‍👧, \u00a0nbsp\ttab\n"
    assert plain(text) == text
    assert plain("a\r\nb\x1b[2J\x9b31m\u202etxt") == "a\nb␛[2J\ufffd31m\ufffdtxt"


# Blocks


def chart(kind: str, data: list[dict[str, Any]], unit: str | None = None, **config: Any) -> str:
    block = {"chartType": kind, "title": "T", "data": data, "config": config}
    return shown("chart", block | ({"unit": unit} if unit else {}))


def test_a_bar_chart_is_to_scale_and_names_its_values() -> None:
    rows: list[dict[str, Any]] = [
        {"who": "Sam", "n": 4},
        {"who": "Alex", "n": 2},
        {"who": "Jo", "n": None},
    ]
    text = chart("bar", rows, n={"label": "Tasks"})
    bars = {row["who"]: next(ln for ln in text.splitlines() if row["who"] in ln) for row in rows}
    assert bars["Sam"].count("█") == 2 * bars["Alex"].count("█") == render.BAR_WIDTH
    assert "█" not in bars["Jo"] and " – " in bars["Jo"]
    assert re.search(r"█ 4\b", bars["Sam"])


def test_several_series_stand_under_one_label_each_with_its_name() -> None:
    rows = [{"week": "W1", "open": 1, "done": 3.0}]
    text = chart("line", rows, open={"label": "Open"}, done={"label": "Done"})
    assert text.count("W1") == 1
    assert re.search(r"W1 +Open +█+ +1\b", text) and re.search(r"Done +█+ +3\b", text)


def test_a_pie_tells_shares() -> None:
    rows = [{"s": "todo", "n": 3, "fill": "red"}, {"s": "done", "n": 1, "fill": "blue"}]
    text = chart("pie", rows, n={"label": "Tasks"})
    assert "3 (75 %)" in text and "1 (25 %)" in text and "fill" not in text


def test_a_unit_stands_behind_the_numbers_it_counts() -> None:
    rows: list[dict[str, Any]] = [{"who": "Sam", "n": 1.5}, {"who": "Jo", "n": None}]
    text = chart("bar", rows, unit="h", n={"label": "Time"})
    assert "█ 1.5 h │" in text and re.search(r"Jo +– +│", text)
    rows = [{"who": "Sam", "n": 3}, {"who": "Jo", "n": 1}]
    text = chart("pie", rows, unit="h", n={"label": "Time"})
    assert "█ 3 h (75 %) │" in text and re.search(r"█ +1 h \(25 %\) │", text)


def test_a_pie_of_percentages_tells_each_once() -> None:
    rows = [{"s": "todo", "n": 75}, {"s": "done", "n": 25}]
    text = chart("pie", rows, unit="%", n={"label": "Share"})
    assert "█ 75 % │" in text and text.count("%") == 2


@pytest.mark.parametrize("kind", ["area", "bar", "line", "radar"])
def test_nothing_but_zeros_and_negatives_are_drawn_too(kind: str) -> None:
    assert "0" in chart(kind, [{"x": "a", "n": 0}], n={"label": "N"})
    assert "-5" in chart(kind, [{"x": "a", "n": -5}, {"x": "b", "n": 5}], n={"label": "N"})


def test_a_table_shows_every_kind_of_cell() -> None:
    text = shown("table", {"headers": ["Title", "n"], "rows": [["[red]x", 10], [None, 2.5]]})
    assert "Title" in text and "[red]x" in text and "–" in text and re.search(r"10$", text, re.M)
    assert "yes" in shown("table", {"headers": ["ok"], "rows": [[True]]})


def test_a_long_table_is_cut_and_says_so() -> None:
    text = shown("table", {"headers": ["n"], "rows": [[n] for n in range(100)]})
    assert f"… and {100 - render.MAX_ROWS} more" in text and "\n99" not in text


def test_a_timeline_tells_what_is_past() -> None:
    points = [
        {"id": "a", "title": "Design", "date": NOW - DAY},
        {"id": "b", "title": "Launch", "date": NOW + DAY},
    ]
    lines = shown("timeline", {"checkpoints": points}).splitlines()
    assert lines[0].startswith("●") and lines[0].endswith(f"{render.day(NOW - DAY)} Design")
    assert lines[1].startswith("○")


def test_a_card_names_the_entity_and_what_is_known_of_it() -> None:
    item = {"id": "t", "title": "Pay", "status": "todo", "dueDate": NOW - DAY, "assignee": None}
    text = shown("entity_ref", {"entity": "task", "item": item})
    assert "task: Pay" in text and "todo" in text and "overdue" in text
    assert "assignee" not in text
    project = {"id": "p", "name": "Web\x1b[31m"}
    assert "project: Web␛[31m" in shown("entity_ref", {"entity": "project", "item": project})


@pytest.mark.parametrize(
    "block_type, data",
    [
        ("hologram", {}),
        ("chart", {}),
        ("chart", {"chartType": "pie", "data": [], "config": {}}),
        ("table", {"headers": ["a", "b"], "rows": [[1]]}),
        ("timeline", {"checkpoints": [{"date": "x"}]}),
        ("entity_ref", None),
    ],
)
def test_a_block_that_is_none_is_named_and_nothing_breaks(block_type: str, data: Any) -> None:
    assert shown(block_type, data).startswith(f"[{block_type}")


def test_a_date_beyond_all_calendars_is_shown_as_it_is() -> None:
    assert render.day(1e300) == str(int(1e300))
