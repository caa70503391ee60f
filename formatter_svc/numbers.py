"""Numbers as people write them: `1,200`, `45%`, `$300`, `3 h`, `1.200,50 €`, `２５`. Pure.

What could be read in two ways is read as its column suggests (`1.200` beside `3,5` is twelve
hundred), and is no number where nothing decides. A text is read in one pass, in linear time.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_UNIT: Final = 16
# Longer texts are no numbers.
MAX_TEXT: Final = 80
# What a JavaScript number holds exactly, and a JSON writer writes without an exponent.
MAX_EXACT: Final = 2**53

Number = int | float


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and what it counts; `unit` "": nothing that was said."""

    value: Number
    unit: str = ""


_CURRENCY: Final = {
    **{sign: sign for sign in "$€£¥₹₩₽₺₪₫₴₦₱฿₿"},
    **{"US$": "$", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CNY": "¥", "INR": "₹"},
    **{"CHF": "CHF", "CA$": "CA$", "A$": "A$", "R$": "R$", "kr": "kr", "zł": "zł"},
}
_SCALES: Final = {
    **{"k": 1_000, "K": 1_000, "tsd": 1_000, "thousand": 1_000},
    **{"M": 10**6, "mio": 10**6, "million": 10**6, "millions": 10**6},
    **{"B": 10**9, "bn": 10**9, "mrd": 10**9, "billion": 10**9, "billions": 10**9},
}
# Behind a number these make a date, a time or a rank of it.
_NO_UNITS: Final = frozenset(
    """
st nd rd th am pm uhr jan feb mar mär mai apr may jun jul aug sep sept oct okt nov dec dez
january february march april june july august september october november december
januar februar märz juni juli oktober dezember q quarter kw or to bis and und of von
""".split()  # noqa: SIM905
)
# Units that can be told in one another: their family, and how much of it each is.
_FAMILIES: Final[dict[str, dict[str, float]]] = {
    "time": {
        "s sec secs second seconds": 1,
        "min mins minute minutes minuten m": 60,
        "h hr hrs hour hours std stunde stunden": 3600,
        "d day days tag tage": 86_400,
    },
    "bytes": {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12},
    "mass": {"g": 1, "kg": 1000},
}
_FACTORS: Final = {
    word: (family, factor)
    for family, units in _FAMILIES.items()
    for words, factor in units.items()
    for word in words.split()
}

_DIGITS: Final = r"[0-9](?:[0-9.,'’_\u00a0\u2009\u202f ]*[0-9])?|[.,][0-9]+"
_WRITTEN: Final = re.compile(
    rf"(?P<approx>[~≈]|ca\.? )? *(?P<sign>[+-])? *(?P<front>[^\d\s.,+-][^\d\s.,+-]{{0,2}})? *"
    rf"(?P<minus>-)?(?P<digits>{_DIGITS})(?P<exponent>[eE][+-]?[0-9]{{1,3}}(?![0-9A-Za-z]))?"
    r"(?P<back>[^0-9]*)"
)
_DURATION: Final = re.compile(
    r"(?:([0-9]+) ?(?:d|days?) ?)?([0-9]+) ?(?:h|hrs?|hours?|std) ?"
    r"(?:([0-9]{1,2}) ?(?:m|mins?|minutes?)?)?"
)
# `3 (60 %)`: what stands in brackets behind a number is said by the way.
_ASIDE: Final = re.compile(r"([^()]*[^() ]) +\([^()]*\)")
_PLAIN: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+")
_SPACES: Final = "'’_\u00a0\u2009\u202f "
_GROUPED: Final = re.compile(r"[1-9][0-9]{0,2}(?:X[0-9]{3})+|[1-9][0-9]?(?:X[0-9]{2})+X[0-9]{3}")


def is_number(value: object) -> bool:
    """Whether a value is a finite number of JSON."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def exact(number: Number) -> Number:
    """The number as every JSON writer and JavaScript take it: past 2^53 as a double.

    A double past its range is infinite.
    """
    if isinstance(number, int) and abs(number) >= MAX_EXACT:
        try:
            return float(number)
        except OverflowError:
            return math.inf
    return number


def decimal_comma(texts: Iterable[str]) -> bool:
    """Whether these texts, of one table, write `1,5` for one and a half: one of them tells."""
    return any(_tells_comma(text) for text in texts)


def quantity(text: str, *, comma: bool = False) -> Quantity | None:
    """What a text says, if that is a number. `comma`: whether its table has decimal commas."""
    text = _ascii_digits(text.strip())
    if not text or len(text) > MAX_TEXT:
        return None
    if aside := _ASIDE.fullmatch(text):
        text = aside[1]
    if (hours := _DURATION.fullmatch(text)) and (hours[1] or hours[3]):
        days, whole, minutes = (int(part or 0) for part in hours.groups())
        return Quantity(round(days * 24 + whole + minutes / 60, 4), "h")
    negative = text.startswith("(") and text.endswith(")")
    found = _WRITTEN.fullmatch(text[1:-1].strip() if negative else text)
    if found is None:
        return None
    number = _read(found["digits"], found["exponent"] or "", comma=comma)
    unit = _unit(found["front"] or "", found["back"])
    if number is None or unit is None:
        return None
    scale, word = unit
    # Accountants bracket what is lost; without a currency it may as well be an aside.
    if negative and word not in _CURRENCY.values():
        return None
    minus = negative or found["sign"] == "-" or found["minus"] is not None
    value = exact(number * scale)
    return Quantity(-value if minus else value, word) if math.isfinite(value) else None


def in_unit(given: Quantity, unit: str) -> Number:
    """The number of a quantity in another unit of its family; unsaid, it is that one."""
    ours, theirs = _FACTORS.get(given.unit.lower()), _FACTORS.get(unit.lower())
    if ours and theirs and given.unit != unit:
        return round(float(given.value * ours[1] / theirs[1]), 4)
    return given.value


def family(unit: str) -> str:
    """One word for units that can be compared, else the unit in the singular."""
    if found := _FACTORS.get(unit.lower()):
        return found[0]
    return unit.lower().rstrip("s") if len(unit) > 2 else unit


def _ascii_digits(text: str) -> str:
    """Digits of every script as `0` to `9`, their separators and signs as ours."""
    if text.isascii():
        return text
    return "".join(map(_ascii, text))


_SAME: Final = {
    "٫": ".",
    "٬": "'",
    "٪": "%",
    "％": "%",
    "．": ".",
    "，": ",",
    "−": "-",
    "–": "-",
    "＄": "$",
}


def _ascii(char: str) -> str:
    digit = unicodedata.decimal(char, None)
    return _SAME.get(char, char) if digit is None else str(digit)


def _tells_comma(text: str) -> bool:
    found = _WRITTEN.fullmatch(_ascii_digits(text.strip())) if len(text) <= MAX_TEXT else None
    digits = found["digits"] if found else ""
    head, mark, tail = digits.rpartition(",")
    if not mark or "." in tail or "," in head:
        return False
    return "." in head or len(tail) != 3 or head.lstrip("0") == ""


def _read(digits: str, exponent: str, *, comma: bool) -> Number | None:
    """The number that digits with their separators say."""
    for space in _SPACES:
        if space in digits:
            whole, mark, rest = _split_decimals(digits, comma=comma)
            return _joined(whole, space, mark, rest, exponent)
    if _PLAIN.fullmatch(digits) and not (comma and _is_grouped(digits, ".")):
        return _value(digits + exponent)
    if re.fullmatch("0[0-9]+", digits):
        return None  # an id, a code, a time
    whole, mark, rest = _split_decimals(digits, comma=comma)
    group = "." if "." in whole else ","
    return _joined(whole, group, mark, rest, exponent)


def _split_decimals(digits: str, *, comma: bool) -> tuple[str, str, str]:
    """What stands before and after the decimal mark."""
    last = max(digits.rfind("."), digits.rfind(","))
    if last < 0:
        return digits, "", ""
    mark, whole, rest = digits[last], digits[:last], digits[last + 1 :]
    other = "," if mark == "." else "."
    once = mark not in whole
    if not once or (other not in whole and _is_grouped(digits, mark) and comma == (mark == ".")):
        return digits, "", ""  # it parts thousands
    return whole, mark, rest


def _joined(whole: str, group: str, mark: str, rest: str, exponent: str) -> Number | None:
    if mark and not rest.isdigit():
        return None
    if not whole.isdigit() and whole and not _is_grouped(whole, group):
        return None
    plain = whole.replace(group, "") or "0"
    return _value(f"{plain}.{rest}{exponent}" if mark else plain + exponent)


def _is_grouped(digits: str, mark: str) -> bool:
    return mark in digits and bool(_GROUPED.fullmatch(digits.replace(mark, "X")))


def _value(plain: str) -> Number | None:
    number = float(plain)
    if not math.isfinite(number):
        return None
    return int(plain) if plain.isdigit() and abs(number) < MAX_EXACT else number


def _unit(front: str, back: str) -> tuple[int, str] | None:
    """The scale and the unit that stand around the digits; None: it is no number."""
    attached = back[:1] != " "
    if back.startswith(".") and back.strip() != ".":
        return None  # `1. Design` is the first of a list
    words = [word.rstrip(".") for word in back.split()]
    scale = 1
    if words and (by := _scale(words[0], attached=attached or front != "")):
        scale, words = by, words[1:]
    word = " ".join(words)
    if front:
        if front not in _CURRENCY or _CURRENCY.get(word, _CURRENCY[front]) != _CURRENCY[front]:
            return None
        return scale, _CURRENCY[front]
    if not _is_unit(word):
        return None
    return scale, _CURRENCY.get(word, word)


def _scale(word: str, *, attached: bool) -> int | None:
    if len(word) == 1:  # `5 M` may be metres
        return _SCALES.get(word) if attached else None
    return _SCALES.get(word.lower())


def _is_unit(word: str) -> bool:
    if len(word) > MAX_UNIT or word.lower() in _NO_UNITS:
        return False
    return not word or word == "%" or all(_is_of_unit(char) for char in word)


def _is_of_unit(char: str) -> bool:
    return unicodedata.category(char)[0] in "LM" or char in "%°/² ³·‰." or char in _CURRENCY
