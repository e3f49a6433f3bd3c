"""`[reports]`: what sending accounts are told each morning."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator


class MorningSettings(BaseModel):
    """Section `[reports]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    morning_letter: bool = Field(
        default=True,
        description=(
            "Tell each system (APP, logged in by certificate) every morning what became of the records it handed in. "
            "`vaguemestre account morning-letter` says otherwise for one account."
        ),
    )
    hour: int = Field(
        default=6, ge=0, le=23, description="Hour of the morning letter, in the time zone below."
    )
    time_zone: str = Field(
        default="Europe/Paris", description="Time zone of the hour and of the times it shows."
    )
    unopened_days: int = Field(
        default=7,
        ge=1,
        le=365,
        description="Days after which a document that its patient did not open is told of: send it on paper.",
    )
    keep_days: int = Field(
        default=90,
        ge=30,
        le=3650,
        description="Days for which a morning letter can be printed again; then what it told of is forgotten.",
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{name!r} is no time zone") from None
        return name
