"""Asks a model which agent answers a message, once, and falls back where it does not say."""

import asyncio
import logging
from typing import Any

import openai
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from router_svc.routing import (
    Question,
    Verdict,
    answer_format,
    estimate,
    fallback,
    parse,
    prompt,
)
from runtime.model.client import calling, spent
from switchboard.v3.frames_pb2 import Usage

log = logging.getLogger(__name__)


class Classifier:
    """Asks a model which agent answers. `timeout_s` in seconds, `min_confidence` 0–1."""

    def __init__(
        self, client: AsyncOpenAI, model: str, *, timeout_s: float, min_confidence: float
    ) -> None:
        self._client = client
        self._model = model
        self._timeout_s = timeout_s
        self._min_confidence = min_confidence

    async def classify_intent(self, question: Question) -> Verdict:
        """The agent for a message. Never raises for want of a model: it falls back."""
        try:
            with calling("classify", self._model):
                async with asyncio.timeout(self._timeout_s):
                    completion = await self._ask(question)
            content, usage = _content(completion), _usage(completion, question)
            spent("classify", usage.input_tokens, usage.output_tokens)
        except TimeoutError:
            return fallback(question, "model slow", estimate(question))
        except openai.APIStatusError as error:
            return fallback(question, f"model status {error.status_code}", Usage(model_calls=1))
        except openai.APIConnectionError:  # a refused connection comes as a time-out of the package
            return fallback(question, "model not reached", Usage(model_calls=1))
        except Exception as error:  # a provider may answer anything: routing goes on
            log.warning("the classifier's answer could not be read", exc_info=error)
            return fallback(question, "model answer unreadable", estimate(question))
        answer = parse(content, question.offered)
        if answer is None:
            return fallback(question, "model answer invalid", usage)
        agent, confidence = answer
        if confidence < self._min_confidence:
            return fallback(question, "model unsure", usage)
        return Verdict(agent, confidence, "model", usage)

    async def _ask(self, question: Question) -> ChatCompletion:
        return await self._client.chat.completions.create(
            model=self._model,
            messages=prompt(question),
            response_format=answer_format(question.offered),
        )


def _content(completion: ChatCompletion) -> str:
    """What the model said; nothing where it stopped early or refused."""
    choices = completion.choices or []
    if not choices or choices[0].finish_reason in ("length", "content_filter"):
        return ""
    message: Any = choices[0].message
    return message.content if message and isinstance(message.content, str) else ""


def _usage(completion: ChatCompletion, question: Question) -> Usage:
    if completion.usage is None:
        return estimate(question, _content(completion))
    return Usage(
        input_tokens=max(0, completion.usage.prompt_tokens or 0),
        output_tokens=max(0, completion.usage.completion_tokens or 0),
        model_calls=1,
    )
