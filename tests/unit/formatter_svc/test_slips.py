"""One slip is mended; two lose no text and no block around them. Every kind, every dress."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formatter_svc.frames import HomeFormatter
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.formatter_pb2 import FormatToolResult
from switchboard.v3.values_pb2 import Json
from tests.support.answers import pieces_of
from tests.unit.formatter_svc.slips import AROUND, BLOCKS, DRESSES, WITHIN, Slip

TASKS = FormatToolResult(
    entity=EntityKind.ENTITY_KIND_TASK,
    result=Json(utf8=b'{"items":[{"id":"t1","title":"Tax"},{"id":"t2","title":"Call"}]}'),
)
BEFORE = '{"type":"text","content":"What was before."}\n'
AFTER = '\n{"type":"text","content":"What came after."}'
OTHER = '{"type":"table","headers":["other"],"rows":[[1]]}'
NOTES = [
    # What the slip itself says is shown or kept.
    "a quote that is not escaped",
    "a comma and a quote",
    "a line break in a string",
    "backslashes",
    "an apostrophe escaped",
    "a path",
]


def source_of(name: str) -> str:
    return json.dumps(BLOCKS[name], ensure_ascii=False, separators=(",", ":"))


def shown(answer: str, size: int = 10**9) -> list[Any]:
    """Texts that meet as one, blocks by their data; then what was told as left out."""
    formatter = HomeFormatter("r", device_connected=False)
    formatter.tool_result(TASKS)
    frames = [frame for piece in pieces_of(answer, size) for frame in formatter.text([piece])]
    told: list[Any] = []
    for frame in frames + formatter.close():
        if frame.HasField("stream_block"):
            told.append(orjson.loads(frame.stream_block.data.utf8))
        elif told and isinstance(told[-1], str):
            told[-1] += frame.stream_text.chunk
        else:
            told.append(frame.stream_text.chunk)
    return [*told, *((each.block_type, each.reason) for each in formatter.told)]


CASES = [
    (name, slip)
    for slip in [*DRESSES, *WITHIN, *AROUND]
    for name in BLOCKS
    if slip.apply(source_of(name)) != source_of(name) and slip.name not in NOTES
]


def test_there_are_many() -> None:
    assert len({slip.name for slip in [*DRESSES, *WITHIN, *AROUND]}) >= 110
    assert len(CASES) > 700


@pytest.mark.parametrize(("name", "slip"), CASES, ids=[f"{s.name}: {n}" for n, s in CASES])
def test_a_slip_is_mended(name: str, slip: Slip) -> None:
    meant = shown(BEFORE + source_of(name) + AFTER)
    answer = BEFORE + slip.apply(source_of(name)) + AFTER
    assert shown(answer) == meant
    for size in (1, 5):
        assert shown(answer, size) == meant


@pytest.mark.parametrize("note", NOTES)
def test_a_slip_within_a_text_is_shown_as_it_was_written_or_meant(note: str) -> None:
    [slip] = [each for each in WITHIN if each.name == note]
    source = slip.apply(source_of("text"))
    assert source != source_of("text")
    said = source.removeprefix('{"type":"text","content":"').removesuffix('"}').replace("\\'", "'")
    for size in (1, 5, 10**9):
        assert shown(BEFORE + source + AFTER, size) == [
            f"What was before.\n\n{said}\n\nWhat came after."
        ]


@pytest.mark.parametrize("fence", ["```", "~~~", "````"])
def test_a_cell_that_is_never_closed_takes_no_text_behind_its_fence_with_it(fence: str) -> None:
    answer = f'{fence}json\n{{"type":"table","headers":["A"],"rows":[["Tax]]}}\n{fence}{AFTER}'
    for size in (1, 5, 10**9):
        assert shown(BEFORE + answer, size) == [
            "What was before.\n\nWhat came after.",
            ("table", "unclosed"),
        ]


slips_within = st.sampled_from(WITHIN)
slips_around = st.sampled_from(AROUND)


@given(st.sampled_from(sorted(BLOCKS)), st.sampled_from(DRESSES), slips_within, slips_around)
@settings(max_examples=300, deadline=None)
def test_a_slip_within_a_dress_within_another_is_mended(
    name: str, dress: Slip, within: Slip, wrapped: Slip
) -> None:
    """Where one of the slips has no place, it leaves the answer as it is."""
    source = wrapped.apply(within.apply(dress.apply(source_of(name))))
    _nothing_is_lost(f"{BEFORE}{source}\n{OTHER}{AFTER}")


@given(st.sampled_from(sorted(BLOCKS)), slips_within, slips_within, st.integers(1, 40))
@settings(max_examples=400, deadline=None)
def test_two_slips_lose_no_text_and_no_block_around_them(
    name: str, one: Slip, two: Slip, size: int
) -> None:
    answer = f"{BEFORE}{two.apply(one.apply(source_of(name)))}\n{OTHER}{AFTER}"
    _nothing_is_lost(answer)
    assert shown(answer, size) == shown(answer)


def _nothing_is_lost(answer: str) -> None:
    told = shown(answer)
    said = "".join(each for each in told if isinstance(each, str))
    assert said.count("What was before.") == 1
    assert said.count("What came after.") == 1
    assert {"headers": ["other"], "rows": [[1]]} in told


# Text of any kind, between quotes of any kind, after any slip.
words = st.text(st.characters(codec="utf-8", exclude_characters="\\\"'`{}[]<“”„‘’«»＂"), min_size=1)


@given(st.lists(words.filter(str.strip), min_size=1, max_size=4), st.integers(1, 9))
@settings(deadline=None)
def test_all_that_texts_say_is_shown(said: list[str], size: int) -> None:
    """Each under its own key, in its own quotes, the last never closed."""
    keys, marks = ["content", "text", "value", "markdown"], ['""', "''", "“”", "``"]
    blocks = [
        f'{{"type":"text","{keys[at]}":{marks[at][0]}{each}{marks[at][1]}}}'
        for at, each in enumerate(said)
    ]
    answer = "\n".join(blocks)[:-2]
    shown_text = "".join(map(str, shown(answer)))
    assert shown(answer, size) == shown(answer)
    at = 0
    for each in said:
        wanted = each.strip("\n").rstrip()  # where texts meet, line breaks are a paragraph's
        assert wanted in shown_text[at:]
        at = shown_text.index(wanted, at) + len(wanted)


@given(st.text(), st.integers(1, 9))
@settings(max_examples=300, deadline=None)
def test_whatever_a_model_writes_nothing_fails(answer: str, size: int) -> None:
    assert shown(answer, size) == shown(answer)


marks = st.sampled_from(
    [*"{}[]:,\"'`~\\\n/*#=<>.+ ", "“", '{"type":"', "text", '"content":"', "```"]
)


@given(st.lists(marks, max_size=40).map("".join), st.integers(1, 9))
@settings(max_examples=300, deadline=None)
def test_whatever_marks_it_writes_nothing_fails(answer: str, size: int) -> None:
    assert shown(answer, size) == shown(answer)
    _nothing_is_lost(f"{BEFORE}{OTHER}{AFTER}\n{answer}")
