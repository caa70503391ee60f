"""What the device returned, and nothing else."""

from __future__ import annotations

import pytest

from formatter_svc.entities import MAX_SHOWN, Entities, items_of


def known(*results: bytes) -> Entities:
    entities = Entities()
    for result in results:
        entities.learn("task", result)
    return entities


def test_read_and_written_entities_are_found_as_the_device_sent_them() -> None:
    entities = known(b'{"items":[{"id":"a","n":1e400,"x":{"y":[1]}},{"id":"b"}]}')
    assert entities.find("task", "a") == b'{"id":"a","n":1e400,"x":{"y":[1]}}'
    assert entities.find("task", "b") == b'{"id":"b"}'
    assert entities.find("note", "a") is None
    assert entities.latest("task") == ["a", "b"]


def test_the_latest_result_wins() -> None:
    entities = known(b'{"items":[{"id":"a","v":1},{"id":"b"}]}', b'{"item":{"id":"a","v":2}}')
    assert entities.find("task", "a") == b'{"id":"a","v":2}'
    assert entities.find("task", "b") == b'{"id":"b"}'
    assert entities.latest("task") == ["a"]


def test_a_deleted_entity_is_gone() -> None:
    entities = known(b'{"items":[{"id":"a"},{"id":"b"}]}', b'{"id":"a"}')
    assert entities.find("task", "a") is None
    assert entities.latest("task") == ["b"]


def test_a_result_that_holds_none_leaves_the_one_before() -> None:
    assert known(b'{"item":{"id":"a"}}', b'{"items":[]}').latest("task") == ["a"]


def test_kinds_are_apart() -> None:
    entities = known(b'{"item":{"id":"a"}}')
    entities.learn("note", b'{"item":{"id":"n"}}')
    assert entities.latest("task") == ["a"]
    assert entities.latest("note") == ["n"]
    assert entities.latest("project") == []


def test_an_answered_query_is_no_result() -> None:
    entities = known(b'{"item":{"id":"a"}}')
    entities.add("task", {"b": b'{"id":"b"}'})
    assert entities.find("task", "b") == b'{"id":"b"}'
    assert entities.latest("task") == ["a"]


def test_fifty_at_most_without_an_id() -> None:
    items = b",".join(b'{"id":"%d"}' % n for n in range(MAX_SHOWN + 1))
    entities = known(b'{"items":[%b]}' % items)
    assert entities.latest("task") == [str(n) for n in range(MAX_SHOWN)]
    assert entities.find("task", str(MAX_SHOWN))


@pytest.mark.parametrize(
    "result",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff",
        b'{"items":{"id":"b"}}',
        b'{"items":null}',
        b'{"items":[null,1,"x",[],{},{"id":1},{"id":null}]}',
        b'{"item":null}',
        b'{"item":{"title":"x"}}',
        b'{"item":[{"id":"b"}]}',
        b'{"id":5}',
        b'{"id":null}',
        b'{"id":"unknown"}',
        b'{"ok":true}',
    ],
)
def test_results_of_another_shape_change_nothing(result: bytes) -> None:
    entities = known(b'{"item":{"id":"a"}}', result)
    assert entities.latest("task") == ["a"]
    assert entities.find("task", "b") is None


def test_the_shape_that_is_right_counts() -> None:
    assert known(b'{"items":"x","item":{"id":"a"},"id":5}').latest("task") == ["a"]
    assert known(b'{"items":[7,{"id":"a"}],"total":2}').latest("task") == ["a"]


def test_items_of_a_response() -> None:
    assert items_of(b' [ {"id":"a"} , {"id":2} ] ') == {"a": b'{"id":"a"}'}
    assert items_of(b"{}") == {}
    assert items_of(b"nope") == {}
