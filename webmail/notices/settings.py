"""The `[notices]` section of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mail_server.accounts.networks import is_this_machine


class NoticesSettings(BaseModel):
    """Notices without content to ordinary addresses, by the operator's own smarthost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smarthost: str = Field(
        default="", description="Host that takes notices to ordinary addresses. Empty: there are no notices."
    )
    port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How it is reached; none: on this machine alone (127.0.0.1, ::1)."
    )
    ca: Path | None = Field(
        default=None,
        description="PEM file: authorities of its certificate. Empty: those of the operating system.",
    )
    user: str = Field(default="", description="User name there. Empty: no login.")
    password_file: Path | None = Field(
        default=None, description="File that holds the password alone, readable by the node alone."
    )
    sender: str = Field(
        default="", description="Address that notices come from, such as ne-pas-repondre@ch-exemple.fr."
    )
    delay_minutes: float = Field(
        default=5, ge=0, le=1440, description="How long after a letter its notice is sent: several make one."
    )
    every_hours: float = Field(
        default=24, ge=1, le=720, description="At most one notice of new letters to one holder in this time."
    )

    @model_validator(mode="after")
    def _reachable(self) -> NoticesSettings:
        if not self.smarthost:
            return self
        if "@" not in self.sender.strip("@") or not self.sender.isascii():
            raise ValueError(
                "notices need a `sender`, an address that its own mail server lets the smarthost use"
            )
        if self.security == "none" and not is_this_machine(self.smarthost):
            raise ValueError('`security = "none"` is for a smarthost on this machine alone')
        if bool(self.user) != bool(self.password_file):
            raise ValueError("`user` and `password_file` belong together")
        return self
