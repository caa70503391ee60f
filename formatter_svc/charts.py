"""What a chart must be so that shadcn/ui's wrappers of Recharts neither crash on it, nor draw it
blank, nor let it into a style tag (PROTOCOL §6, "Charts"). Pure.

`check` answers the chart as the client takes it: numeric strings are numbers, a missing config
is filled, colours of a form that is not known are gone.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, cast

from formatter_svc.reasons import Invalid, Reason

CHART_TYPES: Final = frozenset({"area", "bar", "line", "pie", "radar", "radial"})
MAX_ROWS: Final = 1000
# shadcn/ui's themes define five.
CHART_COLORS: Final = 5
# As own keys they would replace a row's prototype.
FORBIDDEN: Final = frozenset({"__proto__", "constructor", "prototype"})

# Recharts gives a row's own keys to the element that it draws for it, and React takes these
# for its own: a text in their place crashes the chart or draws it wrong.
REACTS_OWN: Final = frozenset({"children", "dangerouslySetInnerHTML", "key", "ref", "style"})

_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")
MAX_COLOR: Final = 100
_PART: Final = r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:%|deg|rad|grad|turn)?"
_BETWEEN: Final = r"(?: *[,/] *| +)"
_COLOR: Final = re.compile(
    r"var\(--chart-[0-9]{1,2}\)"
    r"|var\(--color-[A-Za-z_][A-Za-z0-9_-]{0,63}\)"
    r"|hsl\(var\(--chart-[0-9]{1,2}\)\)"
    r"|#(?:[0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})"
    rf"|(?:rgba?|hsla?|oklch)\( *{_PART}(?:{_BETWEEN}{_PART}){{2,3}} *\)"
    r"|[A-Za-z]{1,32}"
)
_NO_COLUMNS: Final = FORBIDDEN | REACTS_OWN

Row = dict[str, object]
Config = dict[str, dict[str, object]]


def check(value: dict[str, object]) -> dict[str, object]:
    """The chart as `Chart` of blocks.proto. Raises Invalid with the rule that it breaks."""
    kind = value.get("chartType")
    if not isinstance(kind, str) or kind not in CHART_TYPES:
        raise Invalid(Reason.CHART_TYPE)
    title = value.get("title")
    if not isinstance(title, str | None):
        raise Invalid(Reason.CHART_TITLE)
    rows = _rows(value.get("data"))
    config = _config(value.get("config"))
    shape = _shares if kind in ("pie", "radial") else _series
    rows, config = shape(rows, config)
    return {"chartType": kind, "title": title or "", "data": rows, "config": config}


def is_color(value: object) -> bool:
    """Whether a colour is of a form that is let through."""
    return isinstance(value, str) and len(value) <= MAX_COLOR and bool(_COLOR.fullmatch(value))


def _rows(data: object) -> list[Row]:
    if not isinstance(data, list) or not 1 <= len(data) <= MAX_ROWS:
        raise Invalid(Reason.CHART_DATA)
    for row in data:
        if (
            not isinstance(row, dict)
            or not _NO_COLUMNS.isdisjoint(row)
            or any(isinstance(cell, dict | list) for cell in row.values())
        ):
            raise Invalid(Reason.CHART_DATA)
    return data


# Config.


def _config(config: object) -> Config:
    """The entries as they were written; empty: to be filled."""
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise Invalid(Reason.CHART_CONFIG)
    return {key: _entry(key, entry) for key, entry in config.items() if entry is not None}


def _entry(key: str, entry: object) -> dict[str, object]:
    if not _is_key(key) or not isinstance(entry, dict):
        raise Invalid(Reason.CHART_CONFIG)
    label, color, theme = (entry.get(name) for name in ("label", "color", "theme"))
    if not isinstance(label, str | None) or (color is not None and theme is not None):
        raise Invalid(Reason.CHART_CONFIG)
    checked: dict[str, object] = {"label": key if label is None else label}
    if is_color(color):
        checked["color"] = color
    if isinstance(theme, dict) and is_color(theme.get("light")) and is_color(theme.get("dark")):
        checked["theme"] = {"light": theme["light"], "dark": theme["dark"]}
    return checked


def _is_key(key: str) -> bool:
    return bool(_KEY.fullmatch(key)) and key not in FORBIDDEN


def _fill(columns: list[str]) -> Config:
    """A config for columns; a column that is no valid key cannot be drawn."""
    keys = [column for column in columns if _is_key(column)]
    return {key: {"label": key, "color": _nth_color(n)} for n, key in enumerate(keys)}


def _nth_color(n: int) -> str:
    return f"var(--chart-{n % CHART_COLORS + 1})"


# Numbers.


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: object) -> int | float | None:
    """The number that a value is, or that a clean string says; None: neither."""
    if _is_number(value):
        return cast("int | float", value)
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return None
    number = float(value)
    if not math.isfinite(number):
        return None
    # Beyond 64 bits JSON writers differ; there the double says as much.
    return int(value) if value.lstrip("-").isdigit() and abs(number) < 2**53 else number


# Area, bar, line, radar.


def _series(rows: list[Row], config: Config) -> tuple[list[Row], Config]:
    config = config or _fill(_numeric_columns(rows))
    if not config:
        raise Invalid(Reason.CHART_SERIES)
    x = next((key for key in rows[0] if key not in config), "")
    if not x or not all(_is_number(row.get(x)) or isinstance(row.get(x), str) for row in rows):
        raise Invalid(Reason.CHART_X_KEY)
    if not all(any(key in row for row in rows) for key in config):
        raise Invalid(Reason.CHART_SERIES)
    plotted = [_plotted(row, config) for row in rows]
    if all(row.get(key) is None for row in plotted for key in config):
        raise Invalid(Reason.CHART_VALUES)  # would be blank
    return [_with_safe_fill(row, {x, *config}) for row in plotted], config


def _plotted(row: Row, config: Config) -> Row:
    numbers = {key: _number(row[key]) for key in config if row.get(key) is not None}
    if None in numbers.values():
        raise Invalid(Reason.CHART_VALUES)
    return row | numbers


def _with_safe_fill(row: Row, drawn: set[str]) -> Row:
    """Recharts gives a row's `fill` to the shape that it draws for it."""
    if "fill" in row and "fill" not in drawn and not is_color(row["fill"]):
        return {key: cell for key, cell in row.items() if key != "fill"}
    return row


