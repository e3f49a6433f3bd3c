"""What another operator publishes for one address, judged: a certificate that may be used, a revoked one, or none.

Invariants: pure functions; a certificate is used only when the gate of our own directory lets it pass for that very
address, now; one that was revoked is used no more, and is not taken for none: its addressee had a key, and a letter in
clear is not what they expect.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from directory.openpgp import armor
from directory.openpgp.certificate import Certificate, CertificateRefused
from directory.openpgp.gate import gate
from directory.openpgp.packets import PacketError, Tag, spans

MOST_CERTIFICATES = 10  # published for one address (draft-koch-openpgp-webkey-service §3.1): old ones and new


class State(enum.IntEnum):
    NONE = 0  # the operator answered that there is none, or none that can be used
    VALID = 1
    REVOKED = 2  # one that is revoked, and no other


@dataclass(frozen=True, slots=True)
class Judged:
    state: State
    certificate: Certificate | None = field(default=None, repr=False)
    reason: str = ""  # why what was published is not used: a slug of the gate


def judge(published: bytes, address: str, at: int) -> Judged:
    """What may be done now with what an operator published for an address; b"" is nothing."""
    reasons: list[str] = []
    passed: list[Certificate] = []
    for one in _apart(published):
        try:
            passed.append(gate(one, address, at))
        except CertificateRefused as refused:
            reasons.append(refused.reason)
    if passed:
        # The one that is good for longest is the successor of the others.
        return Judged(State.VALID, max(passed, key=lambda one: (one.not_after is None, one.not_after or 0)))
    if "revoked" in reasons:
        return Judged(State.REVOKED, reason="revoked")
    return Judged(State.NONE, reason=reasons[0] if reasons else "")


def _apart(published: bytes) -> list[bytes]:
    """Each certificate of what was published; one that cannot be read is left whole, for the gate to refuse."""
    if not published or armor.looks_armored(published):
        return [published] if published else []
    try:
        starts = [part.start for part in spans(published) if part.tag == Tag.PUBLIC_KEY]
    except PacketError:
        return [published]
    if not starts or starts[0] != 0 or len(starts) > MOST_CERTIFICATES:
        return [published]
    return [published[at:end] for at, end in zip(starts, [*starts[1:], len(published)], strict=True)]
