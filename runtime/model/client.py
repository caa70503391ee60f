"""The way to the models: the openai package, with our settings and our errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import openai
from openai import AsyncOpenAI, DefaultAioHttpClient
from pydantic import Field, SecretStr

from runtime import metrics, tracing
from runtime.errors import word
from runtime.model.failures import failure
from runtime.settings import Settings


class ModelSettings(Settings):
    """Where the models are. The key is the server's alone."""

    openai_api_key: SecretStr = Field(
        SecretStr(""), description="Key of the model provider; empty for one that asks for none."
    )
    openai_base_url: str = Field(
        "https://api.openai.com/v1",
        pattern="^https?://",
        description="An OpenAI-compatible API.",
    )
    model_connect_s: float = Field(
        5, gt=0, description="How long connecting to the provider may take, in seconds."
    )
    model_idle_s: float = Field(
        60, gt=0, description="How long the provider may say nothing mid-answer, in seconds."
    )


def client(settings: ModelSettings) -> AsyncOpenAI:
    """A client that never retries by itself: whether a retry is safe is the caller's to know."""
    timeout = openai.Timeout(settings.model_idle_s, connect=settings.model_connect_s)
    return AsyncOpenAI(
        api_key=settings.openai_api_key.get_secret_value() or "none",
        base_url=settings.openai_base_url,
        timeout=timeout,
        max_retries=0,
        http_client=DefaultAioHttpClient(timeout=timeout),
    )


@contextmanager
def calling(operation: str, model: str, **counts: int) -> Iterator[None]:
    """Counts, times and traces one call of a model; `operation` says what for, such as chat."""
    started, code = perf_counter(), "ok"
    try:
        with tracing.span(f"model {operation}", kind=tracing.CLIENT, model=model, **counts):
            yield
    except Exception as error:
        code = word(failure(error).code)
        raise
    except BaseException:
        code = "cancelled"
        raise
    finally:
        metrics.MODEL_CALLS.labels(operation, code).observe(perf_counter() - started)


def spent(operation: str, input_tokens: int, output_tokens: int) -> None:
    """Counts the tokens of a call."""
    metrics.MODEL_TOKENS.labels(operation, "input").inc(max(0, input_tokens))
    metrics.MODEL_TOKENS.labels(operation, "output").inc(max(0, output_tokens))
