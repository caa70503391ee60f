"""Embeddings from the provider: checked, of unit length, and never worth failing for."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
import openai
from openai import AsyncOpenAI

from memory_svc.rotation import DIMENSIONS, Vector
from runtime import budget
from runtime.model.client import calling, spent

log = logging.getLogger(__name__)

MAX_CHARACTERS: Final = 8_000
"""Of a text; some 2,000 tokens, well inside every model's limit."""

_STRIKES: Final = 3
_REST_S: Final = 5.0


class EmbeddingError(Exception):
    """There is no embedding right now, or what came is none."""


class Refused(EmbeddingError):
    """The provider does not take these texts: asking again is of no use."""


class Embedder:
    """Asks `model` for embeddings. After a few failures it rests for a while: a provider that
    is down shall not cost every message its patience."""

    def __init__(self, client: AsyncOpenAI, model: str) -> None:
        self._client = client
        self.model = model
        self._strikes = 0
        self._resting_until = 0.0

    async def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        """One unit vector of 1536 numbers for each text, within `timeout` seconds.

        Raises EmbeddingError; Refused where the texts are to blame, not the provider.
        """
        if time.monotonic() < self._resting_until:
            raise EmbeddingError("the embedding provider is given a rest")
        try:
            with calling("embed", self.model, texts=len(texts)):
                vectors = await self._ask(texts, budget.within(timeout))
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            raise Refused(type(error).__name__) from error
        except (openai.OpenAIError, OSError, TimeoutError, ValueError, TypeError) as error:
            self._strike(error)
            raise EmbeddingError(type(error).__name__) from error
        self._strikes = 0
        return vectors

    async def _ask(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        async with asyncio.timeout(timeout):
            # An empty input is an error to some providers.
            inputs = [text[:MAX_CHARACTERS] or " " for text in texts]
            answer = await self._client.embeddings.create(model=self.model, input=inputs)
        tokens = getattr(answer.usage, "prompt_tokens", None)  # some providers count nothing
        spent("embed", tokens if isinstance(tokens, int) else 0, 0)
        if len(answer.data) != len(texts):
            raise ValueError("as many embeddings as texts were asked for")
        ordered = sorted(answer.data, key=lambda each: each.index)
        return [checked(each.embedding) for each in ordered]

    def _strike(self, error: Exception) -> None:
        self._strikes += 1
        log.warning("no embedding (%s)", type(error).__name__)
        if self._strikes >= _STRIKES or isinstance(error, openai.RateLimitError):
            self._resting_until = time.monotonic() + _REST_S


def checked(numbers: Sequence[float]) -> Vector:
    """The embedding as a unit vector. Raises ValueError for what is none."""
    vector = np.asarray(numbers, np.float64)
    if vector.shape != (DIMENSIONS,):
        raise ValueError(f"an embedding has {DIMENSIONS} dimensions")
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise ValueError("an embedding is made of finite numbers that are not all 0")
    return (vector / length).astype(np.float32)
