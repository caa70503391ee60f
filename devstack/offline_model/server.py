"""The OpenAI API over HTTP: models, chat completions (streaming or whole), embeddings."""

import asyncio
import contextlib
import itertools
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from aiohttp import web

from devstack.offline_model import classify, embed, rehearsal, rules
from devstack.offline_model.answers import Answer
from devstack.offline_model.rehearsal import Mishap, Rehearsal
from devstack.offline_model.rules import Calls, Step
from devstack.offline_model.turn import turn_of

log = logging.getLogger(__name__)

MODEL: Final = "offline-rules"
MAX_BODY: Final = 16 * 1024 * 1024
_TOKEN = re.compile(r"\s*\w{1,8}|\s*[^\w\s]{1,2}|\s+")

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
            web.post("/v1/embeddings", model.embeddings),
        ]
    )
    return application


def tokens(text: str) -> list[str]:
    """Returns a text cut into what passes for tokens here; joined they are the text again."""
    return _TOKEN.findall(text)


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
        spent = sum(len(tokens(str(text))) for text in texts)
        usage = {"prompt_tokens": spent, "total_tokens": spent}
        return web.json_response({"object": "list", "data": data, "model": MODEL, "usage": usage})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        if not isinstance(body.get("messages"), list) or not body["messages"]:
            raise _bad("'messages' must be a list that is not empty.")
        said = self._say(body)
        asked = sum(len(tokens(str(m.get("content") or ""))) for m in body["messages"])
        head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": MODEL,
        }
        # Who asked may go away in mid-answer; that is no fault of anybody's.
        with contextlib.suppress(ConnectionResetError):
            if (asked_for := self._rehearsal(body)) is not None:
                return await self._rehearse(request, asked_for, head)
            if body.get("stream"):
                wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
                return await self._stream(request, _chunks(said, head, asked, wants_usage))
        return web.json_response(_whole(said, head, asked))

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
        self, request: web.Request, asked_for: Rehearsal, head: Json
    ) -> web.StreamResponse:
        """Goes wrong in the way that the message asks for."""
        mishap = asked_for.mishap
        if mishap is Mishap.OUTAGE:
            raise web.HTTPServiceUnavailable(text="{}", content_type="application/json")
        if mishap is Mishap.RATE_LIMIT:
            raise web.HTTPTooManyRequests(text="{}", content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        pause = 1 / rehearsal.SLOW_WORDS_PER_S if mishap is Mishap.SLOW else 0.0
        if mishap is not Mishap.REFUSAL:
            for piece in rehearsal.pieces(asked_for):
                await response.write(_event(_chunk(head, {"content": piece})))
                await asyncio.sleep(pause)
        if mishap is Mishap.CUT:
            if request.transport is not None:
                request.transport.abort()
            return response
        reasons = {Mishap.LENGTH: "length", Mishap.REFUSAL: "content_filter"}
        await response.write(_event(_chunk(head, {}, reasons.get(mishap, "stop"))))
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _stream(self, request: web.Request, chunks: Iterator[Json]) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        async for chunk in self._paced(chunks):
            await response.write(_event(chunk))
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _paced(self, chunks: Iterator[Json]) -> AsyncIterator[Json]:
        for chunk in chunks:
            yield chunk
            await asyncio.sleep(self._pause)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise _bad("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise _bad("The body is no JSON object.")
    return body


def _bad(message: str) -> web.HTTPBadRequest:
    error = {"error": {"message": message, "type": "invalid_request_error", "code": None}}
    return web.HTTPBadRequest(text=orjson.dumps(error).decode(), content_type="application/json")


def _tool_calls(calls: Calls) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{uuid.uuid4().hex[:24]}",
            "type": "function",
            "function": {"name": call.tool, "arguments": orjson.dumps(call.arguments).decode()},
        }
        for call in calls.calls
    ]


def _usage(asked: int, answered: int) -> Json:
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
    }


def _whole(said: "str | Calls", head: Json, asked: int) -> Json:
    if isinstance(said, str):
        message: dict[str, Any] = {"role": "assistant", "content": said}
        reason, answered = "stop", len(tokens(said))
    else:
        made = _tool_calls(said)
        message = {"role": "assistant", "content": None, "tool_calls": made}
        reason, answered = "tool_calls", _spent(made)
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return {
        **head,
        "object": "chat.completion",
        "choices": [choice],
        "usage": _usage(asked, answered),
    }


def _spent(calls: Sequence[Json]) -> int:
    return sum(len(tokens(call["function"]["arguments"])) + 1 for call in calls)


def _event(chunk: Json) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _chunk(head: Json, delta: Json, reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
    return {**head, "object": "chat.completion.chunk", "choices": [choice]}


def _chunks(said: "str | Calls", head: Json, asked: int, wants_usage: bool) -> Iterator[Json]:
    """A streamed answer, chunk by chunk, as OpenAI cuts it."""

    def chunk(delta: Json, reason: str | None = None) -> dict[str, Any]:
        usage = {"usage": None} if wants_usage else {}
        return {**_chunk(head, delta, reason), **usage}

    yield chunk({"role": "assistant", "content": "" if isinstance(said, str) else None})
    if isinstance(said, str):
        pieces = tokens(said)
        answered = len(pieces)
        yield from (chunk({"content": piece}) for piece in pieces)
        yield chunk({}, "stop")
    else:
        made = _tool_calls(said)
        answered = _spent(made)
        deltas = itertools.chain.from_iterable(_call_deltas(i, call) for i, call in enumerate(made))
        yield from (chunk({"tool_calls": [delta]}) for delta in deltas)
        yield chunk({}, "tool_calls")
    if wants_usage:
        usage = _usage(asked, answered)
        yield {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}


def _call_deltas(index: int, call: Json) -> Iterator[Json]:
    function = call["function"]
    opened = {"name": function["name"], "arguments": ""}
    yield {"index": index, "id": call["id"], "type": "function", "function": opened}
    for piece in tokens(function["arguments"]):
        yield {"index": index, "function": {"arguments": piece}}
