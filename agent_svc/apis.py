"""The two APIs that a model may be asked by: how a request is made, and how its answer is read.

A profile names one (`api`); all else about a call, its retries, budgets, lessons and endings,
is the same for both and stands in `model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Final, Protocol

import openai

from agent_svc.events import Answer
from agent_svc.parts import ChatAnswer
from agent_svc.responses import ResponsesAnswer
from agent_svc.responses_request import responses_body
from runtime.model.profiles import Profile
from runtime.model.requests import chat_body


class Api(Protocol):
    """One of the APIs."""

    def body(
        self,
        profile: Profile,
        model: str,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
    ) -> dict[str, Any]:
        """The request, streaming. Messages and tools have the form of chat completions."""

    def send(
        self, client: openai.AsyncOpenAI, body: dict[str, Any]
    ) -> AbstractAsyncContextManager[Any]:
        """Asks; enters with the response. Raises openai.APIError."""

    def answer(self) -> Answer:
        """Reads one answer."""


class Chat:
    """Chat completions."""

    def body(
        self,
        profile: Profile,
        model: str,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
    ) -> dict[str, Any]:
        """The request, streaming."""
        return chat_body(profile, model, messages, tools=tools, stream=True)

    def send(
        self, client: openai.AsyncOpenAI, body: dict[str, Any]
    ) -> AbstractAsyncContextManager[Any]:
        """Asks; enters with the response."""
        return client.chat.completions.with_streaming_response.create(**body)

    def answer(self) -> Answer:
        """Reads one answer."""
        return ChatAnswer()


class Responses:
    """The Responses API."""

    def body(
        self,
        profile: Profile,
        model: str,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
    ) -> dict[str, Any]:
        """The request, streaming."""
        if profile.tools_reasoning_effort == "none":  # which chat completions want before tools
            profile = replace(profile, tools_reasoning_effort=None)
        chat = chat_body(profile, model, messages, tools=tools, stream=True)
        return responses_body(chat, encrypted=profile.encrypted_reasoning)

    def send(
        self, client: openai.AsyncOpenAI, body: dict[str, Any]
    ) -> AbstractAsyncContextManager[Any]:
        """Asks; enters with the response."""
        return client.responses.with_streaming_response.create(**body)

    def answer(self) -> Answer:
        """Reads one answer."""
        return ResponsesAnswer()


APIS: Final[Mapping[str, Api]] = {"chat": Chat(), "responses": Responses()}
"""By the word in `Profile.api`."""
