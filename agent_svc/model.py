"""The model, through the openai package: one call is one streamed answer.

The package makes the request, knows the key and maps its errors; the answer is read
as raw bytes and decoded by `parts`, which costs a thirtieth of the typed stream.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import aiohttp
import httpx2
import openai
import orjson

from agent_svc import events as parts
from agent_svc.apis import APIS, Api
from runtime.errors import SwitchboardError
from runtime.model.client import calling
from runtime.model.failures import failure
from runtime.model.profiles import Profile
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import Usage

log = logging.getLogger(__name__)

Message: TypeAlias = dict[str, Any]
Said: TypeAlias = parts.Text | parts.ToolCallReady

ATTEMPTS: Final = 3
LONGEST_WAIT_S: Final = 10.0
"""A provider that asks for more than this is told on to the client, who can wait better."""

_CHARS_PER_TOKEN: Final = 4
# For the connection to be used again its body must be read to the end, which comes with
# the last chunk or not at all.
_DRAIN_S: Final = 0.2

_BROKE: Final = (httpx2.HTTPError, openai.APIError, OSError)


@dataclass(slots=True)
class Cost:
    """What models were asked and said, over any number of calls."""

    input_tokens: int = 0
    output_tokens: int = 0
    model_calls: int = 0
    estimated: bool = False

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens

    def add(self, other: Cost) -> None:
        """Adds what another call cost."""
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.model_calls += other.model_calls
        self.estimated |= other.estimated

    def to_proto(self) -> Usage:
        """The cost as it stands in frames; `estimated` only where it is true."""
        return Usage(
            input_tokens=min(self.input_tokens, parts.MAX_TOKENS),
            output_tokens=min(self.output_tokens, parts.MAX_TOKENS),
            model_calls=self.model_calls,
            estimated=self.estimated or None,
        )


class ModelCall(Protocol):
    """One call of a model."""

    def said(self) -> AsyncGenerator[Said, None]:
        """Makes the call: text as it comes, then whole tool calls. Raises SwitchboardError."""

    def cost(self) -> Cost:
        """What it has cost so far."""


class Model:
    """A model of an OpenAI-compatible provider."""

    def __init__(
        self, client: openai.AsyncOpenAI, name: str, *, api: str = "chat", backoff_s: float = 0.5
    ) -> None:
        self._client = client
        self._name = name
        self._backoff_s = backoff_s
        self._api = APIS[api]

    def __repr__(self) -> str:
        return f"Model({self._name})"

    def call(self, messages: list[Message], tools: list[dict[str, Any]]) -> ModelCall:
        """A call, not yet made."""
        body = self._api.body(Profile(), self._name, messages, tools)
        asked = _tokens(len(orjson.dumps([messages, tools])))
        return _Call(self._client, self._api, body, (len(messages), asked), self._backoff_s)


class _Retry(SwitchboardError):
    """The call failed before the first token, in a way that may pass."""

    def __init__(self, meant: SwitchboardError) -> None:
        super().__init__(meant.code, meant.message, meant.retry_after_ms)
        self.meant = meant


class _Call:
    def __init__(
        self,
        client: openai.AsyncOpenAI,
        api: Api,
        body: dict[str, Any],
        asked: tuple[int, int],
        backoff_s: float,
    ) -> None:
        self._client = client
        self._api = api
        self._body = body
        self._backoff_s = backoff_s
        self._answer = self._api.answer()
        self._reported: parts.Usage | None = None
        self._under_way = False
        self._messages, self._asked = asked  # how many, and in tokens, estimated

    def cost(self) -> Cost:
        """As the provider reported; else, once the call is under way, as counted here."""
        if self._reported is not None:
            return Cost(self._reported.input_tokens, self._reported.output_tokens, 1)
        if not self._under_way:
            return Cost()
        return Cost(self._asked, _tokens(self._answer.characters), 1, estimated=True)

    async def said(self) -> AsyncGenerator[Said, None]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with aclosing(self._attempt()) as events:
                    async for event in events:
                        yield event
                return
            except _Retry as retry:
                wait_s = self._wait_s(attempt, retry.meant.retry_after_ms)
                if attempt == ATTEMPTS or wait_s > LONGEST_WAIT_S:
                    raise retry.meant from retry.__cause__
                log.info("the model call failed before its first token: trying again")
                await asyncio.sleep(wait_s)

    def _wait_s(self, attempt: int, asked_ms: int | None) -> float:
        if asked_ms is not None:
            return asked_ms / 1000
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - spreads the retries, guards nothing
        return self._backoff_s * jitter * (1 << (attempt - 1))

    async def _attempt(self) -> AsyncGenerator[Said, None]:
        self._answer, self._reported, self._under_way = self._api.answer(), None, True
        try:
            with calling("chat", self._body["model"], messages=self._messages):
                async with (
                    self._api.send(self._client, self._body) as response,
                    aclosing(self._read(response.iter_bytes())) as events,
                ):
                    async for event in events:
                        yield event
        except openai.APIError as error:
            self._under_way = False  # no answer was opened, and so nothing spent
            _log(error)
            raise (_Retry(failure(error)) if _may_pass(error) else failure(error)) from error

    async def _read(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[Said, None]:
        spoke = False
        try:
            async for piece in pieces:
                for event in self._noted(self._answer.feed(piece)):
                    spoke = True
                    yield event
                if self._answer.over:
                    await _drain(pieces)
                    break
        except _BROKE as error:
            log.info("the model's answer broke off (%s)", type(error).__name__)
            raise _truncated() from error
        *rest, ending = self._answer.close()
        for event in self._noted(rest):
            spoke = True
            yield event
        self._end(ending, spoke=spoke)

    def _noted(self, events: list[parts.Event]) -> list[Said]:
        said: list[Said] = []
        for event in events:
            match event:
                case parts.Usage():
                    self._reported = event
                case parts.Text() | parts.ToolCallReady():
                    said.append(event)
        return said

    def _end(self, ending: parts.Event, *, spoke: bool) -> None:
        match ending:
            case parts.Finish():
                return
            case parts.Refused():
                raise SwitchboardError(
                    ErrorCode.ERROR_CODE_MODEL_REFUSED, "The model refused to answer."
                )
            case parts.ProviderError(code):
                log.warning("the provider sent an error in its answer: %s", code)
                raise _truncated() if spoke else _error_before_text(code)
            case parts.Truncated(reason):
                log.info("the model's answer is not whole: %s", reason)
                raise _truncated()
            case _:
                raise AssertionError(f"an answer cannot end with {type(ending).__name__}")


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in pieces:
                pass
    except (TimeoutError, *_BROKE):
        pass  # all that matters is here; the connection is closed instead


def _may_pass(error: openai.APIError) -> bool:
    """Whether the same request may fare better in a moment. A time-out has waited enough."""
    match error:
        case openai.APITimeoutError():
            return _was_no_timeout(error)
        case openai.RateLimitError():
            return error.code != "insufficient_quota"
        case openai.APIStatusError():
            return error.status_code >= 500 or error.status_code in {408, 409}
        case _:
            return isinstance(error, openai.APIConnectionError)


def _was_no_timeout(error: openai.APITimeoutError) -> bool:
    """Whether no connection was to be had, or it was closed: the package's transport calls
    all that aiohttp says of connections a time-out."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, aiohttp.ClientError):
        cause = cause.__cause__
    return isinstance(cause, aiohttp.ClientConnectionError) and not isinstance(cause, TimeoutError)


def _log(error: openai.APIError) -> None:
    """Kind and status: what an operator needs, none of it a user's or secret."""
    status = error.status_code if isinstance(error, openai.APIStatusError) else None
    if status in {401, 403}:
        log.error(
            "the model provider refused the key (status %s): is OPENAI_API_KEY right, and"
            " may it use this model?",
            status,
        )
    else:
        log.warning("the model call failed: %s, status %s", type(error).__name__, status)


def _error_before_text(code: str) -> Exception:
    """An error in place of the first chunk: what its status would have said."""
    if code in {"content_filter", "content_policy_violation"}:
        return SwitchboardError(ErrorCode.ERROR_CODE_MODEL_REFUSED, "The model refused to answer.")
    if code == "429" or "rate_limit" in code:
        return _Retry(
            SwitchboardError(
                ErrorCode.ERROR_CODE_MODEL_RATE_LIMITED, "The model is busy right now."
            )
        )
    return _Retry(
        SwitchboardError(
            ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, "The model cannot be reached right now."
        )
    )


def _truncated() -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_MODEL_TRUNCATED, "The model's answer broke off.")


def _tokens(characters: int) -> int:
    return -(-characters // _CHARS_PER_TOKEN)
