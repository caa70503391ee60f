"""Answers as models write them, with their slips: what a person must see of each, and must not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from formatter_svc.frames import HomeFormatter
from tests.support.answers import pieces_of, seen

PATH = Path(os.environ.get("CORPUS", ".")) / "answers" / "answers.jsonl"
ANSWERS = (
    [json.loads(line) for line in PATH.read_text("utf-8").splitlines()] if PATH.exists() else []
)


def test_the_corpus_holds_answers() -> None:
    assert ANSWERS


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: str(case["name"]))
def test_a_person_sees_what_was_meant_however_it_was_cut(case: dict[str, Any]) -> None:
    answer = case["answer"]
    whole = shown([answer])
    at = 0
    for each in case["shown_in_order"]:
        assert each in whole[at:], (each, whole)
        at = whole.index(each, at) + len(each)
    for each in case["never_shown"]:
        assert each not in whole
    for size in (5, *range(1, len(answer))):
        assert shown(pieces_of(answer, size)) == whole


def shown(pieces: list[str]) -> str:
    """What a person sees; a painted block is `#` and its type."""
    formatter = HomeFormatter("r", device_connected=False)
    frames = [frame for piece in pieces for frame in formatter.text([piece])]
    return seen(frames + formatter.close())
