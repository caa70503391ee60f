"""The way to the models: the openai package, with our settings and our errors."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Annotated, Literal, NamedTuple

import openai
from openai import AsyncOpenAI, DefaultAioHttpClient
from pydantic import BeforeValidator, Field, SecretStr

from runtime import metrics, tracing
from runtime.errors import word
from runtime.model import profile_file
from runtime.model.failures import failure
from runtime.model.families import FAMILIES
from runtime.model.profile_file import Rules
from runtime.model.profiles import Changes, Profiles
from runtime.settings import Settings


def _rules(value: object) -> object:
    return profile_file.read(value) if isinstance(value, str) else value


class Endpoint(NamedTuple):
    """A provider of models: where it is, its key, and by which setting the key is told."""

    base_url: str
    api_key: SecretStr
    key_name: str
    url_name: str


class ModelSettings(Settings):
    """Where the models are. The keys are the server's alone."""

    openai_api_key: SecretStr = Field(
        SecretStr(""), description="Key of the model provider; empty for one that asks for none."
    )
    openai_base_url: str = Field(
        "https://api.openai.com/v1",
        pattern="^https?://",
        description="An OpenAI-compatible API.",
    )
    model_profiles: Annotated[Rules, BeforeValidator(_rules)] = Field(
        (), description="A TOML file that tells what models take, by name (docs/models.md)."
    )
    model_connect_s: float = Field(
        5, gt=0, description="How long connecting to the provider may take, in seconds."
    )
    model_idle_s: float = Field(
        60, gt=0, description="How long the provider may say nothing mid-answer, in seconds."
    )

    @property
    def common(self) -> Endpoint:
        """The provider of whatever has none of its own."""
        return Endpoint(
            self.openai_base_url, self.openai_api_key, "OPENAI_API_KEY", "OPENAI_BASE_URL"
        )

    @property
    def endpoint(self) -> Endpoint:
        """The provider that this process asks first of all."""
        return self.common

    def own(self, name: str, base_url: str, api_key: SecretStr) -> Endpoint:
        """An endpoint of its own (`name` is its settings' prefix); what it lacks is the common
        one's."""
        url_name = f"{name}_BASE_URL" if base_url else self.common.url_name
        if api_key.get_secret_value():
            return Endpoint(base_url or self.openai_base_url, api_key, f"{name}_API_KEY", url_name)
        return self.common._replace(base_url=base_url or self.openai_base_url, url_name=url_name)

    def profiles(self, *defaults: tuple[str, Changes]) -> Profiles:
        """What is known of models: `defaults`, the families, and the operator's file."""
        return known_profiles(defaults, self.model_profiles)


class TextModelSettings(ModelSettings):
    """Where models of text are, and how they are asked."""

    openai_api: Literal["chat", "responses"] = Field(
        "chat", description="Which API models are asked by: chat or responses."
    )

    def profiles(self, *defaults: tuple[str, Changes]) -> Profiles:
        """What is known of models: by OPENAI_API unless a profile says otherwise."""
        return super().profiles(("*", {"api": self.openai_api}), *defaults)


def known_profiles(defaults: Rules = (), told: Rules = ()) -> Profiles:
    """What is known of models by name, between `defaults` and what was `told`."""
    return Profiles((*defaults, *FAMILIES, *told), clock=time.monotonic)


def client(settings: ModelSettings, endpoint: Endpoint | None = None) -> AsyncOpenAI:
    """A client of `endpoint`, or of the settings' own. It never retries by itself: whether a
    retry is safe is the caller's to know."""
    endpoint = endpoint or settings.endpoint
    timeout = openai.Timeout(settings.model_idle_s, connect=settings.model_connect_s)
    return AsyncOpenAI(
        api_key=endpoint.api_key.get_secret_value() or "none",
        base_url=endpoint.base_url,
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
