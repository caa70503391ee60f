"""What a slip of JSON was meant to be: bare words, numbers as people write them, closers that do
not fit. Pure: no function here looks at more than a bounded piece of text.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from typing import Final, Literal

import orjson

# A longer bare word is no sum.
MAX_SUM: Final = 64

_JSON: Final = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS: Final = {
    "true": "true",
    "false": "false",
    "null": "null",
    "none": "null",
    "nil": "null",
    "undefined": "null",
    "nan": "null",
    "infinity": "null",
    "-infinity": "null",
    "+infinity": "null",
    "inf": "null",
    "-inf": "null",
}
_ELLIPSIS: Final = re.compile(r"\.{2,}|…")
_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}(?:[,_' \u00a0\u202f][0-9]{3})+(?:\.[0-9]+)?")
_GROUPS: Final = re.compile(r"[,_' \u00a0\u202f]")
_LOOSE: Final = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEX: Final = re.compile(r"[+-]?0[xX][0-9a-fA-F]{1,13}")
# Figures and signs, and no figure with a leading zero: 2026-01-05 is a day.
_SUM: Final = re.compile(r"(?![^+*/]*\b0[0-9])[0-9(.][0-9.\s()]*[-+*/][-0-9.+*/\s()]*[0-9)]")

_SIGNS: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

Follow = Literal["key", "value", "end", "any"]


def mend_scalar(word: str) -> str | None:
    """The JSON of a bare word; None where it stands for what was left out (`...`)."""
    word = word.strip()
    if _JSON.fullmatch(word):
        return word if _finite(word) else "null"
    if known := _WORDS.get(word.lower()):
        return known
    if not word or _ELLIPSIS.fullmatch(word):
        return None
    if _GROUPED.fullmatch(word):
        return _number(_GROUPS.sub("", word))
    if _HEX.fullmatch(word):
        return str(int(word, 16))
    if _LOOSE.fullmatch(word):
        return _number(word.replace("_", "")) if _is_number(word) else _string(word)
    if len(word) <= MAX_SUM and _SUM.fullmatch(word):
        return _sum(word)
    return _string(word)


def _finite(word: str) -> bool:
    return word[0] in "tfn" or math.isfinite(float(word))


def _is_number(word: str) -> bool:
    """Not a code such as 007."""
    digits = word.lstrip("+-")
    return not (len(digits) > 1 and digits[0] == "0" and digits[1].isdigit())


def _number(word: str) -> str:
    try:
        if word.lstrip("+-").isdigit():
            return str(int(word)) if len(word) < 400 else "null"
        value = float(word)
    except ValueError:
        return _string(word)
    return orjson.dumps(value).decode()  # null where it is beyond all doubles


def _string(word: str) -> str:
    return orjson.dumps(word).decode()


def _sum(word: str) -> str:
    try:
        value = _worth(ast.parse(word, mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, MemoryError, RecursionError):
        return _string(word)
    return orjson.dumps(value).decode()


def _worth(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_worth(inner)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _SIGNS:
            value = _SIGNS[type(op)](_worth(left), _worth(right))
            if abs(value) > 2**53:
                raise ValueError(value)
            return value
    raise ValueError(node)


def levels_closed(stack: str, run: str, follow: Follow) -> int:
    """How many levels the first closer of `run` closes, where it is not the one that fits.

    `stack` holds the open brackets, outermost first; `run` the closers that stand together; what
    comes after them tells where they should lead: a key into an object, a value into an array.
    """
    through = stack.rfind("{" if run[0] == "}" else "[")
    if follow == "end" and len(run) >= len(stack):
        return int(len(run) == len(stack))  # each closes one, or there is one too many
    ways = [1, 0] if through < 0 else [1, len(stack) - through, 0]
    for way in ways:
        if _leads(stack[: len(stack) - way], run[1:], follow):
            return way
    if through < 0 or _fits(stack[: max(0, len(stack) - len(run))], follow):
        return 1
    return len(stack) - through


def _leads(stack: str, run: str, follow: Follow) -> bool:
    for closer in run:
        if not stack:
            break
        if stack[-1] != ("{" if closer == "}" else "["):
            return False
        stack = stack[:-1]
    return _fits(stack, follow)


def _fits(stack: str, follow: Follow) -> bool:
    if follow in ("end", "any"):
        return follow == "any" or not stack
    return stack[-1:] == "{" if follow == "key" else stack[-1:] in ("[", "")
