"""What a tool is, beside its arguments and its results."""

from __future__ import annotations

from agent_svc.catalogue import CATALOGUE
from agent_svc.tools import unknown_tool


def test_deadlines() -> None:
    assert CATALOGUE["list_tasks"].deadline_ms == 30_000
    assert CATALOGUE["delete_task"].deadline_ms == 300_000


def test_an_unknown_tool_is_told_with_those_it_may_have_been_meant_for() -> None:
    offered = ["create_task", "get_task", "list_tasks"]
    assert unknown_tool("listTask", offered) == (
        "There is no tool listTask here. Did you mean list_tasks or get_task?"
    )
    assert unknown_tool("launch_rocket", offered) == "There is no tool launch_rocket here."
    assert len(unknown_tool("x" * 100_000, offered)) < 200
