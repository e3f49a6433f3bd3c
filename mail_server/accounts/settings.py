"""The `[accounts]` section of the node's configuration."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mail_server.accounts.addresses import DOMAIN


class AccountsSettings(BaseModel):
    """Local domains and how logins are treated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    domains: tuple[str, ...] = Field(min_length=1, description="Mail domains of this node, lower case.")
    patient_domain: str = Field(
        default="",
        description='Mail domain of patients\' spaces; none given: "patient." and the first domain.',
    )
    test_patients: bool = Field(
        default=False,
        description="Accept INS numbers of the test and demonstration ranges (never where real patients are).",
    )
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
    failures_free_of_place: int = Field(
        default=20, ge=0, description="Failed logins of one place, on different addresses, that do not wait."
    )
    failures_free_of_account: int = Field(
        default=10, ge=0, description="Failed logins on one address, from different places, that do not wait."
    )
    password_threads: int = Field(
        default=2, ge=1, le=64, description="How many passwords are checked at once (PBKDF2, in threads)."
    )
    channel_binding: bool = Field(
        default=True,
        description="Offer SCRAM-SHA-256-PLUS (tls-server-end-point). Not behind a proxy that ends TLS.",
    )
    verified_password_memory: float = Field(
        default=60.0,
        ge=0,
        le=600,
        description="Seconds during which a password just verified is recognised without computing it again.",
    )

    @model_validator(mode="before")
    @classmethod
    def _patients_live_beside_the_first_domain(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        section = cast("dict[str, Any]", given)
        domains = section.get("domains")
        if section.get("patient_domain") or not isinstance(domains, list | tuple) or not domains:
            return section
        return section | {"patient_domain": f"patient.{cast('list[object]', domains)[0]}"}

    @field_validator("domains")
    @classmethod
    def _lower_case(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_checked(domain) for domain in domains)

    @field_validator("patient_domain")
    @classmethod
    def _lower_case_too(cls, domain: str) -> str:
        return _checked(domain)

    @model_validator(mode="after")
    def _patients_have_a_domain_of_their_own(self) -> AccountsSettings:
        if self.patient_domain in self.domains:
            raise ValueError("patient_domain is one of domains: patients need a domain of their own")
        return self


def _checked(domain: str) -> str:
    lowered = domain.lower()
    if not DOMAIN.match(lowered):
        raise ValueError(f"{domain!r} is not a mail domain")
    return lowered
