"""The frames of one request: numbered as they leave, and the same when they leave again."""

from hypothesis import given
from hypothesis import strategies as st

from edge.session.limits import Limits
from edge.session.requests import JOIN_CHARS, Answer
from edge.wire.codec import encode
from switchboard.v3.frames_pb2 import (
    DataRequest,
    ServerFrame,
    StreamBlock,
    StreamEnd,
    StreamText,
    ToolCall,
)


def answer(**more: object) -> Answer:
    given = {"quiet": False, "attached": True, "held": 0, "journal_bytes": 1_000_000, **more}
    return Answer("r", **given)  # type: ignore[arg-type]


def text(chunk: str) -> ServerFrame:
    return ServerFrame(stream_text=StreamText(request_id="r", chunk=chunk))


def drain(of: Answer) -> list[ServerFrame]:
    taken = []
    while of.ready:
        taken.append(ServerFrame.FromString(of.next().SerializeToString()))
    return taken


def seqs(frames: list[ServerFrame]) -> list[int]:
    return [getattr(frame, frame.WhichOneof("frame") or "").seq for frame in frames]


def said(frames: list[ServerFrame]) -> str:
    return "".join(frame.stream_text.chunk for frame in frames)


def test_text_that_waits_is_joined_but_not_over_other_frames() -> None:
    it = answer()
    for frame in (text("a"), text("b"), ServerFrame(stream_block=StreamBlock()), text("c")):
        it.say(frame)
    frames = drain(it)
    assert [frame.stream_text.chunk for frame in frames] == ["ab", "", "c"]
    assert seqs(frames) == [1, 2, 3]


def test_long_text_is_not_copied_again_for_each_token() -> None:
    it = answer()
    for _ in range(3):
        it.say(text("x" * JOIN_CHARS))
    assert [len(frame.stream_text.chunk) for frame in drain(it)] == [JOIN_CHARS] * 3


def test_text_of_any_length_goes_out_in_frames_of_lawful_size() -> None:
    whole = "\x01ä" * 400_000  # six bytes of JSON, and two
    a = answer(journal_bytes=64 * 2**20)
    a.say(text(whole))
    a.say(text("and on"))
    frames = drain(a)
    assert said(frames) == whole + "and on"
    assert seqs(frames) == list(range(1, len(frames) + 1))
    assert max(len(encode(frame)) for frame in frames) <= Limits().max_frame_bytes


def test_what_left_is_not_joined_any_more() -> None:
    it = answer()
    it.say(text("a"))
    first = drain(it)
    it.say(text("b"))
    assert [said(first), said(drain(it))] == ["a", "b"]
    assert it.resume(0)
    assert [frame.stream_text.chunk for frame in drain(it)] == ["a", "b"]


def test_calls_that_did_not_leave_are_taken_back_and_text_stays() -> None:
    it = answer()
    it.say(text("a"))
    it.say(ServerFrame(tool_call=ToolCall(call_id="c")))
    it.say(ServerFrame(data_request=DataRequest(query_id="q")))
    before = it.waiting_bytes
    it.withdraw_calls()
    assert 0 < it.waiting_bytes < before
    assert [frame.WhichOneof("frame") for frame in drain(it)] == ["stream_text"]
    assert it.waiting_bytes == 0


def test_beyond_the_journal_nothing_is_replayed_in_part() -> None:
    it = answer(journal_bytes=100)
    for number in range(20):
        it.say(text(f"{number:020}"))
        it.next()
    assert it.journal_bytes <= 100
    it.detach(60)
    assert not it.resume(1)
    assert not it.resume(21)  # never sent
    assert it.resume(19)
    assert said(drain(it)) == f"{19:020}"


def test_one_frame_larger_than_the_journal_is_kept() -> None:
    it = answer(journal_bytes=10)
    it.say(text("x" * 100))
    it.next()
    it.detach(60)
    assert it.resume(0)
    assert said(drain(it)) == "x" * 100


def test_full_counts_what_was_sent_and_what_waits() -> None:
    it = answer(journal_bytes=200)
    it.say(text("x" * 90))
    it.next()
    it.detach(60)
    assert not it.full
    it.say(text("x" * 110))
    assert it.full


def test_nothing_is_kept_for_nobody() -> None:
    it = answer()
    it.say(text("a"))
    it.next()
    it.abandon()
    it.say(text("b"))
    assert not it.ready
    assert (it.waiting_bytes, it.journal_bytes) == (0, 0)
    assert not it.resume(0)
    assert not it.full


steps = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.text("abc", min_size=1, max_size=5)),
        st.tuples(st.just("read"), st.integers(1, 5)),
        st.tuples(st.just("drop"), st.integers(0, 3)),  # so many of what left did not arrive
    ),
    max_size=60,
)


@given(steps)
def test_over_any_drops_the_device_has_every_frame_once_in_order(
    steps: list[tuple[str, str | int]],
) -> None:
    it = answer()
    told, got = "", []
    for step in steps:
        match step:
            case ("say", str(chunk)):
                told += chunk
                it.say(text(chunk))
            case ("read", int(count)):
                while count and it.ready:
                    got.append(ServerFrame.FromString(it.next().SerializeToString()))
                    count -= 1
            case ("drop", int(unread)):
                got = got[: max(0, len(got) - unread)]
                it.detach(60)
                assert it.resume(len(got))
    it.say(ServerFrame(stream_end=StreamEnd()))
    got += drain(it)
    assert seqs(got) == list(range(1, len(got) + 1))
    assert said(got) == told
    assert got[-1].HasField("stream_end")
