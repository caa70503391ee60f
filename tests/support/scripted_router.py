"""The services behind the edge, scripted: a real gRPC server on loopback.

    async with Behind() as behind:
        behind.router.script = my_turn           # async def my_turn(turn: Turn)
        ...                                      # dial behind.address for router and memory

A script is one request: it reads `turn.start`, says, calls tools, and ends. What it
leaves unended is ended by a bare end of the stream, as when a router is lost.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import orjson

from runtime.errors import SwitchboardError
from runtime.server import Server
from runtime.settings import ServiceSettings
from runtime.stream import BoundedStream
from switchboard.v3 import accounts_pb2 as accounts
from switchboard.v3 import accounts_pb2_grpc, memory_pb2_grpc, router_pb2_grpc
from switchboard.v3 import memory_pb2 as memory
from switchboard.v3.agent_pb2 import DeviceToolCall, ToolSpec
from switchboard.v3.blocks_pb2 import BlockType
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import (
    DataRequest,
    DataResponse,
    Domain,
    EndStatus,
    MutationOp,
    PopupDomain,
    ServerFrame,
    StreamBlock,
    StreamEnd,
    StreamText,
    ToolCall,
    ToolResult,
    Usage,
)
from switchboard.v3.router_pb2 import (
    ConverseInput,
    ConverseOutput,
    ConverseRequest,
    ConverseResponse,
    ConverseStart,
    RouteRequest,
    RouteResponse,
    RouterServiceListToolsRequest,
    RouterServiceListToolsResponse,
)
from switchboard.v3.values_pb2 import Json

SERVICES: Final = (
    "switchboard.v3.RouterService",
    "switchboard.v3.AgentService",
    "switchboard.v3.FormatterService",
)
QUEUED: Final = 64
USAGE: Final = Usage(input_tokens=7, output_tokens=5, model_calls=2)


class Turn:
    """The router's end of one request."""

    def __init__(self, request_id: str, start: ConverseStart) -> None:
        self.request_id = request_id
        self.start = start
        self.cancelled = asyncio.Event()
        self.lost = asyncio.Event()
        self.results: list[ToolResult] = []
        self.sent = 0  # how many outputs gRPC has taken
        # Bounded as the router's own: without, one message holds all that a script says while
        # the machine is busy, and no flow control can stop a message in its middle.
        self._out: BoundedStream[ConverseOutput] = BoundedStream(QUEUED)
        self._answers: dict[str, asyncio.Future[ToolResult | DataResponse]] = {}

    async def say(self, *outputs: ConverseOutput) -> None:
        """Sends these, once there is room."""
        for output in outputs:
            await self._out.put(output)
        await asyncio.sleep(0)

    async def frame(self, **kind: Any) -> None:
        await self.say(ConverseOutput(frame=ServerFrame(**kind)))

    async def routed(self, agent: str = "task_agent") -> None:
        routed = RouteResponse(agent_name=agent, confidence=0.9, reason="scripted")
        await self.say(ConverseOutput(routed=routed))

    async def domain(self) -> None:
        await self.frame(popup_domain=PopupDomain(domain=Domain.DOMAIN_TASKS))

    async def text(self, *chunks: str) -> None:
        for chunk in chunks:
            await self.frame(stream_text=StreamText(chunk=chunk))

    async def block(self, data: dict[str, Any]) -> None:
        json = Json(utf8=orjson.dumps(data))
        block = StreamBlock(block_type=BlockType.BLOCK_TYPE_TABLE, data=json)
        await self.frame(stream_block=block)

    def call(
        self,
        name: str = "list_tasks",
        arguments: dict[str, Any] | None = None,
        effect: MutationOp.ValueType | None = None,
        *,
        entity: EntityKind.ValueType = EntityKind.ENTITY_KIND_TASK,
        requires_approval: bool = False,
        call_id: str | None = None,
    ) -> "asyncio.Future[Any]":
        """Calls a tool; the future gives the ToolResult."""
        call = ToolCall(
            request_id=self.request_id,
            call_id=call_id or str(uuid4()),
            name=name,
            arguments=Json(utf8=orjson.dumps(arguments or {})),
            deadline_ms=300_000 if requires_approval else 30_000,
            requires_approval=requires_approval,
        )
        asked = DeviceToolCall(call=call, entity=entity)
        if effect is not None:
            asked.effect = effect
        self._out.put_now(ConverseOutput(tool_call=asked))
        return self._answer(call.call_id)

    def query(self, *ids: str) -> "asyncio.Future[Any]":
        """Asks the device for tasks; the future gives the DataResponse."""
        asked = DataRequest(query_id=str(uuid4()), entity=EntityKind.ENTITY_KIND_TASK)
        asked.ids.values.extend(ids)
        self._out.put_now(ConverseOutput(frame=ServerFrame(data_request=asked)))
        return self._answer(asked.query_id)

    async def end(
        self,
        status: EndStatus.ValueType = EndStatus.END_STATUS_COMPLETED,
        error: SwitchboardError | None = None,
    ) -> None:
        end = StreamEnd(status=status, usage=USAGE)
        if error is not None:
            end.error.CopyFrom(error.to_proto())
        await self.frame(stream_end=end)

    def _answer(self, id_: str) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[id_] = future
        return future

    def take(self, said: ConverseInput) -> None:
        match said.WhichOneof("input"):
            case "cancel":
                self.cancelled.set()
            case "tool_result":
                self.results.append(said.tool_result)
                self._resolve(said.tool_result.call_id, said.tool_result)
            case "data_response":
                self._resolve(said.data_response.query_id, said.data_response)

    def _resolve(self, id_: str, answer: ToolResult | DataResponse) -> None:
        future = self._answers.get(id_)
        if future is not None and not future.done():
            future.set_result(answer)

    async def outputs(self) -> AsyncIterator[list[ConverseOutput]]:
        async for batch in self._out:
            yield batch
            self.sent += len(batch)

    def close(self) -> None:
        self._out.close()


