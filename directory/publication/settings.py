"""Settings of publication: what of ours the national directory is told."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class PublicationSettings(BaseModel):
    """`[publication]`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    national_directory: str = Field(
        default="",
        description="FHIR address of the national directory that our mailboxes are published to; empty: to none.",
    )
    api_key_file: Path | None = Field(
        default=None,
        description="File with the key we publish with (ESANTE-API-KEY), readable by the node alone; must be set where "
        "national_directory is.",
    )
    authority: Path | None = Field(
        default=None, description="PEM file: authorities of its certificate; empty: those of the system."
    )
    timeout: float = Field(default=30.0, gt=0, le=120, description="Seconds that one call may take.")
    retry_minutes: tuple[int, ...] = Field(
        default=(1, 5, 30, 120, 360),
        min_length=1,
        description="After how long a failed publication is tried again; the last repeats.",
    )
