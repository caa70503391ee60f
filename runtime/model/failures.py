"""What a failed call of a model means: to the user, to a retry, and to the operator."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
import openai

from runtime.errors import SwitchboardError, word
from runtime.model import refusals
from runtime.model.meanings import about_credit, about_key, about_model, meaning
from runtime.model.refusals import Refusal
from switchboard.v3.errors_pb2 import ErrorCode

LONGEST_WAIT_MS: Final = 3_600_000
_LONGEST_LINE: Final = 300

_MISCONFIGURED: Final = ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED
_RATE_LIMITED: Final = ErrorCode.ERROR_CODE_MODEL_RATE_LIMITED
_UNAVAILABLE: Final = ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE
_REFUSED: Final = ErrorCode.ERROR_CODE_MODEL_REFUSED
_TOO_LONG: Final = ErrorCode.ERROR_CODE_CONTEXT_TOO_LONG

# The provider's own words stay out of what users are told.
_TOLD: Final = {
    _MISCONFIGURED: "The server's language model is not set up right; its operator must act.",
    _RATE_LIMITED: "The model is busy right now.",
    _UNAVAILABLE: "The model cannot be reached right now.",
    _REFUSED: "The model refused to answer.",
    _TOO_LONG: "This is more text than the model can take at once.",
}


class Unreadable(ValueError):
    """A provider answered well, but with something that the API does not have, such as a page of
    HTML. The text says what, and holds nothing of it."""


def failure(error: Exception) -> SwitchboardError:
    """What a failed call means to the user. The provider's own words stay out of it."""
    match error:
        case SwitchboardError():
            return error
        case openai.APIStatusError():
            refusal = refusals.of_error(error)
            return _told(meaning(refusal), retry_after_ms(error))
        case (
            openai.APIError()
            | asyncio.TimeoutError()
            | OSError()
            | aiohttp.ClientError()
            | Unreadable()
        ):
            return _told(_UNAVAILABLE)
        case _:
            return SwitchboardError(ErrorCode.ERROR_CODE_INTERNAL, "A fault of the server's own.")


def failure_in_stream(body: object) -> SwitchboardError:
    """What an error object means that stands where an answer's chunk would: its code and type
    tell what its status would have been."""
    refusal = refusals.of_body(body)
    return _told(meaning(refusal), _asked_ms(refusal))


def is_transient(error: Exception) -> bool:
    """Whether the same request may fare better in a moment. A time-out has waited enough."""
    match error:
        case openai.APITimeoutError():
            return _was_no_timeout(error)
        case openai.APIResponseValidationError() | openai.APIConnectionError():
            return True
        case openai.APIStatusError() | SwitchboardError():
            return failure(error).code in {_RATE_LIMITED, _UNAVAILABLE}
        case _:
            return False


def _was_no_timeout(error: openai.APITimeoutError) -> bool:
    """Whether no connection was to be had, or it was closed: the package's transport calls
    all that aiohttp says of connections a time-out."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, aiohttp.ClientError):
        cause = cause.__cause__
    return isinstance(cause, aiohttp.ClientConnectionError) and not isinstance(cause, TimeoutError)


def _told(code: ErrorCode.ValueType, wait_ms: int | None = None) -> SwitchboardError:
    return SwitchboardError(code, _TOLD[code], wait_ms if code in _WAITING else None)


_WAITING: Final = frozenset({_RATE_LIMITED, _UNAVAILABLE})


def retry_after_ms(error: openai.APIStatusError) -> int | None:
    """What the provider asks to wait, in milliseconds, at most an hour: from the headers, in
    ours, seconds or as a date; else from Google's RetryInfo or the message's words."""
    headers = error.response.headers
    for name, factor in (("retry-after-ms", 1), ("retry-after", 1000)):
        if (told := _number_ms(headers.get(name, ""), factor)) is not None:
            return told
    if (told := _date_ms(headers.get("retry-after", ""))) is not None:
        return told
    return _asked_ms(refusals.of_error(error))


def _number_ms(value: str, factor: float) -> int | None:
    try:
        return max(0, min(int(float(value) * factor), LONGEST_WAIT_MS))
    except (ValueError, OverflowError):  # infinity and what is no number among them
        return None


def _date_ms(value: str) -> int | None:
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return _number_ms(str((then - datetime.now(UTC)).total_seconds()), 1000)


_ASKED: Final = re.compile(
    r"(?:try again|retry|wait)(?: in| after)? ((?:\d+(?:\.\d+)? ?(?:ms|[hms])[a-z]* ?){1,3})"
)
_UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def _asked_ms(refusal: Refusal) -> int | None:
    asked = _ASKED.search(refusal.words)
    told = refusal.retry_delay or (asked[1] if asked else "")
    parts = re.findall(r"(\d+(?:\.\d+)?) ?(ms|[hms])", told)
    if not parts:
        return None
    return min(int(sum(float(number) * _UNITS_MS[unit] for number, unit in parts)), LONGEST_WAIT_MS)


_PREFIX: Final = {"classify": "ROUTER", "embed": "EMBEDDING"}
"""What the settings of an operation begin with; AGENT is all others'."""