Script = Callable[[Turn], Awaitable[None]]


async def hello_world(turn: Turn) -> None:
    """The default script."""
    await turn.routed()
    if turn.start.HasField("scope"):
        await turn.domain()
    await turn.text("Hello", " ", "world")
    await turn.end()


class ScriptedRouter(router_pb2_grpc.RouterServiceServicer):
    """Runs one script for each request; keeps the turns in `turns`."""

    def __init__(self) -> None:
        self.script: Script = hello_world
        self.turns: list[Turn] = []
        self.came = asyncio.Event()

    async def turn(self, number: int = 0) -> Turn:
        """The turn of this number, once it has begun."""
        async with asyncio.timeout(10):
            while len(self.turns) <= number:
                self.came.clear()
                await self.came.wait()
        return self.turns[number]

    async def Route(self, request: RouteRequest, context: Any) -> RouteResponse:
        return RouteResponse(agent_name="task_agent", reason="scripted")

    async def ListTools(
        self, request: RouterServiceListToolsRequest, context: Any
    ) -> RouterServiceListToolsResponse:
        schema = Json(utf8=b'{"type":"object"}')
        tool = ToolSpec(
            name="list_tasks",
            description="Lists tasks.",
            arguments_schema=schema,
            result_schema=schema,
        )
        agents = ["general_agent", "task_agent"]
        return RouterServiceListToolsResponse(tools=[tool], agents=agents)

    async def Converse(
        self, request_iterator: AsyncIterator[ConverseRequest], context: Any
    ) -> AsyncIterator[ConverseResponse]:
        first = await anext(request_iterator)
        turn = Turn(first.request_id, first.inputs[0].start)
        self.turns.append(turn)
        self.came.set()
        script = self.script
        for said in first.inputs[1:]:
            turn.take(said)

        async def listen() -> None:
            async for request in request_iterator:
                for said in request.inputs:
                    turn.take(said)

        async def act() -> None:
            try:
                await script(turn)
            finally:
                turn.close()

        tasks = [asyncio.create_task(listen()), asyncio.create_task(act())]
        try:
            async for batch in turn.outputs():
                yield ConverseResponse(request_id=turn.request_id, outputs=batch)
            if tasks[1].done() and not tasks[1].cancelled() and (why := tasks[1].exception()):
                raise why
        finally:
            turn.lost.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class ScriptedAccounts(accounts_pb2_grpc.AccountServiceServicer):
    """Accounts in a dictionary; a refresh token names its family."""

    def __init__(self) -> None:
        self.users: dict[str, tuple[str, str]] = {}
        self.families: dict[str, str] = {}
        self.reused: set[str] = set()  # tokens that were shown before, long ago
        self.asked: list[accounts.AccountServiceDeleteRequest] = []

    async def Register(self, request: Any, context: Any) -> accounts.RegisterResponse:
        if request.email in self.users:
            raise SwitchboardError(ErrorCode.ERROR_CODE_CONFLICT, "This address is taken.")
        self.users[request.email] = (str(uuid4()), request.password)
        return accounts.RegisterResponse(session=self._session(self.users[request.email][0]))

    async def Authenticate(self, request: Any, context: Any) -> accounts.AuthenticateResponse:
        user_id, password = self.users.get(request.email, ("", ""))
        if not user_id or password != request.password:
            raise SwitchboardError(ErrorCode.ERROR_CODE_UNAUTHENTICATED, "Wrong.")
        return accounts.AuthenticateResponse(session=self._session(user_id))

    async def Refresh(self, request: Any, context: Any) -> accounts.RefreshResponse:
        user_id = self.families.get(request.refresh_token)
        if user_id is None or request.refresh_token in self.reused:
            raise SwitchboardError(ErrorCode.ERROR_CODE_UNAUTHENTICATED, "Wrong.")
        return accounts.RefreshResponse(session=self._session(user_id, request.refresh_token))

    async def Revoke(self, request: Any, context: Any) -> accounts.RevokeResponse:
        user_id = self.families.pop(request.refresh_token, "")
        family = request.refresh_token if user_id else ""
        return accounts.RevokeResponse(user_id=user_id, family_id=family)

    async def ChangePassword(self, request: Any, context: Any) -> accounts.ChangePasswordResponse:
        for email, (user_id, password) in list(self.users.items()):
            if user_id == request.user_id:
                if password != request.password:
                    raise SwitchboardError(ErrorCode.ERROR_CODE_UNAUTHENTICATED, "Wrong.")
                self.users[email] = (user_id, request.new_password)
        return accounts.ChangePasswordResponse(
            family_ids=self._ended(request.user_id, keep=request.family_id)
        )

    async def GetPolicy(self, request: Any, context: Any) -> accounts.GetPolicyResponse:
        return accounts.GetPolicyResponse(registration=accounts.Registration.REGISTRATION_OPEN)

    async def GetAccount(self, request: Any, context: Any) -> accounts.GetAccountResponse:
        emails = [email for email, (user_id, _) in self.users.items() if user_id == request.user_id]
        return accounts.GetAccountResponse(email="".join(emails))

    async def AskReset(self, request: Any, context: Any) -> accounts.AskResetResponse:
        raise _no_mail()

    async def ResetPassword(self, request: Any, context: Any) -> accounts.ResetPasswordResponse:
        raise _no_mail()

    async def AskVerification(self, request: Any, context: Any) -> accounts.AskVerificationResponse:
        raise _no_mail()

    async def VerifyEmail(self, request: Any, context: Any) -> accounts.VerifyEmailResponse:
        raise _no_mail()

    async def ListSignIns(self, request: Any, context: Any) -> accounts.ListSignInsResponse:
        return accounts.ListSignInsResponse(
            sign_ins=[
                accounts.SignIn(family_id=family)
                for family, user_id in self.families.items()
                if user_id == request.user_id
            ]
        )

    async def EndSignIns(self, request: Any, context: Any) -> accounts.EndSignInsResponse:
        ended = self._ended(request.user_id, request.family_id, request.keep_family_id)
        if request.family_id and not ended:
            raise SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such sign-in.")
        return accounts.EndSignInsResponse(family_ids=ended)

    def _ended(self, user_id: str, only: str = "", keep: str = "") -> list[str]:
        ended = [
            family
            for family, of in self.families.items()
            if of == user_id and family != keep and only in ("", family)
        ]
        for family in ended:
            del self.families[family]
        return ended

    async def Delete(self, request: Any, context: Any) -> accounts.AccountServiceDeleteResponse:
        for email, (user_id, password) in list(self.users.items()):
            if user_id == request.user_id:
                if password != request.password:
                    raise SwitchboardError(ErrorCode.ERROR_CODE_FORBIDDEN, "Wrong password.")
                self.asked.append(request)
                if not request.check_only:
                    del self.users[email]
        return accounts.AccountServiceDeleteResponse()

    def _session(self, user_id: str, family: str | None = None) -> accounts.Session:
        family = family or str(uuid4())
        self.families[family] = user_id
        return accounts.Session(user_id=user_id, family_id=family, refresh_token=family)


