"""One stack for all conversations of a worker."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.device import Device
from tests.support.stack import Running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The whole of Switchboard with the offline model."""
    with Running(tmp_path_factory.mktemp("stack") / "state") as running:
        yield running


@pytest.fixture
async def device(stack: Running) -> AsyncIterator[Device]:
    """A new user's device, with sample data."""
    async with await Device.open(stack.origin) as opened:
        yield opened
