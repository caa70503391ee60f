"""A stack that is looked into: its traces go to a collector, its metrics can be scraped."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from devstack.settings import SERVICES
from tests.support import ports
from tests.support.collector import Collector
from tests.support.device import Device
from tests.support.scrape import Scrape
from tests.support.stack import Running


@dataclass(frozen=True, slots=True)
class Observed:
    """The stack with its onlookers."""

    stack: Running
    collector: Collector
    admin_port: int

    def scrape(self, service: str) -> Scrape:
        """The metrics of memory, agent, formatter, router or edge, as they are now."""
        return Scrape(f"127.0.0.1:{self.admin_port + 1 + SERVICES.index(service)}")


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """The whole of Switchboard, with JSON logs, traces and metrics switched on."""
    port = ports.row(6)
    with (
        Collector() as collector,
        Running(
            tmp_path_factory.mktemp("observed") / "state",
            ADMIN_ADDR=f"127.0.0.1:{port}",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_BSP_SCHEDULE_DELAY="100",
            LOG_FORMAT="json",
        ) as stack,
    ):
        yield Observed(stack, collector, port)


@pytest.fixture
async def watched_device(observed: Observed) -> AsyncIterator[Device]:
    """A new user's device, with sample data."""
    async with await Device.open(observed.stack.origin) as opened:
        yield opened
