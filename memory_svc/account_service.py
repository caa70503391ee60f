"""AccountService: protobuf ⇄ accounts. No decisions."""

# ruff: noqa: N802, D102 - the methods are named, and told about, by the contract

from uuid import UUID

from memory_svc.accounts import Accounts, Session
from runtime.errors import SwitchboardError
from runtime.server import Context
from switchboard.v3 import accounts_pb2 as pb
from switchboard.v3.accounts_pb2_grpc import AccountServiceServicer
from switchboard.v3.errors_pb2 import ErrorCode


def user_id(text: str) -> UUID:
    """The user's id. Raises NOT_FOUND for what can be nobody's."""
    try:
        return UUID(text)
    except ValueError:
        raise SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such user.") from None


class AccountServicer(AccountServiceServicer):
    """Serves accounts."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def Register(self, request: pb.RegisterRequest, context: Context) -> pb.RegisterResponse:
        session = await self._accounts.register(request.email, request.password)
        return pb.RegisterResponse(session=_session(session))

    async def Authenticate(
        self, request: pb.AuthenticateRequest, context: Context
    ) -> pb.AuthenticateResponse:
        session = await self._accounts.authenticate(request.email, request.password)
        return pb.AuthenticateResponse(session=_session(session))

    async def Refresh(self, request: pb.RefreshRequest, context: Context) -> pb.RefreshResponse:
        session = await self._accounts.refresh(request.refresh_token)
        return pb.RefreshResponse(session=_session(session))

    async def Revoke(self, request: pb.RevokeRequest, context: Context) -> pb.RevokeResponse:
        ended = await self._accounts.revoke(request.refresh_token)
        if ended is None:
            return pb.RevokeResponse()
        return pb.RevokeResponse(user_id=str(ended.user_id), family_id=str(ended.family_id))

    async def Delete(
        self, request: pb.AccountServiceDeleteRequest, context: Context
    ) -> pb.AccountServiceDeleteResponse:
        await self._accounts.delete(
            user_id(request.user_id), request.password, check_only=request.check_only
        )
        return pb.AccountServiceDeleteResponse()


def _session(session: Session) -> pb.Session:
    return pb.Session(
        user_id=str(session.user_id),
        family_id=str(session.family_id),
        refresh_token=session.refresh_token,
    )
