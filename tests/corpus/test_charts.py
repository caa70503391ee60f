"""Charts that models write: each reaches the client as one that it can draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

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
