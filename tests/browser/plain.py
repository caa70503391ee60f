"""Charts whose data cannot put anything into the page: what they bring is the charts' own."""

from __future__ import annotations

from itertools import product
from typing import Any, Final

Chart = dict[str, Any]

# The last are more than have dots, corners with names, or slices with room.
_COUNTS: Final = (1, 2, 3, 25, 61)
_SERIES: Final = {"a": {"label": "A"}, "b": {"label": "B"}}


def charts() -> list[Chart]:
    """Every type with every option, of few rows and of many, with gaps."""
    return [
        *(_series(*each) for each in product(("area", "bar", "line", "radar"), _COUNTS, (0, 1))),
        *(_many_series(kind) for kind in ("area", "bar", "line", "radar")),
        *(_slices(*each) for each in product(("pie", "radial"), _COUNTS)),
    ]


def _series(kind: str, count: int, option: int) -> Chart:
    rows = [{"p": f"p{n}", "a": n % 5 - 1, "b": None if n % 3 == 1 else n} for n in range(count)]
    options = {"stacked": True, "horizontal": True, "unit": "story points"} if option else {}
    return {"chartType": kind, "title": "T", "data": rows, "config": _SERIES} | options


def _many_series(kind: str) -> Chart:
    keys = [f"s{n}" for n in range(12)]
    rows = [{"p": f"p{n}"} | dict.fromkeys(keys, n) for n in range(4)]
    config = {key: {"label": key} for key in keys}
    return {"chartType": kind, "title": "", "data": rows, "config": config, "unit": "%"}


def _slices(kind: str, count: int) -> Chart:
    rows = [{"p": f"p{n}", "a": n + 1} for n in range(count)]
    return {"chartType": kind, "title": "T", "data": rows, "config": {"a": {"label": "A"}}}
