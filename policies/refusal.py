"""The one error a door shows to a peer: code, enhanced code, a sentence for a person, an id for the audit.

Invariants: the sentence is ASCII and carries no content of a message, no library text and no path;
`reason` is a stable slug ("recipient-unknown") that the audit and the tests know. (RFC 5321 §4.2, RFC 3463.)
"""

from __future__ import annotations

import secrets


class Refusal(Exception):
    """A request that is refused, for now (4yz) or for good (5yz)."""

    __slots__ = ("code", "enhanced", "id", "reason", "retry_after", "sentence")

    def __init__(self, code: int, enhanced: str, sentence: str, reason: str, *, retry_after: int = 0) -> None:
        """`retry_after`: seconds after which it is worth trying again; 0: not known."""
        super().__init__(f"{code} {enhanced} {reason}")
        self.code = code
        self.enhanced = enhanced
        self.sentence = sentence
        self.reason = reason
        self.retry_after = retry_after
        self.id = secrets.token_hex(5)

    @property
    def temporary(self) -> bool:
        """Whether the peer may try again later (RFC 5321 §4.2.1)."""
        return self.code < 500

    @property
    def smtp_line(self) -> str:
        """The reply line without its CRLF: `550 5.1.1 No such mailbox here (ref 3f0c...)`."""
        return f"{self.code} {self.enhanced} {self.sentence} (ref {self.id})"
