"""Answers that hold no block of ours come out as they were written, byte for byte."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest

from formatter_svc.frames import HomeFormatter
from tests.support.answers import pieces_of, seen

PROSE = [
    (f"{path.stem} {number}", answer)
    for path in sorted((Path(__file__).parent / "prose").glob("*.md"))
    for number, answer in enumerate(path.read_text("utf-8").rstrip("\n").split("\n<<<>>>\n"), 1)
]


def shown(pieces: list[str]) -> str:
    formatter = HomeFormatter("r", device_connected=True)
    frames = [frame for piece in pieces for frame in formatter.text([piece])]
    return seen(frames + formatter.close())


def test_there_are_two_hundred() -> None:
    assert len({answer for _, answer in PROSE}) == len(PROSE) >= 200


@pytest.mark.parametrize("answer", [each[1] for each in PROSE], ids=[each[0] for each in PROSE])
def test_prose_comes_out_byte_for_byte(answer: str) -> None:
    for size in (len(answer), 5, 1):
        assert shown(pieces_of(answer, size)) == answer
    chance = random.Random(answer)
    for _ in range(5):
        cuts = sorted(chance.choices(range(len(answer)), k=8))
        pieces = [answer[a:b] for a, b in pairwise([0, *cuts, len(answer)])]
        assert shown(pieces) == answer


@pytest.mark.parametrize("answer", [each[1] for each in PROSE], ids=[each[0] for each in PROSE])
def test_a_block_after_prose_is_painted(answer: str) -> None:
    """But for one within a fence that was never closed."""
    table = '\n\n{"type":"table","headers":["a"],"rows":[[1]]}'
    whole = shown([answer + table])
    assert whole == shown(pieces_of(answer + table, 3))
    if answer.count("```") % 2 == 0:
        assert whole.endswith("#table")
        assert whole.removesuffix("#table").rstrip("\n") == answer


def test_prose_after_prose_is_prose() -> None:
    chance = random.Random(7)
    for _ in range(40):
        several = "\n\n".join(each[1] for each in chance.sample(PROSE, 4))
        assert shown(pieces_of(several, 7)) == several
