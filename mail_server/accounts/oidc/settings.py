"""The `[oidc]` section: which identity providers this node believes, and how far.

Invariants: an issuer is https, or http on this machine (a demonstration); a client proves itself by a secret read
from a file or by a certificate, never by a secret in the configuration itself; a name is used once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mail_server.accounts.networks import is_this_machine

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class ClaimNames(BaseModel):
    """What a provider calls what we need."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    national_id: str = Field(default="SubjectNameID", description="idNat_PS: 8 and RPPS, or 0 and ADELI.")
    practice: str = Field(
        default="SubjectRefPro",
        description="Situations of practice of a professional. Empty: this provider tells nothing of them.",
    )
    ins: str = Field(default="ins", description="Verified INS of a patient, 15 characters.")
    birth_date: str = Field(default="birthdate", description="Compared with what the space knows.")


class ProviderSettings(BaseModel):
    """`[[oidc.providers]]`: one issuer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Its name here, in addresses and in the trace: psc.")
    label: str = Field(default="", description="Its name for people, on the page's button.")
    people: Literal["professional", "patient"] = Field(
        default="professional", description="Whom it vouches for: professional or patient."
    )
    issuer: str = Field(description="Its issuer, exactly as its tokens spell it.")
    discovery: str = Field(
        default="", description="Where its configuration lies. Empty: under the issuer, as OpenID says."
    )
    client_id: str = Field(min_length=1, description="This node's name at the provider.")
    client_secret_file: Path | None = Field(
        default=None, description="File that holds the client's secret, readable by the node alone."
    )
    client_certificate: Path | None = Field(
        default=None, description="PEM file: the certificate the node shows to the provider."
    )
    client_key: Path | None = Field(default=None, description="PEM file: its private key.")
    ca: Path | None = Field(
        default=None, description="PEM file: the only authorities its server may stand under."
    )
    scope: str = Field(default="openid", description="Scopes asked for: openid scope_all.")
    acr_at_least: int = Field(
        default_factory=lambda known: 2 if known.get("people") == "patient" else 1,
        ge=1,
        le=3,
        description="Lowest eIDAS level that is let in. None given: 1 for professionals, 2 for patients.",
    )
    session_hours: int = Field(
        default=4, ge=1, le=12, description="Hours after which a session at the provider opens nothing more."
    )
    connection_minutes: int = Field(
        default=30, ge=1, le=240, description="Minutes after which a mail program must show a new token."
    )
    clock_skew: int = Field(default=30, ge=0, le=120, description="Seconds that clocks may differ by.")
    introspect: bool = Field(
        default=True, description="Ask the provider about each token that a mail program shows."
    )
    introspection_memory: float = Field(
        default=5.0, ge=0, le=30, description="Seconds that its answer about one token is remembered."
    )
    mail_tokens: bool = Field(
        default=False, description="Whether mail programs may log in with its tokens (XOAUTH2, OAUTHBEARER)."
    )
    audience: str = Field(
        default="", description="For whom a mail program's token must be made. Empty: client_id."
    )
    clients: tuple[str, ...] = Field(
        default=(), description="Mail programs (azp) whose tokens are taken, besides this node's own."
    )
    ciba: bool = Field(
        default=False, description="Whether people may log in by confirming on their own device (CIBA, poll)."
    )
    practice_needs: Literal["activity", "exercise"] = Field(
        default="activity",
        description="What a professional must still have: an activity somewhere, or a profession alone.",
    )
    claims: ClaimNames = Field(default_factory=ClaimNames, description="Names of its claims.")

    @property
    def configuration_url(self) -> str:
        return self.discovery or f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    @property
    def shown(self) -> str:
        return self.label or self.name

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("small letters, digits and hyphens, 32 at most, a letter first")
        return name

    @field_validator("issuer", "discovery")
    @classmethod
    def _safe_address(cls, url: str) -> str:
        if url and not is_safe_url(url):
            raise ValueError("https://..., or http:// on this machine for a demonstration")
        return url

    @model_validator(mode="after")
    def _proves_itself(self) -> ProviderSettings:
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("client_certificate and client_key go together")
        if self.client_secret_file is None and self.client_certificate is None:
            raise ValueError("client_secret_file or client_certificate says how the node proves itself")
        if self.ciba and self.people != "professional":
            raise ValueError("ciba is for professionals: a patient has no identifier to begin it with")
        if self.mail_tokens and self.people != "professional":
            raise ValueError("mail_tokens are for professionals: a patient comes in by the page alone")
        return self


class OidcSettings(BaseModel):
    """Identity providers (OpenID Connect): Pro Santé Connect, the carte Vitale app, a hospital's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    providers: tuple[ProviderSettings, ...] = Field(
        default=(),
        description=(
            "One table per provider; better written below as [[oidc.providers]], with name, label, people, issuer, "
            "client_id, client_secret_file and what mail_server/accounts/oidc/README.md lists."
        ),
    )
    timeout: float = Field(default=5.0, gt=0, le=30, description="Seconds a provider has for each answer.")
    connections: int = Field(
        default=32, ge=1, le=256, description="Connections that one provider is given at once."
    )
    keys_minutes: int = Field(
        default=15, ge=1, le=1440, description="Minutes after which a provider's signing keys are read again."
    )

    @model_validator(mode="after")
    def _each_once(self) -> OidcSettings:
        names = [each.name for each in self.providers]
        issuers = [each.issuer for each in self.providers]
        if len(set(names)) != len(names) or len(set(issuers)) != len(issuers):
            raise ValueError("each provider has a name and an issuer of its own")
        return self


def is_safe_url(url: str) -> bool:
    """Whether something secret may be sent there: TLS, or this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment or not url.isascii() or not url.isprintable():
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_this_machine(host))
