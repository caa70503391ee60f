"""Errors of the openai package, made of what a provider answered."""

from collections.abc import Mapping
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI

KEY = "sk-test-of-this-server-0123456789"
_CLIENT = AsyncOpenAI(api_key=KEY, base_url="http://127.0.0.1:1/v1")


def refused(
    status: int, body: Any, headers: Mapping[str, str] | None = None
) -> openai.APIStatusError:
    """What the package raises for such an answer."""
    request = httpx2.Request("POST", "http://127.0.0.1:1/v1", headers=_CLIENT.auth_headers)
    kind: dict[str, Any] = {"text": body} if isinstance(body, str) else {"json": body}
    response = httpx2.Response(status, headers=headers or {}, request=request, **kind)
    return _CLIENT._make_status_error_from_response(response)


def saying(status: int, message: str, /, **rest: Any) -> openai.APIStatusError:
    """An error in OpenAI's dress."""
    return refused(status, {"error": {"message": message, **rest}})
