"""PURE: what a model takes and how it writes, so that a request is never refused for its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Profile:
    """What one model takes, and how it writes. The defaults fit OpenAI's chat completions."""

    api: Literal["chat", "responses"] = "chat"
    """Which of the two APIs it is asked by."""
    max_output_tokens: int | None = None
    """Sent as `max_tokens_field`; None: not sent."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_completion_tokens"
    context_window: int | None = None
    """In tokens, what is sent and what is answered together; None: not known."""
    temperature: float | None = None
    """None: not sent."""
    reasoning_effort: str | None = None
    """None: not sent."""
    tools_reasoning_effort: str | None = None
    """Sent in place of `reasoning_effort` where tools are offered; None: no other."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the provider's own, added to the body as they are."""
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
    response_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    """The strictest form of answer that can be asked for."""
    text_tool_calls: bool = False
    """Whether it writes tool calls as text, `<tool_call>{…}</tool_call>`, which then are run."""
    opens_thinking: bool = False
    """Whether an answer begins inside its thinking, which a lone `</think>` ends."""
    dimensions: bool = False
    """Whether an embedding model takes `dimensions`."""
