"""A realm over HTTP, at the national provider's paths, with a page on which one says who one is.

Invariants: for this machine only; what people pick on its page is all the proof it asks: it is no real provider.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import html
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

import httpx
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from deploy.demo.identity.people import Patient
from deploy.demo.identity.realm import Client, OAuthRefused, Realm

_PROTOCOL = "/protocol/openid-connect"
Send = Callable[[str, str], Any]  # address and logout token


class RealmApp:
    """`routers()` of a realm whose issuer is `{base}{path}`."""

    def __init__(
        self,
        realm: Realm,
        path: str,
        *,
        title: str,
        configuration: str = "openid-configuration",
        authorize: str = "",
        verify: Any = True,
    ) -> None:
        self.realm = realm
        self.path = path
        self._title = title
        self._configuration = configuration
        self._authorize = authorize or f"{path}{_PROTOCOL}/auth"
        self._verify = verify  # whom a back-channel logout is sent to: httpx's `verify`

    @property
    def discovery(self) -> str:
        return f"{self.realm.issuer}/.well-known/{self._configuration}"

    def document(self) -> dict[str, Any]:
        base, issuer = self.realm.issuer.removesuffix(self.path), self.realm.issuer
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{base}{self._authorize}",
            "token_endpoint": f"{issuer}{_PROTOCOL}/token",
            "userinfo_endpoint": f"{issuer}{_PROTOCOL}/userinfo",
            "introspection_endpoint": f"{issuer}{_PROTOCOL}/token/introspect",
            "revocation_endpoint": f"{issuer}{_PROTOCOL}/revoke",
            "end_session_endpoint": f"{issuer}{_PROTOCOL}/logout",
            "jwks_uri": f"{issuer}{_PROTOCOL}/certs",
            "backchannel_authentication_endpoint": f"{issuer}{_PROTOCOL}/ext/ciba/auth",
            "backchannel_token_delivery_modes_supported": ["poll"],
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
            "authorization_response_iss_parameter_supported": True,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "none"],
            "code_challenge_methods_supported": ["S256"],
            "acr_values_supported": ["eidas1", "eidas2", "eidas3"],
        }

    def router(self) -> APIRouter:
        routes = APIRouter()
        realm, path = self.realm, self.path

        @routes.get(f"{path}/.well-known/{self._configuration}")
        async def configuration() -> Response:
            return self._said(self.document())

        @routes.get(f"{path}{_PROTOCOL}/certs")
        async def certs() -> Response:
            return self._said(realm.signer.published())

        @routes.get(self._authorize)
        async def authorize(request: Request) -> Response:
            return self._page(request)

        @routes.post(f"{path}{_PROTOCOL}/token")
        async def token(request: Request) -> Response:
            return await self._asked(request, realm.redeem)

        @routes.post(f"{path}{_PROTOCOL}/ext/ciba/auth")
        async def ciba(request: Request) -> Response:
            return await self._asked(request, realm.ask)

        @routes.post(f"{path}{_PROTOCOL}/token/introspect")
        async def introspect(request: Request) -> Response:
            return await self._asked(request, lambda _, form: realm.introspect(form.get("token", "")))

        @routes.post(f"{path}{_PROTOCOL}/revoke")
        async def revoke(request: Request) -> Response:
            def taken(_: Client, form: Mapping[str, str]) -> dict[str, Any]:
                realm.revoke(form.get("token", ""))
                return {}

            return await self._asked(request, taken)

        @routes.get(f"{path}{_PROTOCOL}/userinfo")
        async def userinfo(request: Request) -> Response:
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            try:
                return self._said(realm.userinfo(bearer))
            except OAuthRefused as refused:
                return JSONResponse({"error": refused.error}, refused.status)

        @routes.post(f"{path}/control/{{act}}")
        async def control(request: Request, act: str) -> Response:
            """What happens at the provider while a test or the demo looks on."""
            return await self._control(act, json.loads(await request.body() or b"{}"))

        return routes

    def _said(self, data: Mapping[str, Any]) -> Response:
        self.realm.asked += 1
        return JSONResponse(dict(data), 503 if self.realm.down else 200, {"cache-control": "no-store"})

    async def _asked(
        self, request: Request, act: Callable[[Client, Mapping[str, str]], dict[str, Any]]
    ) -> Response:
        if self.realm.down:
            return JSONResponse({}, 503)
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        try:
            return self._said(act(self._client(request, form), form))
        except OAuthRefused as refused:
            self.realm.asked += 1
            return JSONResponse({"error": refused.error}, refused.status)

    def _client(self, request: Request, form: Mapping[str, str]) -> Client:
        """RFC 6749 §2.3.1."""
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, secret = base64.b64decode(encoded).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise OAuthRefused("invalid_client", 401) from None
            name, secret = unquote(name), unquote(secret)
        client = self.realm.clients.get(name)
        if client is None or not secret or client.secret != secret:
            raise OAuthRefused("invalid_client", 401)
        return client

    # -- the page

    def _page(self, request: Request) -> Response:
        asked = dict(request.query_params)
        client = self.realm.clients.get(asked.get("client_id", ""))
        redirect = asked.get("redirect_uri", "")
        if client is None or redirect not in client.redirects:
            # RFC 6749 §4.1.2.1: nobody is sent to an address that is not the client's.
            return HTMLResponse(
                "<!doctype html><title>Refus</title><p>Cette application n’est pas connue ici.", 400
            )
        if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
            return _back(redirect, {"error": "invalid_request"}, asked, self.realm.issuer)
        picked = asked.pop("person", "")
        if not picked:
            return HTMLResponse(self._choice(request.url.path, asked))
        if picked == "-":
            return _back(redirect, {"error": "access_denied"}, asked, self.realm.issuer)
        try:
            code, session = self.realm.code(
                picked, client.id, redirect, nonce=asked.get("nonce", ""), challenge=asked["code_challenge"]
            )
        except OAuthRefused as refused:
            return _back(redirect, {"error": refused.error}, asked, self.realm.issuer)
        return _back(redirect, {"code": code, "session_state": session.id}, asked, self.realm.issuer)

    def _choice(self, path: str, asked: Mapping[str, str]) -> str:
        def button(name: str, words: str) -> str:
            where = html.escape(f"{path}?{urlencode({**asked, 'person': name})}")
            return f'<p><a href="{where}">{html.escape(words)}</a></p>'

        people = [
            button(name, f"{each.given} {each.family}" + ("" if isinstance(each, Patient) else f" ({name})"))
            for name, each in sorted(self.realm.people.items())
        ]
        title = html.escape(self._title)
        return (
            f'<!doctype html><html lang="fr"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{title}</title><h1>{title}</h1><p>Fournisseur de démonstration : choisissez qui vous êtes.</p>"
            + "".join(people)
            + button("-", "Annuler")
        )

    # -- what happens there

    async def _control(self, act: str, given: Mapping[str, Any]) -> Response:
        realm = self.realm
        person = str(given.get("person", ""))
        match act:
            case "tokens":
                return self._said(realm.tokens_for(person, str(given.get("client", ""))))
            case "logout":
                ended = [each for each in realm.sessions.values() if each.person == person and each.alive]
                return JSONResponse({"told": sum([await self.log_out(each.id) for each in ended])})
            case "strike-off":
                realm.strike_off(person)
            case "confirm" | "deny":
                for each in realm.confirmations.values():
                    if each.person == person:
                        each.answer = "approved" if act == "confirm" else "denied"
            case "confirmations":
                waiting = [each.message for each in realm.confirmations.values() if each.person == person]
                return JSONResponse({"messages": waiting})
            case "revoke":
                realm.revoke(str(given.get("token", "")))
            case _:
                return Response(status_code=404)
        return JSONResponse({})

    async def log_out(self, session: str) -> int:
        """End a session, and tell its clients (Back-Channel Logout 1.0 §2.5). How many heard it."""
        told = self.realm.end(self.realm.sessions[session])
        async with httpx.AsyncClient(verify=self._verify, trust_env=False, timeout=10) as http:
            sent = [http.post(client.logout, data={"logout_token": token}) for client, token in told]
            answers = await asyncio.gather(*sent, return_exceptions=True)
        return sum(isinstance(each, httpx.Response) and each.status_code == 200 for each in answers)


def _back(redirect: str, answer: Mapping[str, str], asked: Mapping[str, str], issuer: str) -> Response:
    whole = {**answer, "iss": issuer, **({"state": asked["state"]} if "state" in asked else {})}
    return Response(
        status_code=303, headers={"location": f"{redirect}?{urlencode(whole)}", "cache-control": "no-store"}
    )
