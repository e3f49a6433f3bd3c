"""The `[smtp]` section of the configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_MIB = 1 << 20
Port = int | None


class SmtpSettings(BaseModel):
    """Where the door listens and how much it takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hostname: str = Field(
        default="localhost",
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
        max_length=255,
        description="Name said in the greeting, in EHLO and in Received lines.",
    )
    listen: tuple[str, ...] = Field(default=(), description="IP addresses to listen on; none given: all.")
    operator_port: Port = Field(
        default=25, ge=0, le=65535, description="Other operators: STARTTLS, mutual TLS."
    )
    submission_port: Port = Field(default=587, ge=0, le=65535, description="Clients, STARTTLS.")
    submissions_port: Port = Field(
        default=465, ge=0, le=65535, description="Clients, TLS from the first byte."
    )

    max_message_bytes: int = Field(
        default=25 * _MIB, ge=64 * 1024, description="Largest message, announced in SIZE; 552 5.3.4 above."
    )
    memory_in_flight_bytes: int = Field(
        default=256 * _MIB, ge=64 * 1024, description="Mail held by all sessions together; 452 4.3.1 above."
    )
    max_recipients: int = Field(
        default=100, ge=100, description="Recipients of one message (RFC 5321 §4.5.3.1.8: at least 100)."
    )
    max_connections: int = Field(default=5000, ge=1, description="Connections at one time, both roads.")
    max_connections_per_peer: int = Field(
        default=200, ge=1, description="Of these, from one IPv4 address or one IPv6 /64."
    )
    max_messages_per_connection: int = Field(default=5000, ge=1, description="Then 421 4.7.0.")
    max_errors: int = Field(
        default=10, ge=1, description="Commands refused in one connection, then 421 4.7.0."
    )
    max_login_failures: int = Field(
        default=3, ge=1, description="Failed AUTH in one connection, then 421 4.7.0."
    )

    greeting_pause_seconds: float = Field(
        default=0.05,
        ge=0,
        le=10,
        description="Silence before the greeting on 25 and 587; who talks first is refused.",
    )
    handshake_timeout_seconds: float = Field(default=30, gt=0, description="TLS handshake.")
    greeting_timeout_seconds: float = Field(
        default=60, gt=0, description="From the greeting to the first command."
    )
    command_timeout_seconds: float = Field(
        default=300, gt=0, description="Wait for the next command (RFC 5321 §4.5.3.2.7: 5 minutes)."
    )
    data_timeout_seconds: float = Field(default=600, gt=0, description="Longest silence inside DATA or BDAT.")
    min_bytes_per_second: int = Field(default=500, ge=0, description="Slowest sender inside DATA or BDAT.")
    min_rate_after_seconds: float = Field(default=30, gt=0, description="Not measured before.")
    stop_grace_seconds: float = Field(
        default=25, ge=0, description="At a stop, how long open transactions may take to finish."
    )

    @property
    def clock_period_seconds(self) -> float:
        """How often time limits are looked at: each second, or more often for limits that are shorter."""
        shortest = min(
            self.greeting_timeout_seconds,
            self.command_timeout_seconds,
            self.data_timeout_seconds,
            self.min_rate_after_seconds,
        )
        return min(1.0, shortest / 4)
