"""A model provider for tests: the OpenAI API over HTTP on loopback, following a script.

    async with ModelServer([says("Hello ", "world")]) as server:
        ...  # OPENAI_BASE_URL = server.url, OPENAI_API_KEY = anything

A script is a list of replies, one for each chat completion in the order they come
(one more than that is answered 500), or a function from `Request` to a reply:

    says("Hel", "lo")                   an answer, one chunk a piece; finish_reason "stop"
    calls(Call("list_tasks", {...}))    tool calls, text before them with text=("Let me see", …)
    answers({"agent": "task_agent"})    one JSON text, whole or as a stream, as the request asks
    fails(429, headers={...})           a status with an error body
    raw(b"data: …", …)                  a body byte for byte, for what no helper writes
    Reply([...])                        any mixture of steps, in order, of:
        str             a chunk of text
        Call            a tool call
        bytes           raw bytes
        dict            one whole chunk, as JSON
        asyncio.Event   wait until the test sets it: a gate
        float           wait so many seconds: pacing, never synchronisation
        CUT             drop the connection here
        STOP            end the body here, in good order, with no finish and no [DONE]

Steps may be any iterable, endless ones too: the server writes no faster than it is read.
`json=` (a value, or a function of the request) answers the requests with a
`response_format`, which then take nothing from the script. Embeddings are always
answered: 1536 dimensions, a hash of the text.

What came in stands in `server.requests`: body, headers, how many steps were sent, and
`closed`, an event that is set once the client has gone before the end of its answer.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json as jsonlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

DIMENSIONS: Final = 1536


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that the model makes; arguments as an object, or as the text to send."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str = "call_1"
    index: int | None = None  # its place among the calls of the reply, where left out

    @property
    def text(self) -> str:
        """The arguments as the model writes them."""
        args = self.arguments
        return args if isinstance(args, str) else jsonlib.dumps(args)


class _Mark:
    """A step that is neither text nor bytes."""


CUT: Final = _Mark()
STOP: Final = _Mark()

Step = str | bytes | Call | dict[str, Any] | asyncio.Event | float | _Mark


@dataclass(frozen=True, slots=True)
class Reply:
    """What the provider answers to one request.

    `finish` is the finish_reason that follows the steps (None: none), `done` whether
    `[DONE]` closes the stream. `usage` is (prompt, completion) tokens, reported where
    the request asks for it; None: never reported. A `status` other than 200 answers
    with an error body and no steps.
    """

    steps: Iterable[Step] = ()
    finish: str | None = "stop"
    done: bool = True
    usage: tuple[int, int] | None = (10, 5)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = "scripted failure"
    error_code: str | None = None
    error_body: object = None  # in place of one that holds `error` and `error_code`


def says(*chunks: str, usage: tuple[int, int] | None = (10, 5), finish: str = "stop") -> Reply:
    """An answer in these chunks."""
    return Reply(chunks, finish=finish, usage=usage)


def calls(
    *tool_calls: Call, text: Sequence[str] = (), usage: tuple[int, int] | None = (10, 5)
) -> Reply:
    """Tool calls, after the text where there is some."""
    return Reply([*text, *tool_calls], finish="tool_calls", usage=usage)


def answers(value: object, usage: tuple[int, int] | None = (10, 5)) -> Reply:
    """The value as JSON text."""
    return Reply([jsonlib.dumps(value)], usage=usage)


def fails(
    status: int,
    *,
    headers: Mapping[str, str] | None = None,
    error: str = "scripted failure",
    code: str | None = None,
    body: object = None,
) -> Reply:
    """An error with this status; `body` is its whole body, in place of one with error and code."""
    return Reply(
        status=status, headers=headers or {}, error=error, error_code=code, error_body=body
    )


def raw(*pieces: bytes) -> Reply:
    """A body byte for byte; nothing is added to it."""
    return Reply(pieces, finish=None, done=False, usage=None)


@dataclass(slots=True)
class Request:
    """A request as it came, and how far its answer went."""

    body: dict[str, Any]
    headers: dict[str, str]  # names in lower case
    port: int = 0  # the client's: the same one is the same connection
    sent: int = 0  # steps written
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation that was sent."""
        return list(self.body["messages"])

    @property
    def tools(self) -> list[str]:
        """The names of the tools that were offered."""
        return [tool["function"]["name"] for tool in self.body.get("tools", ())]


Script = Sequence[Reply] | Callable[[Request], Reply]
Whole = Callable[[Reply], Awaitable[web.Response]]
Write = Callable[[web.Request, web.StreamResponse, Request, Reply], Awaitable[None]]


