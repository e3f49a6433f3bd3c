"""Settings of the store: where the database is, how commits are grouped, what stays free on the disk."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class StoreSettings(BaseModel):
    """Section `[store]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: str = Field(
        default="",
        description="Empty: SQLite, `mail.db` in the home. Else a `postgresql://` address.",
    )
    inline_limit: int = Field(
        default=32 * 1024,
        ge=0,
        description=(
            "Stored bodies up to this size lie in the database, larger ones in segment files of this home. "
            "Several nodes on one PostgreSQL: set it above the largest message, so that all nodes read all."
        ),
    )
    segment_bytes: int = Field(
        default=256 * 1024 * 1024, ge=4096, description="A new segment file begins beyond this size."
    )
    free_space_floor: int = Field(
        default=512 * 1024 * 1024,
        ge=0,
        description="Below this much free space in the home nothing new is accepted.",
    )
    row_cache_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=0,
        description="Memory for decoded rows, so that a repeated listing is cheap.",
    )
    upload_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=0,
        description="What an account may leave to be attached; its newest upload drops the oldest beyond this.",
    )
    batch_operations: int = Field(
        default=128, ge=1, description="At most this many operations share one commit."
    )
    batch_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=1,
        description="A commit takes no further operation beyond this many bytes.",
    )
    readers: int = Field(default=3, ge=1, le=64, description="Threads (and connections) that read.")
    staging_threads: int = Field(
        default=2, ge=1, le=64, description="Threads that compress and encrypt large bodies."
    )
    compression_level: int = Field(default=3, ge=1, le=19, description="zstd level of compressible bodies.")
    large_compression_level: int = Field(
        default=-5,
        ge=-100,
        le=19,
        description=(
            "zstd level of compressible bodies above 64 kB, most of which is base64: a negative level finds repeated "
            "text and leaves the rest alone, at a fifth of the processor time."
        ),
    )

    def compression_levels(self) -> tuple[int, int]:
        """For bodies up to 64 kB, and for larger ones."""
        return self.compression_level, self.large_compression_level

    def is_postgresql(self) -> bool:
        return self.database.startswith(("postgresql:", "postgres:"))

    def url(self, home: Path) -> str:
        """The database's address, as migrations take it."""
        return self.database or f"sqlite:///{home / 'mail.db'}"
