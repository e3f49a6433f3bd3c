"""Settings of the IMAP door: the `[imap]` section of the node's configuration.

Invariant: unknown fields are refused; every limit has a default that suits a node of thousands of accounts.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ImapSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(
        default="0.0.0.0",  # noqa: S104 - mail programs come from everywhere
        description="Address to listen on; several, separated by commas.",
    )
    port: int | None = Field(default=143, description="Port with STARTTLS; 0: any free one.")
    tls_port: int | None = Field(
        default=993, description="Port with TLS from the first byte; 0: any free one."
    )

    max_connections: int = Field(default=10_000, ge=1, description="Open connections, all peers together.")
    max_connections_per_ip: int = Field(
        default=200, ge=1, description="From one IPv4 address or IPv6 /64 (a whole practice may share one)."
    )
    max_connections_per_account: int = Field(default=40, ge=1, description="Logged in as one account.")

    login_timeout: float = Field(default=60, gt=0, description="Seconds to log in, TLS handshake included.")
    idle_timeout: float = Field(
        default=1800,
        gt=0,
        description="Seconds of silence after login, IDLE included (RFC 9051 §5.4).",
    )
    stall_timeout: float = Field(
        default=300, gt=0, description="Seconds a client may leave an answer unread before it is cut off."
    )
    handshake_timeout: float = Field(default=20, gt=0, description="Seconds for a TLS handshake.")

    max_login_failures: int = Field(default=5, ge=1, description="Refused logins, then the end.")
    max_bad_commands: int = Field(default=20, ge=1, description="BAD answers before the connection ends.")

    max_message: int = Field(default=26_214_400, ge=1024, description="Octets of one APPEND.")
    append_budget: int = Field(
        default=268_435_456, ge=1024, description="Octets of all APPENDs in memory at one time, whole node."
    )
    max_line: int = Field(default=65_536, ge=8192, description="Octets of one command line.")
    max_command: int = Field(default=262_144, ge=8192, description="Octets of a command, its message apart.")
    sharing_by_password: bool = Field(
        default=False,
        description="SETACL may let someone new read a mailbox also after a login by app password.",
    )
    max_mailboxes: int = Field(default=10_000, ge=10, description="Folders one account may have.")
    shutdown_grace: float = Field(default=5.0, ge=0, description="Seconds left to running commands at stop.")
