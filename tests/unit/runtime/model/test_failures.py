"""What failed calls of models mean: to users, to retries, to operators."""

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import openai
import pytest

from runtime.errors import word
from runtime.model import refusals
from runtime.model.failures import (
    Unreadable,
    failure,
    failure_in_stream,
    is_transient,
    log_failure,
    log_failure_in_stream,
    retry_after_ms,
    safe,
)
from tests.unit.runtime.model.errors import KEY, refused, saying

MISCONFIGURED = [
    saying(401, "bad key", code="invalid_api_key"),
    saying(403, "Country not supported", code="unsupported_country_region_territory"),
    saying(402, "Insufficient credits", code=402),
    saying(402, "Insufficient Balance", type="unknown_error"),
    saying(429, "You exceeded your current quota", code="insufficient_quota"),
    saying(429, "Your account is suspended", type="exceeded_current_quota_error"),
    saying(400, "API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT"),
    saying(404, "The model `gpt-9` does not exist", code="model_not_found"),
    saying(400, "Invalid model name passed in model=gpt-9", param="None"),
    saying(404, 'model "llama9" not found, try pulling it first', type="api_error"),
    refused(404, {"detail": "Not Found"}),
    refused(405, "Method Not Allowed"),
    saying(400, '"auto" tool choice requires --enable-auto-tool-choice', code=400),
    saying(501, "This server does not support embeddings. Start it with `--embeddings`"),
    saying(400, "Your credit balance is too low to access the API", type="invalid_request_error"),
]
TOO_LONG = [
    saying(413, "Request too large"),
    refused(413, "<html>Payload Too Large</html>"),
    saying(400, "x", code="context_length_exceeded"),
    saying(
        400,
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens"
        " (8000 in the messages, 1000 in the completion). Please reduce the length.",
        type="BadRequestError",
        code=400,
    ),
    saying(400, "prompt is too long: 208310 tokens > 200000 maximum", type="invalid_request_error"),
    saying(
        400,
        "the request exceeds the available context size. try increasing the context size",
        type="exceed_context_size_error",
    ),
    saying(400, "The input token count (1200000) exceeds the maximum number of tokens allowed"),
    saying(400, "Prompt contains 40000 tokens, too large for model with 32768 maximum context"
           " length"),
    saying(422, "inputs tokens + max_new_tokens must be <= 4096. Given: too many tokens"),
    saying(429, "Request too large for gpt-4 on tokens per min (TPM): Limit 10000, Requested"
           " 20000", code="rate_limit_exceeded"),
    saying(413, "Request too large for model `x`", type="tokens", code="rate_limit_exceeded"),
    saying(400, "Range of input length should be [1, 30720]"),
]  # fmt: skip
REFUSED = [
    saying(400, "policy", code="content_policy_violation"),
    saying(400, "The response was filtered", code="content_filter"),
    saying(400, "x", type="content_filter"),
    saying(400, "x", code="moderation_blocked"),
    saying(400, "Content Exists Risk", type="invalid_request_error"),
    saying(400, "Input data may contain inappropriate content.", code="data_inspection_failed"),
    saying(403, "Content violates usage guidelines."),
    saying(403, "Your chosen model requires moderation and your input was flagged"),
    saying(400, "Invalid prompt: your prompt was flagged as potentially violating our usage"
           " policy.", code="invalid_prompt"),
]  # fmt: skip
RATE_LIMITED = [
    saying(429, "slow down"),
    saying(429, "You exceeded your current quota, check your plan", status="RESOURCE_EXHAUSTED"),
    refused(429, ""),
]  # fmt: skip
UNAVAILABLE = [
    saying(500, "boom"),
    saying(503, "Loading model", type="unavailable_error", code=503),
    saying(529, "overloaded"),
    saying(408, "time-out"),
    saying(409, "conflict"),
    saying(498, "Flex tier capacity exceeded", code="capacity_exceeded"),
    refused(502, "<html>Bad Gateway</html>"),
    refused(520, ""),
]


@pytest.mark.parametrize(
    ("error", "code", "transient"),
    [(error, "model_misconfigured", False) for error in MISCONFIGURED]
    + [(error, "context_too_long", False) for error in TOO_LONG]
    + [(error, "model_refused", False) for error in REFUSED]
    + [(error, "model_rate_limited", True) for error in RATE_LIMITED]
    + [(error, "model_unavailable", True) for error in UNAVAILABLE],
)
def test_errors_are_told_apart(error: openai.APIStatusError, code: str, transient: bool) -> None:
    meant = failure(error)
    assert (word(meant.code), is_transient(error)) == (code, transient)
    assert meant.retryable == transient
    assert error.message not in meant.message


REQUEST = httpx2.Request("POST", "http://127.0.0.1:1/v1")


