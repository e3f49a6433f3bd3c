"""The `[signatures]` section of the configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SignaturesSettings(BaseModel):
    """DKIM, ARC and Authentication-Results."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sign: bool = Field(default=True, description="Letters that leave for other operators are signed (DKIM).")
    announce_hours: float = Field(
        default=48,
        ge=0,
        le=720,
        description="After `dkim rotate` the new keys are used only so much later: put them into the zone first.",
    )
    keep_days: float = Field(
        default=14,
        ge=1,
        le=365,
        description="Days that former keys stay in what `dkim show` prints: letters on their way are still verified.",
    )
    expiry_days: int = Field(
        default=0, ge=0, le=365, description="Signatures say that they end after so many days (x=). 0: never."
    )
    verify: bool = Field(
        default=True,
        description="Signatures of letters from other operators are verified; the result is stored with the letter.",
    )
    resolver: str = Field(
        default="",
        description="IP address, and port, of the DNS server asked for keys. Empty: the one of [outbound].",
    )
    authserv_id: str = Field(
        default="",
        description="Name under which results are written (RFC 8601 section 2.5). Empty: `hostname` of [smtp].",
    )
    dns_seconds: float = Field(
        default=5.0, gt=0, le=30, description="Longest wait for the keys of one letter; then: temperror."
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=16,
        description="Processes that verify; started when the first signed letter comes.",
    )
    deadline_seconds: float = Field(
        default=10.0,
        gt=0,
        le=60,
        description="Longest a worker may take over one letter; then: temperror, and the worker is replaced.",
    )
    recycle_after_messages: int = Field(
        default=5_000, ge=1, description="A worker is replaced by a fresh one after so many letters."
    )
    recycle_above_mib: int = Field(
        default=512, ge=64, description="A worker is replaced once its memory ever grew beyond this (MiB)."
    )
    memory_limit_mib: int = Field(default=1024, ge=256, description="Address space of one worker (MiB).")
    niceness: int = Field(default=5, ge=0, le=19, description="How far workers stand back behind the server.")
