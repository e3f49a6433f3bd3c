"""The `[page]` section of the node's configuration."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class PageSettings(BaseModel):
    """How long people stay logged in, and what the page may send."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    public_url: str = Field(
        default="",
        description=(
            "Address of the page as people type it: https://messagerie.example.org. Passkeys are bound to its name. "
            "Empty: the address each request was sent to."
        ),
    )
    idle_minutes: int = Field(
        default=60 * 24 * 7, ge=5, description="Minutes without a request after which a session ends."
    )
    absolute_hours: int = Field(
        default=24 * 30, ge=1, description="Hours after which a session ends, used or not."
    )
    shared_idle_minutes: int = Field(
        default=15, ge=1, description="The same as idle_minutes, on a device that others use too."
    )
    shared_absolute_hours: int = Field(
        default=12, ge=1, description="The same as absolute_hours, on a device that others use too."
    )
    enrolment_minutes: int = Field(
        default=60, ge=10, le=600, description="Minutes to finish an activation once its code was accepted."
    )
    totp_for_professionals: bool = Field(
        default=True,
        description="Whether professionals need a second factor: a code of their telephone, or a passkey.",
    )
    code_days: int = Field(default=30, ge=1, le=365, description="Days that an activation code is good for.")
    code_tries: int = Field(
        default=5, ge=1, le=20, description="Wrong answers after which an activation code is dead."
    )
    failure_delay: float = Field(
        default=0.5, ge=0, le=10, description="Seconds a failed login waits for its answer; then doubled."
    )
    longest_delay: float = Field(default=8.0, ge=0, le=60, description="The longest it waits, in seconds.")
    failure_memory: float = Field(
        default=600.0, gt=0, le=86400, description="Seconds after which a failed login is forgotten."
    )
    failures_free_of_place: int = Field(
        default=20, ge=0, description="Failed logins of one place, on different addresses, that do not wait."
    )
    failures_free_of_account: int = Field(
        default=10, ge=0, description="Failed logins on one address, from different places, that do not wait."
    )
    undo_seconds: int = Field(
        default=15,
        ge=0,
        le=120,
        description="Seconds during which a letter sent from the page can be held back.",
    )
    attachment_limit: int = Field(
        default=10 * 1024 * 1024, ge=1024, description="Octets of one attached file."
    )
    attachments_limit: int = Field(
        default=20, ge=0, le=100, description="How many files a letter of the page may carry."
    )
    lookups_per_minute: int = Field(
        default=60, ge=1, description="Addresses that one account may ask certificates of in a minute."
    )

    searches_per_minute: int = Field(
        default=240,
        ge=10,
        description="Searches in the directory that one professional may make in a minute, a letter at a time.",
    )

    @field_validator("public_url")
    @classmethod
    def _plain_origin(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        local = parts.hostname in _LOOPBACK
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise ValueError("https://..., or http://localhost for a demonstration")
        if (
            not parts.hostname
            or parts.path not in ("", "/")
            or parts.query
            or parts.fragment
            or parts.username
        ):
            raise ValueError("a scheme, a host name and perhaps a port, nothing after")
        return url.rstrip("/")
