"""How a correspondent's mail program learns a patient's certificate: the field `Autocrypt` of the patient's letters.

The certificate that is published here names the space by its random letters; correspondents know the patient by their
15 digits, and a program (Thunderbird) takes no certificate that does not name who writes. So the patient's browser,
which alone can certify a name, may add to its letter the same key under the name that correspondents see.

Invariants: nothing but the key that is published for the author is ever told; what a program named is passed through
the gate, brought to its least form, and told only under the address the letter shows.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable

from directory.openpgp.certificate import Certificate, CertificateRefused
from directory.openpgp.gate import gate
from mail_server.mime import Field

NAME = "autocrypt"
_LONGEST = 8192  # octets of the field; a certificate of the universal profile takes 600
_KEYDATA = 76  # characters on a line
_ATTRIBUTE = re.compile(rb";\s*keydata\s*=([A-Za-z0-9+/=\s]+)$")


def field(address: str, certificate: bytes) -> bytes:
    """The field itself (Autocrypt Level 1 §2.1)."""
    data = binascii.b2a_base64(certificate, newline=False).decode("ascii")
    # White space inside `keydata` is skipped, which is how a field so long is folded.
    lines = [data[start : start + _KEYDATA] for start in range(0, len(data), _KEYDATA)]
    head = f"Autocrypt: addr={address}; prefer-encrypt=mutual; keydata="
    return "\r\n ".join((head, *lines)).encode("ascii") + b"\r\n"


def told(fields: Iterable[Field], shown: str, published: Certificate, at: int) -> Certificate:
    """The certificate to tell of the author of these fields: theirs under the name shown, else the published one."""
    given = [found.value for found in fields if found.name == NAME]
    if len(given) != 1 or len(given[0]) > _LONGEST:
        return published
    keydata = _ATTRIBUTE.search(given[0])
    if keydata is None:
        return published
    try:
        named = gate(binascii.a2b_base64(b"".join(keydata[1].split())), shown, at)
    except (binascii.Error, CertificateRefused):
        return published
    same = (named.fingerprint, named.encryption_key_id) == (
        published.fingerprint,
        published.encryption_key_id,
    )
    return named if same else published
