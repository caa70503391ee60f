"""Reasoning that only the model can read: sealed, and to be said back with what it led to. Pure.

The rules reason about nothing; but what a server must do with a reasoning model's items can
be tried with theirs, which are refused as OpenAI's are where they come back changed, alone, or
without what they led to.
"""

import base64
import hashlib
import uuid
from collections.abc import Sequence
from typing import Any, Final

from devstack.offline_model.refusals import Refused
from devstack.offline_model.telling import Json

_REASONING: Final = "reasoning"
_LED_TO: Final = ("message", "function_call")


def thought() -> dict[str, Any]:
    """Returns a new reasoning item."""
    name = uuid.uuid4().hex
    return {
        "id": f"rs_{name}",
        "type": _REASONING,
        "summary": [],
        "encrypted_content": _sealed(name),
    }


def led_to(item: Json, kind: str, place: int) -> str:
    """Returns the id of what a reasoning item led to; `kind` is the id's prefix."""
    return f"{kind}_{_name(item)}_{place}"


def check(items: Sequence[Json]) -> None:
    """Raises Refused unless all reasoning came back as it was, with what belongs to it."""
    seen: set[str] = set()
    for place, item in enumerate(items):
        if item.get("type") == _REASONING:
            _check_sealed(item)
            _check_followed(item, items[place + 1 : place + 2])
            seen.add(_name(item))
        elif item.get("type") in _LED_TO and _cause(item) not in {"", *seen}:
            raise Refused(
                f"Item '{item['id']}' of type '{item['type']}' was provided without its required "
                f"'reasoning' item: 'rs_{_cause(item)}'.",
                "input",
            )


def _name(item: Json) -> str:
    return str(item.get("id") or "").removeprefix("rs_")


def _cause(item: Json) -> str:
    """The name of the reasoning that led to an item, by the item's id; empty where none did."""
    parts = str(item.get("id") or "").split("_")
    return parts[1] if len(parts) == 3 else ""


def _sealed(name: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()).decode()


def _check_sealed(item: Json) -> None:
    if not item.get("encrypted_content"):
        raise Refused(
            f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is "
            "set to false.",
            "input",
            status=404,
        )
    if item["encrypted_content"] != _sealed(_name(item)):
        raise Refused(
            f"The encrypted content for item {item.get('id')} could not be verified.",
            "input",
            code="invalid_encrypted_content",
        )


def _check_followed(item: Json, after: Sequence[Json]) -> None:
    if not any(next_item.get("type") in _LED_TO for next_item in after):
        raise Refused(
            f"Item '{item.get('id')}' of type 'reasoning' was provided without its required "
            "following item.",
            "input",
        )
