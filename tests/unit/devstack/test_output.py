"""Lines behind their names."""

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from devstack.output import Lines, Output


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40)))
def test_lines_are_the_same_however_they_are_cut(pieces: list[bytes]) -> None:
    def cut(parts: list[bytes]) -> list[str]:
        lines = Lines()
        return [line for part in parts for line in lines.feed(part)] + lines.close()

    whole = b"".join(pieces)
    assert cut(pieces) == cut([whole])
    assert cut([whole[i : i + 1] for i in range(len(whole))]) == cut([whole])


def test_a_line_that_never_ends_is_cut() -> None:
    lines = Lines(longest=10)
    assert lines.feed(b"x" * 25) == ["x" * 10, "x" * 10]
    assert lines.close() == ["x" * 5]


def test_lines_stand_behind_their_names_in_a_colour_each() -> None:
    plain, coloured = io.StringIO(), io.StringIO()
    Output(plain, colour=False).line("edge", "hello")
    assert plain.getvalue() == "edge      | hello\n"
    output = Output(coloured, colour=True)
    for name in ("edge", "agent", "edge"):
        output.line(name, "hello")
    first, second, third = coloured.getvalue().splitlines()
    assert first.startswith("\x1b[36m") and first == third and not second.startswith("\x1b[36m")


def test_a_terminal_that_is_gone_harms_nobody() -> None:
    stream = io.StringIO()
    output = Output(stream)
    stream.close()
    output.say("hello")
