"""Which colours reach the client's style tag and its SVG: forms that can do nothing but colour,
and that are drawn (PROTOCOL §6). Pure.
"""

from __future__ import annotations

import re
from typing import Final

# shadcn/ui's themes define five.
CHART_COLORS: Final = 5
MAX_COLOR: Final = 100

_PART: Final = r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:%|deg|rad|grad|turn)?"
_BETWEEN: Final = r"(?: *[,/] *| +)"
_COLOR: Final = re.compile(
    r"#(?:[0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})"
    rf"|(?:rgba?|hsla?|oklch)\( *{_PART}(?:{_BETWEEN}{_PART}){{2,3}} *\)"
)
_THEME: Final = re.compile(r"(hsl\()?var\(--chart-([0-9]{1,2})\)(?(1)\))")
# What has no opacity is not seen: the last of four parts, in words or in hex digits.
_CLEAR: Final = re.compile(
    r"#[0-9A-Fa-f]{3}0|#[0-9A-Fa-f]{6}00"
    rf"|[a-z]+\( *{_PART}(?:{_BETWEEN}{_PART}){{2}}{_BETWEEN}[+-]?(?:0+(?:\.0+)?|\.0+)%? *\)"
)
_SERIES: Final = re.compile(r"var\(--color-([A-Za-z_][A-Za-z0-9_-]{0,63})\)")

# CSS Color 4. A name that is none of these draws black, or no line at all.
NAMES: Final = frozenset(
    """
aliceblue antiquewhite aqua aquamarine azure beige bisque black blanchedalmond blue blueviolet
brown burlywood cadetblue chartreuse chocolate coral cornflowerblue cornsilk crimson cyan darkblue
darkcyan darkgoldenrod darkgray darkgreen darkgrey darkkhaki darkmagenta darkolivegreen darkorange
darkorchid darkred darksalmon darkseagreen darkslateblue darkslategray darkslategrey darkturquoise
darkviolet deeppink deepskyblue dimgray dimgrey dodgerblue firebrick floralwhite forestgreen
fuchsia gainsboro ghostwhite gold goldenrod gray green greenyellow grey honeydew hotpink indianred
indigo ivory khaki lavender lavenderblush lawngreen lemonchiffon lightblue lightcoral lightcyan
lightgoldenrodyellow lightgray lightgreen lightgrey lightpink lightsalmon lightseagreen
lightskyblue lightslategray lightslategrey lightsteelblue lightyellow lime limegreen linen magenta
maroon mediumaquamarine mediumblue mediumorchid mediumpurple mediumseagreen mediumslateblue
mediumspringgreen mediumturquoise mediumvioletred midnightblue mintcream mistyrose moccasin
navajowhite navy oldlace olive olivedrab orange orangered orchid palegoldenrod palegreen
paleturquoise palevioletred papayawhip peachpuff peru pink plum powderblue purple rebeccapurple
red rosybrown royalblue saddlebrown salmon sandybrown seagreen seashell sienna silver skyblue
slateblue slategray slategrey snow springgreen steelblue tan teal thistle tomato
turquoise violet wheat white whitesmoke yellow yellowgreen currentcolor
""".split()  # noqa: SIM905
)


def color(value: object) -> str | None:
    """The colour that is let through; None: another form. `var(--chart-7)`, which no theme
    defines, is the second."""
    if not isinstance(value, str) or len(value) > MAX_COLOR:
        return None
    if theme := _THEME.fullmatch(value):
        nth = nth_color(int(theme[2]) - 1)
        return f"hsl({nth})" if theme[1] else nth
    known = value.lower() in NAMES or _COLOR.fullmatch(value) or _SERIES.fullmatch(value)
    return value if known and not _CLEAR.fullmatch(value) else None


def nth_color(n: int) -> str:
    """The theme's colours, in turn, from 0."""
    return f"var(--chart-{n % CHART_COLORS + 1})"


def series_of(value: str) -> str | None:
    """The key that a colour refers to: `var(--color-sales)` is what series `sales` has."""
    found = _SERIES.fullmatch(value)
    return found[1] if found else None
