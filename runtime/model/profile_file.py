"""Reads the file of MODEL_PROFILES: one table a name pattern, its keys the fields of a profile.

["qwen3*"]
temperature = 0.6
extra_body = {top_k = 20}
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeAlias, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from runtime.model.profiles import Changes, Profile

Rules: TypeAlias = tuple[tuple[str, Changes], ...]

_FIELDS: Final = {
    each.name: TypeAdapter[Any](
        get_type_hints(Profile)[each.name], config=ConfigDict(allow_inf_nan=False)
    )
    for each in fields(Profile)
}

_COUNTS: Final = frozenset({"context_window", "max_output_tokens"})
# What a request is made of; a profile has settings of its own for the rest.
_OURS: Final = frozenset(
    {"messages", "input", "instructions", "model", "tools", "stream", "store", "include"}
)


def read(path: str | Path) -> Rules:
    """The rules of a file, in its order. Raises ValueError with what is wrong and where."""
    try:
        tables = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    return tuple(
        (pattern, _changes(f"{path}: [{pattern}]", told)) for pattern, told in tables.items()
    )


def _changes(where: str, told: object) -> Changes:
    if not isinstance(told, dict):
        raise ValueError(f"{where} is no table: begin with a model's name in brackets")
    return {key: _value(f"{where} {key}", key, value) for key, value in told.items()}


def _value(where: str, key: str, value: object) -> Any:
    if key not in _FIELDS:
        near = get_close_matches(key, _FIELDS, 1)
        raise ValueError(
            f"{where}: no such setting" + (f", did you mean {near[0]}?" if near else "")
        )
    if key in _COUNTS and isinstance(value, int) and value < 1:
        raise ValueError(f"{where}: must be 1 or more")
    if key == "extra_body" and isinstance(value, dict) and (ours := _OURS & value.keys()):
        raise ValueError(f"{where}: may not set {', '.join(sorted(ours))}")
    try:
        return _FIELDS[key].validate_python(value, strict=key != "schema_without")
    except ValidationError as error:
        raise ValueError(f"{where}: {error.errors()[0]['msg']}") from None
