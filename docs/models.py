"""The tables of docs/models.md: what a profile may say, and what is known by name."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise

from docs.contract import table
from runtime.model.families import FAMILIES
from runtime.model.profiles import Profile


def profile_table() -> str:
    """Every field of a profile: what it takes, its default, and what it means."""
    told = dict(_told())
    types = {each.name: each.type for each in fields(Profile)}
    defaults = Profile()
    rows = [
        (f"`{name}`", _type(str(types[name])), _value(getattr(defaults, name)), words)
        for name, words in told.items()
    ]
    return table(("field", "takes", "default", "what it is"), rows)


def families_table() -> str:
    """What is known by name, in the order that it is applied."""
    rows = [
        (f"`{pattern}`", ", ".join(f"`{name} = {_toml(value)}`" for name, value in changes.items()))
        for pattern, changes in FAMILIES
    ]
    return table(("name", "what differs"), rows)


def _told() -> Iterator[tuple[str, str]]:
    """The fields with the strings below them, which only the source holds."""
    tree = ast.parse(inspect.getsource(Profile))
    body = next(each.body for each in tree.body if isinstance(each, ast.ClassDef))
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            yield field.target.id, _string(below)


def _string(each: ast.stmt) -> str:
    match each:
        case ast.Expr(value=ast.Constant(value=str() as text)):
            return " ".join(text.split()).replace("|", "\\|")
        case _:
            return ""


def _type(written: str) -> str:
    words = {
        "str": "text",
        "int": "a number",
        "float": "a number",
        "bool": "true, false",
        "tuple[str, ...]": "a list of words",
        "Mapping[str, Any]": "a table",
    }
    return ", ".join(
        words.get(part, part.removeprefix("Literal[").removesuffix("]").replace("'", "`"))
        for part in written.split(" | ")
        if part != "None"
    )


def _value(value: object) -> str:
    return "–" if value in (None, (), {}) else f"`{_toml(value)}`"


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case None:
            return "–"
        case _:
            return str(value)
