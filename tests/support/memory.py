"""A memory_svc inside the test's own process, over a real database and real gRPC.

async with memory_service(database_url, tmp_path) as memory:
    session = await memory.register()
    await memory.stub.GetCore(...)
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import grpc
from cryptography.fernet import Fernet

from memory_svc.app import App
from memory_svc.settings import MemorySettings
from switchboard.v3 import memory_pb2 as pb
from switchboard.v3.accounts_pb2 import RegisterRequest, Session
from switchboard.v3.accounts_pb2_grpc import AccountServiceStub
from switchboard.v3.memory_pb2_grpc import MemoryServiceStub

if TYPE_CHECKING:
    from switchboard.v3.accounts_pb2_grpc import AccountServiceAsyncStub
    from switchboard.v3.memory_pb2_grpc import MemoryServiceAsyncStub

PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


def settings(database_url: str, folder: Path, **more: Any) -> MemorySettings:
    """Settings of a memory_svc with a master key and a ledger of its own in `folder`."""
    given = {
        "listen_addr": "127.0.0.1:0",
        "database_url": database_url,
        "master_keys": Fernet.generate_key().decode(),
        "erasure_ledger": folder / "erasures",
        # Nobody listens there: no model unless a test gives one.
        "openai_base_url": "http://127.0.0.1:9/v1",
        # Tests say when jobs are done.
        "memory_workers": 0,
        "pattern_delay_s": 0,
    }
    return MemorySettings.model_validate(given | more)


@dataclass
class Running:
    """A running service and the ways to it."""

    app: App
    port: int
    channel: grpc.aio.Channel
    stub: MemoryServiceAsyncStub
    accounts: AccountServiceAsyncStub

    async def register(self, password: str = PASSWORD) -> Session:
        """A new user, signed in."""
        email = f"user{next(_numbers)}@example.com"
        request = RegisterRequest(email=email, password=password)
        return (await self.accounts.Register(request)).session

    async def user(self) -> UUID:
        """A new user's id."""
        return UUID((await self.register()).user_id)

    async def say(self, user: UUID, message: str, **more: Any) -> pb.StoreEpisodeResponse:
        """Stores an exchange in which the user said `message`."""
        given = {"session_id": "s1", "request_id": str(uuid4()), "agent_name": "general_agent"}
        return await self.stub.StoreEpisode(
            pb.StoreEpisodeRequest(user_id=str(user), message=message, **(given | more))
        )

    async def enrich(self, user: UUID, message: str, **more: Any) -> pb.EnrichContextResponse:
        """What goes with a message."""
        request = pb.EnrichContextRequest(user_id=str(user), message=message, **more)
        return await self.stub.EnrichContext(request)

    async def settled(self) -> None:
        """Does all jobs that are due, here and now."""
        while await self.app.worker.step():
            pass

    async def fetch(self, query: str, *values: object) -> list[Any]:
        """Rows straight out of the database."""
        async with self.app.db.connection() as db:
            return list(await db.fetch(query, *values))

    async def open_transactions(self) -> int:
        """How many transactions stand open while nothing is asked of the database."""
        found = await self.fetch(
            """SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"""
        )
        return len(found)

    async def facts(self, user: UUID) -> list[str]:
        """The facts in force, oldest first, opened."""
        listed = await self.stub.List(
            pb.ListRequest(user_id=str(user), tier=pb.MEMORY_TIER_ASSOCIATIVE, limit=200)
        )
        items = [item for item in listed.items if not item.HasField("superseded_at")]
        return [item.text for item in reversed(items)]


@asynccontextmanager
async def memory_service(database_url: str, folder: Path, **more: Any) -> AsyncIterator[Running]:
    """A running, ready memory_svc."""
    app = App(settings(database_url, folder, **more))
    port = await app.start()
    await app.ready()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    try:
        yield Running(app, port, channel, MemoryServiceStub(channel), AccountServiceStub(channel))
    finally:
        await channel.close()
        await app.close()
