"""PURE: what is known of model families by their names, where it differs from the defaults.

From the providers' documents and their users' reports, which docs/models.md tells apart from
what was tried here. Whatever is missing or out of date is learned from the first refusal.
Patterns match a whole name in lower case, with or without a gateway's prefix; later ones
overrule earlier ones, field by field.
"""

from __future__ import annotations

from typing import Final

from runtime.model.profiles import Changes

_RESPONSES: Final = {"api": "responses"}
_OLDER_FIELD: Final = {"max_tokens_field": "max_tokens"}
_JSON_OBJECT: Final = _OLDER_FIELD | {"response_format": "json_object"}
_THINKS_AT_ONCE: Final = {"opens_thinking": True}
_IN_TEXT: Final = {"text_tool_calls": True}

FAMILIES: Final[tuple[tuple[str, Changes], ...]] = (
    # OpenAI. Reasoning models from 5.4 on refuse tools on chat completions unless the effort is
    # "none", even where none was sent.
    ("gpt-3.5-turbo*", {"context_window": 16_385, "response_format": "json_object"}),
    ("gpt-4", {"context_window": 8_192, "response_format": "none"}),
    ("gpt-4-turbo*", {"context_window": 128_000, "response_format": "json_object"}),
    ("gpt-4o*", {"context_window": 128_000}),
    ("gpt-4.1*", {"context_window": 1_047_576}),
    ("gpt-5*", {"context_window": 400_000, "quick_reasoning_effort": "minimal"}),
    *((f"gpt-5.{minor}*", {"quick_reasoning_effort": "none"}) for minor in range(1, 10)),
    *((f"gpt-5.{minor}*", {"tools_reasoning_effort": "none"}) for minor in range(4, 10)),
    ("gpt-5*-chat*", {"quick_reasoning_effort": None, "tools_reasoning_effort": None}),
    ("gpt-5*-pro*", _RESPONSES | {"quick_reasoning_effort": None}),
    ("gpt-5*-codex*", _RESPONSES | {"quick_reasoning_effort": "low"}),
    ("o[134]*", {"context_window": 200_000, "quick_reasoning_effort": "low"}),
    (
        "o1-mini*",
        {
            "context_window": 128_000,
            "quick_reasoning_effort": None,
            "system_role": "user",
            "tools": False,
            "response_format": "none",
        },
    ),
    ("o[13]-pro*", _RESPONSES),
    ("*-deep-research*", _RESPONSES),
    ("gpt-oss*", {"context_window": 131_072, "quick_reasoning_effort": "low"}),
    # DeepSeek has JSON mode and no schemas. A distilled R1 begins inside its thinking.
    ("deepseek-*", _JSON_OBJECT),
    ("deepseek-chat", {"context_window": 128_000}),
    ("deepseek-reasoner", {"context_window": 128_000}),
    ("deepseek-r1*", _THINKS_AT_ONCE),
    # Qwen writes Hermes' <tool_call> where its server does not read them.
    ("qwen*", _OLDER_FIELD | _IN_TEXT),
    ("qwen*-thinking*", _THINKS_AT_ONCE),
    ("qwq*", _OLDER_FIELD | _IN_TEXT | _THINKS_AT_ONCE),
    ("*hermes*", _OLDER_FIELD | _IN_TEXT),
    # Mistral refuses fields that it does not know, and tells its usage unasked.
    *(
        (f"{name}*", _OLDER_FIELD | {"stream_options": False})
        for name in ("mistral-", "ministral-", "magistral-", "codestral-", "devstral-", "pixtral-")
    ),
    ("mistral-large-*", {"context_window": 131_072}),
    # Gemini's schemas have one type each.
    ("gemini-*", {"context_window": 1_048_576, "type_arrays": "any_of"}),
    ("gemini-2.5*", {"quick_reasoning_effort": "low"}),
    ("gemini-3*", {"quick_reasoning_effort": "low"}),
    ("gemini-embedding-*", {"dimensions": True}),
    # Claude's compatible endpoint overlooks response_format, so that the prompt must say it.
    ("claude-*", {"context_window": 200_000, "response_format": "none"}),
    ("grok-3*", {"context_window": 131_072}),
    ("grok-3-mini*", {"quick_reasoning_effort": "low"}),
    ("grok-4*", {"context_window": 256_000}),
    ("kimi-*", _JSON_OBJECT),
    ("kimi-k2*", {"context_window": 131_072}),
    ("moonshot-v1-8k*", _JSON_OBJECT | {"context_window": 8_192}),
    ("moonshot-v1-32k*", _JSON_OBJECT | {"context_window": 32_768}),
    ("moonshot-v1-128k*", _JSON_OBJECT | {"context_window": 131_072}),
    ("glm-*", _JSON_OBJECT),
    ("glm-4.5*", {"context_window": 131_072}),
    ("glm-4.6*", {"context_window": 200_000}),
    ("llama*", _OLDER_FIELD),
    ("gemma*", _OLDER_FIELD),
    # Their templates know no role of the system.
    ("gemma-2*", {"system_role": "user"}),
    ("gemma2*", {"system_role": "user"}),
    ("sonar*", _OLDER_FIELD | {"tools": False}),
    # Small enough to try things out with; its template knows no tools.
    ("smollm2*", _OLDER_FIELD | {"context_window": 8_192, "tools": False}),
    # Embeddings that can be asked for in 1536 dimensions.
    ("text-embedding-3-*", {"dimensions": True}),
    ("text-embedding-v4", {"dimensions": True}),
    ("qwen3-embedding*", {"dimensions": True}),
)
