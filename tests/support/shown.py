"""What a person sees of an answer, as one text: its chunks, and a mark where a block is painted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def shown(frames: Iterable[Mapping[str, Any]]) -> str:
    """The texts of an answer's frames in order; a block stands as `#chart`, `#table` …"""
    seen = []
    for frame in frames:
        if frame["type"] == "stream_text":
            seen.append(frame["chunk"])
        elif frame["type"] == "stream_block":
            seen.append(f"#{frame['block_type']}")
    return "".join(seen)


def missing(seen: str, wanted: Sequence[str], never: Sequence[str] = ()) -> str | None:
    """The first thing that is not seen in its turn, or that is seen and must not be."""
    at = 0
    for part in wanted:
        found = seen.find(part, at)
        if found < 0:
            return f"{part!r} is not in {seen[at:]!r}"
        at = found + len(part)
    return next((f"{part!r} is in {seen!r}" for part in never if part in seen), None)
