"""Settings of the LDAP door."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LdapSettings(BaseModel):
    """`[ldap]`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(default="0.0.0.0", description="Address of both ports.")  # noqa: S104
    port: int | None = Field(default=389, description="LDAP with StartTLS.")
    tls_port: int | None = Field(default=636, description="LDAP over TLS (ldaps).")
    base: str = Field(default="dc=mssante,dc=fr", description="Where the directory begins (base DN).")
    anonymous: bool = Field(
        default=True, description="Whether who did not log in may look people up, a few at a time."
    )
    largest_answer: int = Field(default=200, ge=1, le=5000, description="Entries of one search, logged in.")
    largest_anonymous_answer: int = Field(
        default=20, ge=1, le=5000, description="Entries of one search, not logged in."
    )
    longest_search: float = Field(default=5.0, gt=0, le=60, description="Seconds that one search may take.")
    idle_seconds: float = Field(
        default=600, gt=0, description="A connection that says nothing for so long is closed."
    )
    connections: int = Field(default=2000, ge=1, description="Connections at once.")
    connections_of_place: int = Field(
        default=50, ge=1, description="Connections at once from one network place."
    )
    searches: int = Field(default=4, ge=1, le=64, description="Searches at work at once, of all connections.")
    searches_of_connection: int = Field(
        default=2, ge=1, le=64, description="Searches at work at once of one connection; the others wait."
    )
    handshake_timeout: float = Field(
        default=20, gt=0, le=120, description="Seconds that a TLS handshake may take."
    )
    stall_timeout: float = Field(
        default=30,
        gt=0,
        description="Seconds after which a client that reads nothing of its answers is cut off.",
    )
