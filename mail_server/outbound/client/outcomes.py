"""Which reply, at which step, means what for a recipient: the table, and the reasons that log and reports use.

Invariants: what a server says against us before MAIL concerns its state or ours, never the letter: it stays queued
(reference/mssante.md §9, row 6); from MAIL on 4yz keeps the letter and 5yz fails it; 421 keeps it anywhere; what is
no answer to what was asked keeps it, and the connection is not used again.
"""

from __future__ import annotations

from mail_server.outbound.client.replies import Reply
from mail_server.outbound.interface import Outcome, Phase, Verdict

SERVICE_CLOSING = 421  # RFC 5321 §3.8: may answer anything
START_CONTENT = 354
_LETTER_PHASES = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT})

# What is said of our own findings: enhanced code (RFC 3463, 6531, 7505) and words.
OURS: dict[str, tuple[str, str]] = {
    "smtputf8-not-offered": ("5.6.7", "The other server takes no addresses or headers beyond ASCII"),
    "eight-bit-not-offered": (
        "5.6.3",
        "The other server takes no 8-bit content, and ours must not be altered",
    ),
    "larger-than-offered": ("5.3.4", "The letter is larger than the other server takes"),
    "bad-sender": ("5.1.7", "The sender's address cannot be said in SMTP"),
    "bad-address": ("5.1.3", "The recipient's address cannot be said in SMTP"),
    "bare-line-end": ("5.6.0", "The letter has line ends that SMTP does not allow"),
    "null-mx": ("4.4.4", "The name service says that the domain takes no mail, the trust list that it does"),
    "not-listed": ("4.7.0", "The trust list in force does not name the domain"),
    "no-host": ("4.4.4", "No server is known for the domain"),
    "name-unknown": ("4.4.4", "The server's name has no address"),
    "inside": ("4.4.4", "The server's name leads into networks of this server's own"),
    "dns-failed": ("4.4.3", "The name service did not answer"),
    "stopping": ("4.3.2", "This server is stopping"),
    "too-slow": ("4.4.7", "The other server answers too slowly"),
    "no-starttls": ("4.7.0", "The other server offers no TLS: nothing is sent in clear"),
    "starttls-injection": ("4.7.0", "Clear text came after the answer to STARTTLS"),
    "timeout": ("4.4.1", "The other server did not answer in time"),
    "cut": ("4.4.2", "The other server ended the connection"),
    "connection-lost": ("4.4.2", "The connection was lost"),
    "connection-refused": ("4.4.1", "The other server takes no connection"),
    "unreachable": ("4.4.1", "The other server cannot be reached"),
    "garbage": ("4.5.0", "The other server's answer cannot be understood"),
    "endless-reply": ("4.5.0", "The other server's answer did not end"),
    "unsolicited": ("4.5.0", "The other server said what it was not asked"),
    "our-certificate-refused": ("4.7.0", "The other server refuses our certificate"),
    "tls-version": ("4.7.0", "The other server has no version of TLS that may be used"),
    "tls-suites": ("4.7.0", "The other server has no cipher suite that may be used"),
    "tls-protocol": ("4.7.0", "TLS failed with the other server"),
    "tls-garbage": ("4.7.0", "The other server does not speak TLS after STARTTLS"),
    "certificate-expired": ("4.7.0", "The certificate of the other server has expired"),
    "certificate-not-yet-valid": ("4.7.0", "The certificate of the other server is not valid yet"),
    "certificate-self-signed": ("4.7.0", "Nobody vouches for the certificate of the other server"),
    "certificate-wrong-purpose": ("4.7.0", "The certificate of the other server is none for servers"),
    "chain-foreign": ("4.7.0", "The certificate of the other server is of another authority"),
    "chain-incomplete": ("4.7.0", "The other server does not send the whole of its chain"),
    "certificate-unlisted": ("4.7.0", "The trust list does not name the certificate of the other server"),
    "certificate-of-another-domain": (
        "4.7.0",
        "The trust list names the certificate of the other server for other domains",
    ),
    "certificate-held": (
        "4.7.0",
        "The certificate of the other server is new in the list: it counts in a while",
    ),
    "certificate-name-unusable": (
        "4.7.0",
        "The name in the certificate of the other server cannot be compared",
    ),
    "certificate-revoked": ("4.7.0", "The certificate of the other server is revoked"),
    "revocation-unknown": (
        "4.7.0",
        "Whether the certificate of the other server is revoked cannot be known now",
    ),
    "operator-blocked": ("4.7.0", "An administrator here has blocked the other operator"),
    "trust-list-stale": ("4.7.0", "The trust list here is too old to vouch for the other server"),
    "not-judged": ("4.7.0", "The certificate of the other server could not be judged"),
    "not-opened": ("4.3.0", "The letter could not be opened for sending"),
    "unexpected": ("4.3.0", "The attempt failed here"),
}


def ours(verdict: Verdict, phase: Phase, reason: str, host: str = "", *, unsure: bool = False) -> Outcome:
    """An outcome that no reply brought."""
    enhanced, words = OURS.get(reason, ("5.3.0" if verdict is Verdict.FAILED else _enhanced_of(phase), ""))
    if phase is Phase.TLS and enhanced.startswith("4"):
        enhanced = "4.7.0"  # whatever it was, TLS did not come about
    return Outcome(verdict, phase, reason, 0, enhanced, words, host, unsure)


def _enhanced_of(phase: Phase) -> str:
    if phase in (Phase.TLS, Phase.TRUST):
        return "4.7.0"
    if phase is Phase.ROUTE:
        return "4.4.4"
    if phase is Phase.OPEN:
        return "4.3.0"
    return "4.4.1" if phase in (Phase.CONNECT, Phase.GREETING) else "4.4.2"


def of_reply(phase: Phase, reply: Reply, host: str) -> Outcome:
    """What a refusal (any reply but the one hoped for) means for the recipients it concerns."""
    kind = reply.code // 100
    if reply.code == SERVICE_CLOSING:
        verdict, reason = Verdict.LATER, "peer-421"
    elif kind == 4:
        verdict, reason = Verdict.LATER, "peer-4yz"
    elif kind == 5:
        verdict = Verdict.FAILED if phase in _LETTER_PHASES else Verdict.LATER
        reason = "peer-5yz"
    else:
        verdict, reason = Verdict.LATER, "garbage"
    # Who waits is told 4.y.z, whatever class the other side thinks it is of (RFC 3464 §2.3.4).
    enhanced = f"{4 if verdict is Verdict.LATER else 5}{reply.enhanced[1:] or '.0.0'}"
    return Outcome(verdict, phase, reason, reply.code, enhanced, reply.said, host)


def delivered(reply: Reply, host: str, *, dsn: bool) -> Outcome:
    return Outcome(
        Verdict.DELIVERED,
        Phase.CONTENT,
        "delivered",
        reply.code,
        reply.enhanced or "2.0.0",
        reply.said,
        host,
        dsn=dsn,
    )


def too_many_recipients(reply: Reply) -> bool:
    """RFC 5321 §4.5.3.1.10: the rest may go in another transaction; 552 is the old spelling of 452."""
    enhanced = reply.enhanced
    if reply.code == 452:
        return enhanced in ("", "4.5.3")
    return reply.code == 552 and enhanced in ("", "5.5.3")
