"""Outside inputs, laid out as CORPUS says; without it there is nothing to collect in this folder.

What is our own stands in the folders below, and is always tried.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

collect_ignore_glob = [] if os.environ.get("CORPUS") else ["test_*.py"]


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder with `json_parsing`, `json_checker`, `model_json` and `model_streams`."""
    return Path(os.environ["CORPUS"])
