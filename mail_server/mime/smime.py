"""S/MIME (RFC 8551): the CMS of a message that claims to be enveloped. What it holds others judge.

Invariants: never raises; nothing is taken for enveloped beside which text in clear stands.
"""

from __future__ import annotations

from mail_server.mime.parts import Part
from mail_server.mime.pgp_mime import decoded_or_raw, is_encrypted

_CLEAR_BESIDE = 512  # octets of its body that are not the base64
_BLANKS = b" \t\r\n"


def enveloped(message: bytes, tree: Part) -> bytes | None:
    """The CMS in an enveloped message (§3.3, §3.4), where the whole message is that and nothing else."""
    if is_encrypted(tree) != "smime":
        return None
    made = decoded_or_raw(message, tree)
    if tree.encoding == "base64":
        written = len(tree.body(message).translate(None, _BLANKS))
        if written > (len(made) + 2) // 3 * 4 + _CLEAR_BESIDE:
            return None
    return made or None
