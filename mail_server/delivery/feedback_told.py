"""What is told of failures, by a sender of its own, by another operator of what it had taken: the groups of a delivery
report (RFC 3464 §2.3), read tolerantly.

Invariants: never raises; nothing is read but the reference, the address and the cause, which is a slug.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mail_server import mime
from mail_server.accounts.addresses import parsed
from mail_server.payloads.record.causes import is_slug, of_answer

_MOST = 500
_OCTETS = 512 * 1024
_REPLY = re.compile(r"(5[0-9]{2})[ -]?(.*)")


@dataclass(frozen=True, slots=True)
class Failure:
    """One letter that its sender could not send, or that was refused to it."""

    message_id: bytes = field(repr=False)
    address: str = field(repr=False)  # "" when the sender knew none
    cause: str
    withdrawal: bool = False

    @property
    def by_server(self) -> bool:
        """Whether the server said so: it may have noted that itself, without knowing the letter."""
        return self.cause.startswith("smtp-")


def failures(message: bytes, tree: mime.Part) -> list[Failure]:
    found = [_failure(group) for group in _groups(message, tree)]
    return [one for one in found if one is not None]


def bounces(message: bytes, tree: mime.Part) -> list[Failure]:
    """Of the one letter whose header comes back with the report; [] when it does not say which one."""
    ids = mime.reported_ids(message, tree)
    if not ids:
        return []
    found: list[Failure] = []
    for group in _groups(message, tree):
        if (mime.first(group, "action") or b"").strip().lower() != b"failed":
            continue
        named = [parsed(_value(group, name)) for name in ("original-recipient", "final-recipient")]
        found += [Failure(ids[0], "@".join(one), _smtp_cause(group)) for one in dict.fromkeys(named) if one]
    return found


def _groups(message: bytes, tree: mime.Part) -> list[bytes]:
    """What is said of each recipient."""
    part = next((one for one in tree.walk() if one.content_type == "message/delivery-status"), None)
    if part is None:
        return []
    body = message[part.body_start : min(part.body_end, part.body_start + _OCTETS)]
    groups = body.replace(b"\r\n", b"\n").strip(b"\n").split(b"\n\n")[1 : _MOST + 1]
    return [group.replace(b"\n", b"\r\n") + b"\r\n\r\n" for group in groups]


def _smtp_cause(group: bytes) -> str:
    """From `smtp; 550 5.1.1 ...`, or from the status alone."""
    said = _REPLY.match(_value(group, "diagnostic-code"))
    if said is not None:
        return of_answer(int(said[1]), said[2])
    return of_answer(550, (mime.first(group, "status") or b"").decode("ascii", "replace").strip())


def _failure(group: bytes) -> Failure | None:
    ids = mime.message_ids(mime.first(group, "x-original-message-id") or b"")
    if not ids or (mime.first(group, "action") or b"").strip().lower() != b"failed":
        return None
    address = parsed(_value(group, "final-recipient"))
    cause = _value(group, "diagnostic-code")
    withdrawal = (mime.first(group, "x-vaguemestre-errand") or b"").strip().lower() == b"withdrawal"
    return Failure(
        ids[0], "@".join(address) if address else "", cause if is_slug(cause) else "field-wrong", withdrawal
    )


def _value(group: bytes, name: str) -> str:
    """What stands after the type: `rfc822; somebody@example.org`."""
    _, _, value = (mime.first(group, name) or b"").partition(b";")
    return value.decode("ascii", "replace").strip()
