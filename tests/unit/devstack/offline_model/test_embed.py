"""Vectors of texts: what they have in common shows."""

import base64
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from devstack.offline_model.embed import DIMENSIONS, embed, wire


def cosine(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(embed(one), embed(other), strict=True))


@settings(deadline=None)
@given(st.text(max_size=200))
def test_every_vector_has_length_one(text: str) -> None:
    vector = embed(text)
    assert len(vector) == DIMENSIONS
    assert math.isclose(math.fsum(v * v for v in vector), 1.0, rel_tol=1e-9)


def test_texts_that_share_words_are_nearer() -> None:
    milk = "buy milk and bread"
    assert cosine(milk, "the milk I bought") > cosine(milk, "deploy the server") + 0.2
    assert cosine(milk, milk) > 0.999


def test_word_forms_are_alike() -> None:
    assert cosine("meeting", "meetings") > 0.99


def test_base64_holds_the_same_numbers() -> None:
    vector = embed("hello")
    decoded = np.frombuffer(base64.b64decode(wire(vector, "base64")), dtype="<f4")
    assert np.allclose(decoded, vector, atol=1e-7)
    assert wire(vector, "float") == vector
