"""What the agents count of their tools: our own words for outcomes, never a device's."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from agent_svc import metrics
from switchboard.v3.frames_pb2 import ToolError, ToolRejection, ToolResult
from switchboard.v3.values_pb2 import Json


def count(outcome: str) -> float:
    labels = {"tool": "list_tasks", "outcome": outcome}
    name = "switchboard_agent_tool_call_duration_seconds_count"
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (ToolResult(result=Json(utf8=b"{}")), "result"),
        (ToolResult(rejected=ToolRejection(reason="no")), "rejected"),
        (ToolResult(error=ToolError(code="tool_call_expired")), "tool_call_expired"),
        (ToolResult(error=ToolError(code="device_gone")), "device_gone"),
        (ToolResult(error=ToolError(code="whatever the device says")), "error"),
        (ToolResult(), "error"),
    ],
)
def test_a_tool_is_counted_by_what_came_of_it(result: ToolResult, outcome: str) -> None:
    before = count(outcome)
    with metrics.tool("list_tasks", "c") as called:
        called.answered(result)
    assert count(outcome) == before + 1


def test_a_tool_that_is_not_waited_for_any_more_is_cancelled() -> None:
    before = count("cancelled")
    with pytest.raises(asyncio.CancelledError), metrics.tool("list_tasks"):
        raise asyncio.CancelledError
    assert count("cancelled") == before + 1
