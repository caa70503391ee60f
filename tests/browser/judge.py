"""What is wrong with a chart as it was drawn, held against the block that it was drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from tests.support.gallery import Drawn

Block = Mapping[str, Any]
Row = Mapping[str, Any]

# As the app's charts do: see client/app/src/charts/.
FEW_POINTS: Final = 30
FEW_SLICES: Final = 60
LEAST_CORNERS: Final = 3
# Of a whole with more than a few slices, this is drawn at least.
SEEN_SHARE: Final = 0.001
# In pixels: what a bar has whatever its value.
LEAST_BAR: Final = 2.5
# Of stacked bars, what is so much beside the greatest number has some height.
SEEN_PART: Final = 0.001
# Beyond the digits of a double beside the greatest slice there is no angle left to widen.
LEAST_SHARE: Final = 1e-12


def faults(block: Block, drawn: Drawn, vocabulary: frozenset[str]) -> list[str]:
    """In words; none: it is drawn right."""
    if drawn.error is not None:
        return [f"crashed: {drawn.error}"]
    strange = sorted(set(drawn.vocabulary) - vocabulary)
    found = {
        "broken": drawn.broken,
        "foreign": drawn.foreign,
        "without a colour": drawn.colorless,
        "brought by the data": strange,
    }
    told = [f"{what}: {each}" for what, several in found.items() for each in several]
    if drawn.spills:
        told.append("larger than its place")
    return told + _missing(block, drawn)


def _missing(block: Block, drawn: Drawn) -> list[str]:
    kind, rows = block["chartType"], block["data"]
    if kind in ("pie", "radial"):
        return _missing_slices(block, drawn)
    words = [] if len(drawn.texts) > 1 else ["no words on its axes"]
    if kind == "radar" and len(rows) < LEAST_CORNERS:
        kind = "bar"
    missing = {
        "bar": _missing_parts if block.get("stacked") else _missing_bars,
        "line": _missing_points,
        "area": _missing_points,
        "radar": _missing_corners,
    }[kind]
    values = [{key: row.get(key) for key in block["config"]} for row in rows]
    if kind == "bar" and not block.get("stacked"):
        words += _wrong_sizes(values, drawn, lies=bool(block.get("horizontal")))
    return words + [
        f"series {key}: {fault}"
        for series, key in enumerate(block["config"])
        for fault in missing(values, key, series, drawn)
    ]


def _missing_slices(block: Block, drawn: Drawn) -> list[str]:
    values = _slice_values(block)
    share = LEAST_SHARE if len(values) <= FEW_SLICES else SEEN_SHARE
    wanted = sum(value > share * sum(values) for value in values)
    seen = [mark for mark in drawn.seen("sector") if mark.width > 0 and mark.height > 0]
    return [] if len(seen) >= wanted > 0 else [f"{len(seen)} sectors of {wanted}"]


def _slice_values(block: Block) -> list[float]:
    keys = [key for key in block["data"][0] if key != "fill"]
    numeric = [key for key in keys if all(_has_value(row, key) for row in block["data"])]
    (key,) = [key for key in numeric if key in block["config"]] or numeric
    return [row[key] for row in block["data"]]


def _missing_bars(rows: Sequence[Row], key: str, series: int, drawn: Drawn) -> list[str]:
    wanted = sum(_has_value(row, key) for row in rows)
    bars = drawn.seen("bar", series=series)
    seen = sum(bar.width > 0 and bar.height > 0 for bar in bars)
    return [] if seen == wanted else [f"{seen} bars of {wanted}"]


def _wrong_sizes(rows: Sequence[Row], drawn: Drawn, *, lies: bool) -> list[str]:
    """Bars are as long as their values say, but for those that are drawn to be seen at all."""
    sizes = {
        series: [bar.width if lies else bar.height for bar in drawn.seen("bar", series=series)]
        for series in range(len(rows[0]))
    }
    pairs = [
        (abs(value), size)
        for series, key in enumerate(rows[0])
        for value, size in zip(_values(rows, key), sizes[series], strict=False)
    ]
    greatest, longest = max(pairs, default=(0, 0))
    return [
        f"a bar of {size:.1f} px for {value}, beside {longest:.1f} px for {greatest}"
        for value, size in pairs
        if greatest and abs(size - value / greatest * longest) > LEAST_BAR
    ]


def _values(rows: Sequence[Row], key: str) -> list[float]:
    return [row[key] for row in rows if _has_value(row, key)]


def _missing_parts(rows: Sequence[Row], key: str, series: int, drawn: Drawn) -> list[str]:
    """Of stacked bars: what is small beside the greatest number has no height of its own."""
    greatest = max(abs(value) for each in rows[0] for value in _values(rows, each))
    sizes = [abs(value) for value in _values(rows, key)]
    wanted = sum(greatest == 0 or size > SEEN_PART * greatest for size in sizes)
    seen = sum(bar.width > 0 and bar.height > 0 for bar in drawn.seen("bar", series=series))
    return [] if wanted <= seen <= len(sizes) else [f"{seen} parts of {wanted}"]


def _missing_points(rows: Sequence[Row], key: str, series: int, drawn: Drawn) -> list[str]:
    has = [False, *(_has_value(row, key) for row in rows), False]
    alone = sum(here and not (before or after) for before, here, after in _triples(has))
    wanted = sum(has) if len(rows) <= FEW_POINTS else alone
    dots = len(drawn.seen("dot", series=series))
    told = [] if dots == wanted else [f"{dots} dots of {wanted}"]
    curve = drawn.seen("line", "area", series=series)
    if any(a and b for a, b in pairwise(has)) and not any(mark.width > 0 for mark in curve):
        told.append("no line")
    return told


def _triples(has: Sequence[bool]) -> list[tuple[bool, bool, bool]]:
    return list(zip(has, has[1:], has[2:], strict=False))


def _missing_corners(rows: Sequence[Row], key: str, series: int, drawn: Drawn) -> list[str]:
    wanted = sum(_has_value(row, key) for row in rows)
    dots = len(drawn.seen("dot", series=series))
    return [] if dots == wanted else [f"{dots} corners of {wanted}"]


def _has_value(row: Row, key: str) -> bool:
    return isinstance(row.get(key), int | float) and not isinstance(row[key], bool)
