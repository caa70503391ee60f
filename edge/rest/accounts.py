"""Accounts over REST: signing in and out, passwords, sign-ins, deletion (PROTOCOL §7).

memory_svc knows passwords and refresh tokens; the edge signs the access tokens, and
closes the sockets of who logs out.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import grpc
from aiohttp import web

from edge.gateway.revocation import sign_out
from edge.rest.common import CALL_S, EDGE, Edge, address, body, identity, reply, text_of
from edge.wire.json_mapping import InvalidFrame
from runtime import enums, tracing
from runtime.errors import from_rpc
from switchboard.v3.accounts_pb2 import (
    AccountServiceDeleteRequest,
    AskResetRequest,
    AskVerificationRequest,
    AuthenticateRequest,
    ChangePasswordRequest,
    EndSignInsRequest,
    GetPolicyRequest,
    ListSignInsRequest,
    RefreshRequest,
    RegisterRequest,
    Registration,
    ResetPasswordRequest,
    RevokeRequest,
    Session,
    SignIn,
    VerifyEmailRequest,
)
from switchboard.v3.errors_pb2 import ErrorCode

routes: Final = web.RouteTableDef()

_NAME: Final = 1_000
"""Characters of a device's name that go on; memory_svc keeps the first that can be read."""


@routes.get("/api/v1/auth")
async def policy(request: web.Request) -> web.Response:
    """What this server offers: who may register, and whether it sends mail."""
    found = await _renewing(request).accounts.GetPolicy(
        GetPolicyRequest(), timeout=CALL_S, metadata=tracing.carried()
    )
    return reply(
        {
            "registration": enums.word(Registration.DESCRIPTOR, found.registration),
            "password_reset": found.mail,
            "email_verification": found.mail,
        }
    )


@routes.post("/api/v1/auth/register")
async def register(request: web.Request) -> web.Response:
    """Makes an account: 201, signed in."""
    edge, sent = _counted(request), await body(request)
    asked = RegisterRequest(
        email=text_of(sent, "email"),
        password=text_of(sent, "password"),
        device_name=_device_name(request, sent),
        invitation=text_of(sent, "invitation") if sent.get("invitation") is not None else "",
    )
    response = await edge.accounts.Register(asked, timeout=CALL_S, metadata=tracing.carried())
    return reply(_signed_in(edge, response.session), 201)


@routes.post("/api/v1/auth/login")
async def login(request: web.Request) -> web.Response:
    """Signs in."""
    edge, sent = _counted(request), await body(request)
    asked = AuthenticateRequest(
        email=text_of(sent, "email"),
        password=text_of(sent, "password"),
        device_name=_device_name(request, sent),
    )
    response = await edge.accounts.Authenticate(asked, timeout=CALL_S, metadata=tracing.carried())
    return reply(_signed_in(edge, response.session))


@routes.post("/api/v1/auth/refresh")
async def refresh(request: web.Request) -> web.Response:
    """Changes a refresh token for new tokens; one that is refused ends what its family has."""
    edge, sent = _renewing(request), await body(request)
    asked = RefreshRequest(refresh_token=text_of(sent, "refresh_token"))
    try:
        response = await edge.accounts.Refresh(asked, timeout=CALL_S, metadata=tracing.carried())
    except grpc.aio.AioRpcError as error:
        if from_rpc(error).code == ErrorCode.ERROR_CODE_UNAUTHENTICATED:
            # It may be a copy: what was signed in with the family must not go on either.
            await _revoke(edge, asked.refresh_token)
        raise
    return reply(_signed_in(edge, response.session))


@routes.post("/api/v1/auth/logout")
async def logout(request: web.Request) -> web.Response:
    """Revokes the family of a refresh token, and closes its sockets."""
    edge, sent = _renewing(request), await body(request)
    await _revoke(edge, text_of(sent, "refresh_token"))
    return web.Response(status=204)


@routes.post("/api/v1/auth/password")
async def change_password(request: web.Request) -> web.Response:
    """Changes the password, and signs out everywhere else."""
    who = identity(request)
    edge, sent = _counted(request), await body(request)
    asked = ChangePasswordRequest(
        user_id=who.user_id,
        family_id=who.family_id,
        password=text_of(sent, "password"),
        new_password=text_of(sent, "new_password"),
    )
    ended = await edge.accounts.ChangePassword(asked, timeout=CALL_S, metadata=tracing.carried())
    _end(edge, who.user_id, ended.family_ids)
    return web.Response(status=204)


@routes.post("/api/v1/auth/reset")
async def ask_reset(request: web.Request) -> web.Response:
    """Has a code for a new password sent, where there is such an account: 202 either way."""
    edge, sent = _counted(request), await body(request)
    asked = AskResetRequest(email=text_of(sent, "email"))
    await edge.accounts.AskReset(asked, timeout=CALL_S, metadata=tracing.carried())
    return web.Response(status=202)


@routes.post("/api/v1/auth/reset/confirm")
async def reset_password(request: web.Request) -> web.Response:
    """Sets a new password by that code, and signs out everywhere."""
    edge, sent = _counted(request), await body(request)
    asked = ResetPasswordRequest(
        code=text_of(sent, "code"), new_password=text_of(sent, "new_password")
    )
    done = await edge.accounts.ResetPassword(asked, timeout=CALL_S, metadata=tracing.carried())
    _end(edge, done.user_id, done.family_ids)
    return web.Response(status=204)


