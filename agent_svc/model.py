"""The model, through the openai package: one call is one streamed answer.

The package makes the request, knows the key and maps its errors; the answer is read as raw
bytes by an adapter of ours (`apis`), which costs a thirtieth of the typed stream.

A call is made again, within the call, as long as nothing of its answer was shown:

- at once, without what the provider refused by name (`runtime.model.lessons`)
- at once, with less of the conversation, where it was too long
- after a while, where the failure may pass

So what a run sees of a call is its answer, or the reason why there is none.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

import httpx2
import openai

from agent_svc.apis import APIS, Api
from agent_svc.cost import Cost
from agent_svc.events import (
    Event,
    Finish,
    ProviderError,
    Refused,
    Text,
    ToolCallReady,
    Truncated,
    Usage,
)
from agent_svc.request import Request, Taught
from agent_svc.shown import Shown
from runtime.errors import SwitchboardError
from runtime.model import refusals
from runtime.model.client import calling
from runtime.model.failures import (
    Unreadable,
    failure,
    failure_in_stream,
    is_transient,
    log_failure,
    log_failure_in_stream,
)
from runtime.model.profiles import Profiles
from runtime.model.refusals import Refusal
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

Message: TypeAlias = dict[str, Any]

ATTEMPTS: Final = 3
LONGEST_WAIT_S: Final = 10.0
"""A provider that asks for more than this is told on to the client, who can wait better."""

# For the connection to be used again its body must be read to the end, which comes with
# the last chunk or not at all.
_DRAIN_S: Final = 0.2
# After a finish only usage may come, which most send within the same packet.
_AFTER_FINISH_S: Final = 0.5

_BROKE: Final = (httpx2.HTTPError, openai.APIError, OSError)


class Working:
    """The model writes what is not shown: it thinks, or writes the arguments of a call."""

    __slots__ = ()


WORKING: Final = Working()
Said: TypeAlias = Text | ToolCallReady | Working


class ModelCall(Protocol):
    """One call of a model."""

    def said(self) -> AsyncGenerator[Said, None]:
        """Makes the call: text as it comes, then whole tool calls. Raises SwitchboardError."""

    def kept(self) -> dict[str, Any]:
        """The assistant message as the model wrote it, its role and tool calls apart."""

    def reason(self) -> str:
        """The word that it ended with, as the provider says it."""

    def cost(self) -> Cost:
        """What it has cost so far."""


class Model:
    """A model of an OpenAI-compatible provider."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        name: str,
        profiles: Profiles,
        *,
        backoff_s: float = 0.5,
    ) -> None:
        self._client = client
        self._name = name
        self._taught = Taught(profiles, name)
        self._backoff_s = backoff_s

    def __repr__(self) -> str:
        return f"Model({self._name})"

    @property
    def takes_tools(self) -> bool:
        """Whether it can call any, as far as is known."""
        return self._taught.profile.tools

    def call(self, messages: list[Message], tools: list[dict[str, Any]]) -> ModelCall:
        """A call, not yet made."""
        request = Request(self._taught, messages, tools)
        return _Call(self._client, self._name, request, self._backoff_s)


class _Failed(Exception):
    """The call failed before anything of it was shown. `refusal`: what the provider said;
    `tell`: writes it to the log, where nothing could be learned of it."""

    def __init__(
        self,
        meant: SwitchboardError,
        *,
        passes: bool,
        tell: Callable[[], None],
        refusal: Refusal | None = None,
    ) -> None:
        super().__init__(meant.message)
        self.meant = meant
        self.passes = passes
        self.tell = tell
        self.refusal = refusal


