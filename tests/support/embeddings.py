"""An embedding provider for tests, over HTTP: it knows a few synonyms, and how to misbehave.

async with EmbeddingServer() as provider:
    ...  # OPENAI_BASE_URL = provider.url
    provider.status = 500            # answers with an error
    provider.gate.clear()            # answers only once the gate is set again
    provider.spoil = lambda v: v[:7] # spoils every vector
    provider.asked                   # the texts that came in
"""

import asyncio
import base64
import hashlib
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import numpy as np
from aiohttp import web

from memory_svc.domain import tokens

DIMENSIONS: Final = 1536

# Words that mean the same to this provider, by stem.
_SYNONYMS: Final = tuple(
    frozenset(tokens.terms(group))
    for group in (
        "dog hound puppy",
        "car vehicle automobile",
        "call name",
        "live reside home",
        "food dish meal",
        "holiday vacation",
    )
)


def meaning(text: str) -> list[float]:
    """A text's vector: the sum of a random direction for each of its meanings."""
    vector = np.full(DIMENSIONS, 1e-3)
    for term, count in tokens.terms(text).items():
        sense = next((min(group) for group in _SYNONYMS if term in group), term)
        seed = int.from_bytes(hashlib.sha256(sense.encode()).digest()[:8])
        vector += count * np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return [float(x) for x in vector / np.linalg.norm(vector)]


class EmbeddingServer:
    """Serves /v1/embeddings on loopback."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.spoil: Callable[[list[float]], list[float]] = lambda vector: vector
        self.refuses = ""
        self.page = ""  # HTML in place of every answer
        self.asked: list[str] = []
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 << 20)
        app.router.add_post("/v1/embeddings", self._embed)
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
        self.gate.set()
        assert self._runner is not None
        await self._runner.cleanup()

    async def _embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        self.asked += texts
        await self.gate.wait()
        if self.page:
            return web.Response(text=self.page, content_type="text/html")
        if self.status != 200 or any(self.refuses and self.refuses in text for text in texts):
            error = {"error": {"message": "no", "type": "test"}}
            return web.json_response(error, status=max(self.status, 400), headers=self.headers)
        vectors = [self.spoil(meaning(text)) for text in texts]
        data = [
            {"object": "embedding", "index": at, "embedding": _wire(vector, body)}
            for at, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return web.json_response(
            {"object": "list", "model": body["model"], "data": data, "usage": usage}
        )


def _wire(vector: list[float], body: dict[str, object]) -> object:
    if body.get("encoding_format") != "base64":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
