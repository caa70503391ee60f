"""The catalogue as clients and agents rely on it."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent_svc.catalogue import CATALOGUE, CHECKPOINT, FIELDS, NOTE, SERVER_TOOLS, TASK, of, reading
from agent_svc.tools import Tool
from switchboard.v3.frames_pb2 import MutationOp

TOOLS = list(CATALOGUE.values())


def test_every_tool_that_was_promised_is_there() -> None:
    kinds = ("task", "project", "note", "checkpoint")
    five = {f"{verb}_{kind}" for verb in ("get", "create", "update", "delete") for kind in kinds}
    assert set(CATALOGUE) == {
        *five,
        *(f"list_{kind}s" for kind in kinds),
        *("complete_task", "search_notes", "suggest_checkpoints", "approve_checkpoint"),
        *("remember_preference", "search_memory"),
    }
    assert list(CATALOGUE) == sorted(CATALOGUE)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_schemas_are_schemas(tool: Tool) -> None:
    Draft202012Validator.check_schema(tool.arguments)
    Draft202012Validator.check_schema(tool.result)
    assert tool.arguments["additionalProperties"] is False
    assert tool.description.endswith(".")
    for field in tool.arguments["properties"].values():
        assert field["description"].endswith(".")


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_effects_follow_the_names(tool: Tool) -> None:
    verb = tool.name.partition("_")[0]
    expected = {
        "create": MutationOp.MUTATION_OP_CREATE,
        "suggest": MutationOp.MUTATION_OP_CREATE,
        "update": MutationOp.MUTATION_OP_UPDATE,
        "complete": MutationOp.MUTATION_OP_UPDATE,
        "approve": MutationOp.MUTATION_OP_UPDATE,
        "delete": MutationOp.MUTATION_OP_DELETE,
    }
    assert tool.effect == expected.get(verb)
    assert tool.requires_approval == (verb == "delete")
    assert tool.runs_on_server == (tool.name in SERVER_TOOLS)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("list_tasks", {"items": [{"id": "1", "title": "T", "own": None}]}),
        ("get_project", {"items": [{"id": "1", "name": "P"}]}),
        ("get_note", {"items": []}),
        ("create_checkpoint", {"item": {"id": "1", "title": "C"}}),
        ("suggest_checkpoints", {"items": [{"id": "1", "title": "C"}]}),
        ("delete_note", {"id": "1"}),
    ],
)
def test_results_have_the_shape_of_their_kind(name: str, result: dict[str, Any]) -> None:
    assert CATALOGUE[name].fits(result)
    assert not CATALOGUE[name].fits({})
    assert not CATALOGUE[name].fits([result])


def test_every_field_can_be_set_and_emptied_but_the_first() -> None:
    for kind, fields in FIELDS.items():
        first, *others = fields
        update = next(CATALOGUE[name] for name in of(kind) if name.startswith("update_"))
        types = {name: field["type"] for name, field in update.arguments["properties"].items()}
        assert types[first] == "string"
        assert all("null" in types[name] for name in others)


def test_reading_tools_change_nothing() -> None:
    assert reading(NOTE) == ("get_note", "list_notes", "search_notes")
    assert reading(TASK, CHECKPOINT) == (
        *("get_checkpoint", "get_task"),
        *("list_checkpoints", "list_tasks"),
    )
