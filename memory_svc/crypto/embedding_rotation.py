"""The secret rotation that stored embeddings are under. Pure.

Vectors give their texts away: stock inverters turn an embedding back into words. So
what is stored is Q·v with Q an orthogonal matrix known only with the user's key: three
rounds of keyed signs, a keyed permutation and a Walsh–Hadamard transform of each third
(1536 = 3 × 512). Q keeps lengths and angles, so the cosines between one user's vectors
are what they were, up to rounding. Signs and a permutation alone would keep the sorted
magnitudes, by which a guessed text can be confirmed; the transforms mix them away.
"""

from typing import Final, TypeAlias

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

DIMENSIONS: Final = 1536
_THIRDS: Final = 3
_WIDTH: Final = DIMENSIONS // _THIRDS
_SCALE: Final = _WIDTH**0.5
_ROUNDS: Final = 3

Vector: TypeAlias = NDArray[np.float32]


def _mix(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Walsh–Hadamard transform of each third: nine rounds of sums and differences, which
    at this size beat a product with the matrix tenfold."""
    half = 1
    while half < _WIDTH:
        pairs = vector.reshape(-1, 2, half)
        vector = np.stack((pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]), axis=1)
        half *= 2
    return np.asarray(vector.reshape(DIMENSIONS) / _SCALE)


class Rotation:
    """One user's rotation, made of a key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        # A keystream of our own making: numpy's generators may change between versions,
        # and the rotation must be the same for as long as the vectors stand.
        stream = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()
        self._rounds = [
            (_signs(stream.update(bytes(DIMENSIONS))), _order(stream.update(bytes(8 * DIMENSIONS))))
            for _ in range(_ROUNDS)
        ]

    def apply(self, vector: Vector) -> Vector:
        """Q·v. Takes and returns 1536 numbers; the length of the vector is kept."""
        mixed = vector.astype(np.float64)
        for signs, order in self._rounds:
            mixed = _mix((mixed * signs)[order])
        return mixed.astype(np.float32)


def _signs(stream: bytes) -> NDArray[np.int8]:
    odd = np.frombuffer(stream, np.uint8) & 1
    return np.where(odd, np.int8(1), np.int8(-1))


def _order(stream: bytes) -> NDArray[np.int16]:
    return np.argsort(np.frombuffer(stream, "<u8"), kind="stable").astype(np.int16)
