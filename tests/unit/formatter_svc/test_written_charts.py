"""Charts in the many ways in which models write them, and laws that hold for whatever they write.

`written_charts.jsonl` tells for each what is drawn, or why nothing is.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from formatter_svc import blocks, svg_attributes
from formatter_svc.chart_types import CHART_TYPES
from formatter_svc.reasons import Invalid
from switchboard.v3.blocks_pb2 import Chart
from tests.support.answers import as_contract
from tests.support.charts import ATTRIBUTES, faults

LINES = (Path(__file__).parent / "written_charts.jsonl").read_text("utf-8").splitlines()
CASES = [orjson.loads(line) for line in LINES]


def drawn(written: dict[str, Any]) -> Any:
    """The chart as the client gets it, held against the contract; or why it gets none."""
    try:
        data = blocks.chart(written)
    except Invalid as invalid:
        return invalid.reason.value
    as_contract(data, Chart())
    made = orjson.loads(data)
    assert faults(made) == []
    assert blocks.chart(made) == data
    return made


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_written_chart(case: dict[str, Any]) -> None:
    expected = case.get("refused") or {"title": "", **case["drawn"]}
    assert drawn(case["written"]) == expected


def test_the_known_attributes_are_reserved() -> None:
    assert {key for key in ATTRIBUTES if not svg_attributes.is_reserved(key)} == set()
    kept = (
        "status month sales tasks visits done s1 category on_hold online one ongoing year d1 Name"
    )
    assert [key for key in kept.split() if svg_attributes.is_reserved(key)] == []


# Whatever comes in.

words = st.sampled_from(
    [
        *("a", "b", "m", "n", "x", "Jan", "2025", "3", "45%", "$3", "3 h", "", "n/a", "1.200"),
        *("1,5", "In progress", "fill", "red", "var(--color-a)", "var(--chart-7)", "url(#x)"),
        *("2026-01-01", "未着手", "\n"),
    ]
)
names = st.sampled_from(
    [
        *("m", "n", "a", "b", "fill", "color", "name", "value", "x", "y", "label", "open tasks"),
        *("data", "labels", "datasets", "series", "columns", "rows", "config", "key", "mask"),
        *("category", "xKey", "yKeys", "options", "theme", "unit", "2025", "", "__proto__", "s1"),
        *("Größe", "onClick"),
    ]
)
scalars = (
    words
    | st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([0.1, 1e99, 1e101, 5e-324, 1e308, -1e308, 2**70, 1767225600000])
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
kinds = st.sampled_from([*sorted(CHART_TYPES), "donut", "stackedBar", "scatter", "barh"])
rows_ = st.lists(st.dictionaries(names, scalars, max_size=4), min_size=1, max_size=4)
entries = st.dictionaries(
    names | words,
    scalars
    | st.fixed_dictionaries({}, optional={"label": scalars, "color": words, "theme": json_values}),
    max_size=3,
)


@given(kinds, rows_ | json_values, entries | json_values, json_values)
def test_whatever_is_drawn_is_safe_and_stays_as_it_is(
    kind: str, data: Any, config: Any, more: Any
) -> None:
    drawn({"chartType": kind, "data": data, "config": config, "series": more})


@given(st.dictionaries(names, json_values, max_size=5), kinds)
def test_whatever_else_stands_beside(value: dict[str, Any], kind: str) -> None:
    drawn(value | {"chartType": kind})


columns = st.text(st.sampled_from(string.ascii_letters + "0123456789 .-_%äß未"), max_size=6)
distinct = st.lists(columns | names, min_size=2, max_size=6, unique=True)


@given(distinct, st.lists(st.integers(-9, 9), min_size=5, max_size=5))
def test_renaming_loses_no_column(keys: list[str], numbers: list[int]) -> None:
    x, *series = keys
    assume(not {"__proto__", "xKey", ""} & set(keys))
    values = dict(zip(series, numbers, strict=False))
    config = {key: {"label": f"of {key}"} for key in series}
    made = drawn(
        {"chartType": "bar", "data": [{x: "q r", **values}], "config": config | {"xKey": x}}
    )
    [row] = made["data"]
    assert list(row.values()) == ["q r", *values.values()]
    assert [each["label"] for each in made["config"].values()] == [f"of {key}" for key in values]
    assert list(made["config"]) == list(row)[1:]


@given(st.permutations(["m", "n", "p", "q"]), st.permutations(["n", "p", "q"]), kinds)
def test_the_order_of_keys_changes_nothing_but_order(
    in_rows: list[str], in_config: list[str], kind: str
) -> None:
    data = [{"m": "a", "n": 1, "p": "2", "q": None}, {"m": "b", "n": 3, "p": 4, "q": 5}]
    config = {"n": {"label": "N"}, "p": {"color": "red"}, "q": {"color": "var(--color-p)"}}
    assume(kind not in ("pie", "radial", "donut"))
    expected = drawn({"chartType": kind, "data": data, "config": config})
    made = drawn(
        {
            "config": {key: config[key] for key in in_config},
            "data": [{key: row[key] for key in in_rows} for row in data],
            "chartType": kind,
        }
    )
    assert made == expected
    assert list(made["config"]) == in_config
