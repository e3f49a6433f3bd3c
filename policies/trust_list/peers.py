"""The one judgement of another operator, whichever side opened the connection.

In this order: its name can be compared; no administrator blocked it; the list is not too old for everybody, names it
for the domain that is asked about, and is not too old for it; neither its certificate nor one above it is revoked.

Invariants: TLS verified the chain before, `judge` never replaces that; what cannot be known is refused, for the time
being where it heals by itself; it is asked at each MAIL FROM, so what changed counts in connections already open;
what a judgement needs lies in memory, but for the first question to a responder (OCSP), which is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from policies.interface import PeerStanding
from policies.trust_list.names import NameRefused, subject_dn
from policies.trust_list.revocation.interface import Finding, Revocation
from policies.trust_list.standing import Age, KnownPeers


class Space(Protocol):
    """The list in force, as a judgement sees it."""

    def domains_of(self, dn: str) -> frozenset[str]: ...
    def pending(self, dn: str, domain: str | None) -> bool: ...
    def names_domain(self, domain: str) -> bool: ...
    def host_of(self, domain: str) -> str: ...
    @property
    def age(self) -> Age: ...


@dataclass(slots=True)
class Counters:
    """For the metrics: how operators were judged."""

    judged: int = 0
    refused: dict[str, int] = field(default_factory=dict[str, int])  # by reason


_SENTENCES = {
    "certificate-name-unusable": "The name in your certificate cannot be compared",
    "operator-blocked": "This server has blocked your operator: write to its administrators",
    "certificate-unlisted": "Your certificate is not in the trust list",
    "certificate-of-another-domain": "Your certificate does not speak for the domain of this sender",
    "certificate-held": "Your certificate is new in the trust list for this domain: it counts in a while",
    "trust-list-stale": "The trust list here is too old to vouch for you, try again later",
    "certificate-revoked": "Your certificate is revoked",
    "revocation-unknown": "It cannot be known now whether your certificate is revoked, try again later",
}
_PASSING = frozenset({"certificate-held", "trust-list-stale", "revocation-unknown"})


class Peers:
    """Implements `policies.interface.PeerTrust`."""

    def __init__(
        self,
        space: Space,
        revocation: Revocation,
        known: KnownPeers,
        *,
        blocked: Callable[[str], bool],
        clock: Callable[[], int],
    ) -> None:
        self._space = space
        self._revocation = revocation
        self._known = known
        self._blocked = blocked
        self._clock = clock
        self.counters = Counters()

    async def judge(self, chain: Sequence[bytes], domain: str | None) -> PeerStanding:
        self.counters.judged += 1
        try:
            dn = _name(chain[0])
        except (NameRefused, IndexError):
            return self._refuse("", "certificate-name-unusable")
        if reason := self._objection(dn, domain.lower() if domain else None):
            return self._refuse(dn, reason)
        match await self._revocation.look(chain):
            case Finding.REVOKED:
                return self._refuse(dn, "certificate-revoked")
            case Finding.UNKNOWN:
                return self._refuse(dn, "revocation-unknown")
            case Finding.GOOD | Finding.UNCHECKED:
                pass
        if reason := self._objection(dn, domain.lower() if domain else None):
            return self._refuse(dn, reason)  # the list or a block changed while a responder was asked
        if self._space.age is Age.YOUNG:
            self._known.meet(dn, self._clock())
        return PeerStanding(allowed=True, dn=dn)

    def _objection(self, dn: str, domain: str | None) -> str:
        """What speaks against it in memory; "" for nothing."""
        if self._blocked(dn):
            return "operator-blocked"
        age = self._space.age
        if age is Age.DEAD:
            return "trust-list-stale"
        domains = self._space.domains_of(dn)
        if not domains or (domain is not None and domain not in domains):
            if self._space.pending(dn, domain):
                return "certificate-held"
            return "certificate-of-another-domain" if domains else "certificate-unlisted"
        if age is Age.OLD and not self._known.met(dn):
            return "trust-list-stale"
        return ""

    def _refuse(self, dn: str, reason: str) -> PeerStanding:
        self.counters.refused[reason] = self.counters.refused.get(reason, 0) + 1
        return PeerStanding(False, dn, reason, _SENTENCES[reason], temporary=reason in _PASSING)

    def vouched(self, names: Sequence[str]) -> bool:
        """Whether the list is young enough to vouch for one of these operators, no certificate being in hand.

        False only where `judge` would refuse them all for its age: nobody's letter waits for days to learn that.
        """
        match self._space.age:
            case Age.YOUNG:
                return True
            case Age.OLD:
                return not names or any(self._known.met(one) for one in names)
            case Age.DEAD:
                return False

    def listed(self, domain: str) -> bool:
        return self._space.names_domain(domain.lower()) and self._space.age is not Age.DEAD

    def host_of(self, domain: str) -> str:
        return self._space.host_of(domain.lower())


@lru_cache(maxsize=1024)
def _name(certificate: bytes) -> str:
    """The same certificate comes with each letter of a connection."""
    return subject_dn(certificate)