def test_no_connection_is_no_model() -> None:
    error = openai.APIConnectionError(request=REQUEST)
    assert word(failure(error).code) == "model_unavailable" and is_transient(error)
    assert not is_transient(openai.APITimeoutError(REQUEST))
    assert word(failure(TimeoutError()).code) == "model_unavailable"
    assert word(failure(ValueError("x")).code) == "internal"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"message": "x", "code": 429}}, "model_rate_limited"),
        ({"error": {"message": "x", "type": "rate_limit_error"}}, "model_rate_limited"),
        ({"error": {"message": "x", "type": "overloaded_error"}}, "model_unavailable"),
        ({"error": {"message": "x", "type": "authentication_error"}}, "model_misconfigured"),
        ({"error": {"message": "x", "code": "insufficient_quota"}}, "model_misconfigured"),
        ({"error": {"message": "x", "code": "context_length_exceeded"}}, "context_too_long"),
        ({"error": {"message": "x", "code": "content_filter"}}, "model_refused"),
        ({"error": "boom"}, "model_unavailable"),
        ({"detail": "boom"}, "model_unavailable"),
        (None, "model_unavailable"),
    ],
)
def test_an_error_in_a_stream_is_told_apart_by_its_code(body: object, code: str) -> None:
    assert word(failure_in_stream(body).code) == code


@pytest.mark.parametrize(
    ("headers", "body", "wait_ms"),
    [
        ({"retry-after": "60"}, {}, 60_000),
        ({"retry-after": "1.5"}, {}, 1500),
        ({"retry-after-ms": "250", "retry-after": "1"}, {}, 250),
        ({"retry-after": "-3"}, {}, 0),
        ({"retry-after": "1e999"}, {}, None),
        ({"retry-after": "nan"}, {}, None),
        ({"retry-after": "99999999"}, {}, 3_600_000),
        ({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}, {}, 3_600_000),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, {}, 0),
        ({"retry-after": "soon"}, {}, None),
        ({}, {"message": "Please try again in 6m0.5s."}, 360_500),
        ({}, {"message": "Please try again in 20ms."}, 20),
        ({}, {"message": "Please retry after 7 seconds."}, 7000),
        ({}, {"message": "x", "details": [{"@type": "RetryInfo", "retryDelay": "23s"}]}, 23_000),
    ],
)
def test_a_wait_is_read_from_wherever_it_is_told(
    headers: dict[str, str], body: dict[str, Any], wait_ms: int | None
) -> None:
    error = refused(429, {"error": body}, headers)
    assert retry_after_ms(error) == failure(error).retry_after_ms == wait_ms


def test_a_wait_may_be_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    told = retry_after_ms(refused(429, {}, {"retry-after": soon}))
    assert told is not None and 85_000 < told <= 90_000


def line(error: Exception, caplog: pytest.LogCaptureFixture) -> str:
    caplog.clear()
    log_failure(logging.getLogger("x"), error, "chat")
    (record,) = caplog.records
    return f"{record.levelname}: {record.getMessage()}"


def test_the_operator_reads_what_is_wrong_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    error = saying(404, "The model `gpt-9`\n does not exist", code="model_not_found", param="model")
    assert line(error, caplog) == (
        "ERROR: model call failed (chat): model_misconfigured: status 404, code model_not_found,"
        " parameter model, The model `gpt-9` does not exist - are AGENT_MODEL and OPENAI_BASE_URL"
        " (or AGENT_BASE_URL) right?"
    )


@pytest.mark.parametrize(
    "error",
    [
        *MISCONFIGURED,
        saying(403, "Project has no access to model gpt-9", code="model_not_found", param="model"),
        saying(400, "Unsupported parameter: 'stop'.", code="unsupported_parameter", param="stop"),
        saying(400, 'Unknown name "x": Cannot find field.', status="INVALID_ARGUMENT", code=400),
        saying(404, "The model `Qwen3-235B-A22B-Thinking-2507-FP8` does not exist.", param="model"),
        refused(401, {"error": "Invalid API key"}),
        refused(422, {"detail": [{"loc": ["body", "top_k"], "msg": "Extra inputs", "type": "x"}]}),
    ],
)
def test_whatever_is_not_set_up_right_is_told_with_code_parameter_and_message(
    error: openai.APIStatusError, caplog: pytest.LogCaptureFixture
) -> None:
    told, refusal = line(error, caplog), refusals.of_error(error)
    start = "ERROR: model call failed (chat): model_misconfigured: status"
    assert told.startswith(f"{start} {error.status_code}")
    for fact in (refusal.code or refusal.kind, refusal.param, refusal.message):
        assert fact in told
    assert " - " in told


