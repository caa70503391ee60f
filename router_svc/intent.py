"""Asks a model which agent answers a message, once, and falls back where it does not say."""

import asyncio
import logging

import openai
from openai import AsyncOpenAI

from router_svc.asking import Said, ask
from router_svc.reading import parse
from router_svc.routing import Question, Verdict, answer_format, estimate, fallback, prompt
from runtime.model.asking import learning
from runtime.model.breaker import Breaker
from runtime.model.client import calling, known_profiles, spent
from runtime.model.failures import Unreadable, failure, log_failure
from runtime.model.profiles import Profiles
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.frames_pb2 import Usage

log = logging.getLogger(__name__)


class Classifier:
    """Asks a model which agent answers. `timeout_s` in seconds, `min_confidence` 0–1.

    A model that keeps failing, or missing its time, is left alone: meanwhile messages are
    routed without it, at once and for nothing, and a probe finds out whether it is back.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        model: str,
        profiles: Profiles | None = None,
        *,
        timeout_s: float,
        min_confidence: float,
    ) -> None:
        self._client = client
        self._model = model
        self._profiles = profiles or known_profiles()
        self._timeout_s = timeout_s
        self._min_confidence = min_confidence
        self._breaker = Breaker("routing")

    async def classify_intent(self, question: Question) -> Verdict:
        """The agent for a message. Never raises for want of a model: it falls back."""
        if self._breaker.resting:
            self._breaker.probe(lambda: self._classified(question))
            return fallback(question, "model resting", Usage())
        return await self._classified(question)

    async def check(self) -> None:
        """Asks once, at start; what an operator should know of the model goes to the log."""
        verdict = await self._classified(Question(Surface.SURFACE_HOME, "Hello"))
        if verdict.reason.endswith(("model slow", "model answer invalid")):
            log.warning(
                "the routing model cannot be used (%s: %s, within %g s):"
                " scope and clear words decide",
                *(self._model, verdict.reason.rpartition(" - ")[2], self._timeout_s),
            )

    async def close(self) -> None:
        """Ends what is under way in the background."""
        await self._breaker.close()

    async def _classified(self, question: Question) -> Verdict:
        try:
            with calling("classify", self._model):
                async with asyncio.timeout(self._timeout_s):
                    said = await self._ask(question)
            usage = _usage(said, question)
            spent("classify", usage.input_tokens, usage.output_tokens)
            answer = parse(said.text, question.offered)
        except (TimeoutError, openai.APIError, Unreadable) as error:
            return self._failed(question, error)
        except Exception as error:  # a provider may answer anything: routing goes on
            log.warning("the classifier's answer could not be read", exc_info=error)
            self._breaker.failed()
            return fallback(question, "model answer unreadable", estimate(question))
        if answer is None:
            self._breaker.failed()
            return fallback(question, "model answer invalid", usage)
        self._breaker.succeeded()
        agent, confidence = answer
        if confidence < self._min_confidence:
            return fallback(question, "model unsure", usage)
        return Verdict(agent, confidence, "model", usage)

    def _failed(self, question: Question, error: Exception) -> Verdict:
        if not (self._breaker.resting or isinstance(error, TimeoutError)):  # once is enough
            log_failure(log, error, "classify")
        self._breaker.failed(failure(error))
        match error:
            case TimeoutError():
                return fallback(question, "model slow", estimate(question))
            case openai.APIStatusError():
                return fallback(question, f"model status {error.status_code}", Usage(model_calls=1))
            case openai.APIConnectionError():  # a refused one comes as a time-out of the package
                return fallback(question, "model not reached", Usage(model_calls=1))
            case _:
                return fallback(question, "model answer unreadable", estimate(question))

    async def _ask(self, question: Question) -> Said:
        messages, wanted = prompt(question), answer_format(question.offered)
        return await learning(
            self._profiles,
            self._model,
            lambda profile: ask(self._client, profile, self._model, messages, wanted),
        )


def _usage(said: Said, question: Question) -> Usage:
    if said.tokens is None:
        return estimate(question, said.text)
    asked, answered = said.tokens
    return Usage(input_tokens=asked, output_tokens=answered, model_calls=1)
