"""What reaches the client of a row: numbers that Recharts can draw, and checked colours. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from formatter_svc.chart_colors import color, series_of
from formatter_svc.chart_columns import Column
from formatter_svc.chart_shapes import Cell, Row
from formatter_svc.numbers import Number, family
from formatter_svc.reasons import Invalid, Reason

# Far inside of what Recharts draws: it divides by zero on a span of 5e-324, has no ticks from
# -1e308 to 1e308, and none that are finite above 9e307. A thousand values add up below that.
LEAST: Final = 1e-100
MOST: Final = 1e100

Config = dict[str, dict[str, object]]
# Rows, config and unit as the client takes them.
Drawn = tuple[list[Row], Config, str]


def shared_unit(series: Sequence[Column]) -> str:
    """The unit in which all of these can be told; "" where they count different things."""
    if len({family(column.unit) for column in series}) > 1:
        return ""
    return series[0].unit


def values_of(column: Column, unit: str) -> dict[int, Number]:
    """A column's numbers by place. Raises Invalid where Recharts would crash or draw nothing."""
    values = column.values(unit)
    if not all(map(_is_drawn, values.values())):
        raise Invalid(Reason.CHART_VALUES)
    return values


def _is_drawn(number: Number) -> bool:
    return number == 0 or (math.isfinite(number) and LEAST <= abs(number) <= MOST)


def paint(cell: Cell, config: Collection[str], key_of: Mapping[str, str]) -> str | None:
    """A row's colour. A variable that config does not define would be black: None."""
    given = color(cell)
    named = series_of(given) if given is not None else None
    if named is None:
        return given
    key = key_of.get(named, named)
    return f"var(--color-{key})" if key in config else None
