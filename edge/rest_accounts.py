"""Accounts over REST: register, log in, refresh, log out, delete (PROTOCOL §7).

memory_svc knows passwords and refresh tokens; the edge signs the access tokens, and
closes the sockets of who logs out.
"""

import asyncio
from typing import Any, Final

from aiohttp import web

from edge.signing_out import sign_out
from edge.web import CALL_S, EDGE, Edge, address, body, identity, reply, text_of
from runtime import tracing
from switchboard.v3.accounts_pb2 import (
    AccountServiceDeleteRequest,
    AuthenticateRequest,
    RefreshRequest,
    RegisterRequest,
    RevokeRequest,
    Session,
)

routes: Final = web.RouteTableDef()


@routes.post("/api/v1/auth/register")
async def register(request: web.Request) -> web.Response:
    """Makes an account: 201, signed in."""
    edge, sent = _counted(request), await body(request)
    asked = RegisterRequest(email=text_of(sent, "email"), password=text_of(sent, "password"))
    response = await edge.accounts.Register(asked, timeout=CALL_S, metadata=tracing.carried())
    return reply(_signed_in(edge, response.session), 201)


@routes.post("/api/v1/auth/login")
async def login(request: web.Request) -> web.Response:
    """Signs in."""
    edge, sent = _counted(request), await body(request)
    asked = AuthenticateRequest(email=text_of(sent, "email"), password=text_of(sent, "password"))
    response = await edge.accounts.Authenticate(asked, timeout=CALL_S, metadata=tracing.carried())
    return reply(_signed_in(edge, response.session))


@routes.post("/api/v1/auth/refresh")
async def refresh(request: web.Request) -> web.Response:
    """Changes a refresh token for new tokens."""
    edge, sent = _counted(request), await body(request)
    asked = RefreshRequest(refresh_token=text_of(sent, "refresh_token"))
    response = await edge.accounts.Refresh(asked, timeout=CALL_S, metadata=tracing.carried())
    return reply(_signed_in(edge, response.session))


@routes.post("/api/v1/auth/logout")
async def logout(request: web.Request) -> web.Response:
    """Revokes the family of a refresh token, and closes its sockets."""
    edge, sent = request.app[EDGE], await body(request)
    asked = RevokeRequest(refresh_token=text_of(sent, "refresh_token"))
    revoked = await edge.accounts.Revoke(asked, timeout=CALL_S, metadata=tracing.carried())
    if revoked.family_id:
        _sign_out(edge, revoked.user_id, revoked.family_id)
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
