"""No frame is larger than a frame may be, whatever the devices and tools change."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.wire.codec import MAX_FRAME_BYTES, encode
from edge.wire.truncate import fit_change, fitted_end
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.frames_pb2 import Mutation, MutationOp, Origin, ServerFrame, StreamEnd
from switchboard.v3.values_pb2 import Json


def change(size: int, id_: str = "t1") -> Mutation:
    """A change whose data is `size` bytes of JSON."""
    return Mutation(
        mutation_id="m" * 36,
        op=MutationOp.MUTATION_OP_UPDATE,
        entity=EntityKind.ENTITY_KIND_TASK,
        id=id_,
        data=Json(utf8=b'{"a":"' + b"x" * (size - 8) + b'"}'),
        origin=Origin(device_id="d" * 128),
    )


def end(*changes: Mutation) -> ServerFrame:
    return ServerFrame(stream_end=StreamEnd(request_id="r" * 36, mutations=changes))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(8, 400_000), max_size=8))
def test_an_end_fits_and_names_every_change(sizes: list[int]) -> None:
    whole = end(*(change(size, f"t{n}") for n, size in enumerate(sizes)))
    told = fitted_end(whole)
    assert [c.id for c in told.stream_end.mutations] == [f"t{n}" for n in range(len(sizes))]
    told.stream_end.seq = 2**31
    assert len(encode(told)) <= MAX_FRAME_BYTES


def test_what_fits_is_left_as_it_is() -> None:
    whole = end(change(500_000), change(500_000))
    assert fitted_end(whole) is whole


def test_what_was_asked_for_beside_the_socket_stays_whole() -> None:
    whole = end(change(600_000), change(600_000))
    assert not any(c.HasField("data") for c in fitted_end(whole).stream_end.mutations)
    assert all(c.HasField("data") for c in whole.stream_end.mutations)


def test_too_many_changes_for_any_frame() -> None:
    told = fitted_end(end(*(change(8, f"t{n}") for n in range(20_000))))
    assert 2_000 < len(told.stream_end.mutations) < 20_000
    assert len(encode(told)) <= MAX_FRAME_BYTES


@pytest.mark.parametrize(("size", "kept"), [(1000, True), (2**20 - 600, True), (2**20, False)])
def test_a_change_for_the_other_devices_fits(size: int, kept: bool) -> None:
    told = change(size)
    fit_change(told)
    assert told.HasField("data") is kept
    assert len(encode(ServerFrame(mutation=told))) <= MAX_FRAME_BYTES


def test_escapes_count() -> None:
    told = change(8, "\x01" * 128)
    told.data.utf8 = b'{"a":"' + b"\\u0001" * 174_650 + b'"}'
    fit_change(told)
    assert len(encode(ServerFrame(mutation=told))) <= MAX_FRAME_BYTES
