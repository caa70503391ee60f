"""The containers, built and run for real, by `make test-containers`: `make test` passes them by.

What the containers said is kept in build/containers.log.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.compose import Compose

collect_ignore_glob = [] if os.environ.get("CONTAINERS") else ["test_*.py"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """All of it, up, with the offline model; taken down at the end."""
    stack = Compose(Path(), tmp_path_factory.mktemp("switchboard"))
    try:
        stack.build()
        stack.up()
        yield stack
    finally:
        stack.down()
