"""How a chart is drawn, by the many names that models have for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from formatter_svc.reasons import Invalid, Reason

CHART_TYPES: Final = frozenset({"area", "bar", "line", "pie", "radar", "radial"})
SHARES: Final = frozenset({"pie", "radial"})
# A type's name is no longer.
_MAX: Final = 64

# A scatter's points lie on a line's dots, in the order of x (`by_x`).
_SYNONYMS: Final = {
    word: kind
    for kind, words in {
        "area": "areas areaspline splinearea steparea stackarea mountain stream streamgraph",
        "bar": "bars column columns col histogram barh hbar lollipop bullet waterfall funnel"
        " pareto combo composed mixed ranking balken balkendiagramm säulen säulendiagramm",
        "line": "lines linear spline curve curved stepline step trend trendline timeseries"
        " sparkline scatter scatterplot bubble point points dot dots xy burndown burnup linie"
        " liniendiagramm linien",
        "pie": "donut doughnut doughnuts donuts circle sunburst treemap tree share shares"
        " proportion semidonut halfdonut semicircle kreis kuchen kreisdiagramm tortendiagramm",
        "radar": "polar spider web star spiderweb polararea netz rose",
        "radial": "radialbar radialbars circular circularprogress gauge ring rings progress"
        " radialgauge semigauge activityrings progressring",
    }.items()
    for word in (kind, *words.split())
}
_BY_X: Final = frozenset({"scatter", "scatterplot", "bubble", "point", "points", "xy"})
_LYING: Final = frozenset({"barh", "hbar", "funnel", "ranking"})
_NOISE: Final = re.compile(r"[\W\d_]+")
# Words before or after the type's own that say how, or nothing.
_STACKED: Final = re.compile(r"stacked|stack|percent")
_HORIZONTAL: Final = re.compile(r"horizontal|horiz")
_NOTHING: Final = re.compile(
    r"charts?|graphs?|plots?|diagrams?|grouped|clustered|vertical|multiseries|multi|series|simple"
    r"|basic|smooth|normalized|normalised|filled|interactive|interpolated|recharts"
)


@dataclass(frozen=True, slots=True)
class Form:
    """`by_x`: rows are to stand in the order of their x."""

    kind: str
    stacked: bool = False
    horizontal: bool = False
    by_x: bool = False


def form(value: Mapping[str, object]) -> Form:
    """How a chart is to be drawn: data of which nothing is said, as bars. Raises Invalid for a type
    that is none of ours.
    """
    named = next((found for name in _NAMES if (found := _named(value.get(name)))), None)
    if named is None and value.get("chartType") in (None, "") and _has_data(value):
        named = Form("bar")
    if named is None:
        raise Invalid(Reason.CHART_TYPE)
    given = [value, *(each for name in _NESTED if isinstance(each := value.get(name), dict))]
    stacked = named.stacked or any(_is_stacked(each) for each in given)
    horizontal = named.horizontal or any(_is_horizontal(each) for each in given)
    return Form(
        named.kind,
        stacked=stacked and named.kind in ("area", "bar"),
        horizontal=horizontal and named.kind == "bar",
        by_x=named.by_x,
    )


_NAMES: Final = ("chartType", "chart_type", "charttype", "chart", "kind", "variant", "type")
_NESTED: Final = ("options", "config", "chartOptions", "layout", "style")


def _has_data(value: Mapping[str, object]) -> bool:
    return any(
        each for key, each in value.items() if key != "config" and isinstance(each, dict | list)
    )


def _named(word: object) -> Form | None:
    if not isinstance(word, str) or len(word) > _MAX:
        return None
    plain = _NOISE.sub("", word.casefold())
    bare = _NOTHING.sub("", plain)
    stacked, lying = bool(_STACKED.search(bare)), bool(_HORIZONTAL.search(bare))
    bare = _HORIZONTAL.sub("", _STACKED.sub("", bare))
    # `stacked`, `horizontal` alone are bars.
    word = plain if plain in _SYNONYMS else bare or ("bar" if stacked or lying else "")
    if word not in _SYNONYMS:
        return None
    return Form(_SYNONYMS[word], stacked, lying or word in _LYING, word in _BY_X)


def _is_stacked(given: Mapping[str, object]) -> bool:
    return any(
        _says(given.get(name)) for name in ("stacked", "isStacked", "stack", "stacking")
    ) or any(isinstance(each, dict) and each.get("stackId") for each in given.values())


def _is_horizontal(given: Mapping[str, object]) -> bool:
    # Recharts calls the layout of lying bars vertical, Chart.js and Plotly name an axis.
    return (
        _says(given.get("horizontal"))
        or given.get("layout") == "vertical"
        or given.get("indexAxis") == "y"
        or given.get("orientation") in ("horizontal", "h")
    )


def _says(value: object) -> bool:
    if isinstance(value, str):
        return value.lower() in ("true", "yes", "normal", "percent", "stacked", "1")
    return value is True
