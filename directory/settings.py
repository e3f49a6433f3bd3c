"""Settings of the directory: where it is kept, how it is kept up, how much of it is shown."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

_POSTGRESQL = ("postgresql:", "postgres:")


class DirectorySettings(BaseModel):
    """`[directory]`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: str = Field(
        default="",
        description="PostgreSQL address (postgresql://…) of the directory; empty: SQLite files in the home. "
        "Several nodes that share a store share this too.",
    )
    shown_per_hour: int = Field(
        default=300,
        ge=10,
        description="Different listings that one asker is shown in an hour before answers slow down; at twice as many "
        "they are refused.",
    )
    shown_per_hour_trusted: int = Field(
        default=3000,
        ge=10,
        description="The same for who is logged in, or has an API key. Who is logged in has six of them a day.",
    )
    guesses_per_hour: int = Field(
        default=200,
        ge=10,
        description="Different addresses of ours that one network asks for in vain (WKD, key server, capability) in an "
        "hour before its lookups slow down; at twice as many they are refused. From where a listed operator's letters "
        "come: asked_per_hour_by_operators.",
    )
    x509_authorities: Path | None = Field(
        default=None,
        description="PEM file: authorities that S/MIME certificates must lead to; empty: any, self-signed too.",
    )
    asked_per_hour_by_operators: int = Field(
        default=20_000,
        ge=10,
        description="Different patients of ours whose certificates one operator may ask for in an hour; at twice as "
        "many it is refused for a while. As many addresses may its network ask for in vain.",
    )
    largest_fall: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="An import that takes away more than this part of what the last one gave is refused (see --force).",
    )
    struck_off: bool = Field(
        default=True,
        description="A professional of ours who is gone from the national file loses access and publication.",
    )
    import_reports: Path | None = Field(
        default=None, description="Folder for the reports of imports; empty: `imports` in the home."
    )

    @field_validator("database")
    @classmethod
    def _known(cls, url: str) -> str:
        if url and not url.startswith(_POSTGRESQL):
            raise ValueError("an address begins with postgresql://; empty: files in the home")
        return url

    def is_postgresql(self) -> bool:
        return self.database.startswith(_POSTGRESQL)

    def url(self, home: Path) -> str:
        """Of the certificates, as migrations take it."""
        return self.database or f"sqlite:///{home / 'directory.db'}"

    def listings_url(self, home: Path) -> str:
        """Of the listings, as migrations take it."""
        return self.database or f"sqlite:///{home / 'listings.db'}"

    def listings_place(self, home: Path) -> Path | str:
        """Of the listings, as `listings.database.ListingsDatabase` takes it."""
        return self.database or home / "listings.db"
