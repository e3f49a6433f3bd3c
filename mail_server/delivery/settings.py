"""Settings of `[delivery]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DeliverySettings(BaseModel):
    """How letters are accepted and sealed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_message_size: int = Field(
        default=25 * 1024 * 1024, gt=0, description="Largest message accepted, in bytes (advertised as SIZE)."
    )
    largest_of_domain: dict[str, int] = Field(
        default_factory=dict[str, int],
        description="Largest message to and from a domain of another operator, in octets, where less was agreed:"
        ' { "mss.example.fr" = 10485760 }.',
    )
    large_message: int = Field(
        default=256 * 1024,
        gt=0,
        description="From this size on, parsing leaves the event loop for a thread (bytes).",
    )
    account_quota: int = Field(
        default=20 * 1024**3, ge=0, description="Octets that one account may hold; 0: no limit."
    )
    operator_name: str = Field(
        default="Vaguemestre", description="Name of the operator as readers see it in the gateway's words."
    )
    product: str = Field(
        default="DEV000000",
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]*$",
        description="Reference of this product at convergence.esante.gouv.fr: X-MSS-NIL of letters to other operators"
        " whose program tells none.",
    )
    reseal_batch: int = Field(
        default=20, gt=0, description="Messages re-sealed in one transaction once a certificate is published."
    )
