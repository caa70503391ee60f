"""What models write as arguments, and what a tool gets of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agent_svc import times
from agent_svc.arguments import coerced
from agent_svc.catalogue import CATALOGUE
from agent_svc.nearest import nearest
from agent_svc.tools import BadArguments, Tool

NOW = datetime(2026, 11, 28, 18, 0, tzinfo=ZoneInfo("Europe/Berlin"))
DEC_1 = times.millis(datetime(2026, 12, 1, tzinfo=NOW.tzinfo))
MINUTE = 60_000


def checked(tool: str, arguments: object) -> dict[str, Any]:
    return CATALOGUE[tool].checked(orjson.dumps(arguments).decode(), NOW)


@pytest.mark.parametrize(
    ("tool", "written", "meant"),
    [
        ("list_tasks", {"limit": "5"}, {"limit": 5}),
        ("list_tasks", {"limit": " 5.0 "}, {"limit": 5}),
        ("list_tasks", {"limit": 1000}, {"limit": 200}),
        ("list_tasks", {"limit": "1000"}, {"limit": 200}),
        ("list_tasks", {"limit": [5]}, {"limit": 5}),
        ("list_tasks", {"limit": ""}, {}),
        ("list_tasks", {"limit": None, "status": None, "made_up": None}, {}),
        ("list_tasks", {"overdue": "true"}, {"overdue": True}),
        ("list_tasks", {"overdue": "False"}, {"overdue": False}),
        ("list_tasks", {"overdue": 1}, {"overdue": True}),
        ("list_tasks", {"overdue": "null"}, {}),
        ("list_tasks", {"status": ["todo"]}, {"status": "todo"}),
        ("list_tasks", {"projectId": 17}, {"projectId": "17"}),
        ("list_tasks", {"projectId": 17.0}, {"projectId": "17"}),
        ("list_tasks", {"project_id": "p"}, {"projectId": "p"}),
        ("list_tasks", {"DueBefore": "2026-12-01"}, {"dueBefore": DEC_1}),
        ("list_tasks", {"dueBefore": "2026-12-01"}, {"dueBefore": DEC_1}),
        ("list_tasks", {"dueBefore": str(DEC_1)}, {"dueBefore": DEC_1}),
        ("list_tasks", {"dueBefore": DEC_1}, {"dueBefore": DEC_1}),
        ("list_tasks", {"due_before": "2026-12-01T00:00 Tuesday"}, {"dueBefore": DEC_1}),
        ("list_tasks", {"dueBefore": "2026-11-30T23:00:00Z"}, {"dueBefore": DEC_1}),
        ("list_tasks", {"dueAfter": "2026-12-01"}, {"dueAfter": DEC_1 - 1}),
        ("list_tasks", {"dueBefore": "tomorrow"}, {"dueBefore": DEC_1 - 2 * 86_400_000}),
        ("create_task", {"title": 5}, {"title": "5"}),
        (
            "create_task",
            {"title": "T", "due_date": "2026-11-30"},
            {"title": "T", "dueDate": DEC_1 - MINUTE},
        ),
        ("create_task", {"task": {"name": "T", "due_date": None}}, {"title": "T"}),
        ("create_project", {"title": "P"}, {"name": "P"}),
        ("list_tasks", {"filters": {"status": "todo"}, "limit": 5}, {"status": "todo", "limit": 5}),
        ("update_task", {"id": "1", "changes": {"status": "x"}}, {"id": "1", "status": "x"}),
        ("update_task", {"id": 1, "dueDate": None}, {"id": "1", "dueDate": None}),
        ("update_task", {"id": "1", "due-date": None}, {"id": "1", "dueDate": None}),
        ("update_task", {"id": "1", "dueDate": "2026-12-01T00:00"}, {"id": "1", "dueDate": DEC_1}),
        ("count_tasks", {"by": "Status"}, {"by": "status"}),
        ("count_tasks", {"by": ["week"], "overdue": "yes"}, {"by": "week", "overdue": True}),
        (
            "suggest_checkpoints",
            {"checkpoints": {"title": "A", "date": "2026-12-01T00:00"}},
            {"checkpoints": [{"title": "A", "date": DEC_1}]},
        ),
        (
            "suggest_checkpoints",
            {"checkpoints": '[{"Title": "A", "date": "2026-12-01T00:00", "project_id": null}]'},
            {"checkpoints": [{"title": "A", "date": DEC_1}]},
        ),
    ],
)
def test_what_can_mean_one_thing_only_is_taken(
    tool: str, written: dict[str, Any], meant: dict[str, Any]
) -> None:
    assert checked(tool, written) == meant
    assert checked(tool, orjson.dumps(written).decode()) == meant  # encoded twice


@pytest.mark.parametrize(
    ("tool", "written", "hint"),
    [
        ("list_tasks", {"limit": 0}, "limit: 0 is less than the minimum of 1."),
        ("list_tasks", {"limit": 1.5}, "limit: 1.5 is not of type 'integer'."),
        ("list_tasks", {"limit": "many"}, "limit: 'many' is not of type 'integer'."),
        ("list_tasks", {"overdue": "often"}, "overdue: 'often' is not of type 'boolean'."),
        ("list_tasks", {"status": ["todo", "done"]}, "is not of type 'string'."),
        ("list_tasks", {"status": True}, "status: True is not of type 'string'."),
        (
            "list_tasks",
            {"dueBefore": "next friday"},
            "dueBefore: 'next friday' is no time. Give a local date such as 2026-12-01, or a date"
            " and time such as 2026-12-01T09:30.",
        ),
        ("list_tasks", {"assigned": "Ann"}, "no argument 'assigned'. Did you mean assignee?"),
        ("list_tasks", {"zzz": 1}, "no argument 'zzz'. The arguments are status, projectId,"),
        ("count_tasks", {"by": "assigne"}, "by: 'assigne' is none of status, project, assignee"),
        ("count_tasks", {"by": "assigne"}, "Did you mean assignee?"),
        ("list_tasks", {"dueBefore": "soon", "statuss": "x"}, "Did you mean status"),
        ("create_task", {"title": "A", "name": "B"}, "There is no argument 'name'."),
        ("create_task", {"task": {"title": "A", "colour": "red"}}, "no argument 'task'."),
        ("create_task", {"title": "A", "task": {"title": "B"}}, "no argument 'task'."),
        ("get_task", {}, "'id' is a required property."),
        ("get_task", {"id": None}, "'id' is a required property."),
        ("list_tasks", {"due_before": DEC_1, "dueBefore": 1}, "no argument 'due_before'."),
        (
            "suggest_checkpoints",
            {"checkpoints": [{"title": "A", "date": "soon"}]},
            "checkpoints.0.date: 'soon' is no time.",
        ),
        (
            "suggest_checkpoints",
            {"checkpoints": [{"title": "A", "date": 1, "when": 2}]},
            "There is no argument 'when' in checkpoints.0.",
        ),
        ("list_tasks", {"limit": "x" * 90_000}, "xxx"),
    ],
)
def test_what_still_misfits_is_told_so_that_it_can_be_mended(
    tool: str, written: dict[str, Any], hint: str
) -> None:
    with pytest.raises(BadArguments) as bad:
        checked(tool, written)
    assert hint in str(bad.value)
    assert len(str(bad.value)) < 1000


@pytest.mark.parametrize("text", ['{"limit": NaN}', '{"limit": 1', "x", '"{"'])
def test_what_is_no_json_is_told_so(text: str) -> None:
    with pytest.raises(BadArguments, match="no valid JSON"):
        CATALOGUE["list_tasks"].checked(text, NOW)


@pytest.mark.parametrize("text", ["null", "5", "[]", '"5"', "[[1]]"])
def test_arguments_are_an_object(text: str) -> None:
    with pytest.raises(BadArguments, match="must be a JSON object"):
        CATALOGUE["list_tasks"].checked(text, NOW)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ('{"status": "' + "x" * 300_000 + '"}', "longer than 262144 characters"),
        ('{"status": ' + "[" * 900 + "]" * 900 + "}", "nested too deeply"),
        (orjson.dumps({f"k{n}": n for n in range(9000)}).decode(), "And more is wrong."),
    ],
)
def test_a_model_that_does_not_come_to_an_end_is_stopped(arguments: str, hint: str) -> None:
    with pytest.raises(BadArguments, match=hint):
        CATALOGUE["list_tasks"].checked(arguments, NOW)
    many = orjson.dumps({"checkpoints": [{"title": 1}] * 9000}).decode()
    with pytest.raises(BadArguments, match="is too long"):
        CATALOGUE["suggest_checkpoints"].checked(many, NOW)


def test_no_arguments_are_an_empty_object() -> None:
    tool = CATALOGUE["list_tasks"]
    assert tool.checked("", NOW) == tool.checked(" \n", NOW) == tool.checked("{}", NOW) == {}


def test_null_empties_where_it_may() -> None:
    with pytest.raises(BadArguments, match="title"):
        checked("update_task", {"id": "t", "title": ""})
    with pytest.raises(BadArguments, match="does not have enough properties"):
        checked("update_task", {"id": "t", "title": None})


def test_a_text_that_was_cut_is_never_written_back() -> None:
    with pytest.raises(BadArguments, match="would lose the rest"):
        checked("update_note", {"id": "n", "content": "So it began… [59000 more characters]"})
    assert checked("search_notes", {"query": "… [59000 more characters]"})


def test_the_nearest_words_come_first() -> None:
    assert nearest("list_task", CATALOGUE)[0] == "list_tasks"
    assert nearest("getTasks", CATALOGUE)[0] == "get_task"
    assert nearest("launch_rocket", ["list_tasks"]) == []
    assert nearest("x" * 1_000_000, CATALOGUE) == []


# --- the laws

TOOLS = st.sampled_from([*CATALOGUE.values()])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What fits a schema of the catalogue."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([_values(schema, kind) for kind in kinds])


def _values(schema: dict[str, Any], kind: str) -> st.SearchStrategy[Any]:
    match kind:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", -99), schema.get("maximum", 99))
        case "number":
            return st.integers(10**11, 4 * 10**12)
        case "array":
            return st.lists(values(schema["items"]), min_size=1, max_size=3)
        case "object":
            return objects(schema)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"))
    return st.text(min_size=schema.get("minLength", 0), max_size=20)


def objects(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    required = schema.get("required", [])
    fields = {name: values(field) for name, field in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    )


@settings(deadline=None)
@given(TOOLS, st.data())
def test_what_fits_is_not_touched(tool: Tool, data: st.DataObject) -> None:
    arguments = data.draw(objects(tool.arguments))
    assume(Draft202012Validator(tool.arguments).is_valid(arguments))
    assert coerced(tool.arguments, arguments, NOW) == arguments


@settings(deadline=None)
@given(TOOLS, st.dictionaries(st.text(), JSON, max_size=4), st.data())
def test_whatever_is_written_fits_or_is_told_back(
    tool: Tool, other: dict[str, Any], data: st.DataObject
) -> None:
    some = data.draw(st.dictionaries(st.sampled_from([*tool.arguments["properties"]]), JSON))
    try:
        arguments = tool.checked(orjson.dumps(other | some).decode(), NOW)
    except BadArguments as bad:
        assert 0 < len(str(bad)) < 2000
    else:
        assert Draft202012Validator(tool.arguments).is_valid(arguments)
        assert coerced(tool.arguments, arguments, NOW) == arguments


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def careless(value: Any, schema: dict[str, Any], draw: Any) -> Any:
    """The same value as a careless model writes it."""
    kinds = schema["type"]
    if value is None or draw(st.booleans()):
        return value
    match value:
        case bool():
            return draw(st.sampled_from([str(value), str(value).lower(), int(value), [value]]))
        case int() if schema.get("format"):
            at = datetime.fromtimestamp(value / 1000, NOW.tzinfo)
            return draw(st.sampled_from([str(value), at.astimezone().isoformat()]))
        case int():
            return draw(st.sampled_from([str(value), f" {value}", float(value), [value]]))
        case str() if "enum" in schema:
            return draw(st.sampled_from([value.upper(), value.title(), [value]]))
        case str() if kinds == "string":
            return [value]
        case [one]:
            return draw(st.sampled_from([one, orjson.dumps(value).decode()]))
        case dict():
            fields = schema["properties"]
            names = {
                name: draw(st.sampled_from([name, _snake(name), name.upper()])) for name in value
            }
            return {
                names[name]: careless(one, fields[name], draw) for name, one in value.items()
            } | {"more": None}
    return value


@settings(deadline=None)
@given(TOOLS, st.data())
def test_a_careless_spelling_means_the_same(tool: Tool, data: st.DataObject) -> None:
    arguments = data.draw(objects(tool.arguments))
    assume(Draft202012Validator(tool.arguments).is_valid(arguments))
    written = careless(arguments, tool.arguments, data.draw)
    if data.draw(st.booleans()):
        written = {data.draw(st.sampled_from(["arguments", "task", "filters"])): written}
    assert checked(tool.name, written) == arguments
