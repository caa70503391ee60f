"""What is known of a WebSocket's frames from their heads alone."""

from hypothesis import given
from hypothesis import strategies as st

from edge.gateway.fragments import MOST, Fragments

TEXT, MORE, PING = 0x1, 0x0, 0x9


def frame(opcode: int, payload: bytes = b"", *, last: bool = True, masked: bool = True) -> bytes:
    size = len(payload)
    mask = b"mask" if masked else b""
    bit = 0x80 if masked else 0
    if size < 126:
        length = bytes([bit | size])
    elif size < 65_536:
        length = bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([bit | 127]) + size.to_bytes(8, "big")
    return bytes([(0x80 if last else 0) | opcode]) + length + mask + payload


PAYLOADS = st.sampled_from([b"", b"x", b"y" * 125, b"z" * 126, b"\x89\x80" * 100, b"w" * 70_000])
MESSAGES = st.lists(
    st.tuples(st.lists(PAYLOADS, min_size=1, max_size=4), st.booleans()), max_size=4
)


def stream(messages: list[tuple[list[bytes], bool]]) -> bytes:
    """Messages in fragments, with pings between them where it says so."""
    sent = b""
    for payloads, pinged in messages:
        for at, payload in enumerate(payloads):
            last = at == len(payloads) - 1
            sent += frame(MORE if at else TEXT, payload, last=last)
            sent += frame(PING, b"now", last=True) if pinged else b""
    return sent


@given(MESSAGES, st.integers(1, 5_000), st.booleans())
def test_whole_messages_leave_nothing_under_way_however_they_are_cut(
    messages: list[tuple[list[bytes], bool]], step: int, begun: bool
) -> None:
    sent = stream(messages) + (frame(TEXT, b"begun", last=False) if begun else b"")
    fragments = Fragments()
    for at in range(0, len(sent), step):
        fragments.feed(sent[at : at + step])
    assert (fragments.under_way, fragments.count) == (begun, int(begun))


@given(st.binary(max_size=300), st.integers(1, 300))
def test_what_is_no_websocket_at_all_is_followed_too(data: bytes, step: int) -> None:
    whole, parts = Fragments(), Fragments()
    whole.feed(data)
    for at in range(0, len(data), step):
        parts.feed(data[at : at + step])
    assert (whole.count, whole.under_way) == (parts.count, parts.under_way)


def test_a_message_of_many_pieces_is_one_and_one_more_is_too_many() -> None:
    fragments = Fragments()
    fragments.feed(frame(TEXT, b"x", last=False) + frame(MORE, last=False) * (MOST - 1))
    assert not fragments.too_many
    fragments.feed(frame(PING) * 10)
    assert fragments.count == MOST
    fragments.feed(frame(MORE, last=False))
    assert fragments.too_many


def test_each_message_has_its_own_number() -> None:
    fragments = Fragments()
    for _ in range(3):
        fragments.feed(frame(TEXT, last=False) + frame(MORE, last=False) * 3_000 + frame(MORE))
    assert not fragments.too_many
    assert not fragments.under_way


def test_a_byte_of_a_message_is_a_message_under_way() -> None:
    for sent in (b"\x81", b"\x81\xfe", frame(TEXT, b"x" * 10)[:-1], frame(TEXT, last=False)):
        fragments = Fragments()
        fragments.feed(sent)
        assert fragments.under_way
