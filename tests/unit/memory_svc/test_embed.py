"""An embedding is 1536 finite numbers that are not all 0; it becomes a unit vector."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_svc.embed import checked


@given(st.floats(1e-6, 1e6))
def test_a_unit_vector_comes_out(scale: float) -> None:
    vector = checked([scale * (number % 7 - 3) for number in range(1536)])
    assert vector.dtype == np.float32
    assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "numbers",
    [
        [],
        [1.0] * 1535,
        [1.0] * 1537,
        [0.0] * 1536,
        [float("nan")] * 1536,
        [float("inf")] + [1.0] * 1535,
    ],
)
def test_what_is_none_is_refused(numbers: list[float]) -> None:
    with pytest.raises(ValueError, match="embedding"):
        checked(numbers)