@routes.post("/api/v1/auth/verify")
async def ask_verification(request: web.Request) -> web.Response:
    """Has a code sent that proves the user's address: 202."""
    asked = AskVerificationRequest(user_id=identity(request).user_id)
    edge = _counted(request)
    await edge.accounts.AskVerification(asked, timeout=CALL_S, metadata=tracing.carried())
    return web.Response(status=202)


@routes.post("/api/v1/auth/verify/confirm")
async def verify_email(request: web.Request) -> web.Response:
    """Proves an address by that code."""
    edge, sent = _counted(request), await body(request)
    asked = VerifyEmailRequest(code=text_of(sent, "code"))
    await edge.accounts.VerifyEmail(asked, timeout=CALL_S, metadata=tracing.carried())
    return web.Response(status=204)


@routes.get("/api/v1/auth/sign-ins")
async def sign_ins(request: web.Request) -> web.Response:
    """The user's sign-ins, the last used first."""
    who = identity(request)
    found = await request.app[EDGE].accounts.ListSignIns(
        ListSignInsRequest(user_id=who.user_id), timeout=CALL_S, metadata=tracing.carried()
    )
    return reply(
        {"items": [{**sign_in(e), "current": e.family_id == who.family_id} for e in found.sign_ins]}
    )


@routes.delete("/api/v1/auth/sign-ins")
async def sign_out_everywhere(request: web.Request) -> web.Response:
    """Ends all of the user's sign-ins; with `keep=current` all others."""
    who = identity(request)
    kept = {None: "", "current": who.family_id}.get(request.query.get("keep"))
    if kept is None:
        raise InvalidFrame("keep", "is not current")
    return await _end_sign_ins(request, EndSignInsRequest(keep_family_id=kept))


@routes.delete("/api/v1/auth/sign-ins/{id}")
async def end_sign_in(request: web.Request) -> web.Response:
    """Ends one sign-in, and closes its sockets."""
    return await _end_sign_ins(request, EndSignInsRequest(family_id=request.match_info["id"]))


async def _end_sign_ins(request: web.Request, asked: EndSignInsRequest) -> web.Response:
    edge, asked.user_id = request.app[EDGE], identity(request).user_id
    ended = await edge.accounts.EndSignIns(asked, timeout=CALL_S, metadata=tracing.carried())
    _end(edge, asked.user_id, ended.family_ids)
    return web.Response(status=204)


@routes.delete("/api/v1/account")
async def delete(request: web.Request) -> web.Response:
    """Ends all that runs for the user, then erases them; with a wrong password, nothing."""
    who = identity(request)
    edge, sent = _counted(request), await body(request)
    asked = AccountServiceDeleteRequest(
        user_id=who.user_id, password=text_of(sent, "password"), check_only=True
    )
    await edge.accounts.Delete(asked, timeout=CALL_S, metadata=tracing.carried())
    _sign_out(edge, who.user_id)
    asked.check_only = False
    await edge.accounts.Delete(asked, timeout=CALL_S, metadata=tracing.carried())
    _sign_out(edge, who.user_id)  # who signed in again meanwhile
    return web.Response(status=204)


def _counted(request: web.Request) -> Edge:
    """The edge, for one more try of this address to sign in: each costs a password's hash."""
    edge = request.app[EDGE]
    edge.sign_ins.spend(address(request), asyncio.get_running_loop().time())
    return edge


def _renewing(request: web.Request) -> Edge:
    """The edge, for one more refresh or logout of this address: many devices may share one."""
    edge = request.app[EDGE]
    edge.refreshes.spend(address(request), asyncio.get_running_loop().time())
    return edge


def _device_name(request: web.Request, sent: dict[str, Any]) -> str:
    """What a sign-in is called in the user's list; a client that tells nothing is known by its
    program."""
    if sent.get("device_name") is not None:
        return text_of(sent, "device_name")[:_NAME]
    return request.headers.get("User-Agent", "")[:_NAME].encode("ascii", "replace").decode()


async def _revoke(edge: Edge, refresh_token: str) -> None:
    """Ends the sign-in that the token belongs to, if any, here and at every other edge."""
    asked = RevokeRequest(refresh_token=refresh_token)
    revoked = await edge.accounts.Revoke(asked, timeout=CALL_S, metadata=tracing.carried())
    if revoked.family_id:
        _sign_out(edge, revoked.user_id, revoked.family_id)


def _end(edge: Edge, user_id: str, family_ids: Iterable[str]) -> None:
    for family_id in family_ids:
        _sign_out(edge, user_id, family_id)


def sign_in(told: SignIn) -> dict[str, Any]:
    """A sign-in as a client sees it."""
    return {
        "id": told.family_id,
        "device_name": told.device_name or None,
        "created_at": told.created_at.ToJsonString(),
        "used_at": told.used_at.ToJsonString(),
        "expires_at": told.expires_at.ToJsonString(),
    }


def _sign_out(edge: Edge, user_id: str, family_id: str | None = None) -> None:
    """Here and at every other edge."""
    sign_out(edge.tokens, edge.devices, user_id, family_id)
    edge.devices.others.revoked(user_id, family_id)


def _signed_in(edge: Edge, session: Session) -> dict[str, Any]:
    return {
        "user_id": session.user_id,
        "access_token": edge.tokens.issue(session.user_id, session.family_id),
        "refresh_token": session.refresh_token,
        "token_type": "Bearer",
        "expires_in": round(edge.tokens.lifetime_s),
    }
