"""Names that models have, and what is known by them."""

from dataclasses import fields
from typing import Any

import pytest

from runtime.model.client import ModelSettings
from runtime.model.families import FAMILIES
from runtime.model.profiles import Profile

KNOWN = ModelSettings().profiles()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gpt-4o-mini", {"context_window": 128_000}),
        ("openai/gpt-4o-2024-08-06", {"context_window": 128_000}),
        ("gpt-5-mini", {"quick_reasoning_effort": "minimal", "tools_reasoning_effort": None}),
        ("gpt-5.2", {"quick_reasoning_effort": "none", "tools_reasoning_effort": None}),
        ("gpt-5.6-terra", {"tools_reasoning_effort": "none", "api": "chat"}),
        ("gpt-5-chat-latest", {"quick_reasoning_effort": None}),
        ("gpt-5.1-codex-max", {"api": "responses"}),
        ("o3-pro", {"api": "responses"}),
        ("o4-mini", {"quick_reasoning_effort": "low", "tools": True}),
        ("o1-mini", {"system_role": "user", "tools": False}),
        ("deepseek-chat", {"response_format": "json_object", "max_tokens_field": "max_tokens"}),
        ("deepseek-r1-distill-qwen-7b", {"opens_thinking": True}),
        ("Qwen/Qwen3-4B-Thinking-2507", {"opens_thinking": True, "text_tool_calls": True}),
        ("Qwen3-4B-Instruct", {"opens_thinking": False, "text_tool_calls": True}),
        ("QwQ-32B", {"opens_thinking": True}),
        ("NousResearch/Hermes-3-Llama-3.1-8B", {"text_tool_calls": True}),
        ("mistral-small-latest", {"stream_options": False, "max_tokens_field": "max_tokens"}),
        ("models/gemini-2.5-flash", {"type_arrays": "any_of", "quick_reasoning_effort": "low"}),
        ("gemini-2.0-flash", {"quick_reasoning_effort": None}),
        ("claude-sonnet-4-5", {"response_format": "none", "context_window": 200_000}),
        ("moonshotai/Kimi-K2-Instruct", {"response_format": "json_object"}),
        ("zai-org/GLM-4.6", {"context_window": 200_000}),
        ("gemma2:9b", {"system_role": "user"}),
        ("text-embedding-3-small", {"dimensions": True}),
        ("text-embedding-ada-002", {"dimensions": False}),
        ("qwen3-embedding:0.6b", {"dimensions": True}),
    ],
)
def test_a_family_is_known_by_its_name(name: str, told: dict[str, Any]) -> None:
    profile = KNOWN.of(name)
    assert {field: getattr(profile, field) for field in told} == told


def test_a_name_that_only_looks_alike_is_nobodys() -> None:
    for name in ("my-gpt-4o", "offline", "gpt4all", "phi-4"):
        assert KNOWN.of(name) == Profile()


def test_no_rule_names_a_setting_that_is_none() -> None:
    known = {each.name for each in fields(Profile)}
    assert all(set(changes) <= known for _, changes in FAMILIES)
    assert all(pattern == pattern.lower() for pattern, _ in FAMILIES)
