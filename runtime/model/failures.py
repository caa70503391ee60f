"""What a failed call of a model means to the user."""

import asyncio
from typing import Final

import openai

from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

_UNAVAILABLE: Final = "The model cannot be reached right now."


def failure(error: Exception) -> SwitchboardError:
    """What a failed model call means to the user. The provider's own words stay out of it."""
    match error:
        case SwitchboardError():
            return error
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
