"""An OpenPGP certificate that passed the gate, reduced to what sealing needs.

Invariants: exactly one encryption subkey; version 4; usable at the time it was gated. Only `gate` makes one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Certificate:
    """A gated certificate (reference e2e_peers §0 and §5.4)."""

    fingerprint: str  # primary key, 40 upper-case hex digits
    encryption_key_id: str  # 16 upper-case hex digits of the one encryption subkey: what its key packet names
    address: str  # the address it was gated for, lower case
    minimised: bytes  # binary: primary, its user id and self-signature, the one subkey and its binding
    not_after: int | None  # ms; None: never expires
    operator_held: bool = False


class CertificateRefused(Exception):
    """A certificate that must not be used. `reason` is a stable slug, `sentence` is for a person (ASCII)."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sentence = sentence
