"""PURE: what a model takes and how it writes, so that a request is never refused for its form.

What is known of a model comes from four places, each of which overrules the one before: the
defaults, the families known by name, the operator's file, and what its provider refused lately.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, TypeAlias

from runtime import metrics

log = logging.getLogger(__name__)

Changes: TypeAlias = Mapping[str, Any]
"""Fields of a profile with the values that they get."""

KEPT_S: Final = 3600.0
"""How long a lesson holds, in seconds: a provider mends its ways, and models get updates."""
MOST_MODELS: Final = 64


@dataclass(frozen=True, slots=True)
class Profile:
    """What one model takes, and how it writes. The defaults fit OpenAI's chat completions."""

    api: Literal["chat", "responses"] = "chat"
    """Which of the two APIs it is asked by."""
    max_output_tokens: int | None = None
    """Sent as `max_tokens_field`; None: not sent."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_completion_tokens"
    """What its bound is called."""
    context_window: int | None = None
    """In tokens, what is sent and what is answered together; None: not known."""
    temperature: float | None = None
    """None: not sent."""
    reasoning_effort: str | None = None
    """None: not sent."""
    tools_reasoning_effort: str | None = None
    """Sent in place of `reasoning_effort` where tools are offered; None: no other."""
    quick_reasoning_effort: str | None = None
    """Sent in place of `reasoning_effort` where a word is wanted at once (routing)."""
    encrypted_reasoning: bool = True
    """Whether the Responses API gives its reasoning encrypted, and takes it back."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the provider's own, added to the body as they are."""
    stream: bool = True
    """Whether it streams; else the answer comes whole."""
    stream_options: bool = True
    """Whether `stream_options` may be sent, by which usage comes with a stream."""
    parallel_tool_calls: bool | None = None
    """Sent where it is not None."""
    system_role: Literal["system", "developer", "user"] = "system"
    """What the prompt's role is called."""
    tools: bool = True
    """Whether it takes tools at all."""
    strict_tools: bool = False
    """Whether tool schemas are sent in the strict form (every property required)."""
    type_arrays: Literal["keep", "any_of", "drop"] = "keep"
    """What becomes of `"type": ["string", "null"]` in a schema."""
    schema_without: tuple[str, ...] = ()
    """Keywords of JSON Schema that are left out of tools, such as `additionalProperties`."""
    response_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    """The strictest form of answer that can be asked for."""
    text_tool_calls: bool = False
    """Whether it writes tool calls as text, `<tool_call>{…}</tool_call>`, which then are run."""
    opens_thinking: bool = False
    """Whether an answer begins inside its thinking, which a lone `</think>` ends."""
    says_back: bool = True
    """Whether it takes back what it wrote itself beside text and calls: reasoning, signatures."""
    blank_content: bool = False
    """Whether a message of its own that has calls alone is sent with an empty `content`."""
    dimensions: bool = False
    """Whether an embedding model takes `dimensions`."""
    embedding_base64: bool = True
    """Whether embeddings may be asked for in base64, which is a quarter of the bytes."""


_WORDS: Final = {
    "tools": "it takes no tools, and so answers without the user's data",
    "response_format": "it cannot be held to a schema, which is told it in words now",
    "reasoning_effort": "it refuses the effort of its thinking",
    "system_role": "it refuses the prompt's role",
    "api": "it is asked by the other API",
    "context_window": "it takes no longer conversation",
    "thinking": "it must not think here",
    "opens_thinking": "its answers begin inside its thinking, and are held back until that ends",
    "says_back": "it refuses its own reasoning, which it is not told again",
    "blank_content": "it wants content in every message",
    "type_arrays": "it refuses several types in a schema",
    "schema_keywords": "it refuses a keyword of schemas",
}


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a refused request taught of a model: its name in a word or two, and what changes."""

    name: str
    changes: Changes

    def __str__(self) -> str:
        told = ", ".join(f"{field}={value!r}" for field, value in self.changes.items())
        return f"{_WORDS.get(self.name, f'it refuses {self.name}')} ({told})"

    def applied(self, profile: Profile) -> Profile:
        """The profile to ask with from now on."""
        return replace(profile, **self.changes)


class Profiles:
    """The profiles of the models that a process asks, and what it has learned of them.

    `rules` are name patterns (`*` stands for anything) with what they change, later ones
    overruling earlier ones; `clock` counts seconds.
    """

    def __init__(
        self, rules: Iterable[tuple[str, Changes]] = (), *, clock: Callable[[], float]
    ) -> None:
        self._rules = tuple(rules)
        self._clock = clock
        self._learned: OrderedDict[str, dict[str, tuple[float, Lesson]]] = OrderedDict()
        self._known: dict[str, Profile] = {}

    def __repr__(self) -> str:
        taught = {model: sorted(lessons) for model, lessons in self._learned.items()}
        return f"Profiles({len(self._rules)} rules, learned: {taught})"

    def of(self, model: str) -> Profile:
        """What is known of a model by now."""
        profile = self._by_name(model)
        for until, lesson in self._learned.get(model, {}).values():
            if until > self._clock():
                profile = lesson.applied(profile)
        return profile

    def keep(self, model: str, lesson: Lesson) -> None:
        """Takes a lesson to heart for an hour, once the call that it mended succeeded."""
        lessons = self._learned.setdefault(model, {})
        self._learned.move_to_end(model)
        if len(self._learned) > MOST_MODELS:
            self._learned.popitem(last=False)
        until, held = lessons.pop(lesson.name, (0.0, None))
        lessons[lesson.name] = self._clock() + KEPT_S, lesson
        if held != lesson or until <= self._clock():
            metrics.MODEL_LESSONS.labels(lesson.name).inc()
            log.log(
                logging.WARNING if lesson.name == "tools" else logging.INFO,
                "learned of the model %s, for an hour: %s",
                *(model, lesson),
            )

    def forget(self, model: str, lesson: Lesson) -> None:
        """Takes back a lesson that an answer has shown to be wrong; what names tell stays."""
        if self._learned.get(model, {}).pop(lesson.name, None):
            log.info("forgot of the model %s: %s", model, lesson)

    def _by_name(self, model: str) -> Profile:
        if model not in self._known:
            if len(self._known) >= MOST_MODELS:
                self._known.clear()
            changes: dict[str, Any] = {}
            for pattern, told in self._rules:
                if _matches(pattern, model):
                    changes |= told
            self._known[model] = Profile(**changes)
        return self._known[model]


def _matches(pattern: str, model: str) -> bool:
    """Whether a name fits, with or without what gateways put before it (`openai/gpt-4o`)."""
    pattern, name = pattern.lower(), model.lower()
    return fnmatchcase(name, pattern) or fnmatchcase(name.rpartition("/")[2], pattern)
