"""Settings of the JMAP door: the `[jmap]` section of the node's configuration.

Invariant: unknown fields are refused; every limit is told to clients in the session object (RFC 8620 §2).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from mail_server.jmap.protocol.request import Caps


class JmapSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s?#]+$",
        description="Address of the page and of JMAP as people type it; unset: what each request was sent to.",
    )
    max_upload: int = Field(default=26_214_400, ge=1024, description="Octets of one upload.")
    max_concurrent_uploads: int = Field(default=4, ge=1, description="Uploads at one time, each account.")
    upload_budget: int = Field(
        default=268_435_456, ge=1024, description="Octets of all uploads in memory at one time, whole node."
    )
    upload_lifetime: int = Field(
        default=86_400,
        ge=3600,
        description="Seconds an upload waits to be imported (RFC 8620 §6.1: an hour at least).",
    )
    upload_seconds: float = Field(default=900, gt=0, description="Seconds an upload may take to come in.")
    request_seconds: float = Field(
        default=60, gt=0, description="Seconds an API request may take to come in, its answer apart."
    )
    max_request: int = Field(default=1_000_000, ge=10_000, description="Octets of one API request.")
    max_concurrent_requests: int = Field(
        default=8, ge=4, description="API requests at one time, each account."
    )
    max_calls: int = Field(default=32, ge=16, description="Method calls in one request.")
    max_objects_get: int = Field(default=500, ge=100, description="Objects one /get may ask for.")
    max_objects_set: int = Field(default=500, ge=100, description="Objects one /set may touch.")
    max_listeners: int = Field(default=10_000, ge=1, description="Open event sources, whole node.")
    max_listeners_per_account: int = Field(default=40, ge=1, description="Open event sources, each account.")
    max_delayed_send: int = Field(
        default=2_592_000, ge=15, description="Seconds a submission may be held (HOLDFOR, HOLDUNTIL)."
    )
    max_recipients: int = Field(default=100, ge=1, description="Recipients of one submission.")
    submission_days: int = Field(
        default=30, ge=1, description="Days a finished submission is still told with its outcome."
    )

    @property
    def caps(self) -> Caps:
        return Caps(
            size_upload=self.max_upload,
            concurrent_upload=self.max_concurrent_uploads,
            size_request=self.max_request,
            concurrent_requests=self.max_concurrent_requests,
            calls_in_request=self.max_calls,
            objects_in_get=self.max_objects_get,
            objects_in_set=self.max_objects_set,
        )
