"""Which charts are drawn, as a model would write them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.browser import attributes, generated

Block = Mapping[str, Any]

# Texts that a browser would act on, as the value of a row's key.
_REFERENCES: Final = ("url(http://127.0.0.1:9/zq9z)", "url(//evil.invalid/zq9z#m)")
_SEED: Final = 20_260_131


def given() -> dict[str, Block]:
    """Charts that a person would want; all of them are shown."""
    return _read(Path(__file__).with_name("given.jsonl"))


def corpus() -> dict[str, Block]:
    """Charts that others wrote, where CORPUS names the folder."""
    folder = os.environ.get("CORPUS")
    charts = _read(Path(folder) / "answers" / "charts.jsonl") if folder else {}
    return {f"corpus {name}": block for name, block in charts.items()}


def odd(count: int) -> dict[str, Block]:
    """Charts as nobody would write them."""
    charts = generated.Maker(_SEED, _names()).charts(count)
    return {f"odd {index}": chart for index, chart in enumerate(charts)}


def swept() -> dict[str, Block]:
    """Each name that Recharts or React takes for its own as the key of x, with texts that reach
    out."""
    kinds = generated.TYPES
    return {
        f"key {name}": reaching(name, kinds[index % len(kinds)])
        for index, name in enumerate(_names())
    }


def reaching(key: str, kind: str) -> Block:
    """A chart whose x asks for another host, should a browser take it for more than a text."""
    rows = [{key: f"{text} {n}", f"{key}2": n + 1} for n, text in enumerate(_REFERENCES)]
    return {"type": "chart", "chartType": kind, "title": key, "data": rows}


def _names() -> list[str]:
    return list(dict.fromkeys([*attributes.of_recharts(), *generated.REACTS_OWN]))


def _read(path: Path) -> dict[str, Block]:
    lines = path.read_text().splitlines()
    return {each["name"]: each["block"] for each in map(json.loads, lines)}
