"""Settings of the FHIR door."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FhirSettings(BaseModel):
    """`[fhir]`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Whether /fhir/v2 answers on the HTTPS port.")
    calls_per_second: int = Field(default=17, ge=1, description="Calls of one API key in a second.")
    page: int = Field(
        default=50, ge=1, le=200, description="Resources of one page, unless _count asks for fewer."
    )
    longest_search: float = Field(default=30.0, gt=0, le=120, description="Seconds that one search may take.")
