"""PURE: the arguments of a tool call as models write them, made clean JSON where that is certain.

What broke off stays broken: a call with half its arguments must never run.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any, Final

_MAX_CHARACTERS: Final = 256 * 1024
"""Past this nothing is mended; whole arguments of any size are fine."""
_DOUBLY: Final = 3

_FENCED: Final = re.compile(r"\s*```[a-z]*\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
# Strings, unclosed ones to the end, and commas that only a closer follows.
_SPARE: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|,(?=\s*[}\]])', re.DOTALL)
_decoder: Final = json.JSONDecoder(strict=False)  # takes raw line breaks in strings


def clean(text: str) -> str:
    """The arguments as the JSON text of an object; as they came where they are none.

    Mended are: JSON in a string, in a fence, with commas before a closer, with closers to spare,
    after an empty object that only opened the stream, and what Python prints.
    """
    if not text.strip() or _is_object(text):
        return text
    value = _mended(text) if len(text) <= _MAX_CHARACTERS else None
    if not isinstance(value, dict):
        return text
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return text


def _is_object(text: str) -> bool:
    """Whether it is an object that everybody can read."""
    try:
        return isinstance(json.loads(text, parse_constant=_no_constant), dict)
    except (ValueError, RecursionError):
        return False


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _mended(text: str) -> Any:
    for _ in range(_DOUBLY):
        fenced = _FENCED.fullmatch(text)
        value = _read(fenced.group(1) if fenced else text)
        if value is None:
            return {} if text.strip() in {"null", "None"} else None
        if not isinstance(value, str):
            return value
        text = value
    return None


def _read(text: str, *, first: bool = True) -> Any:
    for attempt in (text, _SPARE.sub(_unless_comma, text)):
        try:
            value, end = _decoder.raw_decode(attempt.lstrip())
        except (ValueError, RecursionError):
            continue
        rest = attempt.lstrip()[end:].strip()
        if not rest.strip("}] \t\r\n"):
            return value
        if value == {} and first:
            return _read(rest, first=False)
    return _python(text.strip())


def _unless_comma(found: re.Match[str]) -> str:
    return "" if found.group() == "," else found.group()


def _python(text: str) -> Any:
    """What `print` makes of an object: single quotes, True, None."""
    if not text.startswith("{"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that Python does not know
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None
    return value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else None
