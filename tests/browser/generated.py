"""Charts as no person would write them, the same ones at every run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

Chart = dict[str, Any]

# Stands in every text that must not become an attribute; see client/app/gallery/inspect.ts.
TELLTALE: Final = "zq9z"
TYPES: Final = ("area", "bar", "line", "pie", "radar", "radial")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


WORDS: Final = _words(
    """todo done blocked review later Q1 Q2 Mon Tue 2024 2025 3.14 Größe Überfällig 未着手 進行中
    完了 할일 مهمة متأخر עבודה задача срок कार्य งาน 🚀 👩‍👩‍👧 naïve ﬁ"""
)
HOSTILE: Final = tuple(
    f"{text}{TELLTALE}"
    for text in (
        "url(http://127.0.0.1:9/)",
        "url('//evil.invalid/a.svg#m')",
        "</style><script>fetch('http://evil.invalid/')</script>",
        "<img src=http://evil.invalid/x onerror=alert(1)>",
        "};body{background:url(http://evil.invalid/b)}/*",
        "javascript:alert(1)//",
        "@import 'http://evil.invalid/c.css';",
        "\\00003c/style>",
        "${globalThis.x}{{x}}",
        "\u202egnp.exe\u0000\u0007",
        "a" * 3000 + " ",
        "word " * 80,
        "\ud800",
    )
)
KEYS: Final = (
    *WORDS[9:],
    *_words("count hours cost done open total spent_h p50 a_b a-b _x X"),
    *_words("a.b a[0] [0] a:b a/b $cost #1 % 0 1 2025 01 -1 1e3 NaN null true"),
    *_words("toString valueOf hasOwnProperty constructor __proto__ prototype __defineGetter__"),
    *("Anzahl Aufgaben", "Status [%]", " padded ", "it's", 'q"q', "--x: red", "a;b}"),
    *("line\nbreak", "k" * 200),
)
NUMBERS: Final[tuple[Any, ...]] = (
    *(0, 1, 2, 3, 5, 8, 13, 40, 100, 1_234, 999_999, -1, -40, 0.5, -0.25, 3.14159),
    *(1e-7, -1e-9, 1e12, -1e15, 2**53, 2**63, 1e21, 0.1 + 0.2, 1e100, 1e-100),
)
EXTREME: Final[tuple[Any, ...]] = (
    5e-324,
    -5e-324,
    2.2e-308,
    1e307,
    1e308,
    -1.7e308,
    1e299,
    -1e-299,
)
SAID: Final[tuple[Any, ...]] = (
    *("45%", "$300", "3 h", "1,200", "1.234,5", "€ 12", "7 days", "-3.5", "1e3", "12 / 20", "~5"),
    *(None, None, True, "", "n/a", "-"),
)
COLORS: Final[tuple[Any, ...]] = (
    *("var(--chart-1)", "var(--chart-5)", "var(--chart-9)", "hsl(var(--chart-2))", "#1af", "teal"),
    *("var(--color-count)", "rgb(1 2 3 / 50%)", "oklch(0.6 0.1 200)", "transparent", "kindofblue"),
    *("currentColor", "inherit", None, 7, *HOSTILE[:5]),
)
UNITS: Final = ("%", "$", "€", "h", "ms", "story points", "°C", "Stück", "", *HOSTILE[:2])
SYNONYMS: Final = ("donut", "column", "Bar", "horizontalBar", "stackedBar", "doughnut", "spline")


# Names that React keeps for itself, or that Recharts gives to what it draws.
REACTS_OWN: Final = _words(
    """children dangerouslySetInnerHTML src srcDoc onClick onclick onLoad onMouseEnter data-x class
    aria-label innerHTML is slot nonce type payload background value label title tooltipPosition
    tooltipPayload parentViewBox isActive isAnimationActive isUpdateAnimationActive animationBegin
    animationEasing shape option index dataKey nameKey cornerRadius forceCornerRadius
    cornerIsExternal innerRadius outerRadius startAngle endAngle midAngle maxRadius minAngle percent
    paddingAngle layout hide unit legendType minPointSize stackId activeBar zIndex"""
)


class Maker:
    """Makes charts out of a seed."""

    def __init__(self, seed: int, names: Sequence[str]) -> None:
        self._random = random.Random(seed)
        # Names that mean something to React, SVG or Recharts.
        self._names = names

    def charts(self, count: int) -> list[Chart]:
        """Half of them of clean numbers, so that most are shown; half of what models say."""
        return [self._chart(clean=index % 2 == 0) for index in range(count)]

    def _chart(self, *, clean: bool) -> Chart:
        pick = self._random
        kind = pick.choice(TYPES) if clean or pick.random() < 0.8 else pick.choice(SYNONYMS)
        is_round = kind in ("pie", "radial", "donut", "doughnut")
        x, *series = self._keys(2 if is_round else pick.choice((2, 2, 3, 4, 7, 12)))
        rows = [self._row(index, x, series, clean) for index in range(self._count())]
        chart: Chart = {"type": "chart", "chartType": kind, "data": rows}
        if is_round and clean:
            rows[0][series[0]] = 1
            for row in rows:
                row[series[0]] = abs(row[series[0]])
        if pick.random() < 0.7:
            chart["title"] = self._text()
        if pick.random() < 0.7:
            chart["config"] = self._config(x, series, clean)
        self._options(chart)
        return chart

    def _count(self) -> int:
        return self._random.choice((1, 2, 3, 3, 4, 5, 7, 12, 35))

    def _keys(self, count: int) -> list[str]:
        pools = (KEYS, self._names)
        keys: dict[str, None] = {}
        while len(keys) < count:
            keys[self._random.choice(self._random.choices(pools, (3, 1))[0])] = None
        return list(keys)

    def _row(self, index: int, x: str, series: Sequence[str], clean: bool) -> Chart:
        pick = self._random
        row: Chart = {x: self._name(index)}
        scale = pick.choice(NUMBERS) if clean else 1
        for key in series:
            row[key] = self._value(clean, scale)
        if pick.random() < 0.2:
            row[pick.choice(self._names)] = pick.choice(HOSTILE)
        if pick.random() < 0.1:
            row["fill"] = pick.choice(COLORS)
        return row

    def _name(self, index: int) -> Any:
        pick = self._random
        text = pick.choice(
            (f"{self._text()} {index}", f"2026-01-{index % 28 + 1:02}", f"Week {index}")
        )
        return (
            text
            if pick.random() < 0.9
            else pick.choice((index, 2020 + index, 1.77e12 + index * 1e9))
        )

    def _value(self, clean: bool, scale: Any) -> Any:
        pick = self._random
        if clean:
            return pick.choice(NUMBERS) if pick.random() < 0.3 else pick.randint(0, 50) * scale
        pools = (NUMBERS, SAID, EXTREME, HOSTILE)
        return pick.choice(pick.choices(pools, (20, 6, 0.3, 0.1))[0])

    def _text(self) -> str:
        pick = self._random
        if pick.random() < 0.2:
            return pick.choice(HOSTILE)
        return " ".join(pick.choices(WORDS, k=pick.choice((1, 2, 5))))

    def _config(self, x: str, series: Sequence[str], clean: bool) -> Any:
        pick = self._random
        named = {key: self._entry() for key in series}
        if clean:
            return named
        if pick.random() < 0.2:
            return pick.choice(([], {}, None, list(series), dict.fromkeys(series, "a label")))
        if pick.random() < 0.3:
            named |= {pick.choice((x, "absent")): {"label": self._text()}}
        return dict(pick.sample(list(named.items()), len(named)))

    def _entry(self) -> Chart:
        pick = self._random
        entry: Chart = {"label": self._text()}
        if pick.random() < 0.7:
            entry["color"] = pick.choice(COLORS)
        elif pick.random() < 0.5:
            entry["theme"] = {"light": pick.choice(COLORS), "dark": pick.choice(COLORS)}
        return entry

    def _options(self, chart: Chart) -> None:
        pick = self._random
        for option in ("stacked", "horizontal"):
            if pick.random() < 0.3:
                chart[option] = pick.choice((True, False, "true", 1))
        if pick.random() < 0.3:
            chart["unit"] = pick.choice(UNITS)
