"""The OpenAI API over HTTP: models, chat completions, responses, embeddings."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from aiohttp import web

from devstack.offline_model import classify, embed, rehearsal, rules
from devstack.offline_model.answers import Answer
from devstack.offline_model.completions import Completion
from devstack.offline_model.refusals import Refused, check_chat, check_responses
from devstack.offline_model.rehearsal import Mishap, Rehearsal
from devstack.offline_model.responses import Response, chat_form
from devstack.offline_model.rules import Calls, Step
from devstack.offline_model.telling import MODEL, Reason, Telling, count_tokens, tokens
from devstack.offline_model.turn import turn_of

log = logging.getLogger(__name__)

MAX_BODY: Final = 16 * 1024 * 1024

Json = Mapping[str, Any]


def app(
    tokens_per_s: float, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> web.Application:
    """Returns the server; an answer streams at `tokens_per_s`, 0 as fast as it can."""
    model = _Model(tokens_per_s, clock)
    application = web.Application(client_max_size=MAX_BODY)
    application.add_routes(
        [
            web.get("/healthz", model.health),
            web.get("/v1/models", model.models),
            web.post("/v1/chat/completions", model.chat),
            web.post("/v1/responses", model.responses),
            web.post("/v1/embeddings", model.embeddings),
        ]
    )
    return application


@dataclass(frozen=True, slots=True)
class Plan:
    """What is answered: a rehearsal, or events, streamed or whole."""

    telling: Telling
    said: Rehearsal | Iterable[Json]
    streamed: bool = True


class _Model:
    def __init__(self, tokens_per_s: float, clock: Callable[[], datetime]) -> None:
        self._pause = 1 / tokens_per_s if tokens_per_s else 0.0
        self._clock = clock

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def models(self, _request: web.Request) -> web.Response:
        listed = [{"id": MODEL, "object": "model", "created": 0, "owned_by": "switchboard"}]
        return web.json_response({"object": "list", "data": listed})

    async def embeddings(self, request: web.Request) -> web.Response:
        body = await _body(request)
        given = body.get("input", "")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts:
            raise _bad("'input' must be a string or a list that is not empty.")
        dimensions = body.get("dimensions", embed.DIMENSIONS)
        if not isinstance(dimensions, int) or not 1 <= dimensions <= embed.DIMENSIONS:
            raise _bad(f"'dimensions' must be 1 to {embed.DIMENSIONS}.")
        encoding = body.get("encoding_format", "float")
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": embed.wire(embed.embed(str(text), dimensions), encoding),
            }
            for index, text in enumerate(texts)
        ]
        spent = sum(count_tokens(str(text)) for text in texts)
        usage = {"prompt_tokens": spent, "total_tokens": spent}
        return web.json_response({"object": "list", "data": data, "model": MODEL, "usage": usage})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, self._chat_plan(await _body(request)))

    def _chat_plan(self, body: Json) -> "Plan":
        with _refusing():
            check_chat(body)
        most = body.get("max_completion_tokens", body.get("max_tokens"))
        return self._plan(body, Completion(body), most)

    async def responses(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, self._response_plan(await _body(request)))

    def _response_plan(self, body: Json) -> "Plan":
        with _refusing():
            check_responses(body)
            asked = chat_form(body)
        return self._plan(asked, Response(body, asked), body.get("max_output_tokens"))

    def _plan(self, asked: Json, telling: Telling, most: int | None) -> "Plan":
        """What to answer to a request in the form of chat completions, with `most` tokens."""
        if (mishap := self._rehearsal(asked)) is not None:
            return Plan(telling, mishap)
        return Plan(telling, _told(self._say(asked), telling, most), bool(asked.get("stream")))

    async def _answer(self, request: web.Request, plan: "Plan") -> web.StreamResponse:
        """Answers. What was parsed of the request is forgotten: hundreds may wait here at once."""
        # Who asked may go away in mid-answer; that is no fault of anybody's.
        with contextlib.suppress(ConnectionError):
            if isinstance(plan.said, Rehearsal):
                return await self._rehearse(request, plan.said, plan.telling)
            if plan.streamed:
                return await self._stream(request, plan.said, plan.telling)
            for _ in plan.said:
                pass
        return web.json_response(plan.telling.whole())

    def _say(self, body: Json) -> "str | Calls":
        """What the model answers: a text, or calls."""
        wanted = body.get("response_format") or {}
        if wanted.get("type") == "json_schema":
            schema = wanted.get("json_schema", {}).get("schema", {})
            return orjson.dumps(classify.answer(schema, body["messages"])).decode()
        turn = turn_of(body, self._clock())
        next_step: Step = rules.step(turn)
        return next_step.render(turn.home) if isinstance(next_step, Answer) else next_step

    def _rehearsal(self, body: Json) -> Rehearsal | None:
        if not body.get("stream"):
            return None
        return rehearsal.read(turn_of(body, self._clock()).message)

    async def _rehearse(
        self, request: web.Request, asked_for: Rehearsal, telling: Telling
    ) -> web.StreamResponse:
        """Goes wrong in the way that the message asks for."""
        mishap = asked_for.mishap
        if mishap is Mishap.OUTAGE:
            raise web.HTTPServiceUnavailable(text="{}", content_type="application/json")
        if mishap is Mishap.RATE_LIMIT:
            raise web.HTTPTooManyRequests(text="{}", content_type="application/json")
        response = await _opened(request)
        pause = 1 / rehearsal.SLOW_WORDS_PER_S if mishap is Mishap.SLOW else 0.0
        if mishap is not Mishap.REFUSAL:
            for piece in rehearsal.pieces(asked_for):
                for event in telling.text(piece):
                    await response.write(telling.encoded(event))
                await asyncio.sleep(pause)
        if mishap is Mishap.CUT:
            if request.transport is not None:
                request.transport.abort()
            return response
        reasons: Mapping[Mishap, Reason] = {
            Mishap.LENGTH: "length",
            Mishap.REFUSAL: "content_filter",
        }
        for event in telling.end(reasons.get(mishap, "stop")):
            await response.write(telling.encoded(event))
        await response.write(telling.tail)
        await response.write_eof()
        return response

    async def _stream(
        self, request: web.Request, events: Iterable[Json], telling: Telling
    ) -> web.StreamResponse:
        response = await _opened(request)
        for event in events:
            await response.write(telling.encoded(event))
            await asyncio.sleep(self._pause)
        await response.write(telling.tail)
        await response.write_eof()
        return response


def _told(said: "str | Calls", telling: Telling, most: int | None) -> Iterable[Json]:
    """An answer's events, cut at so many tokens."""
    if not isinstance(said, str):
        yield from telling.calls(said.calls)
        yield from telling.end("tool_calls")
        return
    pieces = tokens(said)
    for piece in pieces[:most]:
        yield from telling.text(piece)
    yield from telling.end("stop" if most is None or len(pieces) <= most else "length")


async def _opened(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
    )
    await response.prepare(request)
    return response


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise _bad("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise _bad("The body is no JSON object.")
    return body


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Answers what is refused with its error."""
    try:
        yield
    except Refused as refused:
        raise _error(refused) from None


def _bad(message: str) -> web.HTTPException:
    return _error(Refused(message))


def _error(refused: Refused) -> web.HTTPException:
    kind = web.HTTPNotFound if refused.status == 404 else web.HTTPBadRequest
    return kind(text=orjson.dumps(refused.body()).decode(), content_type="application/json")
