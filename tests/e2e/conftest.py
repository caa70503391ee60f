"""One stack for all conversations; it stays on one worker."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.device import Device
from tests.support.stack import Running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e/" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group("e2e"))


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
