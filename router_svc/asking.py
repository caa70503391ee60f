"""One question to the model that chooses the agent, by the API that its profile names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from runtime.model.completions import content, content_of_response, tokens, tokens_of_response
from runtime.model.profiles import Profile
from runtime.model.requests import Message, chat_body


@dataclass(frozen=True, slots=True)
class Said:
    """What the model said, and what was asked and said in tokens, where the provider tells."""

    text: str
    tokens: tuple[int, int] | None


async def ask(
    client: AsyncOpenAI,
    profile: Profile,
    model: str,
    messages: Sequence[Message],
    wanted: Mapping[str, Any],
) -> Said:
    """Asks once, for an answer in the form that is `wanted`. Raises openai.APIError."""
    body = chat_body(profile, model, messages, response_format=wanted, quick=True)
    if profile.api == "responses":
        response: Response = await client.responses.create(**responses_body(body))
        return Said(content_of_response(response), tokens_of_response(response))
    completion: ChatCompletion = await client.chat.completions.create(**body)
    return Said(content(completion), tokens(completion))


_RENAMED: Final = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
}


def responses_body(chat: Mapping[str, Any]) -> dict[str, Any]:
    """The body for /responses that asks what this body asks of /chat/completions.

    The prompt stays among the messages: JSON objects are given only where these speak of JSON.
    """
    body = {_RENAMED.get(name, name): value for name, value in chat.items()}
    messages = body.pop("messages")
    body |= {"input": [{"type": "message", **each} for each in messages], "store": False}
    if effort := body.pop("reasoning_effort", None):
        body["reasoning"] = {"effort": effort}
    if wanted := body.pop("response_format", None):
        form = {"type": wanted["type"], **wanted.get("json_schema", {})}
        body["text"] = {"format": form}
    return body
