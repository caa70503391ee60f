"""PURE: what a provider's error says, read from whichever dress it comes in.

OpenAI writes {"error": {"message", "type", "param", "code"}}. Others put the mapping bare, in
a list, a number into `code`, FastAPI's `detail` with the place and the words of each fault, or
a plain line in place of all of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import openai

LONGEST: Final = 2_000
"""Characters of a message that are looked at."""

# What such an error would have had as its status, when it stands in a body with another.
_STATUS_OF: Final[tuple[tuple[str, int], ...]] = (
    ("rate_limit", 429),
    ("too_many_requests", 429),
    ("resource_exhausted", 429),
    ("insufficient_quota", 429),
    ("overloaded", 529),
    ("unavailable", 503),
    ("timeout", 504),
    ("authentication", 401),
    ("invalid_api_key", 401),
    ("permission", 403),
    ("not_found", 404),
    ("invalid_request", 400),
    ("invalid_argument", 400),
    ("bad_request", 400),
    ("badrequest", 400),
)


# What was sent, which FastAPI's faults repeat.
_QUOTED_INPUT: Final = re.compile(r"\\?['\"]input\\?['\"]: ?.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider's error. `status`: of HTTP, or what its code amounts to; words in lower case
    where they are only compared; all of it may be empty but the status."""

    status: int
    code: str = ""
    kind: str = ""
    param: str = ""
    message: str = ""
    retry_delay: str = ""

    @property
    def codes(self) -> str:
        """Code and type, to look for words in: providers put the telling one in either."""
        return f"{self.code} {self.kind}".lower()

    @property
    def words(self) -> str:
        """The message, to look for words in."""
        return self.message.lower()


def of_error(error: openai.APIStatusError) -> Refusal:
    """What an HTTP error says."""
    return of_body(error.body, error.status_code)


def of_body(body: object, status: int | None = None) -> Refusal:
    """What a decoded body says; without a status, its code and type tell one (else 500)."""
    outer = _mapping(body)
    inner = _mapping(outer.get("error", outer)) or _mapping(outer.get("detail")) or outer
    told = (inner.get("detail", outer.get("detail")), inner.get("message"))
    detail = next((each for each in map(_details, told) if each[1]), ("", ""))
    message = detail[1] or _text(inner.get("message")) or _text(outer.get("error"))
    message = message or _text(outer.get("detail")) or _text(body) or _text(inner.get("msg"))
    message = _QUOTED_INPUT.sub("", message[:LONGEST])
    code, kind = _text(inner.get("code")), _text(inner.get("type") or inner.get("status"))
    return Refusal(
        status=_status(code, kind) if status is None else status,
        code=code[:100],
        kind=kind[:100],
        param=(_text(inner.get("param")) or detail[0] or _place(message))[:200],
        message=message,
        retry_delay=_retry_delay(inner.get("details")),
    )


def _status(code: str, kind: str) -> int:
    if re.fullmatch("[45][0-9]{2}", code):
        return int(code)
    told = f"{code} {kind}".lower()
    return next((status for word, status in _STATUS_OF if word in told), 500)


def _mapping(value: object) -> Mapping[str, Any]:
    if isinstance(value, list) and value:  # Google puts its error into a list
        value = value[0]
    if not isinstance(value, dict):
        return {}
    inner = value.get("error")
    return inner if isinstance(inner, dict) else value


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _details(value: object) -> tuple[str, str]:
    """Place and words of FastAPI's faults, without `input`, which quotes what was sent."""
    if isinstance(value, dict):
        value = value.get("detail", value.get("message"))
    if isinstance(value, str) or not isinstance(value, list):
        return "", ""
    faults = [fault for fault in value if isinstance(fault, dict)][:5]
    places = [
        ".".join(str(step) for step in fault["loc"] if step != "body")
        for fault in faults
        if isinstance(fault.get("loc"), list | tuple)
    ]
    told = [_text(fault.get("msg")) + " " + _text(fault.get("type")) for fault in faults]
    words = "; ".join(f"{place}: {said.strip()}" for place, said in zip(places, told, strict=False))
    return (places[0] if places else ""), words


def _place(message: str) -> str:
    """Where the first fault is, in a list of FastAPI's that was written into the message."""
    told = re.search(r"['\"]loc\\?['\"]: ?[\[(]([^\])]*)[\])]", message)
    steps = re.findall(r"[\w-]+", told[1]) if told else []
    return ".".join(step for step in steps if step != "body")


def _retry_delay(details: object) -> str:
    """Google's RetryInfo, such as `23s`."""
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and isinstance(delay := detail.get("retryDelay"), str):
            return delay
    return ""
