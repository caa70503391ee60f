"""A provider that cannot do everything, over HTTP, and says so in the words of real ones.

    async with LimitedModel(key="sk-right", tools=False) as provider:
        ...  # OPENAI_BASE_URL = provider.url

`key` and `model` are the only ones that it takes (None: any); without `tools`, `schemas`,
`json` or `embeddings` it refuses what asks for them, and embeddings have `dimensions` numbers
(`any_dimensions`: as many as are asked for). `refuses` names more fields that it does not know.
What was asked stands in `asked`, with the status that it was answered.
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from aiohttp import web

ROUTE = {"agent": "general_agent", "confidence": 0.9, "reason": "said so"}


class _Refusal(Exception):
    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": "invalid_request_error", **more}


class LimitedModel:
    """The provider; see the top of this file."""

    def __init__(
        self,
        *,
        key: str | None = None,
        model: str | None = None,
        tools: bool = True,
        schemas: bool = True,
        json: bool = True,
        embeddings: bool = True,
        dimensions: int = 1536,
        any_dimensions: bool = True,
        refuses: Sequence[str] = (),
        says: str = "Hello there.",
    ) -> None:
        self._key = key
        self._model = model
        self._tools = tools
        self._forms = {"json_schema": schemas, "json_object": json}
        self._embeds = embeddings
        self._dimensions = dimensions
        self._any_dimensions = any_dimensions
        self._refuses = refuses
        self._says = says
        self._runner: web.AppRunner | None = None
        self.asked: list[tuple[dict[str, Any], int]] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 << 20)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embeddings)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def _checked(self, http: web.Request, body: dict[str, Any]) -> None:
        if self._key is not None and http.headers.get("Authorization") != f"Bearer {self._key}":
            given = http.headers.get("Authorization", "").removeprefix("Bearer ")
            raise _Refusal(401, f"Incorrect API key provided: {given}.", code="invalid_api_key")
        if self._model is not None and body["model"] != self._model:
            told = f"The model `{body['model']}` does not exist or you do not have access to it."
            raise _Refusal(404, told, code="model_not_found")
        for field in self._refuses:
            if field in body:
                raise _Refusal(400, f"Unrecognized request argument supplied: {field}")
        if body.get("tools") and not self._tools:
            raise _Refusal(400, f"{body['model']} does not support tools")
        form = body.get("response_format", {}).get("type")
        if not self._forms.get(form, True):
            raise _Refusal(400, f"Invalid parameter: 'response_format' of type '{form}' is not"
                           " supported with this model.", param="response_format")  # fmt: skip

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        body = await http.json()
        try:
            self._checked(http, body)
        except _Refusal as refusal:
            return self._refused(body, refusal)
        self.asked.append((body, 200))
        said = self._says
        if "You route messages" in str(body["messages"]):
            said = f"Sure!\n```json\n{jsonlib.dumps(ROUTE)}\n```"
        return await self._answered(http, body, said)

    async def _answered(
        self, http: web.Request, body: dict[str, Any], said: str
    ) -> web.StreamResponse:
        head = {"id": "x", "created": 0, "model": body["model"]}
        message = {"role": "assistant", "content": said}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {"object": "chat.completion", "choices": [choice]}
            return web.json_response(head | whole)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        for delta, finish in ((message, None), ({}, "stop")):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            chunk = head | {"object": "chat.completion.chunk", "choices": [choice]}
            await response.write(f"data: {jsonlib.dumps(chunk)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _embeddings(self, http: web.Request) -> web.Response:
        body = await http.json()
        try:
            if not self._embeds:
                raise _Refusal(501, "This server does not support embeddings. Start it with"
                               " `--embeddings`", type="not_supported_error")  # fmt: skip
            if self._key is not None:
                self._checked(http, body | {"model": self._model})
            if "dimensions" in body and not self._any_dimensions:
                raise _Refusal(400, "This model does not support specifying dimensions.")
        except _Refusal as refusal:
            return self._refused(body, refusal)
        self.asked.append((body, 200))
        size = body.get("dimensions", self._dimensions)
        data = [{"index": n, "embedding": [1.0] * size} for n, _ in enumerate(body["input"])]
        return web.json_response({"object": "list", "model": body["model"], "data": data})

    def _refused(self, body: dict[str, Any], refusal: _Refusal) -> web.Response:
        self.asked.append((body, refusal.status))
        return web.json_response({"error": refusal.error}, status=refusal.status)
