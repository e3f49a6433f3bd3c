"""What `vaguemestre doctor` looks at of signatures: the keys, and whether the zones say what was made.

Invariant: it makes no key; the DNS is asked only where a resolver is named in the configuration.
"""

from __future__ import annotations

from pathlib import Path

from deploy.node.config import Config
from deploy.node.finding import Finding
from deploy.node.home import Home
from deploy.node.signatures import key_ring, local_domains
from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.kek import load_kek
from mail_server.signatures.keyring import KeyRing, Pair, PublicKey
from mail_server.signatures.zone import NoKey, Zone

_TOPIC = "signatures"


async def signature_findings(settings: Config, home: Path, now: int) -> list[Finding]:
    if not settings.signatures.sign:
        return [Finding(_TOPIC, "warning", "Letters leave unsigned: `sign` is false in [signatures].")]
    try:
        ring = key_ring(Home(home), settings, load_kek(settings.keys, home))
    except (KeyUnavailable, OSError) as failure:
        return [Finding(_TOPIC, "failed", f"The keys that sign letters cannot be read: {failure}")]
    domains = local_domains(settings)
    without = [one for one in domains if not ring.pairs(one)]
    findings = [
        Finding(
            _TOPIC,
            "warning",
            f"No keys yet for {', '.join(without)}: `vaguemestre dkim show` makes them and prints the zone lines.",
        )
        if without
        else Finding(_TOPIC, "good", f"Letters of {len(domains)} domain(s) are signed.")
    ]
    resolver = settings.signatures.resolver or settings.outbound.resolver
    if not resolver:
        return findings
    zone = Zone(resolver, settings.signatures.dns_seconds)
    shown = [
        (pair, key, ring) for domain in domains for pair in ring.shown(domain, now) for key in pair.public
    ]
    return findings + [
        found for pair, key, kept in shown if (found := await _in_zone(zone, kept, pair, key, now))
    ]


async def _in_zone(zone: Zone, ring: KeyRing, pair: Pair, key: PublicKey, now: int) -> Finding | None:
    name = f"{key.selector}._domainkey.{pair.domain}"
    said = await zone.key(name)
    if said is NoKey.UNKNOWN:
        return Finding(_TOPIC, "warning", f"The DNS server does not answer for {name}.")
    if isinstance(said, str) and _same(said, key.record):
        return None
    standing = ring.standing(pair, now)
    if standing == "former":
        return None  # letters on their way alone would miss it
    words = "says another key" if isinstance(said, str) else "does not say the key"
    return Finding(
        _TOPIC,
        "failed" if standing == "used" else "warning",
        f"The zone {words} of {name} ({standing}): put in the line that `vaguemestre dkim show` prints.",
    )


def _same(one: str, other: str) -> bool:
    return "".join(one.split()) == "".join(other.split())
