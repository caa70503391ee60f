"""What a hello, a request and a change have to keep to."""

import pytest

from edge.session.limits import Limits, check_hello, check_mutation, check_request
from edge.wire.json_mapping import InvalidFrame
from switchboard.v3.frames_pb2 import (
    ChatMessage,
    DeviceHello,
    HomeRequest,
    Mutation,
    PopupRequest,
    Quoted,
    Scope,
)

GOOD = ["x", "x" * 128, "Sam\u2019s\u00a0laptop", "\U0001f4bb", "a\u200db", "\u0627\u0644"]
BAD = ["", "x" * 129, "a\x00", "a\nb", "a\x7f", "a\x85", "a\u2028", "a\u2029"]


@pytest.mark.parametrize("id_", GOOD)
def test_an_id_is_any_text_of_1_to_128_characters(id_: str) -> None:
    check_hello(DeviceHello(device_id=id_))
    check_mutation(Mutation(mutation_id=id_, id=id_))
    check_request(popup(type=id_, id=id_), Limits())


@pytest.mark.parametrize("id_", BAD)
def test_an_id_has_no_controls_and_no_line_breaks(id_: str) -> None:
    with pytest.raises(InvalidFrame) as refused:
        check_hello(DeviceHello(device_id=id_))
    assert refused.value.field == "device_id"


@pytest.mark.parametrize("id_", BAD)
def test_a_scope_keeps_to_the_same(id_: str) -> None:
    for name, scope in (("type", popup(type=id_)), ("id", popup(type="task", id=id_))):
        with pytest.raises(InvalidFrame) as refused:
            check_request(scope, Limits())
        assert refused.value.field == f"scope.{name}"


def test_a_scope_needs_no_id() -> None:
    check_request(popup(type="task"), Limits())


FACE = "\U0001f642"


@pytest.mark.parametrize(
    ("message", "spans"),
    [
        ("hello", [(0, 5), (1, 2), (0, 0), (5, 5)]),  # over each other, out of order, empty
        (FACE, [(0, 2)]),  # as JavaScript counts it
        ("", [(0, 0)]),
    ],
)
def test_what_is_quoted_lies_within_the_message(message: str, spans: list[tuple[int, int]]) -> None:
    quoted = [Quoted(start=start, end=end) for start, end in spans]
    check_request(HomeRequest(message=message, quoted=quoted), Limits())


@pytest.mark.parametrize(
    ("message", "span", "field"),
    [
        ("hello", (0, 6), "quoted[1].end"),
        ("hello", (3, 2), "quoted[1].start"),
        (FACE, (0, 3), "quoted[1].end"),
        ("", (0, 1), "quoted[1].end"),
    ],
)
def test_what_does_not_is_refused_by_name(message: str, span: tuple[int, int], field: str) -> None:
    quoted = [Quoted(), Quoted(start=span[0], end=span[1])]
    request = PopupRequest(message=message, scope=Scope(type="task"), quoted=quoted)
    with pytest.raises(InvalidFrame) as refused:
        check_request(request, Limits())
    assert refused.value.field == field
    said = [ChatMessage(content="hi"), ChatMessage(content=message, quoted=quoted)]
    earlier = HomeRequest(message="and now?", conversation_history=said)
    with pytest.raises(InvalidFrame) as refused:
        check_request(earlier, Limits())
    assert refused.value.field == f"conversation_history[1].{field}"


def popup(**scope: str) -> PopupRequest:
    return PopupRequest(message="hi", scope=Scope(**scope))
