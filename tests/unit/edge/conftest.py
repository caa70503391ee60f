"""An edge on loopback, for the tests that need a whole one."""

from collections.abc import AsyncIterator

import pytest

from tests.support.edge_stack import EdgeStack, edge_stack


@pytest.fixture
async def stack() -> AsyncIterator[EdgeStack]:
    async with edge_stack() as found:
        yield found
