"""Settings of the sealing workers and of the authority key: section `[sealing]`."""

from __future__ import annotations

import os

from pydantic import BaseModel, ConfigDict, Field


class SealingSettings(BaseModel):
    """How letters are sealed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=64,
        description="Worker processes that encrypt. Default: one per processor.",
    )
    deadline_seconds: float = Field(
        default=15.0,
        gt=0,
        le=120,
        description="Longest a worker may take over one message, and longest a message may wait for a "
        "worker; then the letter is answered 451 and the worker, if it was at fault, replaced.",
    )
    recycle_after_messages: int = Field(
        default=20_000, ge=1, description="A worker is replaced by a fresh one after so many messages."
    )
    recycle_above_mib: int = Field(
        default=512, ge=64, description="A worker is replaced once its memory ever grew beyond this (MiB)."
    )
    memory_limit_mib: int = Field(
        default=1536,
        ge=256,
        description="Address space a worker may take (MiB, RLIMIT_AS): beyond it the worker dies alone.",
    )
    largest_opened_mib: int = Field(
        default=64,
        ge=1,
        description="Largest clear text `open` gives back (MiB): stops decompression bombs.",
    )
    niceness: int = Field(
        default=5, ge=0, le=19, description="Added to the workers' nice value, so that the loop stays prompt."
    )
