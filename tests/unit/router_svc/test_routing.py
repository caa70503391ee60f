"""The question to the classifier, its answer, and what holds without one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_svc.routing import Question, answer_format, estimate, fallback, prompt
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.frames_pb2 import ChatMessage, Role, Scope, Usage

HOME, POPUP = Surface.SURFACE_HOME, Surface.SURFACE_POPUP
COST = Usage(input_tokens=1, model_calls=1)


@pytest.mark.parametrize(
    ("question", "agent", "reason"),
    [
        (Question(HOME, "Hello"), "general_agent", "default - model slow"),
        (Question(HOME, "My tasks?"), "task_agent", "keywords: tasks - model slow"),
        (Question(POPUP, "Hello"), "task_agent", "default - model slow"),
        (
            Question(POPUP, "My notes?", scope=Scope(type="dashboard")),
            "note_agent",
            "keywords: notes - model slow",
        ),
        (
            Question(POPUP, "My notes?", scope=Scope(type="project")),
            "project_agent",
            "scope: project - model slow",
        ),
        (
            Question(POPUP, "Hm", scope=Scope(type="checkpoint")),
            "checkpoint_agent",
            "scope: checkpoint - model slow",
        ),
        (Question(POPUP, "Hm", scope=Scope(type="task")), "task_agent", "scope: task - model slow"),
        (Question(POPUP, "Hm", scope=Scope(type="note")), "note_agent", "scope: note - model slow"),
    ],
)
def test_scope_then_keywords_then_default(question: Question, agent: str, reason: str) -> None:
    verdict = fallback(question, "model slow", COST)
    assert (verdict.agent, verdict.confidence, verdict.reason) == (agent, 0, reason)
    assert verdict.usage == COST


@given(
    message=st.text(),
    scope=st.none() | st.text(st.characters(codec="utf-8")),
    surface=st.sampled_from([HOME, POPUP]),
)
def test_a_fallback_always_names_who_is_offered(
    message: str, scope: str | None, surface: Surface.ValueType
) -> None:
    question = Question(surface, message, scope=Scope(type=scope) if scope is not None else None)
    verdict = fallback(question, "model slow", COST)
    assert verdict.agent in question.offered
    assert (verdict.agent == "general_agent") <= (surface == HOME)


def test_the_reason_holds_no_word_of_the_user() -> None:
    question = Question(POPUP, "Zanzibar tasks", scope=Scope(type="Zanzibar"))
    assert "zanzibar" not in fallback(question, "model slow", COST).reason.lower()


def test_the_prompt_is_bounded_and_ends_with_the_message() -> None:
    history = [
        ChatMessage(role=Role.ROLE_ASSISTANT if n % 2 else Role.ROLE_USER, content=f"{n} " * 5000)
        for n in range(200)
    ]
    messages = prompt(Question(POPUP, "And " + "x" * 50_000, history))
    assert sum(len(str(message.get("content"))) for message in messages) < 10_000
    assert [message["role"] for message in messages][:3] == ["system", "user", "assistant"]
    assert str(messages[-1].get("content")).startswith("And x")
    assert "general_agent" not in str(messages[0].get("content"))


def test_the_answers_form_is_strict() -> None:
    form = answer_format(Question(POPUP, "Hm").offered)["json_schema"]
    assert form["strict"] is True
    schema = json.loads(json.dumps(form["schema"]))
    assert schema["additionalProperties"] is False
    assert schema["required"] == list(schema["properties"])
    assert "general_agent" not in schema["properties"]["agent"]["enum"]


def test_an_estimate_counts_what_was_sent_and_received() -> None:
    short, long = estimate(Question(HOME, "a")), estimate(Question(HOME, "a" * 401), "b" * 8)
    assert short.estimated
    assert (long.input_tokens - short.input_tokens, long.output_tokens) == (100, 2)
    assert long.model_calls == 1
