"""JSON that is cut to a length: what goes first, and what is said of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent_svc.cutting import SHORTEST_CHARS, fitted, was_cut

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=900) | st.just("\n\"\\" * 300) | st.just("😀" * 700),
    lambda inner: st.lists(inner, max_size=5)
    | st.dictionaries(st.sampled_from(["items", "notice", "omitted"]) | st.text(max_size=9), inner),
    max_leaves=20,
)  # fmt: skip


@settings(deadline=None)
@example({"items": [-(2**63) - 1, "😀" * 300]}, 1470)
@given(JSON | st.lists(JSON).map(lambda items: {"items": items}), st.integers(400, 3000))
def test_whatever_it_is_fits_as_json(value: Any, most: int) -> None:
    text = fitted(value, most)
    assert len(text) <= most
    seen = json.loads(text)
    if len(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) <= most // 2:
        assert seen == value


@settings(deadline=None)
@given(st.lists(st.text(max_size=2000), max_size=12), st.integers(2000, 6000))
def test_of_each_text_its_beginning_is_kept_and_what_is_left_out_counted(
    texts: list[str], most: int
) -> None:
    notes = [{"id": str(n), "content": text} for n, text in enumerate(texts)]
    seen = json.loads(fitted({"items": notes}, most))
    if "text" in seen:
        return
    assert len(seen["items"]) + seen.get("omitted", 0) == len(texts)
    for item, text in zip(seen["items"], texts, strict=False):
        if item["content"] != text:
            kept, _, left = item["content"].rpartition("… [")
            assert text.startswith(kept) and len(kept) >= SHORTEST_CHARS
            assert left == f"{len(text) - len(kept)} more characters]"
        assert was_cut(item) is (item["content"] != text)


@pytest.mark.parametrize(
    ("value", "cut"),
    [
        ({"content": "a… [17 more characters]"}, True),
        ({"items": [{"content": "a… [17 more characters] and more"}]}, True),
        ({"content": "a… [more characters]"}, False),
        ({"content": "17 more characters", "n": 17}, False),
    ],
)
def test_what_was_cut_is_known_again(value: dict[str, Any], cut: bool) -> None:
    assert was_cut(value) is cut
