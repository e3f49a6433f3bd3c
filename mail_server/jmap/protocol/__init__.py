"""JMAP without a network (RFC 8620 §3): from the bytes of a request to its calls, and back. See README.md."""

from __future__ import annotations

from mail_server.jmap.protocol.batch import Batch, Call
from mail_server.jmap.protocol.errors import MethodError, RequestError, SetError
from mail_server.jmap.protocol.ijson import NotJson, decode
from mail_server.jmap.protocol.patch import apply_patch
from mail_server.jmap.protocol.pointer import evaluate
from mail_server.jmap.protocol.request import Caps, Request, parse_request

__all__ = [
    "Batch",
    "Call",
    "Caps",
    "MethodError",
    "NotJson",
    "Request",
    "RequestError",
    "SetError",
    "apply_patch",
    "decode",
    "evaluate",
    "parse_request",
]