class _Call:
    def __init__(
        self, client: openai.AsyncOpenAI, model: str, request: Request, backoff_s: float
    ) -> None:
        self._client = client
        self._model = model
        self._request = request
        self._backoff_s = backoff_s
        self._api: Api = APIS[request.profile.api]
        self._answer = self._api.answer()
        self._shown = Shown(request)
        self._reason = ""
        self._reported: Usage | None = None
        self._under_way = self._ended = False
        self._before = Cost()  # attempts whose answers came to nothing

    def cost(self) -> Cost:
        """As the provider reported; else, once the call is under way, as counted here."""
        total = Cost()
        total.add(self._before)
        total.add(self._cost())
        return total

    def kept(self) -> dict[str, Any]:
        return self._shown.kept | self._answer.kept | self._shown.in_place

    def reason(self) -> str:
        return self._reason

    def _cost(self) -> Cost:
        reported = self._reported
        if reported is not None and self._ended:
            return Cost(reported.input_tokens, reported.output_tokens, 1)
        if not self._under_way:
            return Cost()
        written = self._request.tokens(self._answer.characters)
        if reported is None:
            return Cost(self._request.asked, written, 1, estimated=True)
        # Some report before the end, and what they say then may be of the beginning only.
        said = max(reported.output_tokens, written)
        return Cost(reported.input_tokens, said, 1, estimated=True)

    async def said(self) -> AsyncGenerator[Said, None]:
        failures = 0
        while True:
            try:
                async with aclosing(self._attempt()) as events:
                    async for event in events:
                        yield event
            except _Failed as failed:
                if self._request.mended(failed.refusal, failed.meant.code):
                    continue
                failed.tell()
                failures += 1
                wait_s = self._wait_s(failures, failed.meant.retry_after_ms)
                if not failed.passes or failures == ATTEMPTS or wait_s > LONGEST_WAIT_S:
                    raise failed.meant from failed.__cause__
                log.info("the model call failed before its first token: trying again")
                await asyncio.sleep(wait_s)
            else:
                self._request.succeeded(self._reported)
                return

    def _wait_s(self, attempt: int, asked_ms: int | None) -> float:
        if asked_ms is not None:
            return asked_ms / 1000
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - spreads the retries, guards nothing
        return self._backoff_s * jitter * (1 << (attempt - 1))

    async def _attempt(self) -> AsyncGenerator[Said, None]:
        if self._answer.characters:
            self._before.add(self._cost())
        self._api = APIS[self._request.profile.api]
        self._answer, self._reported = self._api.answer(), None
        self._under_way, self._ended = True, False
        body = self._request.body(self._api)
        try:
            with calling("chat", self._model, messages=len(self._request.messages)):
                async with (
                    self._api.send(self._client, body) as response,
                    aclosing(self._read(response.iter_bytes())) as events,
                ):
                    async for event in events:
                        yield event
        except openai.APIError as error:
            self._under_way = False  # no answer was opened, and so nothing spent
            refusal = refusals.of_error(error) if isinstance(error, openai.APIStatusError) else None
            raise _Failed(
                failure(error),
                passes=is_transient(error),
                tell=partial(log_failure, log, error, "chat"),
                refusal=refusal,
            ) from error

    async def _read(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[Said, None]:
        self._shown = shown = Shown(self._request)
        spoke = False
        async with aclosing(self._pieces(pieces)) as read:
            async for piece in read:
                events = self._noted(self._answer.feed(piece))
                said = shown.feed(events, apart=self._answer.thinks_apart)
                for event in said:
                    spoke = True
                    yield event
                if not said:
                    yield WORKING
        *rest, ending = self._answer.close()
        self._ended = True
        for event in shown.close(self._noted(rest), whole=isinstance(ending, Finish)):
            spoke = True
            yield event
        self._end(ending, spoke=spoke)

    async def _pieces(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The body, as far as it matters. A connection that breaks ends it, too: whether the
        answer is whole is told by what came before."""
        patience: float | None = None
        time = asyncio.get_running_loop().time
        while not self._answer.over:
            try:
                async with asyncio.timeout_at(patience):
                    piece = await anext(pieces, None)
            except TimeoutError:
                return
            except _BROKE as error:
                log.info("the model's answer broke off (%s)", type(error).__name__)
                return
            if piece is None:
                return
            written = self._answer.characters
            yield piece
            if self._answer.finished and (patience is None or self._answer.characters > written):
                patience = time() + _AFTER_FINISH_S
        await _drain(pieces)

    def _tell(self, code: str, body: object) -> None:
        if body is None:
            log_failure(log, Unreadable(f"the answer cannot be read, {code}"), "chat")
        else:
            sent = str(self._request.messages)
            log_failure_in_stream(log, body, "chat", key=self._client.api_key, sent=sent)

    def _noted(self, events: list[Event]) -> list[Event]:
        for event in events:
            if isinstance(event, Usage):
                self._reported = event
        return events

    def _end(self, ending: Event, *, spoke: bool) -> None:
        match ending:
            case Finish(reason):
                self._reason = reason
            case Refused():
                raise SwitchboardError(
                    ErrorCode.ERROR_CODE_MODEL_REFUSED, "The model refused to answer."
                )
            case ProviderError(code, body):
                tell = partial(self._tell, code, body)
                meant = failure_in_stream(body)
                if spoke:
                    tell()
                    refused = meant.code == ErrorCode.ERROR_CODE_MODEL_REFUSED
                    raise meant if refused else _truncated()
                refusal = refusals.of_body(body)
                raise _Failed(meant, passes=is_transient(meant), tell=tell, refusal=refusal)
            case Truncated(reason):
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


def _truncated() -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_MODEL_TRUNCATED, "The model's answer broke off.")
