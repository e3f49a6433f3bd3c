"""An ARC set of ours (RFC 8617), for a letter that is sent on: what we found, and our seal over it and all before it.

Invariants: the letter stays byte for byte as it came; the seal covers every set in the order of their numbers; RSA
alone, as RFC 8617 §4.1.2 knows no other; the chain says `pass` only where this node verified it just now.
"""

from __future__ import annotations

from collections.abc import Sequence

from mail_server import mime
from mail_server.mime import Field
from mail_server.signatures import canonical, marks
from mail_server.signatures.results import Result, Verified
from mail_server.signatures.signer import Signer, by_rsa
from mail_server.signatures.signing import canonical_fields, completed, covered, relaxed, text

_PARTS = ("arc-authentication-results", "arc-message-signature", "arc-seal")


class NotSealed(Exception):
    """No set can be added to this chain: it is broken, or long enough."""


def seal(message: bytes, signer: Signer, domain: str, results: str, verified: Verified, at: int) -> bytes:
    """The three fields to put above `message`, whose signatures came to `verified`; `at` in seconds.

    Blocks as `Signer.sign` does. Raises NotSealed, KeyUnavailable, OSError.
    """
    header = mime.header_block(message)
    fields = mime.fields(header)
    before = _sets(fields)
    if before and (verified.arc is not Result.PASS or len(before) >= marks.MOST_SETS):
        # RFC 8617 §5.1.2: a chain that failed is not to be gone on with; who gets it could not believe it.
        raise NotSealed
    instance = len(before) + 1
    method = by_rsa(signer.pair(domain))
    common = [("a", method.algorithm), ("d", domain), ("s", method.selector), ("t", str(at))]
    told = f"ARC-Authentication-Results: i={instance}; {results}\r\n".encode("ascii", "replace")
    # RFC 8617 §4.1.2: ARC fields are not in h=; DKIM-Signatures are, as the author's word is part of what came.
    names = (*covered(fields), *("dkim-signature" for one in fields if one.name == "dkim-signature"))
    signed = completed(
        "ARC-Message-Signature",
        [
            ("i", str(instance)),
            *common,
            ("c", "relaxed/relaxed"),
            ("bh", text(canonical.body_hash(message, len(header)))),
            ("h", ":".join(names)),
            ("b", ""),
        ],
        canonical_fields(fields, names),
        method,
    )
    mine = mime.fields(told + signed)
    earlier = b"".join(relaxed(one) for each in before for one in each)
    sealed = completed(
        "ARC-Seal",
        [("i", str(instance)), *common, ("cv", "pass" if before else "none"), ("b", "")],
        earlier + b"".join(relaxed(one) for one in mine),
        method,
    )
    signer.counters.sealed += 1
    return sealed + signed + told


def _sets(fields: Sequence[Field]) -> list[tuple[Field, ...]]:
    """The sets that are there, the oldest first, each in the order in which a seal covers it (RFC 8617 §5.1.1)."""
    found = [[one for one in fields if one.name == name] for name in _PARTS]
    if len({len(part) for part in found}) != 1:
        raise NotSealed
    return [tuple(each) for each in zip(*(reversed(part) for part in found), strict=True)]
