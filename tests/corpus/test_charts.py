"""Charts that models write: each reaches the client as one that it can draw."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson
import pytest

from formatter_svc import blocks
from formatter_svc.reasons import Invalid
from switchboard.v3.blocks_pb2 import Chart
from tests.support.answers import as_contract
from tests.support.charts import faults


def charts(corpus: Path) -> dict[str, dict[str, Any]]:
    lines = (corpus / "answers" / "charts.jsonl").read_text("utf-8").splitlines()
    cases = [orjson.loads(line) for line in lines]
    return {case["name"]: case["block"] for case in cases}


def drawn(block: dict[str, Any]) -> dict[str, Any] | str:
    """The chart as the client gets it, or why not."""
    try:
        written = blocks.chart(block)
    except Invalid as invalid:
        return invalid.reason.value
    as_contract(written, Chart())
    made: dict[str, Any] = orjson.loads(written)
    return made


def test_charts_that_a_person_would_want_are_drawn(corpus: Path) -> None:
    cases = charts(corpus)
    assert cases
    refused = {name: why for name, block in cases.items() if isinstance(why := drawn(block), str)}
    assert refused == {}


def test_what_is_drawn_is_safe_and_stays_as_it_is(corpus: Path) -> None:
    for name, block in charts(corpus).items():
        made = drawn(block)
        assert isinstance(made, dict), name
        assert faults(made) == [], name
        assert drawn({"type": "chart", **made}) == made, name


def test_every_number_of_a_chart_is_in_the_drawn_one(corpus: Path) -> None:
    """No value is lost but where two categories are one, or a row has none."""
    for name, block in charts(corpus).items():
        rows = block["data"]
        if not isinstance(rows, list) or "twice" in name or "null category" in name:
            continue
        given = [cell for row in rows for cell in row.values() if type(cell) in (int, float)]
        made = drawn(block)
        assert isinstance(made, dict), name
        kept = [cell for row in made["data"] for cell in row.values()]
        assert all(cell in kept or str(cell) in kept for cell in given), name


# Slips on top of those that are there.

Mutant = Callable[[dict[str, Any]], dict[str, Any]]


def _numbers(block: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """The chart with the numbers of its series written in another way."""
    rows = [
        {key: change(cell) if _is_plotted(key, cell) else cell for key, cell in row.items()}
        for row in block["data"]
    ]
    return block | {"data": rows}


def _is_plotted(key: str, cell: object) -> bool:
    return type(cell) in (int, float) and key not in ("d", "year")


def _keys(block: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    rows = [{change(key): cell for key, cell in row.items()} for row in block["data"]]
    columns = {key for row in block["data"] for key in row}
    config = block.get("config")
    if isinstance(config, dict):
        config = {
            change(key) if key in columns else key: each
            for key, each in config.items()
            if key not in ("xKey", "series")
        }
    return block | {"data": rows, "config": config}


def _as_list(block: dict[str, Any]) -> dict[str, Any]:
    config = block.get("config")
    if not isinstance(config, dict) or not all(isinstance(each, dict) for each in config.values()):
        return block
    return block | {"config": [{"key": key, **each} for key, each in config.items()]}


def _as_arrays(block: dict[str, Any]) -> dict[str, Any]:
    columns = list(dict.fromkeys(key for row in block["data"] for key in row))
    return block | {
        "data": [columns, *([row.get(key) for key in columns] for row in block["data"])]
    }


def _as_columns(block: dict[str, Any]) -> dict[str, Any]:
    columns = dict.fromkeys(key for row in block["data"] for key in row)
    return block | {"data": {key: [row.get(key) for row in block["data"]] for key in columns}}


ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
MUTANTS: dict[str, Mutant] = {
    "numbers as text": lambda block: _numbers(block, str),
    "numbers in Arabic": lambda block: _numbers(block, lambda cell: str(cell).translate(ARABIC)),
    "numbers in percent": lambda block: _numbers(block, lambda cell: f"{cell} %"),
    "numbers of euros": lambda block: _numbers(block, lambda cell: f"€{cell},00"),
    "keys in Cyrillic": lambda block: _keys(block, lambda key: f"ключ {key}"),
    "keys with digits": lambda block: _keys(block, lambda key: f"1. {key}"),
    "config as a list": _as_list,
    "config as text": lambda block: block | {"config": orjson.dumps(block.get("config")).decode()},
    "type in words": lambda block: block | {"chartType": f"{block['chartType'].upper()} Chart"},
    "type left out of its key": lambda block: (
        {key: each for key, each in block.items() if key != "chartType"}
        | {"kind": block["chartType"]}
    ),
    "rows as arrays": _as_arrays,
    "rows as columns": _as_columns,
}


def shown(block: dict[str, Any]) -> list[list[str]]:
    """What a reader sees of the rows: their x and their numbers."""
    made = drawn(block)
    assert isinstance(made, dict), (made, block)
    assert faults(made) == []
    return [
        sorted(
            cell if isinstance(cell, str) else str(float(cell))
            for key, cell in row.items()
            if key != "fill" and cell is not None
        )
        for row in made["data"]
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # What changes cells goes before what changes keys, and that before another shape of rows.
        (first, second)
        for first, second in combinations(MUTANTS, 2)
        if first.split()[0] != second.split()[0]
    ],
)
def test_two_more_slips_change_nothing_of_what_is_seen(
    corpus: Path, first: str, second: str
) -> None:
    seen = 0
    for name, block in charts(corpus).items():
        rows = block["data"]
        if isinstance(rows, list) and not any("meta" in row for row in rows):
            mutant = MUTANTS[second](MUTANTS[first](block))
            assert shown(mutant) == shown(block), (name, mutant)
            seen += 1
    assert seen > 1
