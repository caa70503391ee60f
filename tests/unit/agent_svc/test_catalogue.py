"""The catalogue as clients and agents rely on it."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent_svc.catalogue import CATALOGUE, SERVER_TOOLS, of, reading
from agent_svc.schemas import CHECKPOINT, FIELDS, NOTE, PAGE, TASK
from agent_svc.tools import Tool
from switchboard.v3.frames_pb2 import MutationOp

TOOLS = list(CATALOGUE.values())


def test_every_tool_that_was_promised_is_there() -> None:
    kinds = ("task", "project", "note", "checkpoint")
    five = {f"{verb}_{kind}" for verb in ("get", "create", "update", "delete") for kind in kinds}
    assert set(CATALOGUE) == {
        *five,
        *(f"list_{kind}s" for kind in kinds),
        *(
            "complete_task",
            "count_tasks",
            "search_notes",
            "suggest_checkpoints",
            "approve_checkpoint",
        ),
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
        ("list_tasks", {"items": [], "total": 0, "known": {"status": ["todo"]}}),
        ("search_notes", {"items": [], "total": 70, "next_cursor": "n-50"}),
        ("count_tasks", {"total": 3, "counts": [{"value": None, "count": 3}]}),
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
        *("count_tasks", "get_checkpoint", "get_task"),
        *("list_checkpoints", "list_tasks"),
    )


def test_lists_and_searches_come_in_pages_and_nothing_else_does() -> None:
    for name, tool in CATALOGUE.items():
        listed = name.startswith(("list_", "search_notes"))
        assert tool.page_size == (50 if listed else None)
        assert (PAGE.items() <= tool.arguments["properties"].items()) is listed


def test_a_device_that_names_no_tools_has_the_24_of_the_beginning() -> None:
    on_device = [tool for tool in TOOLS if not tool.runs_on_server]
    assert [tool.name for tool in on_device if tool.named_only] == ["count_tasks"]
    assert len(on_device) == 25


def test_the_model_is_offered_dates_where_the_device_gets_milliseconds() -> None:
    def fields(schema: Any) -> dict[str, Any]:
        found: dict[str, Any] = schema["properties"]
        return found

    create = CATALOGUE["create_task"]
    offered = fields(create.for_model()["function"]["parameters"])
    assert fields(create.arguments)["dueDate"] == {
        "type": "number",
        "format": "unix-ms-due",
        "description": "When it is due, in milliseconds since 1970, UTC.",
    }
    assert offered["dueDate"] == {
        "type": "string",
        "description": "When it is due: a local date or time; a date alone is the end of that day.",
    }
    assert offered["title"] == fields(create.arguments)["title"]
    update = fields(CATALOGUE["update_task"].for_model()["function"]["parameters"])
    assert update["dueDate"]["type"] == ["string", "null"]
    suggest = fields(CATALOGUE["suggest_checkpoints"].for_model()["function"]["parameters"])
    assert fields(suggest["checkpoints"]["items"])["date"]["type"] == "string"


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_no_milliseconds_are_asked_of_the_model(tool: Tool) -> None:
    assert "milliseconds" not in str(tool.for_model())
    assert "unix-ms" not in str(tool.for_model())