def _numeric_columns(rows: list[Row]) -> list[str]:
    """The columns of numbers, else those of numeric strings; one column stays to be the x key."""
    columns: dict[str, list[object]] = {}
    for row in rows:
        for key, cell in row.items():
            columns.setdefault(key, []).append(cell)
    filled = {key: [cell for cell in cells if cell is not None] for key, cells in columns.items()}
    clean = [key for key, cells in filled.items() if cells and None not in map(_number, cells)]
    numeric = [key for key in clean if any(map(_is_number, filled[key]))] or clean
    return numeric[1:] if len(numeric) == len(columns) else numeric


# Pie, radial.


@dataclass(frozen=True, slots=True)
class _Columns:
    text: str
    numeric: str


def _shares(rows: list[Row], config: Config) -> tuple[list[Row], Config]:
    columns = _two_columns(rows)
    categories = [cast("str", row[columns.text]) for row in rows]
    if len(set(categories)) != len(categories):
        raise Invalid(Reason.CHART_CATEGORIES)
    values = [_number(row[columns.numeric]) for row in rows]
    total = sum(value for value in values if value is not None)
    if not all(value is not None and value >= 0 for value in values) or not (0 < total < math.inf):
        raise Invalid(Reason.CHART_VALUES)
    config = config or _fill([columns.numeric])
    if not config or not config.keys() <= {columns.numeric, *categories}:
        raise Invalid(Reason.CHART_CONFIG)
    shares = [
        {columns.text: category, columns.numeric: value} | _share_fill(row, category, n)
        for n, (row, category, value) in enumerate(zip(rows, categories, values, strict=True))
    ]
    return shares, config


def _two_columns(rows: list[Row]) -> _Columns:
    """Every row has one text column and one numeric column, the same ones."""
    keys = [key for key in rows[0] if key != "fill"]
    if len(keys) != 2 or any(row.keys() - {"fill"} != set(keys) for row in rows):
        raise Invalid(Reason.CHART_DATA)
    a, b = keys
    for columns in (_Columns(a, b), _Columns(b, a)):
        if all(
            isinstance(row[columns.text], str) and _number(row[columns.numeric]) is not None
            for row in rows
        ):
            return columns
    raise Invalid(Reason.CHART_VALUES)


def _share_fill(row: Row, category: str, n: int) -> Row:
    if is_color(row.get("fill")):
        return {"fill": row["fill"]}
    return {} if _is_key(category) else {"fill": _nth_color(n)}
