"""Every error JMAP knows by name (RFC 8620 §3.6, §5.3; RFC 8621), as what is raised and what is told.

Invariants: `type` is one of the registered names; a description is a sentence of ours, never a library's words
and never a part of the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_URN = "urn:ietf:params:jmap:error:"


class RequestError(Exception):
    """The whole request is refused: a problem details object (RFC 8620 §3.6.1, RFC 9457)."""

    def __init__(self, type: str, detail: str, status: int = 400, limit: str | None = None) -> None:  # noqa: A002 - the RFC's word
        super().__init__(type)
        self.type = type
        self.detail = detail
        self.status = status
        self.limit = limit

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"type": _URN + self.type, "status": self.status, "detail": self.detail}
        return told | ({"limit": self.limit} if self.limit else {})

    @classmethod
    def not_json(cls) -> RequestError:
        return cls("notJSON", "The body is not I-JSON sent as application/json")

    @classmethod
    def not_request(cls, detail: str) -> RequestError:
        return cls("notRequest", detail)

    @classmethod
    def unknown_capability(cls) -> RequestError:
        return cls("unknownCapability", "The request uses a capability that this server does not have")

    @classmethod
    def beyond(cls, limit: str) -> RequestError:
        return cls("limit", "The request is beyond a limit of this server", limit=limit)


class MethodError(Exception):
    """A method-level error (RFC 8620 §3.6.2): `type`, and further properties of the error object."""

    def __init__(self, type: str, description: str = "", **properties: Any) -> None:  # noqa: A002 - the RFC's word
        super().__init__(type)
        self.type = type
        self.properties: dict[str, Any] = ({"description": description} if description else {}) | properties

    def as_json(self) -> dict[str, Any]:
        return {"type": self.type, **self.properties}


class SetError(Exception):
    """One object of a /set that could not be made, changed or destroyed (RFC 8620 §5.3)."""

    def __init__(self, type: str, description: str = "", **properties: Any) -> None:  # noqa: A002 - the RFC's word
        super().__init__(type)
        self.type = type
        self.properties: dict[str, Any] = ({"description": description} if description else {}) | properties

    def as_json(self) -> dict[str, Any]:
        return {"type": self.type, **self.properties}


def invalid_arguments(description: str, **properties: Any) -> MethodError:
    return MethodError("invalidArguments", description, **properties)


def invalid_properties(*names: str, description: str = "") -> SetError:
    return SetError("invalidProperties", description, properties=list(names))


def told(errors: Mapping[str, SetError]) -> dict[str, Any] | None:
    """As `notCreated` and its sisters want it: null when there is none."""
    return {name: error.as_json() for name, error in errors.items()} or None
