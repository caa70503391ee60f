"""What devices are asked: clocks, and the changes that results report."""

from uuid import UUID, uuid4, uuid5

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.session import calls
from edge.session.calls import APPROVAL_S, CALL_S, Call, CallState
from switchboard.v3.agent_pb2 import DeviceToolCall
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.frames_pb2 import DataRequest, Mutation, MutationOp, ToolCall
from switchboard.v3.values_pb2 import Json

CREATE = MutationOp.MUTATION_OP_CREATE
DELETE = MutationOp.MUTATION_OP_DELETE


def call(effect: MutationOp.ValueType | None = CREATE, *, approval: bool = False) -> Call:
    made = ToolCall(call_id=str(uuid4()), request_id="r", requires_approval=approval)
    asked = DeviceToolCall(call=made, entity=EntityKind.ENTITY_KIND_TASK)
    if effect is not None:
        asked.effect = effect
    return calls.tool_call(asked)


def changes(of: Call, result: object) -> list[Mutation]:
    return list(calls.changes(of, Json(utf8=orjson.dumps(result))))


def test_times() -> None:
    assert call().left == CALL_S == 30
    assert call(approval=True).left == APPROVAL_S == 300
    query = calls.data_query(DataRequest(query_id="q", request_id="r"))
    assert (query.id, query.query, query.left) == ("q", True, 30)


def test_the_clock_stands_until_it_starts_and_while_it_pauses() -> None:
    it = call()
    assert it.left_ms(1_000) == 30_000
    it.start(0)
    it.start(5)  # runs already
    assert it.left_ms(10) == 20_000
    it.pause(10)
    assert it.left_ms(1_000) == 20_000
    it.start(100)
    assert it.left_ms(119.9996) == 0
    assert it.left_ms(1_000) == 0


def test_a_call_that_is_over_has_no_time_left() -> None:
    it = call()
    it.start(0)
    it.state = CallState.ANSWERED
    assert it.left_ms(1) == 0


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1_000)), max_size=20))
def test_only_time_with_a_reader_counts(spans: list[tuple[float, float]]) -> None:
    it, now, ran = call(), 0.0, 0.0
    for running, away in spans:
        it.start(now)
        now, ran = now + running, ran + running
        it.pause(now)
        now += away
    assert it.left == pytest.approx(max(0.0, CALL_S - ran), abs=1e-6)


def test_a_failure_names_the_call_or_the_query() -> None:
    told = call().failure("device_gone", "why")
    assert told.tool_result.error.code == "device_gone"
    query = calls.data_query(DataRequest(query_id="q"))
    told = query.failure("tool_call_expired", "why")
    assert (told.data_response.query_id, told.data_response.error.message) == ("q", "why")


def test_one_item_is_one_change_under_the_call_s_own_id() -> None:
    it, item = call(), {"id": "t1", "title": "Ünïcode"}
    for result in ({"item": item}, {"items": [item]}):
        [change] = changes(it, result)
        assert (change.mutation_id, change.op, change.id) == (it.id, CREATE, "t1")
        assert orjson.loads(change.data.utf8) == item


def test_many_items_are_changes_under_ids_that_come_out_the_same_again() -> None:
    it = call()
    result = {"items": [{"id": "a"}, {"id": "b"}]}
    ids = [change.mutation_id for change in changes(it, result)]
    assert ids == [str(uuid5(UUID(it.id), "a")), str(uuid5(UUID(it.id), "b"))]
    assert ids == [change.mutation_id for change in changes(it, result)]


def test_a_delete_has_no_data() -> None:
    [change] = changes(call(DELETE), {"id": "t1"})
    assert (change.op, change.id, change.HasField("data")) == (DELETE, "t1", False)


def test_a_delete_that_answers_with_a_list_deletes_nothing_of_it() -> None:
    assert changes(call(DELETE), {"items": [{"id": "t1"}, {"id": "t2"}], "total": 2}) == []


def test_reading_changes_nothing() -> None:
    assert changes(call(None), {"items": [{"id": "a"}]}) == []


@pytest.mark.parametrize(
    "result", [None, 1, "x", [], {}, {"item": None}, {"item": {"id": 7}}, {"items": [1, {}]}]
)
def test_a_result_of_another_shape_reports_nothing(result: object) -> None:
    assert changes(call(), result) == []
    assert changes(call(DELETE), result) == []
