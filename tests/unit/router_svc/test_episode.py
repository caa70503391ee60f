"""What an exchange leaves for memory."""

import json

from hypothesis import given
from hypothesis import strategies as st

from router_svc.episode import MAX_ENTITIES, RESPONSE_CHARS, Transcript
from switchboard.v3.agent_pb2 import DeviceToolCall
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.frames_pb2 import MutationOp, ToolCall, ToolError, ToolRejection, ToolResult
from switchboard.v3.values_pb2 import Json

TASK, PROJECT = EntityKind.ENTITY_KIND_TASK, EntityKind.ENTITY_KIND_PROJECT
UPDATE, DELETE = MutationOp.MUTATION_OP_UPDATE, MutationOp.MUTATION_OP_DELETE


def call(
    name: str = "list_tasks",
    entity: EntityKind.ValueType = TASK,
    effect: MutationOp.ValueType | None = None,
) -> DeviceToolCall:
    return DeviceToolCall(call=ToolCall(call_id="c1", name=name), entity=entity, effect=effect)


def result(value: object) -> ToolResult:
    return ToolResult(call_id="c1", result=Json(utf8=json.dumps(value).encode()))


def test_the_response_is_the_text_joined_and_bounded() -> None:
    transcript = Transcript()
    transcript.say("Hello ")
    transcript.say("world")
    assert transcript.response == "Hello world"
    for _ in range(10):
        transcript.say("x" * 10_000)
    assert len(transcript.response) == RESPONSE_CHARS


def test_entities_are_gathered_with_what_is_certain_of_them() -> None:
    transcript = Transcript()
    item = {
        "id": "p1",
        "name": "Website",
        "status": "active",
        "clientId": "acme",
        "budget": 12.5,
        "start": 1700000000000.0,
        "billable": True,
        "tags": ["a"],
        "owner": None,
        "description": "x" * 1000,
    }
    transcript.record(call("get_project", PROJECT), result({"item": item}))
    (entity,) = transcript.entities
    assert (entity.kind, entity.id, entity.title, entity.changed) == (
        PROJECT,
        "p1",
        "Website",
        False,
    )
    assert dict(entity.attributes) == {
        "status": "active",
        "clientId": "acme",
        "budget": "12.5",
        "start": "1700000000000",
        "billable": "true",
    }
    assert transcript.tools == ["get_project"]


def test_the_latest_state_counts_and_a_change_stays_a_change() -> None:
    transcript = Transcript()
    transcript.record(call(), result({"items": [{"id": "t1", "title": "Rent", "status": "todo"}]}))
    transcript.record(
        call("complete_task", effect=UPDATE),
        result({"item": {"id": "t1", "title": "Rent", "status": "done"}}),
    )
    transcript.record(call(), result({"items": [{"id": "t1", "title": "Rent", "status": "done"}]}))
    (entity,) = transcript.entities
    assert (entity.changed, entity.attributes["status"]) == (True, "done")
    assert transcript.tools == ["list_tasks", "complete_task"]


def test_a_delete_keeps_the_name_that_was_known() -> None:
    transcript = Transcript()
    transcript.record(call(), result({"items": [{"id": "t1", "title": "Rent"}]}))
    transcript.record(call("delete_task", effect=DELETE), result({"id": "t1"}))
    (entity,) = transcript.entities
    assert (entity.title, entity.changed, dict(entity.attributes)) == (
        "Rent",
        True,
        {"deleted": "true"},
    )


def test_what_changed_is_kept_before_what_was_only_read() -> None:
    transcript = Transcript()
    many = [{"id": f"t{n}", "title": f"Task {n}"} for n in range(500)]
    transcript.record(call(), result({"items": many}))
    assert len(transcript.entities) == MAX_ENTITIES
    created = {"item": {"id": "new", "title": "New"}}
    transcript.record(call("create_task", effect=MutationOp.MUTATION_OP_CREATE), result(created))
    assert len(transcript.entities) == MAX_ENTITIES
    assert transcript.entities[0].id == "new"


def test_failed_and_refused_calls_touch_nothing() -> None:
    transcript = Transcript()
    transcript.record(call(), ToolResult(call_id="c1", error=ToolError(code="x", message="y")))
    transcript.record(
        call("delete_task", effect=DELETE), ToolResult(call_id="c1", rejected=ToolRejection())
    )
    assert transcript.entities == []
    assert transcript.tools == ["list_tasks", "delete_task"]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("id"), inner),
    max_leaves=20,
)


@given(value=JSON | st.fixed_dictionaries({"items": st.lists(JSON)}) | st.builds(dict, item=JSON))
def test_a_result_of_any_shape_is_taken(value: object) -> None:
    transcript = Transcript()
    transcript.record(call(), result(value))
    assert all(entity.id for entity in transcript.entities)


@given(utf8=st.binary())
def test_a_result_that_is_no_json_is_taken(utf8: bytes) -> None:
    transcript = Transcript()
    transcript.record(call(), ToolResult(call_id="c1", result=Json(utf8=utf8)))
    assert transcript.entities == []