def log_failure(log: logging.Logger, error: Exception, operation: str) -> None:
    """One line for the operator: `operation` is what the call was for, such as chat.

    Never a key, nor what was sent: a message stands in it only where the provider speaks of
    the set-up or the form of the request, without what it quotes at length.
    """
    match error:
        case openai.APIStatusError():
            _log(log, operation, refusals.of_error(error), _key(error), _sent(error))
        case openai.APIConnectionError():
            how = _how(error)
            _tell(log, operation, failure(error).code, [how], _where(error, operation))
        case Unreadable():
            url = f"OPENAI_BASE_URL (or {_prefix(operation)}_BASE_URL)"
            hint = f" - is {url} right, and does it end as the provider says, such as in /v1?"
            _tell(log, operation, failure(error).code, [str(error)], hint)
        case _:
            _tell(log, operation, failure(error).code, [type(error).__name__], "")


def _how(error: openai.APIConnectionError) -> str:
    if isinstance(error, openai.APITimeoutError) and not _was_no_timeout(error):
        return "timed out"
    return "refused the connection, or closed it without an answer"


def log_failure_in_stream(
    log: logging.Logger, body: object, operation: str, *, key: str, sent: str = ""
) -> None:
    """The same line for an error object that stands where an answer's chunk would."""
    _log(log, operation, refusals.of_body(body), key, sent)


def _log(log: logging.Logger, operation: str, refusal: Refusal, key: str, sent: str) -> None:
    code = meaning(refusal)
    told = [f"status {refusal.status}"]
    if _WORD.fullmatch(name := refusal.code or refusal.kind):
        told.append(safe(f"code {name}", key=key))
    if _WORD.fullmatch(refusal.param):
        told.append(safe(f"parameter {refusal.param}", key=key))
    if refusal.message and code == _MISCONFIGURED and not quotes(refusal.message, sent):
        told.append(safe(refusal.message, key=key))
    hint = _hint(refusal, _prefix(operation)) if code == _MISCONFIGURED else ""
    _tell(log, operation, code, told, hint)


def _tell(
    log: logging.Logger, operation: str, code: ErrorCode.ValueType, told: list[str], hint: str
) -> None:
    level = logging.ERROR if code == _MISCONFIGURED else logging.WARNING
    line = f"{word(code)}: {', '.join(told)}{hint}"
    log.log(level, "model call failed (%s): %s", operation, line)


def _prefix(operation: str) -> str:
    return _PREFIX.get(operation, "AGENT")


def _where(error: openai.APIConnectionError, operation: str) -> str:
    at, url = error.request.url, f"OPENAI_BASE_URL (or {_prefix(operation)}_BASE_URL)"
    where = at.host if at.port is None else f"{at.host}:{at.port}"
    return f" - is {url} right, and does something listen at {where}?"


def _hint(refusal: Refusal, prefix: str) -> str:
    if about_credit(refusal):
        return " - is there credit left?"
    if refusal.status in {401, 403} or about_key(refusal):
        key = f"OPENAI_API_KEY or {prefix}_API_KEY"
        return f" - is the API key right ({key}), and may it use this model?"
    if refusal.status == 404 or about_model(refusal):
        return f" - are {prefix}_MODEL and OPENAI_BASE_URL (or {prefix}_BASE_URL) right?"
    return " - does the model's profile fit (docs/models.md)?"


_WORD: Final = re.compile(r"[\w.:/\[\]-]{1,80}")
_QUOTE: Final = 3  # words in a row: two may stand in any sentence


def quotes(message: str, sent: str) -> bool:
    """Whether an error repeats what was sent, and so perhaps what a user wrote."""
    said, asked = (re.findall(r"\w+", text.casefold()) for text in (message, sent))
    runs = {tuple(asked[at : at + _QUOTE]) for at in range(len(asked) - _QUOTE + 1)}
    return any(tuple(said[at : at + _QUOTE]) in runs for at in range(len(said) - _QUOTE + 1))


def _sent(error: openai.APIStatusError) -> str:
    try:
        return error.request.content.decode("utf-8", "replace")
    except RuntimeError:  # a body that was streamed, which none of ours is
        return ""


# Words that are joined, such as codes and names of models, are no secrets, however long.
_PART: Final = r"[A-Za-z]{0,20}(?:\d{1,4}[A-Za-z]?)?"
_SECRETS: Final = re.compile(
    r"(?i:bearer|basic)\s+\S+|\b(?:(?:sk|pk|gsk|xai|key|hf)[-_]|AIza)[\w*.-]{6,}|\S*\*{2,}\S*"
    rf"|(?<![\w-])(?!{_PART}(?:[_-]{_PART})+(?![\w-]))[\w-]{{25,}}"
)
_QUOTED: Final = re.compile(r"(['\"`])((?:(?!\1).){40,}?)\1", re.DOTALL)
_INPUT: Final = re.compile(r"['\"]?\binput(?:_value)?['\"]?\s*[:=].*", re.DOTALL)


def safe(message: str, *, key: str = "", longest: int = _LONGEST_LINE) -> str:
    """A provider's message on one line, without keys, and without long quotations."""
    if len(key) > 4:
        message = message.replace(key, "[key]")
    message = _SECRETS.sub("[…]", _INPUT.sub("[…]", _QUOTED.sub(r"\1…\1", message)))
    message = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return message if len(message) <= longest else message[: longest - 1] + "…"


def _key(error: openai.APIStatusError) -> str:
    return str(error.request.headers.get("authorization", "")).removeprefix("Bearer ")
