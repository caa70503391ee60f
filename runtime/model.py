"""The way to the models: the openai package, with our settings and our errors."""

import asyncio
from typing import Final

import openai
from openai import AsyncOpenAI, DefaultAioHttpClient
from pydantic import Field, SecretStr

from runtime.errors import SwitchboardError
from runtime.settings import Settings
from switchboard.v3.errors_pb2 import ErrorCode


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


_UNAVAILABLE: Final = "The model cannot be reached right now."


def failure(error: Exception) -> SwitchboardError:
    """What a failed model call means to the user. The provider's own words stay out of it."""
    match error:
        case openai.RateLimitError():
            return SwitchboardError(
                ErrorCode.ERROR_CODE_MODEL_RATE_LIMITED,
                "The model is busy right now.",
                retry_after_ms(error),
            )
        case openai.APIStatusError(code="content_filter"):
            return SwitchboardError(
                ErrorCode.ERROR_CODE_MODEL_REFUSED, "The model refused to answer."
            )
        case openai.APIError() | asyncio.TimeoutError() | OSError():
            return SwitchboardError(ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, _UNAVAILABLE)
        case _:
            return SwitchboardError(ErrorCode.ERROR_CODE_INTERNAL, "A fault of the server's own.")


def retry_after_ms(error: openai.APIStatusError) -> int | None:
    """What the provider asks to wait, in milliseconds, where it says so in seconds or ours."""
    headers = error.response.headers
    for name, factor in (("retry-after-ms", 1), ("retry-after", 1000)):
        try:
            return max(0, min(int(float(headers[name]) * factor), 3_600_000))
        except (KeyError, ValueError, OverflowError):
            continue
    return None