def _no_mail() -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "This server sends no mail.")


class ScriptedMemory(memory_pb2_grpc.MemoryServiceServicer):
    """Preferences in a dictionary by user; other tiers hold what a test puts into `items`."""

    def __init__(self) -> None:
        self.core: dict[tuple[str, str], str] = {}
        self.items: list[memory.MemoryItem] = []
        self.goes_away = False  # in the middle of an export
        self.asked: list[Any] = []

    def _core(self, key: str, value: str) -> memory.MemoryItem:
        return memory.MemoryItem(
            id=key,
            tier=memory.MemoryTier.MEMORY_TIER_CORE,
            text=value,
            key=key,
            score=1,
            why="core",
        )

    async def GetCore(self, request: Any, context: Any) -> memory.GetCoreResponse:
        found = [self._core(k, v) for (u, k), v in self.core.items() if u == request.user_id]
        return memory.GetCoreResponse(items=found)

    async def UpdateCore(self, request: Any, context: Any) -> memory.UpdateCoreResponse:
        self.core[request.user_id, request.key] = request.value
        return memory.UpdateCoreResponse(item=self._core(request.key, request.value))

    async def DeleteCore(self, request: Any, context: Any) -> memory.DeleteCoreResponse:
        if self.core.pop((request.user_id, request.key), None) is None:
            raise SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such preference.")
        return memory.DeleteCoreResponse()

    async def List(self, request: Any, context: Any) -> memory.ListResponse:
        self.asked.append(request)
        return memory.ListResponse(items=self.items, next_cursor="more")

    async def Search(self, request: Any, context: Any) -> memory.SearchResponse:
        self.asked.append(request)
        return memory.SearchResponse(items=self.items)

    async def Delete(self, request: Any, context: Any) -> memory.DeleteResponse:
        self.asked.append(request)
        return memory.DeleteResponse()

    async def EnrichContext(self, request: Any, context: Any) -> memory.EnrichContextResponse:
        return memory.EnrichContextResponse(items=self.items)

    async def StoreEpisode(self, request: Any, context: Any) -> memory.StoreEpisodeResponse:
        self.asked.append(request)
        return memory.StoreEpisodeResponse(episode_id=str(uuid4()), created=True)

    async def ReviewPattern(self, request: Any, context: Any) -> memory.ReviewPatternResponse:
        self.asked.append(request)
        return memory.ReviewPatternResponse()

    async def Export(self, request: Any, context: Any) -> AsyncIterator[memory.ExportResponse]:
        for item in self.items:
            yield memory.ExportResponse(item=item)
        if self.goes_away:
            raise SwitchboardError(ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "Away.")


class Behind:
    """Router, accounts and memory in one server at `address`. `tls`: the settings for it."""

    def __init__(self, **tls: Path) -> None:
        self._tls = tls
        self.router = ScriptedRouter()
        self.accounts = ScriptedAccounts()
        self.memory = ScriptedMemory()
        self.address = ""
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens, again at the same address after a stop."""
        host = "localhost" if self._tls else "127.0.0.1"
        settings = ServiceSettings.model_validate(
            {"listen_addr": self.address or f"{host}:0", **self._tls}
        )
        server = Server(settings, "behind", SERVICES)
        router_pb2_grpc.add_RouterServiceServicer_to_server(self.router, server.grpc)
        accounts_pb2_grpc.add_AccountServiceServicer_to_server(self.accounts, server.grpc)
        memory_pb2_grpc.add_MemoryServiceServicer_to_server(self.memory, server.grpc)
        port = await server.start()
        for name in SERVICES:
            await server.set_health(name, True)
        self.address = f"{host}:{port}"
        self._server = server

    async def stop(self) -> None:
        """Is gone at once: streams break off."""
        if self._server is not None:
            await self._server.stop(0)
            self._server = None
