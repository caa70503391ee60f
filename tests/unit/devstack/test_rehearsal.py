"""Which messages make the offline model misbehave, and how."""

import pytest

from devstack.offline_model.rehearsal import MAX_WORDS, Mishap, Rehearsal, pieces, read


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("rehearse a cut", Rehearsal(Mishap.CUT, 20)),
        ("  Rehearse A Length Stop", Rehearsal(Mishap.LENGTH, 20)),
        ("rehearse a long answer of 7 words", Rehearsal(Mishap.LONG, 7)),
        ("rehearse a slow answer of 9999999 words", Rehearsal(Mishap.SLOW, MAX_WORDS)),
        ("rehearse my speech", None),
        ("remind me to rehearse a cut", None),
    ],
)
def test_reads_what_to_rehearse(message: str, expected: Rehearsal | None) -> None:
    assert read(message) == expected


def test_words_are_numbered_so_that_a_gap_shows() -> None:
    assert list(pieces(Rehearsal(Mishap.CUT, 3))) == ["word1 ", "word2 ", "word3 "]
    long = list(pieces(Rehearsal(Mishap.LONG, 100)))
    assert len(long) == 2
    assert "".join(long).split() == [f"word{number}" for number in range(1, 101)]
