"""Revocations that a certificate's holder hands in, apart from the certificate itself.

Invariant: only a key revocation that the certificate's own primary key made is ever inserted. (RFC 9580
§5.2.1.11.)
"""

from __future__ import annotations

from directory.openpgp import armor
from directory.openpgp.packets import PacketError, Tag, frame, span, spans
from directory.openpgp.reasons import refusal
from directory.openpgp.signatures import Kind, Signature, good, over_key, signature
from directory.openpgp.transferable import MAX_CERTIFICATE, transferable


def with_revocation(published: bytes, revocation: bytes) -> bytes:
    """The certificate with this revocation in its place.

    `revocation` is a signature, binary or armored (GnuPG armors it as a public key block), or a whole
    certificate that holds one. Raises CertificateRefused("not-a-revocation").
    """
    primary = transferable(published).primary
    for made in _signatures(revocation):
        if made.kind == Kind.KEY_REVOCATION and good(made, primary, over_key(primary)):
            head = span(published)
            return published[: head.end] + frame(Tag.SIGNATURE, made.packet) + published[head.end :]
    raise refusal("not-a-revocation")


def _signatures(data: bytes) -> list[Signature]:
    if len(data) > MAX_CERTIFICATE:
        raise refusal("too-large")
    try:
        if armor.looks_armored(data):
            label = "SIGNATURE" if "SIGNATURE" in armor.labels(data) else "PUBLIC KEY BLOCK"
            data = armor.dearmor(data, label)
        found = [signature(part.body(data)) for part in spans(data) if part.tag == Tag.SIGNATURE]
    except (armor.ArmorError, PacketError):
        raise refusal("not-a-revocation") from None
    return found
