"""What a chart must hold for the client to draw it, said a second time and by itself: by the
contract alone, with nothing of the formatter's.
"""

from __future__ import annotations

import math
import re
from typing import Any

KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
COLOR = re.compile(
    r"var\(--(?:chart-[1-5]|color-[A-Za-z_][A-Za-z0-9_-]*)\)|hsl\(var\(--chart-[1-5]\)\)"
    r"|#[0-9A-Fa-f]{3,8}|(?:rgba?|hsla?|oklch)\([0-9a-z%.,/ +-]*\)|[A-Za-z]+"
)
ATTRIBUTES = frozenset(
    """
mask stroke filter fill className class style key ref children id name x y x1 y1 x2 y2 z cx cy dx dy
r rx ry d width height href xlinkHref src color clipPath cursor opacity transform offset points
payload background tooltipPosition value label title type target role lang max min media method
dangerouslySetInnerHTML markerEnd markerMid markerStart strokeWidth strokeDasharray fillOpacity
fontSize textAnchor radius innerRadius outerRadius startAngle endAngle percent cornerRadius shape
isActive index dataKey stroke-width clip-path xlink:href order origin result values version from to
""".split()  # noqa: SIM905
)
FAMILIES = re.compile(r"(?:aria|data)-.*|on[A-Z].*|on(?:click|load|error|focus)", re.DOTALL)
POISON = frozenset({"__proto__", "constructor", "prototype"})


def faults(made: dict[str, Any]) -> list[str]:
    """What is wrong with a chart; nothing, where it can be drawn."""
    rows, config = made["data"], made["config"]
    found = [f"key {key!r}" for row in rows for key in row if not _is_fit(key)]
    found += [f"config {key!r}" for key in config if not KEY.fullmatch(key) or key in POISON]
    found += [f"colour {each!r}" for each in _colors(made) if not COLOR.fullmatch(each)]
    found += [f"undefined {each!r}" for each in _variables(made) if each not in config]
    if not 1 <= len(rows) <= 1000 or not config:
        found.append("empty")
    if not isinstance(made["title"], str) or len(made["title"]) > 200:
        found.append("title")
    if not all(isinstance(each["label"], str) for each in config.values()):
        found.append("label")
    if len(made.get("unit", "")) > 16:
        found.append("unit")
    shares = made["chartType"] in ("pie", "radial")
    return found + (_of_shares(rows, config) if shares else _of_series(rows, config))


def _is_fit(key: str) -> bool:
    taken = key in ATTRIBUTES - {"fill"} or key in POISON or FAMILIES.fullmatch(key)
    return bool(key) and not taken


def _colors(made: dict[str, Any]) -> list[str]:
    found = [row["fill"] for row in made["data"] if "fill" in row]
    for entry in made["config"].values():
        assert not {"color", "theme"} <= entry.keys()
        found += [entry["color"]] if "color" in entry else []
        found += entry.get("theme", {}).values()
    return found


def _variables(made: dict[str, Any]) -> list[str]:
    return [each[12:-1] for each in _colors(made) if each.startswith("var(--color-")]


def _of_series(rows: list[dict[str, Any]], config: dict[str, Any]) -> list[str]:
    [x, *_] = [*(key for key in rows[0] if key not in config), None]
    found = [] if x not in (None, "fill") else ["no x"]
    allowed = {x, "fill", *config}
    for row in rows:
        if not row.keys() <= allowed:
            found.append(f"more columns {sorted(row.keys() - allowed)}")
        if not isinstance(row.get(x), str) and not _is_number(row.get(x)):
            found.append(f"x {row.get(x)!r}")
        found += [
            f"value {row[key]!r}"
            for key in config
            if row.get(key) is not None and not _is_drawn(row[key])
        ]
    for key in config:
        if all(row.get(key) is None for row in rows):
            found.append(f"blank {key!r}")
    return found


def _of_shares(rows: list[dict[str, Any]], config: dict[str, Any]) -> list[str]:
    [category, value] = [key for key in rows[0] if key != "fill"]
    found = [f"columns {row!r}" for row in rows if row.keys() - {"fill"} != {category, value}]
    if found:
        return found
    words = [row[category] for row in rows]
    found += [] if all(isinstance(word, str) for word in words) else ["category"]
    found += [] if len(set(words)) == len(words) else ["category twice"]
    numbers = [row[value] for row in rows]
    if not all(_is_drawn(each) and each >= 0 for each in numbers) or not sum(numbers) > 0:
        found.append(f"values {numbers!r}")
    if not config.keys() <= {value, *words}:
        found.append(f"config {sorted(config)}")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_drawn(value: object) -> bool:
    """Not where Recharts 3 divides by zero or has no ticks."""
    assert isinstance(value, int | float)
    return _is_number(value) and (value == 0 or 1e-300 < abs(value) < 1e300)
