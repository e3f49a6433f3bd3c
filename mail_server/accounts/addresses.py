"""What an address of this node looks like, and which addresses may be written down.

Invariants: an address that passed `parsed` is lower-case ASCII, a dot-atom and a domain name, at most 254
characters (RFC 5321 §4.5.3.1), so that it needs no quoting anywhere; an address that may name a patient, even a
mistyped one, is never told in a log or in the trace.
"""

from __future__ import annotations

import re

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"  # RFC 5322 §3.2.3
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
LOCAL_PART = re.compile(rf"^(?=.{{1,64}}\Z){_ATOM}(?:\.{_ATOM})*\Z")
DOMAIN = re.compile(rf"^(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z")
# fin@<domain> closes an exchange (delivery.exchanges), suivi@<domain> hears what a sender could not send
# (delivery.feedback).
RESERVED = frozenset({"fin", "suivi"})
_MOST_DIGITS = 8  # of a local part that may be told: a number with some digits forgotten still has more


def parsed(address: str) -> tuple[str, str] | None:
    """Local part and domain in lower case, or None when it is not an address we could give to an account."""
    if not address.isascii() or len(address) > 254:
        return None
    local, at, domain = address.lower().rpartition("@")
    if not at or not LOCAL_PART.match(local) or not DOMAIN.match(domain):
        return None
    return local, domain


def may_be_told(address: str, patient_domain: str) -> bool:
    """Whether an address that came from outside may stand in a log line or in the trace.

    Not when it is no plain address (it may be a number alone), when it is of the patients' domain or of what
    looks like another operator's, or when its local part may be a patient's number at any domain, for the
    domain too may be mistyped.
    """
    found = parsed(address)
    if found is None:
        return False
    local, domain = found
    if domain == patient_domain or domain.endswith("." + patient_domain) or domain.startswith("patient"):
        return False
    return sum(character.isdigit() for character in local) <= _MOST_DIGITS
