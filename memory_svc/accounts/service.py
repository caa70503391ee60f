"""AccountService: protobuf ⇄ accounts. No decisions."""

# ruff: noqa: N802, D102 - the methods are named, and told about, by the contract

from datetime import datetime
from typing import Final
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from memory_svc.accounts.accounts import Accounts
from memory_svc.accounts.recovery import Recovery
from memory_svc.accounts.registration import Doors
from memory_svc.accounts.sign_ins import Session, SignIn, SignIns
from memory_svc.settings import Registration
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

    def __init__(
        self, accounts: Accounts, sign_ins: SignIns, recovery: Recovery, doors: Doors
    ) -> None:
        self._accounts = accounts
        self._sign_ins = sign_ins
        self._recovery = recovery
        self._doors = doors

    async def GetPolicy(
        self, request: pb.GetPolicyRequest, context: Context
    ) -> pb.GetPolicyResponse:
        registration = _REGISTRATION[self._doors.registration]
        return pb.GetPolicyResponse(registration=registration, mail=self._recovery.offered)

    async def Register(self, request: pb.RegisterRequest, context: Context) -> pb.RegisterResponse:
        session = await self._accounts.register(
            request.email, request.password, request.device_name, request.invitation
        )
        return pb.RegisterResponse(session=_session(session))

    async def Authenticate(
        self, request: pb.AuthenticateRequest, context: Context
    ) -> pb.AuthenticateResponse:
        session = await self._accounts.authenticate(
            request.email, request.password, request.device_name
        )
        return pb.AuthenticateResponse(session=_session(session))

    async def Refresh(self, request: pb.RefreshRequest, context: Context) -> pb.RefreshResponse:
        session = await self._sign_ins.refresh(request.refresh_token)
        return pb.RefreshResponse(session=_session(session))

    async def Revoke(self, request: pb.RevokeRequest, context: Context) -> pb.RevokeResponse:
        ended = await self._sign_ins.revoke(request.refresh_token)
        if ended is None:
            return pb.RevokeResponse()
        return pb.RevokeResponse(user_id=str(ended.user_id), family_id=str(ended.family_id))

    async def ChangePassword(
        self, request: pb.ChangePasswordRequest, context: Context
    ) -> pb.ChangePasswordResponse:
        ended = await self._accounts.change_password(
            user_id(request.user_id),
            _family(request.family_id),
            request.password,
            request.new_password,
        )
        return pb.ChangePasswordResponse(family_ids=map(str, ended))

    async def GetAccount(
        self, request: pb.GetAccountRequest, context: Context
    ) -> pb.GetAccountResponse:
        user = user_id(request.user_id)
        found = await self._accounts.get(user)
        return pb.GetAccountResponse(
            email=found.email,
            created_at=moment(found.created_at),
            email_verified_at=moment(found.verified_at) if found.verified_at else None,
            sign_ins=map(sign_in, await self._sign_ins.listed(user)),
        )

    async def AskReset(self, request: pb.AskResetRequest, context: Context) -> pb.AskResetResponse:
        await self._recovery.ask_reset(request.email)
        return pb.AskResetResponse()

    async def ResetPassword(
        self, request: pb.ResetPasswordRequest, context: Context
    ) -> pb.ResetPasswordResponse:
        user, ended = await self._recovery.reset(request.code, request.new_password)
        return pb.ResetPasswordResponse(user_id=str(user), family_ids=map(str, ended))

    async def AskVerification(
        self, request: pb.AskVerificationRequest, context: Context
    ) -> pb.AskVerificationResponse:
        await self._recovery.ask_verification(user_id(request.user_id))
        return pb.AskVerificationResponse()

    async def VerifyEmail(
        self, request: pb.VerifyEmailRequest, context: Context
    ) -> pb.VerifyEmailResponse:
        await self._recovery.verify(request.code)
        return pb.VerifyEmailResponse()

    async def ListSignIns(
        self, request: pb.ListSignInsRequest, context: Context
    ) -> pb.ListSignInsResponse:
        found = await self._sign_ins.listed(user_id(request.user_id))
        return pb.ListSignInsResponse(sign_ins=map(sign_in, found))

    async def EndSignIns(
        self, request: pb.EndSignInsRequest, context: Context
    ) -> pb.EndSignInsResponse:
        ended = await self._sign_ins.end(
            user_id(request.user_id), _family(request.family_id), _family(request.keep_family_id)
        )
        return pb.EndSignInsResponse(family_ids=map(str, ended))

    async def Delete(
        self, request: pb.AccountServiceDeleteRequest, context: Context
    ) -> pb.AccountServiceDeleteResponse:
        await self._accounts.delete(
            user_id(request.user_id), request.password, check_only=request.check_only
        )
        return pb.AccountServiceDeleteResponse()


_REGISTRATION: Final[dict[Registration, pb.Registration.ValueType]] = {
    "open": pb.Registration.REGISTRATION_OPEN,
    "invitation": pb.Registration.REGISTRATION_INVITATION,
    "closed": pb.Registration.REGISTRATION_CLOSED,
}


def sign_in(found: SignIn) -> pb.SignIn:
    """A sign-in as it is told."""
    return pb.SignIn(
        family_id=str(found.id),
        device_name=found.name,
        created_at=moment(found.created_at),
        used_at=moment(found.used_at),
        expires_at=moment(found.expires_at),
    )


def moment(at: datetime) -> Timestamp:
    """A time as it is told."""
    told = Timestamp()
    told.FromDatetime(at)
    return told


def _family(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise SwitchboardError(
            ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such sign-in."
        ) from None


def _session(session: Session) -> pb.Session:
    return pb.Session(
        user_id=str(session.user_id),
        family_id=str(session.family_id),
        refresh_token=session.refresh_token,
    )
