"""What every service counts of its calls and of its models."""

import asyncio
from contextlib import nullcontext

import openai
import pytest
from prometheus_client import REGISTRY

from runtime import metrics
from runtime.errors import SwitchboardError
from runtime.model import client as model
from switchboard.v3.errors_pb2 import ErrorCode


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_call_is_counted_by_how_it_ended() -> None:
    with metrics.rpc("T/Good"):
        assert value("switchboard_rpcs_active", method="T/Good") == 1
    with metrics.rpc("T/Bad") as outcome:
        outcome.status = "NOT_FOUND"
    with pytest.raises(asyncio.CancelledError), metrics.rpc("T/Left"):
        raise asyncio.CancelledError
    assert value("switchboard_rpcs_active", method="T/Good") == 0
    assert value("switchboard_rpcs_total", method="T/Good", status="OK") == 1
    assert value("switchboard_rpcs_total", method="T/Bad", status="NOT_FOUND") == 1
    assert value("switchboard_rpcs_total", method="T/Left", status="CANCELLED") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, "ok"),
        (TimeoutError("words of a provider"), "model_unavailable"),
        (openai.APIError("words of a provider", None, body=None), "model_unavailable"),  # type: ignore[arg-type] # no request is at hand
        (SwitchboardError(ErrorCode.ERROR_CODE_MODEL_REFUSED, "no"), "model_refused"),
        (ValueError("words of a provider"), "internal"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
def test_a_models_call_is_timed_by_what_came_of_it(error: BaseException | None, code: str) -> None:
    name = "switchboard_model_call_duration_seconds_count"
    before = value(name, operation="test", code=code)
    raises = pytest.raises(type(error)) if error is not None else nullcontext()
    with raises, model.calling("test", "gpt"):
        if error is not None:
            raise error
    assert value(name, operation="test", code=code) == before + 1


def test_tokens_only_grow() -> None:
    model.spent("test", 3, -7)
    model.spent("test", 4, 2)
    total = "switchboard_model_tokens_total"
    assert value(total, operation="test", direction="input") == 7
    assert value(total, operation="test", direction="output") == 2
