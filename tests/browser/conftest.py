"""The page that charts are drawn on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import gallery


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once for all tests of a process."""
    return gallery.build(tmp_path_factory.mktemp("gallery"))


@pytest.fixture(scope="session")
def loud_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, where React says what it does not like."""
    return gallery.build(tmp_path_factory.mktemp("gallery"), mode="development")
