"""The `[accounts]` section of the node's configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mail_server.accounts.addresses import DOMAIN


class AccountsSettings(BaseModel):
    """Local domains and how logins are treated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    domains: tuple[str, ...] = Field(min_length=1, description="Mail domains of this node, lower case.")
    failure_delay: float = Field(
        default=0.5,
        ge=0,
        le=10,
        description="Seconds a failed login waits for its answer; doubled at each further failure.",
    )
    longest_delay: float = Field(
        default=8.0, ge=0, le=60, description="The longest a failed login waits, in seconds."
    )
    failure_memory: float = Field(
        default=600.0, gt=0, le=86400, description="Seconds after which a failed login is forgotten."
    )
    password_threads: int = Field(
        default=2, ge=1, le=64, description="How many passwords are checked at once (PBKDF2, in threads)."
    )
    verified_password_memory: float = Field(
        default=60.0,
        ge=0,
        le=600,
        description="Seconds during which a password just verified is recognised without computing it again.",
    )

    @field_validator("domains")
    @classmethod
    def _lower_case(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        lowered = tuple(domain.lower() for domain in domains)
        for domain in lowered:
            if not DOMAIN.match(domain):
                raise ValueError(f"{domain!r} is not a mail domain")
        return lowered
