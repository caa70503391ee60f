"""Each rule for charts, kept and broken; whatever passes is a Chart of the contract."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatter_svc import blocks, chart_shapes
from formatter_svc.reasons import Invalid, Reason
from switchboard.v3.blocks_pb2 import Chart
from tests.support.answers import as_contract

LINES = ["area", "bar", "line", "radar"]
SHARES = ["pie", "radial"]
ROWS = [
    {"month": "Jan", "sales": 3},
    {"month": "Feb", "sales": 5.5},
    {"month": "Mar", "sales": 4},
]
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


@pytest.mark.parametrize("kind", ["chart", "heatmap", "bars and lines", "bar" * 30, 1, [], {}])
def test_an_unknown_type(kind: object) -> None:
    assert refused(kind=kind) == Reason.CHART_TYPE


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("Bar", "bar"),
        ("BAR_CHART", "bar"),
        ("column", "bar"),
        ("Column Chart", "bar"),
        ("stackedBar", "bar stacked"),
        ("stacked-column", "bar stacked"),
        ("bar_stacked", "bar stacked"),
        ("stacked", "bar stacked"),
        ("horizontalBar", "bar horizontal"),
        ("bar-horizontal", "bar horizontal"),
        ("barh", "bar horizontal"),
        ("stackedHorizontalBar", "bar stacked horizontal"),
        ("100% stacked bar", "bar stacked"),
        ("groupedBar", "bar"),
        ("histogram", "bar"),
        ("combo", "bar"),
        ("stacked area", "area stacked"),
        ("stackedLine", "line"),
        ("spline", "line"),
        ("multi-line", "line"),
        ("LineChart", "line"),
        ("scatter", "line"),
        ("curve", "line"),
        ("polar", "radar"),
        ("spider chart", "radar"),
    ],
)
def test_other_names_of_the_types(kind: str, form: str) -> None:
    made = chart(kind=kind)
    assert [made["chartType"], *(key for key in ("stacked", "horizontal") if key in made)] == (
        form.split()
    )


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        *(("donut", "pie"), ("doughnut", "pie"), ("Pie Chart", "pie"), ("radialBar", "radial")),
        *(("gauge", "radial"), ("ring", "radial"), ("radial-bar", "radial")),
    ],
)
def test_other_names_of_shares(kind: str, form: str) -> None:
    assert chart(SLICES, kind=kind)["chartType"] == form


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"stacked": True}, {"stacked": True}),
        ({"stacked": "true"}, {"stacked": True}),
        ({"stacked": False, "horizontal": None}, {}),
        ({"options": {"stacked": True}}, {"stacked": True}),
        ({"horizontal": True}, {"horizontal": True}),
        ({"config": {"sales": {**SALES["sales"], "stackId": "a"}}}, {"stacked": True}),
        ({"layout": "vertical"}, {"horizontal": True}),  # Recharts' word for it
        ({"options": {"indexAxis": "y"}}, {"horizontal": True}),
        ({"orientation": "horizontal"}, {"horizontal": True}),
        ({"unit": "h"}, {"unit": "h"}),
        ({"unit": "h" * 17}, {}),
        ({"unit": 1}, {}),
    ],
)
def test_options(more: dict[str, object], told: dict[str, object]) -> None:
    made = chart(**{"config": SALES, **more})
    assert made == {"chartType": "bar", "title": "T", "data": ROWS, "config": SALES} | told


def test_the_type_may_have_another_key() -> None:
    assert refused([], kind=None) == Reason.CHART_TYPE
    assert chart(kind=None)["chartType"] == chart(kind="")["chartType"] == "bar"
    for name in ("chart_type", "chart", "variant"):
        assert chart(kind=None, **{name: "Line"})["chartType"] == "line"


def test_a_scatter_is_a_line_in_the_order_of_x() -> None:
    data = [{"age": 9, "pay": 1}, {"age": 2, "pay": 5}, {"age": 4.5, "pay": 3}]
    made = chart(data, {"pay": {}}, "scatter")
    assert made["chartType"] == "line"
    assert [row["age"] for row in made["data"]] == [2, 4.5, 9]


def test_a_radar_of_two_points_is_bars() -> None:
    assert chart(ROWS[:2], SALES, "radar")["chartType"] == "bar"
    assert chart([*ROWS[:2], {"month": None, "sales": 1}], SALES, "radar")["chartType"] == "bar"


# Keys that are none for the client.

TAKEN = [
    *("mask", "stroke", "filter", "className", "payload", "background", "x", "y", "width", "cx"),
    *("style", "key", "ref", "children", "dangerouslySetInnerHTML", "onClick", "onload"),
    *("aria-label", "data-id", "fill", "href", "xlinkHref", "xlink:href", "stroke-width", "name"),
    *("value", "label", "title", "points", "tooltipPosition", "clip-path", "class", "d", "color"),
]


@pytest.mark.parametrize("kind", LINES + SHARES)
@pytest.mark.parametrize("column", TAKEN)
def test_a_key_that_is_an_attribute_is_renamed(kind: str, column: str) -> None:
    as_text = [{column: month, "sales": 3} for month in ("Jan", "Feb", "Mar")]
    assert chart(as_text, SALES, kind)["data"] == [
        {"category": month, "sales": 3} for month in ("Jan", "Feb", "Mar")
    ]
    as_number = [{"month": month, column: 3} for month in ("Jan", "Feb", "Mar")]
    made = chart(as_number, {column: {"color": f"var(--color-{column})"}}, kind)
    assert made["data"] == [{"month": month, "s1": 3} for month in ("Jan", "Feb", "Mar")]
    assert made["config"] == {"s1": {"label": column}}


@pytest.mark.parametrize("kind", LINES + SHARES)
@pytest.mark.parametrize("column", TAKEN)
def test_other_columns_do_not_reach_the_client(kind: str, column: str) -> None:
    data = [row | {column: "url(https://x.test/a)"} for row in ROWS]
    assert chart(data, SALES, kind)["data"] == ROWS


@pytest.mark.parametrize(
    "column", ["open tasks", "Größe", "未着手", "2025", "a.b", "", "%", "a" * 65, "a\n", "a;}"]
)
def test_a_series_key_that_no_style_tag_may_hold_is_renamed(column: str) -> None:
    made = chart([{"x1": "a", column: 1}], {column: {"label": "L"}} if column else None)
    assert made["data"] == [{"category": "a", "s1": 1}]
    label = "L" if column else ""
    assert made["config"]["s1"]["label"] == label


def test_an_x_key_of_any_script_stays() -> None:
    assert chart([{"Größe in m": "a", "n": 1}])["data"] == [{"Größe in m": "a", "n": 1}]


def test_a_new_name_is_that_of_no_column() -> None:
    data = [{"category": "not drawn", "s1": 1, "value": 2, "name": "a", "s2": "x"}]
    config = {"s1": {}, "value": {"color": "red"}, "xKey": "name"}
    made = chart(data, config)
    assert list(made["data"][0].values()) == ["a", 1, 2]
    assert not {"s2", "category"} & made["data"][0].keys()
    assert list(made["config"]) == list(made["data"][0])[1:]


def test_colours_that_follow_a_renamed_key() -> None:
    data = [{"m": "a", "open tasks": 1, "done": 2, "fill": "var(--color-done)"}]
    config = {
        "open tasks": {"color": "#abc"},
        "done": {"label": "Done", "color": "var(--color-sales)"},
    }
    made = chart(data, config | {"done": {"color": "var(--color-open)"}})
    assert made["config"] == {
        "s1": {"label": "open tasks", "color": "#abc"},
        "done": {"label": "done"},
    }
    assert made["data"] == [{"m": "a", "s1": 1, "done": 2, "fill": "var(--color-done)"}]
    named = [{"m": "a", "value": 1, "fill": "var(--color-value)"}]
    made = chart(named, {"value": {"color": "#abc"}})
    assert made["data"] == [{"m": "a", "s1": 1, "fill": "var(--color-s1)"}]


def test_titles() -> None:
    assert chart(title=None)["title"] == ""
    assert chart(title=2026)["title"] == "2026"
    assert chart(title={"text": "Tasks"})["title"] == "Tasks"
    assert chart(title=None, heading="Tasks")["title"] == "Tasks"
    assert chart(title={"a": 1})["title"] == ""
    options = {"plugins": {"title": {"display": True, "text": "Tasks"}}}
    assert chart(title=None, options=options)["title"] == "Tasks"
    assert chart(title="x" * 300)["title"] == "x" * 199 + "…"


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
        [{}],
        [["Jan", [1]]],
        {"labels": [], "datasets": []},
        *([*ROWS, {"month": "x", "sales": 1, key: 1}] for key in sorted(chart_shapes.FORBIDDEN)),
    ],
)
@pytest.mark.parametrize("kind", ["bar", "pie"])
def test_what_holds_no_rows_is_no_chart(data: object, kind: str) -> None:
    assert refused(data, SALES, kind) == Reason.CHART_DATA


@pytest.mark.parametrize("kind", ["bar", "pie"])
def test_nested_columns_are_left_out(kind: str) -> None:
    data = [row | {"more": {"id": 1}, "tags": ["a"]} for row in ROWS]
    assert chart(data, SALES, kind)["data"] == ROWS
    assert refused([{"month": "Jan", "sales": [1]}], SALES) == Reason.CHART_VALUES


def test_a_thousand_rows_at_most() -> None:
    data = [{"m": n, "n": n} for n in range(1001)]
    assert len(chart(data[:1000], {"n": {}})["data"]) == 1000
    assert refused(data, {"n": {}}) == Reason.CHART_TOO_MANY_ROWS
    assert refused({"m": [1], "n": [*range(1001)]}) == Reason.CHART_TOO_MANY_ROWS
    assert refused(ROWS * 501) == Reason.CHART_TOO_MANY_ROWS


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


@pytest.mark.parametrize("data", [[{"a": "x"}], [{"a": "x", "b": None}], [{"a": "x", "b": "y"}]])
def test_nothing_to_fill_a_config_from(data: object) -> None:
    assert refused(data) == Reason.CHART_SERIES


@pytest.mark.parametrize(
    "config", [[], "x", 1, True, {"z": {}}, {"sales": []}, ["z"], [[]], [None]]
)
@pytest.mark.parametrize("kind", ["bar", "pie"])
def test_a_config_that_says_nothing_is_filled(config: object, kind: str) -> None:
    assert list(chart(config=config, kind=kind)["config"]) == ["sales"]


@pytest.mark.parametrize(
    "config",
    [
        "sales",
        '{"sales": {}}',
        ["sales"],
        {"sales": "var(--chart-2)"},
        {"sales": {}},
        {"Sales": {}},
        {"sales": True},
        {"sales": {}, "costs": {"label": "Costs"}},
        {"month": {"label": "Month"}, "sales": {}},
        [{"key": "sales"}],
        [{"dataKey": "sales", "type": "monotone"}],
        [{"sales": {"color": "red"}}],
        {"xKey": "month", "yKeys": ["sales"]},
        {"x": "month", "y": "sales"},
        {"xAxis": {"dataKey": "month"}, "series": [{"dataKey": "sales"}]},
        {"xKey": "month", "series": {"sales": {}}},
        {"options": {"xKey": "month", "yKey": "sales"}},
        {"series": [{"name": "sales"}], "legend": True, "stacked": False},
    ],
)
def test_configs_in_other_shapes(config: object) -> None:
    data = [{"tax": 1, **row} for row in ROWS] if "month" in str(config) else ROWS
    made = chart([row | {"other": 2} for row in data], config)
    assert list(made["config"]) == ["sales"]
    assert made["config"]["sales"]["label"] == "sales"


@pytest.mark.parametrize(
    "more",
    [
        {"xKey": "month", "yKey": "sales"},
        {"xAxis": "month", "yAxis": "sales"},
        {"series": [{"dataKey": "sales", "label": "S"}], "xAxisKey": "month"},
        {"options": {"xKey": "month", "yKeys": ["sales"]}},
        {"encoding": {"x": {"field": "month"}, "y": {"field": "sales"}}},
    ],
)
def test_axes_beside_the_config(more: dict[str, object]) -> None:
    data = [{"tax": 1, "other": 2, **row} for row in ROWS]
    assert chart(data, **more)["data"] == ROWS


def test_an_entry_without_a_column_is_that_of_the_only_one() -> None:
    assert chart(config={"count": {"label": "Sold"}})["config"] == {"sales": {"label": "Sold"}}
    assert chart(config={"label": "Sold", "color": "red"})["config"] == {
        "sales": {"label": "Sold", "color": "red"}
    }


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
    assert entry({"name": "S", "fill": "red"}) == {"label": "S", "color": "red"}
    assert entry({"label": 2026}) == {"label": "2026"}
    assert entry({"label": {"a": 1}}) == {"label": "sales"}
    assert entry({"label": "x" * 200}) == {"label": "x" * 99 + "…"}
    theme = {"light": "#fff", "dark": "#000"}
    assert entry({"theme": theme | {"more": 1}}) == {"label": "sales", "theme": theme}
    assert entry({"theme": theme, "color": None}) == {"label": "sales", "theme": theme}
    assert entry({"theme": theme, "color": "red"}) == {"label": "sales", "color": "red"}


GOOD_COLORS = [
    *("var(--chart-1)", "var(--chart-5)", "hsl(var(--chart-3))"),
    *("#abc", "#ABCD", "#a1b2c3", "#a1b2c3d4", "red", "currentColor", "rgb(1, 2, 0)"),
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
    *("transparent", "#fff0", "#12345600", "rgb(0 0 0 / 0)", "rgba(1, 2, 3, 0.0)"),  # unseen
    *("blurple", "var(--color-sales)", "var(--color-month)"),  # undefined: black, or nothing
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
    [drawn] = chart(slices, kind="pie")["data"]
    assert drawn.get("fill") in (None, "var(--chart-1)")
    if color != "var(--color-sales)":  # a row may take the colour of its series
        bars = [{"month": "Jan", "sales": 3, "fill": color}]
        assert chart(bars, SALES)["data"] == ROWS[:1]


def test_a_sixth_colour_is_the_themes_first() -> None:
    assert entry({"color": "var(--chart-6)"})["color"] == "var(--chart-1)"
    assert entry({"color": "hsl(var(--chart-12))"})["color"] == "hsl(var(--chart-2))"


def test_colours_may_be_a_list() -> None:
    colors = ["#abc", "url(#x)", "red"]
    data = [{"m": "a", "p": 1, "q": 2, "r": 3}]
    made = chart(data, {"p": {"color": "blue"}, "q": {}, "r": {}}, colors=colors)
    assert [each["color"] for each in made["config"].values()] == ["blue", "red", "#abc"]
    slices = chart([*SLICES, {"browser": "my own", "visits": 1}], kind="pie", colors=colors)
    assert [row["fill"] for row in slices["data"]] == ["#abc", "red", "#abc"]


def test_a_chart_may_stand_inside_of_its_block() -> None:
    inner = {"chartType": "line", "title": "T", "data": ROWS, "config": SALES}
    for name in ("chart", "spec", "data"):
        assert drawn_inside({"type": "chart", name: inner}) == inner


def drawn_inside(value: dict[str, object]) -> object:
    return orjson.loads(blocks.chart(value))


def test_a_series_may_take_the_colour_of_another() -> None:
    data = [{"m": "a", "p": 1, "q": 2}]
    config = {"p": {"color": "var(--color-q)"}, "q": {"color": "red"}}
    assert chart(data, config)["config"]["p"] == {"label": "p", "color": "red"}
    circle = {"p": {"color": "var(--color-q)"}, "q": {"color": "var(--color-p)"}}
    assert chart(data, circle)["config"] == {"p": {"label": "p"}, "q": {"label": "q"}}


@pytest.mark.parametrize("theme", ["dark", 1, [], {}, {"light": "#fff"}, {"light": None}])
def test_a_theme_of_another_form_is_dropped(theme: object) -> None:
    assert entry({"theme": theme}) == {"label": "sales"}


# Area, bar, line, radar.


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize(
    ("data", "config", "reason"),
    [
        ([{"sales": 3}], SALES, Reason.CHART_X_KEY),
        ([{"month": None, "sales": 3}], SALES, Reason.CHART_X_KEY),
        ([{"month": None, "sales": 3}], {"xKey": "month"}, Reason.CHART_X_KEY),
        ([{"month": "Jan", "sales": "many"}], SALES, Reason.CHART_VALUES),
        ([{"month": "Jan", "sales": "n/a"}], SALES, Reason.CHART_VALUES),
        (
            [{"month": "Jan", "sales": 3}, {"month": "Feb", "sales": 1e101}],
            SALES,
            Reason.CHART_VALUES,
        ),
        ([{"month": "Jan", "sales": 5e-324}], SALES, Reason.CHART_VALUES),
        ([{"month": "Jan", "sales": -1e308}], SALES, Reason.CHART_VALUES),
        ([{"month": "Jan", "sales": "1e308"}], SALES, Reason.CHART_VALUES),
        ([{"m": "a", "n": "3 h"}, {"m": "b", "n": "$4"}], {"n": {}}, Reason.CHART_UNITS),
        ([{"m": "a", "n": "3 h"}, {"m": "b", "n": "$4"}], None, Reason.CHART_UNITS),
        ([{"month": "Jan", "sales": None}], SALES, Reason.CHART_VALUES),
    ],
)
def test_series_that_would_crash_or_be_blank(
    kind: str, data: object, config: object, reason: Reason
) -> None:
    assert refused(data, config, kind) == reason


def test_the_x_key_is_the_first_that_config_does_not_name() -> None:
    data = [{"sales": 3, "month": "Jan", "note": None}, {"month": 2, "sales": None}]
    assert chart(data, SALES)["data"] == [{"sales": 3, "month": "Jan"}, {"month": 2, "sales": None}]


def test_a_row_without_x_is_dropped() -> None:
    data = [{"month": None, "sales": 1}, *ROWS, {"sales": 2}]
    assert chart(data, SALES)["data"] == ROWS


def test_an_x_may_be_true_or_false() -> None:
    data = [{"done": True, "n": 3}, {"done": False, "n": 5}]
    assert chart(data, {"n": {}})["data"] == [{"done": "true", "n": 3}, {"done": "false", "n": 5}]


@pytest.mark.parametrize(
    ("written", "number"),
    [("3", 3), ("-3.50", -3.5), ("1e3", 1000.0), ("0", 0), ("9" * 30, 1e30), ("-0", 0)],
)
def test_clean_numeric_strings_become_numbers(written: str, number: float) -> None:
    [row] = chart([{"month": "7", "sales": written, "note": "8"}], SALES)["data"]
    assert row == {"month": "7", "sales": number}


@pytest.mark.parametrize("written", ["", "0x1", "NaN", "Infinity", "1e999", "1_0", "3/5", "3-5"])
def test_other_strings_are_no_numbers(written: str) -> None:
    assert refused([{"month": "Jan", "sales": written}], SALES) == Reason.CHART_VALUES


def test_what_is_no_number_among_numbers_is_a_gap() -> None:
    data = [*ROWS, {"month": "Apr", "sales": "unknown"}, {"month": "May", "sales": "–"}]
    assert [row["sales"] for row in chart(data, SALES)["data"]] == [3, 5.5, 4, None, None]


@pytest.mark.parametrize(
    ("cells", "values", "unit"),
    [
        (["45%", "5 %"], [45, 5], "%"),
        (["$300", "$1,200.50"], [300, 1200.5], "$"),
        (["3 h", "4.5 h"], [3, 4.5], "h"),
        (["3 h", 4], [3, 4], "h"),
        (["1 task", "3 tasks"], [1, 3], "tasks"),
        (["2 h", "90 min"], [2, 1.5], "h"),
        (["2h 30m", "1h"], [2.5, 1], "h"),
        (["€1.200,50", "€1.300"], [1200.5, 1300], "€"),
        (["1.200", "3,5"], [1200, 3.5], None),
        (["1.200", "3.5"], [1.2, 3.5], None),
        (["1.2k", "900"], [1200, 900], None),
        (["٣", "५"], [3, 5], None),
        (["3件", "5件"], [3, 5], "件"),
        ([True, False], [1, 0], None),
    ],
)
def test_numbers_with_a_unit(cells: list[object], values: list[float], unit: str | None) -> None:
    data = [{"m": f"m{n}", "n": cell} for n, cell in enumerate(cells)]
    made = chart(data, {"n": {}})
    assert [row["n"] for row in made["data"]] == values
    assert made.get("unit") == unit


def test_series_that_count_different_things_say_so_in_their_labels() -> None:
    made = chart([{"m": "a", "cost": "$5", "share": "3%", "n": 2}])
    assert "unit" not in made
    labels = [entry["label"] for entry in made["config"].values()]
    assert labels == ["cost ($)", "share (%)", "n"]
    hours = chart([{"m": "a", "planned": "2 h", "spent": "90 min"}])
    assert hours["unit"] == "h"
    assert hours["data"] == [{"m": "a", "planned": 2, "spent": 1.5}]


def test_a_series_may_have_gaps() -> None:
    data = [{"month": "Jan", "sales": None}, {"month": "Feb"}, {"month": "Mar", "sales": 1}]
    assert chart(data, SALES)["data"] == data


# Pie, radial.


@pytest.mark.parametrize("kind", SHARES)
@pytest.mark.parametrize(
    ("data", "config", "reason"),
    [
        ([{"browser": "chrome"}], None, Reason.CHART_CATEGORIES),
        ([{"visits": 1}], None, Reason.CHART_CATEGORIES),
        ([{"a": "x", "b": "y"}], None, Reason.CHART_SERIES),
        ([{"a": "x", "b": None}], None, Reason.CHART_CATEGORIES),
        ([{"a": "x", "b": 1}, {"a": "y", "b": -1}], None, Reason.CHART_VALUES),
        ([{"a": "x", "b": 0}], None, Reason.CHART_VALUES),
        ([{"a": "x", "b": 1e308}, {"a": "y", "b": 1e308}], None, Reason.CHART_VALUES),
        ([{"a": "x", "b": "3 h"}, {"a": "y", "b": "$3"}], {"b": {}}, Reason.CHART_UNITS),
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
    assert chart([{"a": "x", "how many": 1}], kind="pie")["config"] == {
        "s1": {"label": "how many", "color": "var(--chart-1)"}
    }


def test_the_text_column_may_look_like_numbers() -> None:
    [row] = chart([{"year": "2024", "n": "5"}], kind="pie")["data"]
    assert row == {"year": "2024", "n": 5, "fill": "var(--chart-1)"}
    assert chart([{"n": "5", "who": "x"}], kind="pie")["data"] == [{"who": "x", "n": 5}]


def test_a_category_that_is_no_valid_key_takes_a_colour_of_the_theme() -> None:
    data = [
        {"status": "done", "n": 1},
        {"status": "in progress", "n": 1},
        {"status": "constructor", "n": 1, "fill": "var(--color-in progress)"},
        {"status": "on hold", "n": 1, "fill": "var(--color-hold)"},
    ]
    fills = [row.get("fill") for row in chart(data, kind="pie")["data"]]
    # A variable that no config defines would be black.
    assert fills == [None, "var(--chart-2)", "var(--chart-3)", "var(--chart-4)"]


def test_config_of_a_category_that_is_no_valid_key_goes_into_its_row() -> None:
    data = [
        {"status": "in progress", "n": 1},
        {"status": "done", "n": 2},
        {"status": "対応", "n": 3},
    ]
    config = {
        "in progress": {"label": "Under way", "color": "#123"},
        "Done": {"label": "Finished", "color": "#456"},
        "対応": {"label": "done"},
    }
    made = chart(data, config, "pie")
    assert made["config"] == {"done": {"label": "Finished", "color": "#456"}}
    assert made["data"] == [
        {"status": "Under way", "n": 1, "fill": "#123"},
        {"status": "done", "n": 2},
        {"status": "対応", "n": 3, "fill": "var(--chart-3)"},  # its label is taken
    ]


def test_shares_of_one_category_are_summed_and_rows_without_one_dropped() -> None:
    data = [{"s": "a", "n": 1}, {"s": "b", "n": "2"}, {"s": "a", "n": 3}, {"s": None, "n": 4}]
    assert chart(data, kind="pie")["data"] == [{"s": "a", "n": 4}, {"s": "b", "n": 2}]
    gap = [*SLICES, {"browser": "opera", "visits": None}]
    assert chart(gap, kind="pie")["data"] == SLICES


def test_a_pie_of_more_columns_draws_the_one_that_config_names() -> None:
    data = [{"id": 1, "status": "todo", "n": 3, "hours": 9, "note": "x", "color": "#abc"}]
    data.append(data[0] | {"id": 2, "status": "done"})
    hours = {"hours": 9, "fill": "#abc"}
    drawn = [{"status": "todo", **hours}, {"status": "done", **hours}]
    assert chart(data, {"hours": {}}, "pie")["data"] == drawn
    assert chart(data, None, "pie")["data"][1] == {"status": "done", "n": 3, "fill": "#abc"}


def test_a_category_that_is_a_colour_is_no_fill() -> None:
    data = [{"color": "red", "n": 1}, {"color": "blue", "n": 2}]
    assert [row["category"] for row in chart(data, kind="pie")["data"]] == ["red", "blue"]


def test_bars_whose_config_names_them_one_by_one_are_filled() -> None:
    data = [{"status": "todo", "n": 3}, {"status": "In progress", "n": 5}]
    config = {"todo": {"color": "#abc"}, "in progress": {"color": "#def"}}
    assert chart(data, config)["data"] == [
        {"status": "todo", "n": 3, "fill": "#abc"},
        {"status": "In progress", "n": 5, "fill": "#def"},
    ]


def test_one_row_of_numbers_is_a_map() -> None:
    data = [{"todo": 3, "done": 5}]
    assert chart(data, kind="pie")["data"] == chart(data[0], kind="pie")["data"]
    config = {"todo": {"label": "To do", "color": "#abc"}, "done": {"label": "Done"}}
    assert chart(data, config, "pie")["config"] == config | {"s1": {"label": "value"}}
    assert chart(data, config)["data"] == [
        {"category": "To do", "s1": 3, "fill": "#abc"},
        {"category": "Done", "s1": 5},
    ]


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
    assert all(key not in chart_shapes.FORBIDDEN for row in made["data"] for key in row)
