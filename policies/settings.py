"""The `[policies]` section of the node's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from policies.retention.periods import Periods
from policies.trust_list.names import NameRefused, canonical


class PoliciesSettings(BaseModel):
    """Rules, trust list and trace."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: Path | None = Field(
        default=None, description="Folder of *.cedar files and schema.cedarschema. Empty: the rules shipped."
    )
    local_rules: Path | None = Field(
        default=None,
        description="Folder of the operator's own *.cedar files, read beside the rules above, and of accepted.toml,"
        " which lists the answers of the corpus that they may widen. Empty: none.",
    )
    kept_decisions: int = Field(
        default=4096, ge=0, le=1_000_000, description="How many answered questions are kept in memory."
    )
    trust_list: Path | None = Field(
        default=None,
        description="Trust list file in the ANS schema. Empty: no other operator is known.",
    )
    trust_list_url: str = Field(
        default="",
        pattern=r"^$|^https://[^\s]+$",
        description="Where the trust list is fetched, over HTTPS. The file above then serves until the first fetch.",
    )
    trust_list_ca: Path | None = Field(
        default=None,
        description="PEM file: the authorities under which that server stands. Empty: `client_ca` of [tls].",
    )
    trust_list_dn: tuple[str, ...] = Field(
        default=(),
        description="Names that the certificate of that server may have: the list is not signed, so they are its"
        " signature. Needed with trust_list_url.",
    )
    trust_list_every_minutes: float = Field(
        default=60, gt=0, le=1440, description="Minutes between two fetches, give or take a tenth."
    )
    trust_list_delay_hours: float = Field(
        default=24,
        ge=0,
        le=720,
        description="How long a new certificate for a known domain, or a change to a domain of this node, is held"
        " before it counts by itself (`vaguemestre trust-list apply` is sooner; 0: at once).",
    )
    trust_list_new_peers_hours: float = Field(
        default=72,
        gt=0,
        description="A fetched list whose last confirmation is older lets in no operator never met before.",
    )
    trust_list_all_peers_hours: float = Field(
        default=168, gt=0, description="One whose last confirmation is older than that lets in no operator."
    )
    revocation_lists: tuple[str, ...] = Field(
        default=(),
        description="Lists of revoked certificates (CRL, and delta CRL): addresses (http, https) or files."
        " Empty: none is looked at.",
    )
    revocation_every_minutes: float = Field(
        default=60, gt=0, le=1440, description="Minutes between two fetches of them, give or take a tenth."
    )
    revocation_grace_hours: float = Field(
        default=24,
        ge=0,
        description="How long the last one fetched is relied on, while it is not expired, when no newer one can be had."
        " After that operators are refused for the time being.",
    )
    ocsp: Literal["off", "prefer", "require"] = Field(
        default="off",
        description="Ask the authorities' responders (OCSP). prefer: a list of revocation serves where none answers;"
        " require: no answer is a refusal for the time being.",
    )
    ocsp_url: str = Field(
        default="",
        pattern=r"^$|^https?://[^\s]+$",
        description="The responder to ask about operators. Empty: the one that each certificate names.",
    )
    trust_list_shrink: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="A new list that holds less than this share of the rows in force is refused (0: never).",
    )
    audit_chain: str = Field(
        default="node",
        pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$",
        description="Name of this node's chain in the trace. One writer per chain: each node has its own.",
    )
    audit_heads: Path | None = Field(
        default=None,
        description="File outside the home to which the signed heads of the trace are added; best on another disk or"
        " machine. Without it nobody can show that the end of the trace was not cut.",
    )
    audit_heads_every: int = Field(
        default=600, ge=10, le=86_400, description="Seconds between two heads, when anything was written."
    )
    retention_technical: int = Field(
        default=12,
        ge=1,
        le=1200,
        description="Months that logins, refusals and connections stay in the trace.",
    )
    retention_functional: int = Field(
        default=20, ge=1, le=100, description="Years that all other acts stay in the trace."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.trust_list_url and not self.trust_list_dn:
            raise ValueError("trust_list_url needs trust_list_dn: the name of that server's certificate")
        for dn in self.trust_list_dn:
            try:
                canonical(dn)
            except NameRefused as refused:
                raise ValueError(f"trust_list_dn is no name of a certificate: {refused}") from None
        if self.trust_list_all_peers_hours < self.trust_list_new_peers_hours:
            raise ValueError("trust_list_all_peers_hours is shorter than trust_list_new_peers_hours")
        return self

    @property
    def periods(self) -> Periods:
        return Periods(self.retention_technical, 12 * self.retention_functional)
