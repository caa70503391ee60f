"""An embedding is 1536 finite numbers that are not all 0; it becomes a unit vector."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from memory_svc.crypto.embedding_rotation import DIMENSIONS
from memory_svc.recall.embed import Embedder, EmbeddingError, Refused, checked
from runtime.model.client import ModelSettings, client


@given(st.floats(1e-6, 1e6))
def test_a_unit_vector_comes_out(scale: float) -> None:
    vector = checked([scale * (number % 7 - 3) for number in range(1536)])
    assert vector.dtype == np.float32
    assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "numbers",
    [
        [],
        [1.0] * 1535,
        [1.0] * 1537,
        [0.0] * 1536,
        [float("nan")] * 1536,
        [float("inf")] + [1.0] * 1535,
    ],
)
def test_what_is_none_is_refused(numbers: list[float]) -> None:
    with pytest.raises(ValueError, match="embedding"):
        checked(numbers)


class Provider:
    """Serves embeddings of a size, in ways that differ between providers."""

    def __init__(self, size: int = DIMENSIONS, *, takes_dimensions: bool = True) -> None:
        self.size, self.takes_dimensions = size, takes_dimensions
        self.refusal: tuple[int, str] | None = None
        self.asked: list[dict[str, Any]] = []

    async def serve(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body)
        if self.refusal is not None:
            return self._refused(*self.refusal)
        if "dimensions" in body and not self.takes_dimensions:
            return self._refused(400, "This model does not support specifying dimensions.")
        size = body.get("dimensions", self.size)
        data = [{"index": n, "embedding": [1.0] * size} for n, _ in enumerate(body["input"])]
        return web.json_response({"object": "list", "model": "m", "data": data, "usage": None})

    def _refused(self, status: int, message: str) -> web.Response:
        return web.json_response({"error": {"message": message}}, status=status)


@asynccontextmanager
async def embedder(provider: Provider, model: str = "m") -> AsyncIterator[Embedder]:
    app = web.Application()
    app.router.add_post("/v1/embeddings", provider.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    async with client(ModelSettings(openai_base_url=url)) as made:
        embeds = Embedder(made, model)
        yield embeds
        await embeds.close()
    await runner.cleanup()


def dimensions(provider: Provider) -> list[int | None]:
    return [body.get("dimensions") for body in provider.asked]


async def test_a_model_that_is_known_to_take_dimensions_is_asked_for_ours() -> None:
    provider = Provider(3072)
    async with embedder(provider, "text-embedding-3-large") as embeds:
        (vector,) = await embeds.embed(["hello"], 5)
    assert vector.shape == (DIMENSIONS,) and dimensions(provider) == [DIMENSIONS]


async def test_a_model_that_refuses_dimensions_is_asked_without_from_then_on() -> None:
    provider = Provider(takes_dimensions=False)
    async with embedder(provider, "text-embedding-3-small") as embeds:
        await embeds.embed(["hello"], 5)
        await embeds.embed(["hello"], 5)
    assert dimensions(provider) == [DIMENSIONS, None, None]


async def test_an_unknown_model_whose_vectors_are_too_long_is_asked_for_ours() -> None:
    provider = Provider(4096)
    async with embedder(provider) as embeds:
        await embeds.embed(["hello"], 5)
        await embeds.embed(["hello"], 5)
    assert dimensions(provider) == [None, DIMENSIONS, DIMENSIONS]


@pytest.mark.parametrize(("size", "asked"), [(576, 1), (4096, 2)])
async def test_a_wrong_size_is_told_in_words_once(
    size: int, asked: int, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider(size, takes_dimensions=False)
    async with embedder(provider) as embeds:
        for _ in range(5):
            with pytest.raises(EmbeddingError):
                await embeds.embed(["hello"], 5)
    assert len(provider.asked) == asked
    told = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert told == [
        f"the embedding model m gives {size} dimensions, 1536 are needed (EMBEDDING_MODEL):"
        " doing without it"
    ]


async def test_base64_that_is_refused_is_asked_for_no_more() -> None:
    provider = Provider()
    async with embedder(provider) as embeds:
        provider.refusal = 400, "Unsupported encoding_format: base64 is not supported"
        with pytest.raises(EmbeddingError):
            await embeds.embed(["hello"], 5)
    assert [body["encoding_format"] for body in provider.asked] == ["base64", "float"]


@pytest.mark.parametrize(
    ("status", "message", "texts_to_blame"),
    [
        (400, "no", True),
        (400, "Input is too long for the context size", True),
        (413, "too large", True),
        (400, "This model does not support embeddings", False),
        (400, "Invalid model name", False),
        (400, "API key not valid", False),
        (404, "model not found", False),
        (501, "This server does not support embeddings. Start it with `--embeddings`", False),
        (401, "bad key", False),
        (500, "boom", False),
    ],
)
async def test_texts_are_blamed_only_where_it_is_not_the_set_up(
    status: int, message: str, texts_to_blame: bool
) -> None:
    provider = Provider()
    provider.refusal = status, message
    async with embedder(provider) as embeds:
        with pytest.raises(EmbeddingError) as raised:
            await embeds.embed(["hello"], 5)
    assert isinstance(raised.value, Refused) == texts_to_blame
