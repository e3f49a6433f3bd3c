"""The `[outbound]` section of the configuration."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mail_server.outbound.client.names import split_port


class OutboundSettings(BaseModel):
    """Letters to other operators."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(
        default=True,
        description="Letters leave for the operators of the trust list. false: they are refused at RCPT.",
    )
    certificate: Path | None = Field(
        default=None,
        description="PEM file: the client certificate shown to other operators, with its intermediates."
        " Empty: the one of [tls].",
    )
    key: Path | None = Field(default=None, description="PEM file: its private key. Empty: the one of [tls].")
    port: int = Field(default=25, ge=1, le=65535, description="Port of other operators' servers.")
    routes: dict[str, str] = Field(
        default_factory=dict[str, str],
        description='Where a domain\'s mail goes, before all else: { "mss.example.fr" = "mx.example.fr:25" }.',
    )
    inside: tuple[str, ...] = Field(
        default=(),
        description="Private networks that names of other operators, and responders that certificates name, may lead "
        "to: those of a health network of its own, "
        '"10.20.0.0/16". Empty: none; this machine never, but on a bench. Routes are followed wherever they lead.',
    )
    peers_ports: tuple[int, ...] = Field(
        default=(443, 8443),
        description="Ports at which another operator may say that listed operators ask for certificates.",
    )
    use_mx: bool = Field(
        default=True,
        description="Look for MX records; without them, or where false, the host named by the trust list (its CN).",
    )
    resolver: str = Field(
        default="", description="IP address, and port, of the DNS server. Empty: the system's."
    )
    connections: int = Field(default=50, ge=1, le=1000, description="Connections to others at one time.")
    connections_of_domain: int = Field(
        default=5, ge=1, le=100, description="Of these, to the servers of one domain."
    )
    letters_of_connection: int = Field(
        default=100, ge=1, description="Letters handed over on one connection before it is closed."
    )
    memory_megabytes: int = Field(
        default=256,
        ge=1,
        description="Letters in memory at once, on their way out; others wait for their turn.",
    )
    account_megabytes: int = Field(
        default=4_000,
        ge=0,
        description="Letters of one account (systems, APP, apart) that may wait at once; then 452 4.2.2. 0: no limit.",
    )
    idle_seconds: float = Field(
        default=10, ge=0, le=300, description="How long a connection is kept for the next letter."
    )
    connect_seconds: float = Field(default=30, gt=0, le=300, description="Longest wait for a connection.")
    reply_seconds: float = Field(
        default=300, gt=0, le=600, description="Longest wait for a reply (RFC 5321 §4.5.3.2)."
    )
    content_seconds: float = Field(
        default=600, gt=0, le=1800, description="Longest wait for the reply to a letter's end."
    )
    first_retry_seconds: float = Field(
        default=60, gt=0, description="Wait before the second attempt; each later one is longer."
    )
    longest_retry_seconds: float = Field(
        default=4 * 3600, gt=0, description="The longest wait between two attempts."
    )
    expiry_hours: float = Field(
        default=120,
        gt=0,
        le=240,
        description="Then what did not leave comes back to its sender (RFC 5321 §4.5.4.1: 4 to 5 days).",
    )
    delay_notice_hours: float = Field(
        default=4, gt=0, description="After so long without success the sender is told that it is late."
    )
    lease_seconds: float = Field(
        default=900,
        ge=60,
        description="After that, another node may take up what a lost one was handing over.",
    )
    keep_days: int = Field(
        default=7, ge=0, le=90, description="Days that `queue list --done` still shows what has left."
    )
    wkd: bool = Field(
        default=True, description="Ask other operators for their addressees' certificates (WKD)."
    )
    wkd_routes: dict[str, str] = Field(
        default_factory=dict[str, str],
        description='Where a domain publishes certificates: { "mss.example.fr" = "openpgpkey.example.fr:443" }.',
    )
    certificates_ca: Path | None = Field(
        default=None,
        description="PEM file: the authorities under which those servers stand. Empty: `client_ca` of [tls].",
    )
    certificate_hours: float = Field(
        default=1,
        gt=0,
        le=24,
        description="How long a certificate that was found is used without asking again.",
    )
    no_certificate_minutes: float = Field(
        default=30, ge=0, le=1440, description="How long it is remembered that an address has none."
    )
    certificate_grace_days: float = Field(
        default=7,
        ge=0,
        le=30,
        description="How long a known certificate is used while its operator does not answer.",
    )

    @field_validator("routes", "wkd_routes")
    @classmethod
    def _are_places(cls, routes: dict[str, str]) -> dict[str, str]:
        for domain, place in routes.items():
            if not _readable(place):
                raise ValueError(f"{domain} leads to {place!r}, which is no host, nor host:port")
        return routes

    @field_validator("inside")
    @classmethod
    def _are_networks(cls, inside: tuple[str, ...]) -> tuple[str, ...]:
        for one in inside:
            try:
                ipaddress.ip_network(one)
            except ValueError:
                raise ValueError(f"{one!r} is no network: write it as 10.20.0.0/16") from None
        return inside

    @field_validator("resolver")
    @classmethod
    def _is_an_address(cls, resolver: str) -> str:
        if resolver and not _readable(resolver, address=True):
            raise ValueError(f"{resolver!r} is no IP address, nor address:port")
        return resolver


def _readable(place: str, *, address: bool = False) -> bool:
    try:
        host, _ = split_port(place, 25)
        if address:
            ipaddress.ip_address(host)
    except ValueError:
        return False
    return bool(host) and not any(character.isspace() or character == "/" for character in host)
