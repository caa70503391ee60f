"""Each rule for charts, kept and broken; whatever passes is a Chart of the contract."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatter_svc import blocks, charts
from formatter_svc.reasons import Invalid, Reason
from switchboard.v3.blocks_pb2 import Chart
from tests.support.answers import as_contract

LINES = ["area", "bar", "line", "radar"]
SHARES = ["pie", "radial"]
ROWS = [{"month": "Jan", "sales": 3}, {"month": "Feb", "sales": 5.5}]
SLICES = [{"browser": "chrome", "visits": 275}, {"browser": "safari", "visits": 0}]
SALES = {"sales": {"label": "Sales", "color": "var(--chart-2)"}}


def chart(data: object = ROWS, config: object = None, kind: object = "bar", **more: object) -> Any:
    value = {"type": "chart", "chartType": kind, "title": "T", "data": data, "config": config}
    written = blocks.chart(orjson.loads(orjson.dumps(value | more)))
    as_contract(written, Chart())
    return orjson.loads(written)


def refused(*args: Any, **more: Any) -> Reason:
    with pytest.raises(Invalid) as caught:
        chart(*args, **more)
    return caught.value.reason


def series(data: list[Any], config: object = None) -> list[str]:
    return list(chart(data, config)["config"])


@pytest.mark.parametrize("kind", LINES)
def test_a_chart_of_series(kind: str) -> None:
    assert chart(config=SALES, kind=kind) == {
        "chartType": kind,
        "title": "T",
        "data": ROWS,
        "config": SALES,
    }


@pytest.mark.parametrize("kind", SHARES)
def test_a_chart_of_shares(kind: str) -> None:
    config = {"visits": {"label": "Visits"}}
    assert chart(SLICES, config, kind) == {
        "chartType": kind,
        "title": "T",
        "data": SLICES,
        "config": config,
    }


@pytest.mark.parametrize("kind", [None, "", "donut", "Bar", 1, [], {}])
def test_an_unknown_type(kind: object) -> None:
    assert refused(kind=kind) == Reason.CHART_TYPE


@pytest.mark.parametrize("kind", LINES + SHARES)
@pytest.mark.parametrize("column", sorted(charts.REACTS_OWN))
def test_columns_that_react_takes_for_its_own(kind: str, column: str) -> None:
    as_text = [{column: "Jan", "sales": 3}, {column: "Feb", "sales": 5}]
    as_number = [{"month": "Jan", column: 3}, {"month": "Feb", column: 5}]
    assert refused(as_text, kind=kind) == Reason.CHART_DATA
    assert refused(as_number, kind=kind) == Reason.CHART_DATA


def test_titles() -> None:
    assert chart(title=None)["title"] == ""
    assert refused(title=1) == Reason.CHART_TITLE
    assert refused(title={"a": 1}) == Reason.CHART_TITLE


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        "x",
        [1],
        [None],
        [ROWS],
        [{"month": "Jan", "sales": [1]}],
        [{"month": "Jan", "sales": {"a": 1}}],
        [*ROWS, {"month": "x", "sales": 1, "more": {}}],
        ROWS * 501,
        *([*ROWS, {"month": "x", "sales": 1, key: 1}] for key in sorted(charts.FORBIDDEN)),
    ],
)
@pytest.mark.parametrize("kind", ["bar", "pie"])
def test_rows_are_flat_and_safe(data: object, kind: str) -> None:
    assert refused(data, SALES, kind) == Reason.CHART_DATA


def test_a_thousand_rows() -> None:
    assert len(chart(ROWS * 500)["data"]) == 1000


# Config.


@pytest.mark.parametrize("config", [None, {}, {"sales": None}])
def test_a_missing_config_is_filled_from_the_numeric_columns(config: object) -> None:
    data = [{"month": "Jan", "sales": 3, "costs": None}, {"month": "Feb", "costs": 1, "note": "x"}]
    assert chart(data, config)["config"] == {
        "sales": {"label": "sales", "color": "var(--chart-1)"},
        "costs": {"label": "costs", "color": "var(--chart-2)"},
    }


def test_a_filled_config_leaves_an_x_key() -> None:
    assert series([{"year": 2024, "sales": 3}]) == ["sales"]
    assert series([{"year": "2024", "sales": 3}]) == ["sales"]
    assert series([{"year": "2024", "sales": "3"}]) == ["sales"]
    assert series([{"month": "Jan", "sales": "3"}]) == ["sales"]
    assert series([{"n": 1, "month": "Jan"}]) == ["n"]


def test_a_filled_config_has_the_five_colours_of_the_theme_in_turn() -> None:
    config = chart([{"x": "a"} | {f"k{n}": n for n in range(7)}])["config"]
    assert [entry["color"][-2] for entry in config.values()] == list("1234512")


@pytest.mark.parametrize("data", [[{"a": "x"}], [{"a": "x", "b": None}], [{"a": "x", "b c": 1}]])
def test_nothing_to_fill_a_config_from(data: object) -> None:
    assert refused(data) == Reason.CHART_SERIES


@pytest.mark.parametrize("config", [[], "x", 1, {"sales": []}, {"sales": "Sales"}, {"sales": 1}])
def test_a_config_of_another_shape(config: object) -> None:
    assert refused(config=config) == Reason.CHART_CONFIG


@pytest.mark.parametrize(
    "key",
    ["", "1a", "-a", "a b", "a.b", "é", "a\n", "a;b", "a}", "a" * 65, *sorted(charts.FORBIDDEN)],
)
@pytest.mark.parametrize("kind", ["bar", "pie"])
def test_keys_of_config_that_no_style_tag_may_hold(key: str, kind: str) -> None:
    assert refused(config={**SALES, key: {"label": "x"}}, kind=kind) == Reason.CHART_CONFIG


@pytest.mark.parametrize("key", ["a", "_", "A-b_9", "a" * 64])
def test_keys_of_config(key: str) -> None:
    assert series([{"x": "a", key: 1}], {key: {}}) == [key]


def entry(written: dict[str, object]) -> Any:
    return chart(config={"sales": written})["config"]["sales"]


def test_an_entry() -> None:
    assert entry({}) == {"label": "sales"}
    assert entry({"label": None, "color": None, "theme": None}) == {"label": "sales"}
    assert entry({"label": ""}) == {"label": ""}
    assert entry({"label": "S", "icon": "Sun", "more": 1}) == {"label": "S"}
    theme = {"light": "#fff", "dark": "#000"}
    assert entry({"theme": theme | {"more": 1}}) == {"label": "sales", "theme": theme}
    assert entry({"theme": theme, "color": None}) == {"label": "sales", "theme": theme}


@pytest.mark.parametrize(
    "bad",
    [
        {"label": 1},
        {"label": {"a": 1}},
        {"color": "red", "theme": {"light": "#fff", "dark": "#000"}},
    ],
)
def test_a_bad_entry(bad: dict[str, object]) -> None:
    assert refused(config={"sales": bad}) == Reason.CHART_CONFIG


GOOD_COLORS = [
    *("var(--chart-1)", "var(--chart-12)", "var(--color-sales)", "hsl(var(--chart-3))"),
    *("#abc", "#ABCD", "#a1b2c3", "#a1b2c3d4", "red", "currentColor", "transparent"),
    *("rgb(1,2,3)", "rgb(1, 2, 3)", "rgba(1, 2, 3, 0.5)", "rgb(10% 20% 30% / 40%)"),
    *("hsl(120, 50%, 50%)", "hsl(120deg 50% 50%)", "hsla(1.5turn,5%,5%,.5)"),
    *("oklch(0.6 0.1 200)", "oklch(60% 0.1 200 / 0.5)", "rgb( 1 2 3 )", "hsl(-10 5% 5%)"),
]
BAD_COLORS: list[object] = [
    *("", " red", "red ", "#ab", "#abcde", "#ggg", "red;", "red}", "red;background:url(x)"),
    *("url(http://x)", "url(#x)", "var(--other)", "var(--chart-)", "var(--chart-x)"),
    *("var(--color-)", "var(--color-a b)", "var(--color-1)", "hsl(var(--color-x))"),
    *("rgb(1,2)", "rgb(1,2,3,4,5)", "rgb(a,b,c)", "rgb(1,2,3", "rgb(var(--x),1,2)"),
    *("expression(alert(1))", "</style><script>", "calc(1)", "red\n", "#fff\n", "blue" * 30),
    *("oklch(" + "1" * 200 + " 1 1)", "color-mix(in srgb, red, blue)", "\u0440ed"),
    *(1, True, [], {}, ["red"]),
]


@pytest.mark.parametrize("color", GOOD_COLORS)
def test_colours(color: str) -> None:
    assert entry({"color": color}) == {"label": "sales", "color": color}


@pytest.mark.parametrize("color", BAD_COLORS)
def test_a_colour_of_another_form_is_dropped_and_the_chart_stays(color: object) -> None:
    assert entry({"color": color}) == {"label": "sales"}
    assert entry({"theme": {"light": color, "dark": "#000"}}) == {"label": "sales"}
    assert entry({"theme": {"light": "#fff", "dark": color}}) == {"label": "sales"}
    if isinstance(color, list | dict):
        return  # no cell of a flat row
    slices = [SLICES[0] | {"fill": color}]
    assert chart(slices, kind="pie")["data"] == SLICES[:1]
    bars = [{"month": "Jan", "sales": 3, "fill": color}]
    assert chart(bars, SALES)["data"] == ROWS[:1]


@pytest.mark.parametrize("theme", ["dark", 1, [], {}, {"light": "#fff"}, {"light": None}])
def test_a_theme_of_another_form_is_dropped(theme: object) -> None:
    assert entry({"theme": theme}) == {"label": "sales"}


# Area, bar, line, radar.


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize(
    ("data", "config", "reason"),
    [
        ([{"sales": 3}], SALES, Reason.CHART_X_KEY),
        ([{"month": "Jan", "sales": 3}, {"sales": 3}], SALES, Reason.CHART_X_KEY),
        ([{"month": None, "sales": 3}], SALES, Reason.CHART_X_KEY),
        ([{"month": True, "sales": 3}], SALES, Reason.CHART_X_KEY),
        ([{"": "Jan", "sales": 3}], SALES, Reason.CHART_X_KEY),
        (ROWS, SALES | {"month": {}}, Reason.CHART_X_KEY),
        (ROWS, SALES | {"costs": {}}, Reason.CHART_SERIES),
        ([{"month": "Jan", "sales": "many"}], SALES, Reason.CHART_VALUES),
        ([{"month": "Jan", "sales": True}], SALES, Reason.CHART_VALUES),
        ([{"month": "Jan", "sales": None}], SALES, Reason.CHART_VALUES),
        ([*ROWS, {"month": "Mar", "sales": "1,200"}], SALES, Reason.CHART_VALUES),
    ],
)
def test_series_that_would_crash_or_be_blank(
    kind: str, data: object, config: object, reason: Reason
) -> None:
    assert refused(data, config, kind) == reason


def test_the_x_key_is_the_first_that_config_does_not_name() -> None:
    data = [{"sales": 3, "month": "Jan", "note": None}, {"month": 2, "sales": None}]
    assert chart(data, SALES)["data"] == data


@pytest.mark.parametrize(
    ("written", "number"),
    [("3", 3), ("-3.50", -3.5), ("1e3", 1000.0), ("0", 0), ("9" * 30, 1e30), ("-0", 0)],
)
def test_clean_numeric_strings_become_numbers(written: str, number: float) -> None:
    [row] = chart([{"month": "7", "sales": written, "note": "8"}], SALES)["data"]
    assert row == {"month": "7", "sales": number, "note": "8"}


@pytest.mark.parametrize(
    "written",
    ["", " 3", "3 ", "3%", "$3", "1,000", "0x1", "١", "NaN", "Infinity", "1e999", "+3", "1_0"],
)
def test_other_strings_are_no_numbers(written: str) -> None:
    assert refused([{"month": "Jan", "sales": written}], SALES) == Reason.CHART_VALUES


def test_a_series_may_have_gaps() -> None:
    data = [{"month": "Jan", "sales": None}, {"month": "Feb"}, {"month": "Mar", "sales": 1}]
    assert chart(data, SALES)["data"] == data


# Pie, radial.


@pytest.mark.parametrize("kind", SHARES)
@pytest.mark.parametrize(
    ("data", "config", "reason"),
    [
        ([{"browser": "chrome"}], None, Reason.CHART_DATA),
        ([SLICES[0] | {"more": 1}], None, Reason.CHART_DATA),
        ([SLICES[0], {"browser": "safari"}], None, Reason.CHART_DATA),
        ([SLICES[0], {"name": "safari", "visits": 1}], None, Reason.CHART_DATA),
        ([{"a": "x", "b": "y"}], None, Reason.CHART_VALUES),
        ([{"a": 1, "b": 2}], None, Reason.CHART_VALUES),
        ([{"a": "x", "b": None}], None, Reason.CHART_VALUES),
        ([{"a": "x", "b": True}], None, Reason.CHART_VALUES),
        ([{"a": "x", "b": 1}, {"a": "y", "b": -1}], None, Reason.CHART_VALUES),
        ([{"a": "x", "b": 0}], None, Reason.CHART_VALUES),
        ([{"a": "x", "b": 1e308}, {"a": "y", "b": 1e308}], None, Reason.CHART_VALUES),
        ([SLICES[0], SLICES[0]], None, Reason.CHART_CATEGORIES),
        (SLICES, {"firefox": {}}, Reason.CHART_CONFIG),
        (SLICES, {"browser": {}}, Reason.CHART_CONFIG),
        (SLICES, {"visits": {}, "firefox": {}}, Reason.CHART_CONFIG),
    ],
)
def test_shares_that_would_crash_or_be_blank(
    kind: str, data: object, config: object, reason: Reason
) -> None:
    assert refused(data, config, kind) == reason


@pytest.mark.parametrize(
    "config",
    [
        {"visits": {"label": "Visits"}},
        {"chrome": {"label": "Chrome", "color": "red"}, "safari": {"label": "Safari"}},
        {"visits": {"label": "Visits"}, "chrome": {"label": "Chrome"}, "safari": {"label": "S"}},
    ],
)
def test_config_names_the_numbers_the_categories_or_both(config: dict[str, object]) -> None:
    assert chart(SLICES, config, "pie")["config"] == config


def test_a_missing_config_of_shares_names_the_numbers() -> None:
    config = {"visits": {"label": "visits", "color": "var(--chart-1)"}}
    assert chart(SLICES, kind="pie")["config"] == config
    assert refused([{"a": "x", "how many": 1}], kind="pie") == Reason.CHART_CONFIG


def test_the_text_column_may_look_like_numbers() -> None:
    [row] = chart([{"year": "2024", "n": "5"}], kind="pie")["data"]
    assert row == {"year": "2024", "n": 5, "fill": "var(--chart-1)"}
    assert chart([{"n": "5", "name": "x"}], kind="pie")["data"] == [{"name": "x", "n": 5}]


def test_a_category_that_is_no_valid_key_takes_a_colour_of_the_theme() -> None:
    data = [
        {"status": "done", "n": 1},
        {"status": "in progress", "n": 1},
        {"status": "constructor", "n": 1, "fill": "var(--color-in progress)"},
        {"status": "on hold", "n": 1, "fill": "var(--color-hold)"},
    ]
    fills = [row.get("fill") for row in chart(data, kind="pie")["data"]]
    assert fills == [None, "var(--chart-2)", "var(--chart-3)", "var(--color-hold)"]


# Anything at all.

CELLS: list[Any] = ["x", "y", "3", "", 0, 1, -1, 2.5, 2**70, None, True, [], {"a": 1}]
cells = st.sampled_from(CELLS)
keys = st.sampled_from(["a", "b", "c", "fill", "a b", "__proto__", ""])
rows = st.lists(st.dictionaries(keys, cells, max_size=4), max_size=4)
entries = st.fixed_dictionaries(
    {},
    optional={
        "label": st.sampled_from(["L", None, 1]),
        "color": st.sampled_from(["red", "x;y", None]),
        "theme": st.sampled_from([{"light": "#fff", "dark": "#000"}, {}, None]),
    },
)


@given(
    st.sampled_from([*LINES, *SHARES]),
    rows | st.none(),
    st.dictionaries(keys | st.just("x"), entries, max_size=3) | st.none(),
)
def test_whatever_passes_is_safe_to_draw(kind: str, data: Any, config: Any) -> None:
    value = orjson.loads(json.dumps({"chartType": kind, "data": data, "config": config}))
    try:
        written = blocks.chart(value)
    except Invalid:
        return
    as_contract(written, Chart())
    made = orjson.loads(written)
    assert made["config"]
    plotted = [row[key] for row in made["data"] for key in made["config"] if key in row]
    assert all(cell is None or math.isfinite(cell) for cell in plotted)
    assert all(key not in charts.FORBIDDEN for row in made["data"] for key in row)
