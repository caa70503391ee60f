"""Embeddings from the provider: checked, of unit length, and never worth failing for."""

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import openai
from openai import AsyncOpenAI
from openai.types import CreateEmbeddingResponse

from memory_svc.crypto.embedding_rotation import DIMENSIONS, Vector
from runtime import budget
from runtime.errors import SwitchboardError
from runtime.model import refusals
from runtime.model.asking import learning
from runtime.model.breaker import Breaker
from runtime.model.client import calling, known_profiles, spent
from runtime.model.failures import Unreadable, failure, log_failure
from runtime.model.meanings import about_key, about_model
from runtime.model.profiles import Lesson, Profile, Profiles
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

MAX_CHARACTERS: Final = 8_000
"""Of a text; some 2,000 tokens, well inside every model's limit."""

_PROBE_S: Final = 10.0
_SHORTER: Final = Lesson("dimensions", {"dimensions": True})


class EmbeddingError(Exception):
    """There is no embedding right now, or what came is none."""


class Refused(EmbeddingError):
    """The provider does not take these texts: asking again is of no use."""


class WrongSize(ValueError):
    """The model's vectors are not as long as the stored ones."""

    def __init__(self, size: int) -> None:
        super().__init__(f"an embedding of {size} dimensions, {DIMENSIONS} are needed")
        self.size = size


class Embedder:
    """Asks `model` for embeddings. After a few failures it rests for a while: a provider that
    is down shall not cost every message its patience."""

    def __init__(self, client: AsyncOpenAI, model: str, profiles: Profiles | None = None) -> None:
        self._client = client
        self.model = model
        self._profiles = profiles or known_profiles()
        self._breaker = Breaker("embeddings")

    async def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        """One unit vector of 1536 numbers for each text, within `timeout` seconds.

        Raises EmbeddingError; Refused where the texts are to blame, not the provider.
        """
        if self._breaker.resting:
            self._breaker.probe(lambda: self._asked(["ping"], _PROBE_S))
            raise EmbeddingError("the embedding provider is given a rest")
        return await self._asked(texts, budget.within(timeout))

    async def check(self) -> None:
        """Asks once, at start; what is wrong goes to the log."""
        await self._asked(["ping"], _PROBE_S)

    async def close(self) -> None:
        """Ends what is under way in the background."""
        await self._breaker.close()

    async def _asked(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        try:
            with calling("embed", self.model, texts=len(texts)):
                async with asyncio.timeout(timeout):
                    vectors = await self._sized(texts)
        except (openai.OpenAIError, OSError, TimeoutError, ValueError, TypeError) as error:
            raise self._failed(error) from error
        self._breaker.succeeded()
        return vectors

    def _failed(self, error: Exception) -> EmbeddingError:
        if isinstance(error, openai.APIStatusError) and _blames_texts(error):
            return Refused(type(error).__name__)
        if not self._breaker.resting:  # once is enough
            self._tell(error)
        self._breaker.failed(_meant(error))
        return EmbeddingError(type(error).__name__)

    def _tell(self, error: Exception) -> None:
        if isinstance(error, WrongSize):
            log.error(
                "the embedding model %s gives %d dimensions, %d are needed (EMBEDDING_MODEL):"
                " doing without it",
                *(self.model, error.size, DIMENSIONS),
            )
        else:
            log_failure(log, error, "embed")

    async def _sized(self, texts: Sequence[str]) -> list[Vector]:
        """Asks; where a vector is too long, once more for one of the right length, which a
        model may be able to give unknown to us."""
        try:
            return await learning(self._profiles, self.model, lambda known: self._ask(texts, known))
        except WrongSize as wrong:
            profile = self._profiles.of(self.model)
            if wrong.size < DIMENSIONS or profile.dimensions:
                raise
            try:
                vectors = await self._ask(texts, _SHORTER.applied(profile))
            except (openai.APIStatusError, WrongSize):
                raise wrong from None
        self._profiles.keep(self.model, _SHORTER)
        return vectors

    async def _ask(self, texts: Sequence[str], profile: Profile) -> list[Vector]:
        # An empty input is an error to some providers.
        inputs = [text[:MAX_CHARACTERS] or " " for text in texts]
        try:
            answer = await self._client.embeddings.create(
                model=self.model, input=inputs, **_asking(profile)
            )
        except (AttributeError, ValueError) as error:  # the package's, of a page of HTML, say
            raise Unreadable("the answer holds no embeddings") from error
        vectors = _vectors(answer, len(texts))
        tokens = getattr(answer.usage, "prompt_tokens", None)  # some providers count nothing
        spent("embed", tokens if isinstance(tokens, int) else 0, 0)
        return vectors


def _meant(error: Exception) -> SwitchboardError:
    if isinstance(error, WrongSize):
        return SwitchboardError(ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED, str(error))
    return failure(error)


def _asking(profile: Profile) -> dict[str, Any]:
    asked: dict[str, Any] = {"dimensions": DIMENSIONS} if profile.dimensions else {}
    if not profile.embedding_base64:  # the package asks for base64 unless told otherwise
        asked["encoding_format"] = "float"
    return asked | ({"extra_body": dict(profile.extra_body)} if profile.extra_body else {})


def _vectors(answer: CreateEmbeddingResponse, count: int) -> list[Vector]:
    if not isinstance(answer, CreateEmbeddingResponse) or not isinstance(answer.data, list):
        raise Unreadable("the answer holds no embeddings")
    if len(answer.data) != count:
        raise Unreadable(f"the answer holds {len(answer.data)} embeddings for {count} texts")
    ordered = sorted(answer.data, key=lambda each: each.index)
    return [checked(each.embedding) for each in ordered]


def _blames_texts(error: openai.APIStatusError) -> bool:
    """Whether it is the texts that are refused, rather than the model, the key or the form."""
    refusal, code = refusals.of_error(error), failure(error).code
    if code in {ErrorCode.ERROR_CODE_CONTEXT_TOO_LONG, ErrorCode.ERROR_CODE_MODEL_REFUSED}:
        return True
    if refusal.status not in {400, 422} or code != ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED:
        return False
    about_input = re.match(r"input|$", refusal.param) is not None
    return about_input and not about_key(refusal) and not about_model(refusal)


def checked(numbers: Sequence[float]) -> Vector:
    """The embedding as a unit vector. Raises ValueError for what is none."""
    vector = np.asarray(numbers, np.float64)
    if vector.ndim != 1 or vector.shape != (DIMENSIONS,):
        raise WrongSize(vector.size)
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise ValueError("an embedding is made of finite numbers that are not all 0")
    return (vector / length).astype(np.float32)
