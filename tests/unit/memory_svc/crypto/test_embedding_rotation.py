"""The rotation keeps angles, and hides what is turned."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_svc.crypto.embedding_rotation import DIMENSIONS, Rotation


def vectors(seed: int) -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(seed)
    one, other = noise.standard_normal((2, DIMENSIONS), np.float32)
    return one, other


@given(st.integers(0, 2**32))
def test_lengths_and_angles_are_kept(seed: int) -> None:
    one, other = vectors(seed)
    turned = Rotation(seed.to_bytes(32))
    assert float(turned.apply(one) @ turned.apply(other)) == pytest.approx(
        float(one @ other), abs=1e-3
    )
    assert float(np.linalg.norm(turned.apply(one))) == pytest.approx(float(np.linalg.norm(one)))


def test_it_is_orthogonal_as_a_whole() -> None:
    turned = Rotation(b"k" * 32)
    some = np.eye(DIMENSIONS, dtype=np.float32)[::128]
    images = np.stack([turned.apply(row) for row in some])
    assert np.allclose(images @ images.T, np.eye(len(some)), atol=1e-6)


def test_sorted_magnitudes_do_not_stay() -> None:
    one, _ = vectors(1)
    image = Rotation(b"k" * 32).apply(one)
    assert not np.allclose(np.sort(np.abs(one)), np.sort(np.abs(image)), atol=1e-3)


def test_a_single_coordinate_is_spread_over_all() -> None:
    axis = np.zeros(DIMENSIONS, np.float32)
    axis[7] = 1
    image = Rotation(b"k" * 32).apply(axis)
    assert np.count_nonzero(np.abs(image) > 1e-6) > DIMENSIONS / 2
    assert float(np.abs(image).max()) < 0.3


def test_the_same_key_gives_the_same_for_ever() -> None:
    """Stored vectors stand for years: these numbers must never change."""
    image = Rotation(bytes(range(32))).apply(np.arange(DIMENSIONS, dtype=np.float32))
    again = Rotation(bytes(range(32))).apply(np.arange(DIMENSIONS, dtype=np.float32))
    assert np.array_equal(image, again)
    assert [round(float(x), 2) for x in image[:4]] == FIRST


FIRST = [-1086.75, 1560.39, 273.81, -271.52]
