"""How large a letter may be between this node and one other operator, where less was agreed than this node takes.

Operators agree on sizes between them (reference/mssante.md §1.3, row 13: 10 MB is common); the limit of a domain holds
for what comes from it and for what leaves for it.

Invariants: refused when the size is declared (RFC 1870 §6.1), else when the letter is there; nothing larger is laid
into the queue, to come back hours later from a server that would not take it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mail_server.delivery.gate import domain_of
from mail_server.delivery.interface import Envelope, Road, Sender
from policies.refusal import Refusal


class LinkLimits:
    def __init__(self, largest: Mapping[str, int]) -> None:
        """`largest`: octets, by domain of the other operator."""
        self._largest = {domain.lower(): octets for domain, octets in largest.items()}

    def require_sender(self, sender: Sender, size: int | None) -> None:
        """At MAIL FROM. Raises Refusal."""
        if sender.road is Road.OPERATOR:
            self._require([domain_of(sender.mail_from)], size or 0)

    def require_recipient(self, domain: str, size: int | None) -> None:
        """At RCPT TO of somebody at another operator. Raises Refusal."""
        self._require([domain], size or 0)

    def require_letter(self, envelope: Envelope, size: int) -> None:
        """Once the letter is there. Raises Refusal."""
        self.require_sender(envelope.sender, size)
        self._require((one.domain for one in envelope.abroad), size)

    def _require(self, domains: Iterable[str], size: int) -> None:
        for domain in domains:
            most = self._largest.get(domain)
            if most is not None and size > most:
                raise Refusal(
                    552,
                    "5.3.4",
                    f"Between these operators a letter has {most} octets at most",
                    "too-large-for-link",
                )
