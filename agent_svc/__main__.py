"""Runs the agent service."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from agent_svc.catalogue import CATALOGUE
from agent_svc.model import Model
from agent_svc.service import AgentServicer
from agent_svc.settings import AgentSettings
from runtime import observe
from runtime.channels import dial
from runtime.model import client as model
from runtime.model import startup
from runtime.server import Server
from runtime.settings import load
from switchboard.v3.agent_pb2 import DESCRIPTOR
from switchboard.v3.agent_pb2_grpc import add_AgentServiceServicer_to_server
from switchboard.v3.memory_pb2_grpc import MemoryServiceStub


async def main(settings: AgentSettings) -> None:
    """Serves until it is told to stop."""
    server = Server(settings, "agent_svc", [DESCRIPTOR.services_by_name["AgentService"].full_name])
    async with model.client(settings) as client, dial(settings.memory_addr, settings) as memory:
        asked = Model(client, settings.agent_model, settings.profiles())
        servicer = AgentServicer(
            asked,
            MemoryServiceStub(memory),
            settings.budgets,
            settings.approve_after_untrusted,
        )
        add_AgentServiceServicer_to_server(servicer, server.grpc)
        await server.start()
        async with startup.checking(settings.endpoint.base_url, lambda: _check(asked)):
            await server.run()


async def _check(asked: Model) -> None:
    """Has the model say a word, with a tool on offer; what is wrong goes to the log."""
    call = asked.call(
        [
            {"role": "system", "content": "This tries out the connection. Use no tools."},
            {"role": "user", "content": "Answer with the one word: ok"},
        ],
        [CATALOGUE["update_task"].for_model()],
    )
    async with aclosing(call.said()) as said:
        async for _ in said:
            pass


if __name__ == "__main__":
    settings = load(AgentSettings, "agent_svc")
    observe.start(settings, "agent_svc")
    asyncio.run(main(settings))
