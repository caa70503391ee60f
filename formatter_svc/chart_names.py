"""The keys under which a chart's columns reach the client (PROTOCOL §6). Pure.

A series' key stands in a style tag, and every key of a row on an SVG element: one that is not fit
for these places is renamed, and its words become the label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from formatter_svc.chart_colors import series_of
from formatter_svc.chart_config import MAX_LABEL, Entry, bounded
from formatter_svc.chart_shapes import FORBIDDEN
from formatter_svc.svg_attributes import is_reserved

_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_MAX_AXIS: Final = 64


def is_key(key: str) -> bool:
    """Whether a style tag may hold it."""
    return bool(_KEY.fullmatch(key)) and key not in FORBIDDEN


class Names:
    """Gives each column that is drawn a key of its own; new ones are none of `taken`."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._count = 0

    def axis(self, column: str) -> str:
        """The key of the x, or category, column."""
        if not column or len(column) > _MAX_AXIS or column in FORBIDDEN or is_reserved(column):
            return self._give(column, "category")
        return self._give(column, column)

    def series(self, column: str, instead: str = "") -> str:
        """The key of a column of numbers; `instead`: what config calls it."""
        for wished in (column, instead):
            if is_key(wished) and not is_reserved(wished):
                return self._give(column, wished, own=instead)
        return self._give(column, "")

    def _give(self, column: str, wished: str, own: str = "") -> str:
        key = wished
        while not key or (key in self._taken and key not in (column, own)):
            self._count += 1
            key = f"{wished or 's'}{self._count}"
        self._taken.add(key)
        return key


def made_config(
    entries: Mapping[str, tuple[str, Entry]], key_of: Mapping[str, str]
) -> dict[str, dict[str, object]]:
    """Config as the client takes it, of each key's words and entry. `key_of`: the key behind
    each name that a `var(--color-NAME)` may have.
    """
    config: dict[str, dict[str, object]] = {}
    colors = {key: _own_color(entry) for key, (_, entry) in entries.items()}
    for key, (words, entry) in entries.items():
        made: dict[str, object] = {"label": entry.get("label", bounded(words, MAX_LABEL))}
        if given := colors[key] or _followed(entry.get("color"), colors, key_of):
            made["color"] = given
        elif "theme" in entry and "color" not in entry:
            made["theme"] = entry["theme"]
        config[key] = made
    return config


def _own_color(entry: Entry) -> str | None:
    given = entry.get("color")
    return given if isinstance(given, str) and series_of(given) is None else None


def _followed(
    given: object, colors: Mapping[str, str | None], key_of: Mapping[str, str]
) -> str | None:
    """The colour that another series has; a circle of them would draw nothing."""
    named = series_of(given) if isinstance(given, str) else None
    return None if named is None else colors.get(key_of.get(named, named))
