"""Runs the router: `python -m router_svc`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

from router_svc import health, metrics
from router_svc.backlog import Backlog
from router_svc.conductor import Limits, Services
from router_svc.intent import Classifier
from router_svc.service import Router
from router_svc.settings import RouterSettings
from runtime import observe
from runtime.channels import dial
from runtime.model import client as model
from runtime.model import startup
from runtime.server import Server
from runtime.settings import load
from switchboard.v3.agent_pb2_grpc import AgentServiceStub
from switchboard.v3.formatter_pb2_grpc import FormatterServiceStub
from switchboard.v3.memory_pb2_grpc import MemoryServiceStub
from switchboard.v3.router_pb2_grpc import add_RouterServiceServicer_to_server

ROUTER: Final = "switchboard.v3.RouterService"
AGENT: Final = "switchboard.v3.AgentService"
FORMATTER: Final = "switchboard.v3.FormatterService"

_DRAIN_S: Final = 1.0
"""How long exchanges that wait for memory hold up the end of the process, in seconds."""


@asynccontextmanager
async def serving(
    settings: RouterSettings, *, check: bool = False
) -> AsyncIterator[tuple[Server, int]]:
    """The router on its port, until left; `check` tries the model meanwhile."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(model.client(settings))
        agent, formatter, memory = [
            await stack.enter_async_context(dial(address, settings))
            for address in (settings.agent_addr, settings.formatter_addr, settings.memory_addr)
        ]
        memory_stub = MemoryServiceStub(memory)
        backlog = Backlog(
            memory_stub,
            timeout_s=settings.store_timeout_s,
            limit=settings.store_backlog,
            most_bytes=settings.held_bytes // 4,  # what runs has the rest of the memory
        )
        metrics.BACKLOG.set_function(lambda: len(backlog))
        classifier = Classifier(
            client,
            settings.router_model,
            settings.profiles(),
            timeout_s=settings.classify_timeout_s,
            min_confidence=settings.classify_min_confidence,
        )
        stack.push_async_callback(classifier.close)
        services = Services(
            classifier,
            AgentServiceStub(agent),
            FormatterServiceStub(formatter),
            memory_stub,
            backlog,
        )
        limits = Limits(
            settings.enrich_timeout_s, settings.cancel_grace_s, settings.request_deadline_s
        )
        server = Server(settings, "router_svc", [ROUTER])
        add_RouterServiceServicer_to_server(Router(services, limits), server.grpc)
        for service in (AGENT, FORMATTER):
            await server.set_health(service, False)
        port = await server.start()
        stack.push_async_callback(server.stop)
        for work in (
            backlog.run(),
            health.watch(AGENT, agent, server.set_health),
            health.watch(FORMATTER, formatter, server.set_health),
        ):
            stack.push_async_callback(_ended, asyncio.create_task(work))
        stack.push_async_callback(backlog.drain, _DRAIN_S)
        if check:
            url = settings.endpoint.base_url
            await stack.enter_async_context(startup.checking(url, classifier.check))
        yield server, port


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def main(settings: RouterSettings) -> None:
    """Serves until told to stop."""
    async with serving(settings, check=True) as (server, _):
        await server.run()


if __name__ == "__main__":
    chosen = load(RouterSettings, "router_svc")
    observe.start(chosen, "router_svc")
    asyncio.run(main(chosen))
