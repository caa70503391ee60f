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
_ROUNDS: Final = 3

Vector: TypeAlias = NDArray[np.float32]


def _walsh_hadamard(width: int) -> NDArray[np.float64]:
    matrix: NDArray[np.float64] = np.ones((1, 1))
    while len(matrix) < width:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return np.asarray(matrix / np.sqrt(width))


_MIX: Final = _walsh_hadamard(_WIDTH)


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
            mixed = ((mixed * signs)[order].reshape(_THIRDS, _WIDTH) @ _MIX).reshape(DIMENSIONS)
        return mixed.astype(np.float32)


def _signs(stream: bytes) -> NDArray[np.int8]:
    odd = np.frombuffer(stream, np.uint8) & 1
    return np.where(odd, np.int8(1), np.int8(-1))


def _order(stream: bytes) -> NDArray[np.int16]:
    return np.argsort(np.frombuffer(stream, "<u8"), kind="stable").astype(np.int16)
