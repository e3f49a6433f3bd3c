"""Settings of documents and of reading what letters carry: section `[record]`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class RecordSettings(BaseModel):
    """Documents of the health record; and the worker processes that read what letters in clear carry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that read archives, documents and calendars; started when the first comes.",
    )
    deadline_seconds: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="Longest a worker may take over one letter; then the letter is answered 451, the worker replaced.",
    )
    wait_seconds: float = Field(
        default=30.0,
        gt=0,
        le=120,
        description="Longest a letter waits for a worker; then it is answered 451.",
    )
    recycle_after_messages: int = Field(
        default=5_000, ge=1, description="A worker is replaced by a fresh one after so many letters."
    )
    recycle_above_mib: int = Field(
        default=384, ge=64, description="A worker is replaced once its memory ever grew beyond this (MiB)."
    )
    memory_limit_mib: int = Field(
        default=1024,
        ge=256,
        description="Address space a worker may take (MiB, RLIMIT_AS): beyond it the worker dies alone.",
    )
    niceness: int = Field(default=5, ge=0, le=19, description="Added to the workers' nice value.")
    xsd: Path | None = Field(
        default=None, description="Official schema of CDA (CDA_extended.xsd), for `vaguemestre report check`."
    )
    schematron: Path | None = Field(
        default=None,
        description='Official schematron, or a stylesheet made of it; needs the extra "schematron" (Saxon).',
    )
