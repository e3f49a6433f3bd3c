"""Settings of keys: where the KEK is read from, where GnuPG may work."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class KeysSettings(BaseModel):
    """Section `[keys]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kek: Path | None = Field(
        default=None,
        description=(
            "File of the key-encryption key (32 bytes, raw or 64 hex digits): outside the home, readable by the "
            "server alone. Empty: the systemd credential named below."
        ),
    )
    kek_credential: str = Field(
        default="vaguemestre-kek",
        description="Name of the systemd credential (LoadCredential=) that holds the key-encryption key.",
    )
    gnupg_folder: Path | None = Field(
        default=None,
        description=(
            "Memory file system where GnuPG makes keys. Empty: the run-time folder of the user, else /dev/shm."
        ),
    )
    gnupg_on_disk: bool = Field(
        default=False,
        description="Let GnuPG work in a folder that is not in memory: secrets may then stay on a disk.",
    )
    gnupg_program: str = Field(default="gpg", description="The GnuPG program.")
    making_threads: int = Field(
        default=2, ge=1, le=16, description="How many operator-held keys are made at a time."
    )
