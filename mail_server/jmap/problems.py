"""Answers that are no: problem details with the page's slug, a French sentence and an id (RFC 9457).

Invariants: nothing of the request is repeated; a program sees `type` and `status`, a person `message`.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from mail_server.jmap.protocol import RequestError
from policies.refusal import Refusal

_MEDIA_TYPE = "application/problem+json"
BASIC = 'Basic realm="Vaguemestre", charset="UTF-8"'
BEARER = 'Bearer realm="Vaguemestre"'

_SENTENCES = {
    "no-session": "Votre session est terminée. Connectez-vous de nouveau.",
    "two-proofs": "Cette demande dit deux fois qui vous êtes. Rechargez la page.",
    "header-missing": "Cette demande ne vient pas de la page. Rechargez-la.",
    "foreign-origin": "Cette demande vient d’un autre site. Elle est refusée.",
    "origin-unknown": "Votre navigateur ne dit pas d’où vient cette demande. Mettez-le à jour.",
    "unknown-blob": "Cette pièce n’existe pas ou n’existe plus.",
    "unknown-account": "Cette pièce n’existe pas ou n’existe plus.",
    "clear-content-refused": "Rien n’est déposé en clair dans cet espace.",
    "not-allowed": "Vos droits sur ce compte ne le permettent pas.",
    "too-large": "Cet envoi est trop volumineux.",
    "too-slow": "Cet envoi a pris trop de temps. Réessayez.",
    "too-many": "Trop de demandes à la fois. Réessayez dans un instant.",
    "no-space": "Le serveur manque de place. Réessayez plus tard.",
    "unavailable": "Le service est momentanément indisponible. Réessayez plus tard.",
    "bad-request": "Cette demande est mal formée.",
    "trace-full": "Le service est momentanément indisponible. Réessayez plus tard.",
}
_STATUS = {
    "no-session": 401,
    "two-proofs": 400,
    "header-missing": 403,
    "foreign-origin": 403,
    "origin-unknown": 403,
    "unknown-blob": 404,
    "unknown-account": 404,
    "clear-content-refused": 403,
    "not-allowed": 403,
    "too-large": 413,
    "too-slow": 408,
    "too-many": 429,
    "no-space": 507,
    "unavailable": 503,
    "bad-request": 400,
    "trace-full": 503,
}


class Refused(Exception):
    """A request that is answered by a problem."""

    def __init__(self, slug: str, *, reference: str = "", challenge: str = "", limit: str = "") -> None:
        super().__init__(slug)
        self.slug = slug
        self.reference = reference
        self.challenge = challenge
        self.limit = limit

    def response(self) -> Response:
        status = _STATUS[self.slug]
        told: dict[str, Any] = {
            "type": "urn:ietf:params:jmap:error:limit" if self.limit else "about:blank",
            "status": status,
            "error": self.slug,
            "message": _SENTENCES[self.slug],
        }
        if self.limit:
            told["limit"] = self.limit
        if self.reference:
            told["reference"] = self.reference
        headers = {"WWW-Authenticate": self.challenge} if self.challenge else {}
        if status in (429, 503):
            headers["Retry-After"] = "5"
        return _answer(told, status, headers)


def of_request(error: RequestError) -> Response:
    """RFC 8620 §3.6.1."""
    return _answer(error.as_json(), error.status, {})


def of_login(refusal: Refusal, challenge: str) -> Refused:
    """A refused login says no more than that; one that could not be judged asks to come back."""
    if refusal.temporary:
        return Refused("unavailable", reference=refusal.id)
    return Refused("no-session", reference=refusal.id, challenge=challenge)


def _answer(told: dict[str, Any], status: int, headers: dict[str, str]) -> Response:
    body = json.dumps(told, ensure_ascii=False).encode()
    return Response(body, status, {"Cache-Control": "no-store", **headers}, _MEDIA_TYPE)
