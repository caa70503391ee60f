"""Which charts are drawn, as a model would write them."""

from __future__ import annotations

import json
import os
import random
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


def full() -> dict[str, Block]:
    """Charts of as many rows as are shown."""
    rows = [{"day": f"Day {n}", "n": n % 50 + 1} for n in range(1000)]
    return {
        f"full {kind}": {"type": "chart", "chartType": kind, "title": kind, "data": rows}
        for kind in ("bar", "line", "pie")
    }


def renamed(blocks: Mapping[str, Block]) -> dict[str, Block]:
    """The same charts, with other words for their keys and categories: of any script, with spaces,
    or such as React and SVG take for their own."""
    pick = random.Random(_SEED)
    pool = [*generated.KEYS, *_names(), *generated.WORDS]
    words = [each for each in pool if each not in ("fill", "color", "__proto__")]
    return {f"renamed {name}": _renamed(block, pick, words) for name, block in blocks.items()}


def _renamed(block: Block, pick: random.Random, words: list[str]) -> Block:
    rows = block["data"]
    keys = {key for row in rows for key in row if key != "fill"} if _are_rows(rows) else set()
    names = dict(zip(sorted(keys), pick.sample(words, len(keys)), strict=True))
    said = {cell for row in rows for cell in row.values() if _is_word(cell)} if keys else set()
    names |= {word: f"{pick.choice(generated.WORDS)} {n}" for n, word in enumerate(sorted(said))}
    # Whatever is said with one of the words is said with the other.
    changed: Block = json.loads(
        json.dumps(block), object_pairs_hook=lambda each: _with(each, names)
    )
    return changed


def _with(pairs: list[tuple[str, Any]], names: Mapping[str, str]) -> dict[str, Any]:
    own = ("type", "chartType", "title", "label", "color", "fill", "unit", "theme")
    return {
        names.get(key, key): value
        if key in own or not isinstance(value, str)
        else names.get(value, value)
        for key, value in pairs
    }


def _are_rows(rows: object) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def _is_word(cell: object) -> bool:
    """Whether it is a name for people, and no number, day or colour."""
    return isinstance(cell, str) and cell.isalpha() and cell not in ("red", "blue")


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
