"""Embeddings by feature hashing: alike are texts that share words and pieces of words. Pure."""

import base64
import re
import zlib
from typing import Any, Final

import numpy as np
import snowballstemmer

DIMENSIONS: Final = 1536
_WORD_WEIGHT: Final = 1.0
_PIECE_WEIGHT: Final = 0.25
_COMMON: Final = re.compile(
    r"^(?:an?|and|are|as|at|be|by|for|from|has|have|i|in|is|it|my|of|on|or|that|the|this|to|was|"
    r"we|what|when|which|who|will|with|you|your)$"
)
_stemmer = snowballstemmer.stemmer("english")


def features(text: str) -> list[tuple[str, float]]:
    """Returns (feature, weight) of each word's stem, and of its pieces of three letters."""
    words = re.findall(r"\w+", text.lower())
    kept = [word for word in words if not _COMMON.match(word)] or words
    found: list[tuple[str, float]] = []
    for word in kept:
        stem = _stemmer.stemWord(word)
        found.append((f"w:{stem}", _WORD_WEIGHT))
        padded = f"^{stem}$"
        found += [(f"p:{padded[i : i + 3]}", _PIECE_WEIGHT) for i in range(len(padded) - 2)]
    return found


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Returns a unit vector; that of a text without a word is (1, 0, 0 …)."""
    vector = np.zeros(dimensions, dtype=np.float64)
    for feature, weight in features(text):
        hashed = zlib.crc32(feature.encode())
        vector[hashed % dimensions] += weight if hashed & 0x8000_0000 else -weight
    length = float(np.linalg.norm(vector))
    if length == 0:
        vector[0] = length = 1.0
    return [float(value) for value in vector / length]


def wire(vector: list[float], encoding: str) -> Any:
    """Returns a vector as the API sends it: numbers, or base64 of little-endian 32-bit floats."""
    if encoding == "base64":
        return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()
    return vector
