"""All five services, the real ones, inside the test's own process; the model is a script.

    async with whole(database_url, tmp_path, script) as stack:
        laptop = await stack.device("laptop", "ada")
        stack.model.chats  # what the agents asked the model

They speak gRPC over loopback as they do between machines; with `authority`, mutual TLS, each
with a certificate of its own and serving only who has to call it.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from agent_svc.model import Model
from agent_svc.service import AgentServicer
from agent_svc.settings import AgentSettings
from edge.rest.common import EDGE
from edge.settings import EdgeSettings
from formatter_svc.service import FORMATTER, FormatterServicer
from formatter_svc.settings import FormatterSettings
from memory_svc.app import App
from router_svc.__main__ import serving
from router_svc.settings import RouterSettings
from runtime.channels import dial
from runtime.model import client as model
from runtime.server import Server
from switchboard.v3.agent_pb2_grpc import add_AgentServiceServicer_to_server
from switchboard.v3.formatter_pb2_grpc import add_FormatterServiceServicer_to_server
from switchboard.v3.memory_pb2_grpc import MemoryServiceStub
from tests.support import memory
from tests.support.certs import Authority
from tests.support.edge_stack import KEY, PATIENCE_S, DeviceSocket, Front, listening
from tests.support.model_server import ModelServer, Reply, Request, Script

PASSWORD: Final = "correct horse battery"
CALLERS: Final[Mapping[str, str]] = {
    "memory_svc": "router_svc,agent_svc,edge",
    "agent_svc": "router_svc",
    "formatter_svc": "router_svc",
    "router_svc": "edge",
}
"""Who has to call whom."""

_numbers = itertools.count(1)


class Whole(Front):
    """The edge, what it told its users, and the model behind it all."""

    def __init__(
        self,
        url: str,
        application: web.Application,
        made: Making,
        provider: ModelServer,
        trust: ssl.SSLContext | None,
    ) -> None:
        super().__init__(url, application[EDGE], application, trust)
        self.model = provider
        self.ports = made.ports
        assert made.memory is not None
        self.memory = made.memory  # its jobs are done when the test says so
        self._users: dict[str, dict[str, Any]] = {}

    async def fresh(self) -> None:
        """Nobody is connected or known, and the model was asked nothing, for the next test."""
        for socket in self._sockets:
            await socket.close()
        self._sockets.clear()
        self._users.clear()
        self.model.requests.clear()

    async def user(self, name: str) -> dict[str, Any]:
        """The account of this name, made where there is none: user_id and tokens."""
        if name not in self._users:
            email = f"{name}{next(_numbers)}@example.org"
            sent = {"email": email, "password": PASSWORD}
            path = "/api/v1/auth/register"
            status, self._users[name] = await self.call("POST", path, json=sent, headers={})
            assert status == 201, self._users[name]
        return self._users[name]

    async def device(
        self, device_id: str = "laptop", user_id: str = "ada", **hello: Any
    ) -> DeviceSocket:
        """A socket of the user of this name that said hello."""
        user = await self.user(user_id)
        return await super().device(device_id, user["user_id"], **hello)

    async def rest(self, name: str, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """A REST call of the user of this name: status and body."""
        headers = {"Authorization": f"Bearer {(await self.user(name))['access_token']}"}
        return await self.call(method, path, headers=headers, **more)


@dataclass
class Making:
    """What is common to the services as they are started."""

    folder: Path
    authority: Authority | None
    model_url: str
    ports: dict[str, int] = field(default_factory=dict)
    memory: App | None = None

    def settings(self, name: str, *dials: str) -> dict[str, Any]:
        """Where those are that it dials, and who it is itself."""
        found: dict[str, Any] = {
            f"{other}_addr": f"localhost:{self.ports[f'{other}_svc']}" for other in dials
        }
        if self.authority is not None:
            found |= self.authority.issue(self.folder / name, name)
        if name != "edge":
            found |= {"listen_addr": "localhost:0"}
            found |= {"tls_callers": CALLERS[name]} if self.authority else {}
        return found

    @property
    def provider(self) -> dict[str, Any]:
        return {"openai_base_url": self.model_url, "openai_api_key": "sk-nobody-reads-this"}


@asynccontextmanager
async def whole(
    database_url: str,
    folder: Path,
    script: Script | Callable[[Request], Reply],
    *,
    json: object = None,
    authority: Authority | None = None,
    trust: ssl.SSLContext | None = None,
    agent: Mapping[str, Any] | None = None,
    **edge: Any,
) -> AsyncIterator[Whole]:
    """Everything, until left. `json`: which agent the model chooses; `agent`, `edge`: their
    settings, and `trust` what its clients trust where those switch on TLS."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(ModelServer(script, json=json))
        made = Making(folder, authority, provider.url)
        made.ports["memory_svc"] = await _memory(stack, made, database_url)
        made.ports["agent_svc"] = await _agent(stack, made, agent or {})
        made.ports["formatter_svc"] = await _formatter(stack, made)
        named = made.settings("router_svc", "agent", "formatter", "memory") | made.provider
        router = RouterSettings.model_validate(named)
        _, made.ports["router_svc"] = await stack.enter_async_context(serving(router))
        named = {"auth_signing_keys": KEY, **made.settings("edge", "router", "memory"), **edge}
        settings = EdgeSettings.model_validate(named)
        url, application = await stack.enter_async_context(listening(settings))
        there = Whole(url, application, made, provider, trust)
        stack.push_async_callback(there.close)
        async with asyncio.timeout(PATIENCE_S):
            while (await there.call("GET", "/readyz", headers={}))[0] != 200:
                await asyncio.sleep(0.02)
        yield there


async def _memory(stack: AsyncExitStack, made: Making, database_url: str) -> int:
    own = {
        **made.settings("memory_svc"),
        **made.provider,
    }
    made.memory = app = App(memory.settings(database_url, made.folder, **own))
    port = await app.start()
    stack.push_async_callback(app.close)
    await app.ready()
    return port


async def _agent(stack: AsyncExitStack, made: Making, own: Mapping[str, Any]) -> int:
    named = {**made.settings("agent_svc", "memory"), **made.provider, **own}
    settings = AgentSettings.model_validate(named)
    client = await stack.enter_async_context(model.client(settings))
    channel = await stack.enter_async_context(dial(settings.memory_addr, settings))
    server = Server(settings, "agent_svc", ["switchboard.v3.AgentService"])
    servicer = AgentServicer(
        Model(client, settings.agent_model, settings.profiles()),
        MemoryServiceStub(channel),
        settings.budgets,
        settings.approve_after_untrusted,
    )
    add_AgentServiceServicer_to_server(servicer, server.grpc)
    port = await server.start()
    stack.push_async_callback(server.stop)
    return port


async def _formatter(stack: AsyncExitStack, made: Making) -> int:
    settings = FormatterSettings.model_validate(made.settings("formatter_svc"))
    server = Server(settings, "formatter_svc", [FORMATTER])
    add_FormatterServiceServicer_to_server(FormatterServicer(), server.grpc)
    port = await server.start()
    await server.set_health(FORMATTER, True)
    stack.push_async_callback(server.stop)
    return port
