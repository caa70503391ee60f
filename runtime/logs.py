"""Logs: a line tells where and for whom, never what was said.

An exception is named with the place that raised it; its text and its stack stay
out, since either may hold what a user or a provider wrote.
"""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

from runtime import tracing
from runtime.settings import Settings

_bound: ContextVar[dict[str, str]] = ContextVar("bound", default={})  # noqa: B039 - never mutated


@contextmanager
def bind(**ids: str) -> Iterator[None]:
    """Adds ids (request_id, user_id, device_id) to every line logged inside."""
    token = _bound.set({**_bound.get(), **{name: value for name, value in ids.items() if value}})
    try:
        yield
    finally:
        # A stream closed by the garbage collector leaves in another context.
        with suppress(ValueError):
            _bound.reset(token)


def configure(settings: Settings, service: str) -> None:
    """Sends this process's logs to stderr in the chosen form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(service) if settings.log_format == "json" else _Human())
    handler.addFilter(_is_no_peer_that_went)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for chatty in (
        "httpx2",
        "httpcore2",
        "openai",
        "aiohttp.access",
        "asyncio",
        "alembic.runtime.plugins",
    ):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _is_no_peer_that_went(record: logging.LogRecord) -> bool:
    """A peer that goes while it is written to is an end like others; gRPC calls it an error."""
    went = "ExecuteBatchError raised in core"
    return not (record.name.startswith("grpc") and record.getMessage().startswith(went))


def _ids() -> dict[str, str]:
    found = tracing.trace_id()
    return {**_bound.get(), "trace_id": found} if found else _bound.get()


def _origin(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    error = record.exc_info[1]
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place


class _Human(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        parts = [time, f"{record.levelname.lower():7}", record.getMessage()]
        if origin := _origin(record):
            parts.append(f"({origin})")
        parts += [f"{name}={value}" for name, value in _ids().items()]
        return _printable(" ".join(parts))


def _printable(line: str) -> str:
    """The line without what would make it two lines, or move a terminal's cursor: a device
    chooses its own id."""
    return "".join(sign if sign.isprintable() else " " for sign in line)


class _Json(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            **_ids(),
        }
        if origin := _origin(record):
            line["error"] = origin
        return orjson.dumps(line, default=str).decode()
