"""What a model is told of arguments that do not fit a tool, so that it can mend them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from jsonschema.exceptions import ValidationError

from agent_svc.arguments import TIMES
from agent_svc.nearest import hint

_MOST_PROBLEMS: Final = 4
_MOST_CHARS: Final = 300


def problems(misfits: Iterable[ValidationError]) -> str:
    """The first few things that are wrong, in sentences; empty where nothing is.

    No more are looked at: a model may write thousands of names that there are not.
    """
    told = [*islice((line for misfit in misfits for line in _told(misfit)), _MOST_PROBLEMS + 1)]
    more = " And more is wrong." if len(told) > _MOST_PROBLEMS else ""
    return " ".join(told[:_MOST_PROBLEMS]) + more


def _told(misfit: ValidationError) -> Iterator[str]:
    where = ".".join(str(step) for step in misfit.absolute_path)
    here: Any = misfit.schema
    given: Any = misfit.instance
    match misfit.validator:
        case "additionalProperties":
            yield from _unknown(given, list(here.get("properties", {})), where)
        case "enum" if isinstance(given, str):
            words = [str(word) for word in here["enum"]]
            yield f"{where}: {_short(given)} is none of {', '.join(words)}.{hint(given, words)}"
        case "type" if here.get("format") in TIMES:
            yield (
                f"{where}: {_short(given)} is no time. Give a local date such as 2026-12-01, or a"
                " date and time such as 2026-12-01T09:30."
            )
        case "maxItems" | "maxLength":
            yield f"{where}: {len(given)} is too long, {misfit.validator_value} is the most."
        case _:
            text = misfit.message[:_MOST_CHARS]
            yield f"{where}: {text}." if where else f"{text}."


def _unknown(given: Iterable[str], fields: list[str], where: str) -> Iterator[str]:
    inside = f" in {where}" if where else ""
    for name in given:
        if name not in fields:
            yield (
                f"There is no argument {_short(name)}{inside}.{hint(name, fields)}"
                f" The arguments are {', '.join(fields)}."
            )


def _short(value: object) -> str:
    text = str(value)
    return f"'{text[:40]}…'" if len(text) > 41 else f"'{text}'"