class ModelServer:
    """The provider; see the top of this file."""

    def __init__(
        self, script: Script = (), *, json: object | Callable[[Request], object] | None = None
    ) -> None:
        self._script = script if callable(script) else None
        self._replies = [] if callable(script) else list(script)
        self._json = json
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._stopping = False
        self.requests: list[Request] = []
        self._arrived = asyncio.Condition()

    @property
    def url(self) -> str:
        """What OPENAI_BASE_URL is to be."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def chats(self) -> list[Request]:
        """The chat completions without a `response_format`: the agents' own calls."""
        return [request for request in self.requests if "response_format" not in request.body]

    async def request(self, index: int, timeout: float = 10) -> Request:
        """The request at this place in `requests`; waits until it has come."""
        async with asyncio.timeout(timeout), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) > index)
        return self.requests[index]

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        return [
            web.post("/v1/chat/completions", self._chat),
            web.post("/v1/embeddings", self._embeddings),
        ]

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Goes away at once, dropping what it is answering; `async with` again brings it back."""
        self._stopping = True
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner, self._stopping = None, False

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        return await self.answer(http, _write)

    async def answer(
        self, http: web.Request, write: Write, whole: Whole | None = None
    ) -> web.StreamResponse:
        """Answers a request by the script; `write` knows the API's form of a stream, `whole`
        that of an answer in one piece."""
        headers = {name.lower(): value for name, value in http.headers.items()}
        peer = http.transport.get_extra_info("peername") if http.transport else ("", 0)
        request = Request(await http.json(), headers, port=peer[1])
        async with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
        reply = self._reply(request)
        try:
            if reply.status != 200:
                return _failure(reply)
            if request.body.get("stream"):
                return await _stream(http, request, reply, write)
            return await (whole or _whole)(reply)
        except asyncio.CancelledError:
            if not self._stopping:
                request.closed.set()
            raise

    def _reply(self, request: Request) -> Reply:
        if self._json is not None and "response_format" in request.body:
            return answers(self._json(request) if callable(self._json) else self._json)
        if self._script is not None:
            return self._script(request)
        return self._replies.pop(0) if self._replies else fails(500, error="the script is over")

    async def _embeddings(self, http: web.Request) -> web.Response:
        body = await http.json()
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        as_base64 = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": i, "embedding": _encoded(embedding(text), as_base64)}
            for i, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return web.json_response(
            {"object": "list", "model": body["model"], "data": data, "usage": usage}
        )


def embedding(text: str) -> list[float]:
    """The vector that the server gives to a text: 1536 numbers in [-1, 1)."""
    stream = hashlib.shake_256(text.encode()).digest(2 * DIMENSIONS)
    return [value / 32768 for value in struct.unpack(f"<{DIMENSIONS}h", stream)]


def _encoded(vector: list[float], as_base64: bool) -> object:
    return (
        base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *vector)).decode() if as_base64 else vector
    )


def _failure(reply: Reply) -> web.Response:
    error = {"message": reply.error, "type": "scripted", "code": reply.error_code}
    body = reply.error_body or {"error": error}
    return web.json_response(body, status=reply.status, headers=dict(reply.headers))


async def _whole(reply: Reply) -> web.Response:
    text, tool_calls = "", []
    async for step in _paced(reply.steps):
        match step:
            case str():
                text += step
            case Call():
                function = {"name": step.name, "arguments": step.text}
                tool_calls.append({"id": step.id, "type": "function", "function": function})
            case _:
                raise TypeError(f"a whole answer has no {step!r}")
    message = {"role": "assistant", "content": text or None, "tool_calls": tool_calls or None}
    choice = {"index": 0, "message": message, "finish_reason": reply.finish}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "scripted"}
    return web.json_response(body | {"choices": [choice], "usage": _usage(reply)})


async def _stream(
    http: web.Request, request: Request, reply: Reply, write: Write
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream"} | dict(reply.headers)
    )
    await response.prepare(http)
    try:
        await write(http, response, request, reply)
    except ConnectionError:
        request.closed.set()
    return response


async def _write(
    http: web.Request, response: web.StreamResponse, request: Request, reply: Reply
) -> None:
    index = 0
    async for step in _paced(reply.steps):
        match step:
            case _Mark():
                if step is CUT and http.transport is not None:
                    http.transport.abort()
                return
            case bytes():
                await response.write(step)
            case dict():
                await response.write(_event(step))
            case str():
                await response.write(_event(_chunk({"content": step})))
            case Call():
                place = index if step.index is None else step.index
                index += 1
                for delta in _call_deltas(step, place):
                    await response.write(_event(_chunk(delta)))
        request.sent += 1
    await response.write(b"".join(_closing(request, reply)))


def _call_deltas(call: Call, index: int) -> list[dict[str, Any]]:
    """The call as providers stream it: its name first, its arguments in two pieces."""
    half = len(call.text) // 2
    first = {"name": call.name, "arguments": ""}
    head = {"index": index, "id": call.id, "type": "function", "function": first}
    pieces = [call.text[:half], call.text[half:]]
    rest = [{"index": index, "function": {"arguments": piece}} for piece in pieces]
    return [{"tool_calls": [delta]} for delta in (head, *rest)]


def _closing(request: Request, reply: Reply) -> Iterable[bytes]:
    if reply.finish is not None:
        yield _event(_chunk({}, reply.finish))
    options = request.body.get("stream_options") or {}
    if reply.usage is not None and options.get("include_usage"):
        yield _event(_chunk({}) | {"choices": [], "usage": _usage(reply)})
    if reply.done:
        yield b"data: [DONE]\n\n"


async def _paced(
    steps: Iterable[Step],
) -> AsyncIterator[str | bytes | Call | dict[str, Any] | _Mark]:
    for step in steps:
        match step:
            case asyncio.Event():
                await step.wait()
            case float():
                await asyncio.sleep(step)
            case _:
                yield step


def _usage(reply: Reply) -> dict[str, int] | None:
    if reply.usage is None:
        return None
    prompt, completion = reply.usage
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0}
    return head | {"model": "scripted", "choices": [choice]}


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + jsonlib.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"
