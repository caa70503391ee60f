"""The answer stream against JSON that others wrote, good, bad and from models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from formatter_svc.json_object import MAX_DEPTH, Block, Skipped
from formatter_svc.texts import Event, Text
from tests.support.answers import events, told

BEFORE = '{"type":"text","content":"the block before"}\n'
AFTER = '\n{"type":"text","content":"the block after"}'


def documents(folder: Path) -> Iterator[tuple[str, str]]:
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    assert paths
    for path in paths:
        yield path.name, path.read_bytes().decode("utf-8", "surrogateescape")


def held_to_the_law(text: str) -> list[Event]:
    """The same events whole and character by character; all of them can be sent."""
    found = events(text)
    assert events(list(text)) == found
    for event in found:
        match event:
            case Text(chunk, gap):
                assert (gap + chunk).encode()
            case Block(value=value):
                assert orjson.dumps(value)
            case Skipped():
                pass
    return found


def within(document: str) -> str:
    """The document as part of a block."""
    return f'{BEFORE}{{"type":"thing","value":{document}}}{AFTER}'


def value_of(document: str) -> Any:
    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(document, parse_constant=refuse)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, inner), default=0) if isinstance(value, dict | list) else 0


def test_documents_by_themselves(corpus: Path) -> None:
    for folder in ("json_parsing", "json_checker"):
        for _, document in documents(corpus / folder):
            held_to_the_law(document)


def test_documents_within_a_block(corpus: Path) -> None:
    for folder in ("json_parsing", "json_checker"):
        for _, document in documents(corpus / folder):
            found = held_to_the_law(within(document))
            assert isinstance(found[0], Text)
            assert found[0].chunk.startswith("the block before")


def test_what_must_parse_does(corpus: Path) -> None:
    for name, document in documents(corpus / "json_parsing"):
        if name.startswith("y_"):
            [_, block, after] = held_to_the_law(within(document))
            assert isinstance(block, Block), name
            assert block.value["value"] == value_of(document), name
            assert after == Text("the block after", "\n\n"), name


def test_what_must_not_parse_is_mended_or_skipped_and_never_swallows_the_block_after(
    corpus: Path,
) -> None:
    for name, document in documents(corpus / "json_parsing"):
        if name.startswith("n_") and "100000" not in name and "array_object" not in name:
            found = told(within(document))
            assert found[0] == "the block before" or str(found[0]).startswith("the block before\n")
            assert str(found[-1]).endswith("the block after"), name


def test_the_checkers_documents(corpus: Path) -> None:
    for name, document in documents(corpus / "json_checker"):
        try:
            value = value_of(document)
        except ValueError:
            continue
        if depth(value) < MAX_DEPTH:
            blocks = [each for each in events(within(document)) if isinstance(each, Block)]
            assert [block.value["value"] for block in blocks] == [value], name


def test_what_models_wrote(corpus: Path) -> None:
    lines = (corpus / "model_json" / "malformed.jsonl").read_text("utf-8").splitlines()
    assert lines
    for line in lines:
        document = orjson.loads(line)["input"]
        held_to_the_law(document)
        found = told(BEFORE + document + AFTER)
        assert str(found[0]).startswith("the block before"), document
        said = "".join(each for each in found if isinstance(each, str))
        assert said.count("the block before") == 1, document
        assert said.count("the block after") == 1, document