def test_an_error_in_a_stream_is_told_as_one_of_http(caplog: pytest.LogCaptureFixture) -> None:
    body = {"code": "invalid_api_key", "param": "key", "message": f"No such key: {KEY}"}
    log_failure_in_stream(logging.getLogger("x"), body, "chat", key=KEY)
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage() == (
        "model call failed (chat): model_misconfigured: status 401, code invalid_api_key,"
        " parameter key, No such key: [key] - is the API key right (OPENAI_API_KEY or"
        " AGENT_API_KEY), and may it use this model?"
    )


@pytest.mark.parametrize(
    "text", ["-" * 3_000, "a-" * 1_500, "a1a-" * 800 + "!", "_" * 2_000 + "1a1a"]
)
def test_a_line_of_any_text_takes_no_time(text: str) -> None:
    assert len(safe(text)) <= 300


def test_what_cannot_be_reached_is_told_with_where(caplog: pytest.LogCaptureFixture) -> None:
    told = line(openai.APIConnectionError(request=REQUEST), caplog)
    assert told.startswith("WARNING: model call failed (chat): model_unavailable: ")
    assert "refused the connection" in told
    assert "does something listen at 127.0.0.1:1?" in told
    late = line(openai.APITimeoutError(request=REQUEST), caplog)
    assert "model_unavailable: timed out - " in late


def test_what_is_none_of_the_api_is_told_with_where_to_look(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = line(Unreadable("the answer is no completion"), caplog)
    assert "model_unavailable: the answer is no completion - is OPENAI_BASE_URL" in told
    assert failure(Unreadable("x")).retryable


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Invalid prompt: LEMUR, my diary of today", "weird"),
        ("could not apply template to: [{role: user, content: LEMUR my diary}]", None),
        ("no such thing as lemur my diary", None),
        ("refused", "LEMUR my diary"),
    ],
)
def test_what_the_user_wrote_is_in_no_line_though_a_provider_repeats_it(
    message: str, code: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    sent = httpx2.Request(
        "POST",
        "http://127.0.0.1:1/v1/chat/completions",
        json={"model": "m", "messages": [{"role": "user", "content": "LEMUR my diary"}]},
    )
    body = {"error": {"message": message, "code": code}}
    response = httpx2.Response(400, json=body, request=sent)
    told = line(openai.BadRequestError(message, response=response, body=body["error"]), caplog)
    assert "lemur" not in told.casefold()
    assert told.startswith("ERROR: model call failed (chat): model_misconfigured: status 400")
    caplog.clear()
    log_failure_in_stream(
        logging.getLogger("x"),
        body["error"] | {"code": 400},
        "chat",
        key=KEY,
        sent=str(sent.content),
    )
    assert "lemur" not in caplog.text.casefold()


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (saying(429, "x", code="insufficient_quota"), "is there credit left?"),
        (saying(400, "Invalid model name passed in model=gpt-9"), "are AGENT_MODEL and"),
        (saying(501, "This server does not support embeddings."), "are AGENT_MODEL and"),
        (saying(400, "Unknown parameter: 'x'", param="x"), "does the model's profile fit"),
    ],
)
def test_a_hint_tells_what_to_look_at(
    error: Exception, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert hint in line(error, caplog)


@pytest.mark.parametrize(
    "message",
    [
        f"Incorrect API key provided: {KEY}. You can find yours elsewhere.",
        "Incorrect API key provided: sk-proj-abc********wxyz.",
        f"Unknown token Bearer {KEY}",
        "Invalid key AIzaSyD-0123456789abcdefghijklmnopqrstu",
    ],
)
def test_no_key_reaches_the_log(message: str, caplog: pytest.LogCaptureFixture) -> None:
    told = line(saying(401, message), caplog)
    assert "is the API key right (OPENAI_API_KEY or AGENT_API_KEY)" in told
    for secret in (KEY, "sk-proj", "wxyz", "0123456789"):
        assert secret not in told


@pytest.mark.parametrize(
    "error",
    [
        saying(400, "Invalid prompt: 'my secret diary'", code="content_filter"),
        saying(400, "Too long: my secret diary", code="context_length_exceeded"),
        saying(400, f"Invalid value: 'Dear my secret diary, {'today ' * 10}'"),
        refused(422, {"detail": [{"loc": ["body", "x"], "msg": "no", "input": "my secret diary"}]}),
        refused(400, {"message": "1 error: {'loc': ('x',), 'input': 'my secret diary'}"}),
    ],
)
def test_no_words_of_the_user_reach_the_log(
    error: openai.APIStatusError, caplog: pytest.LogCaptureFixture
) -> None:
    assert "secret diary" not in line(error, caplog)


def test_a_line_of_the_log_has_a_bound(caplog: pytest.LogCaptureFixture) -> None:
    assert len(line(saying(400, "no " * 5000, param="p" * 5000, code="c" * 5000), caplog)) < 800
