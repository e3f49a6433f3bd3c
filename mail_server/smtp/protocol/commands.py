"""Which command may come when, as one table.

Invariants: what a command needs is written in `_NEEDS` and nowhere else; needs are checked in one order,
the security of the connection first (RFC 3207 §4, RFC 4954 §4, RFC 5321 §4.1.4).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mail_server.smtp.protocol import replies
from mail_server.smtp.protocol.replies import Reply


class Need(enum.IntFlag):
    NOTHING = 0
    TLS = 1
    NO_TLS = 2
    HELLO = 4
    EHLO = 8
    AUTH = 16
    MAIL = 32
    NO_MAIL = 64
    RECIPIENT = 128
    NO_CHUNKS = 256


_NEEDS = {
    "EHLO": Need.NOTHING,
    "NOOP": Need.NOTHING,
    "QUIT": Need.NOTHING,
    "STARTTLS": Need.NO_TLS,
    "HELO": Need.TLS,
    "RSET": Need.TLS,
    "HELP": Need.TLS,
    "VRFY": Need.TLS,
    "EXPN": Need.TLS,
    "AUTH": Need.TLS | Need.EHLO | Need.NO_MAIL,
    "MAIL": Need.TLS | Need.HELLO | Need.AUTH | Need.NO_MAIL,
    "RCPT": Need.TLS | Need.HELLO | Need.MAIL | Need.NO_CHUNKS,
    "DATA": Need.TLS | Need.HELLO | Need.MAIL | Need.NO_CHUNKS | Need.RECIPIENT,
    "BDAT": Need.TLS | Need.HELLO | Need.MAIL | Need.RECIPIENT,
}

# RFC 2920 §3.1 and RFC 4954 §4: the client must wait for the reply to these before it talks on. What comes
# early is talking out of turn, answered 554 5.5.0 and closed, as Postfix does since 3.9
# (smtpd_forbid_unauth_pipelining). STARTTLS is not here: what comes with it is thrown away instead (RFC
# 3207 §4.2). NOOP, VRFY and QUIT change nothing, so what follows them does no harm.
LAST_IN_GROUP = frozenset({"EHLO", "HELO", "AUTH", "DATA"})

# RFC 4954 §4 for AUTH. MAIL and RCPT: 512 plus SIZE 26 (RFC 1870), AUTH 500 (RFC 4954), BODY 17 (RFC 6152),
# SMTPUTF8 10 (RFC 6531 §3.4), RET 9 and ENVID 107 (RFC 3461 §4); RCPT: NOTIFY 29 and ORCPT 507. In UTF-8 an address
# takes up to 1,000 octets, and a character up to four.
LONGEST_LINE = 12288
_PLAIN_LINE = 512


def line_limits(*, smtputf8: bool) -> dict[str, int]:
    """Octets of a command line with its CRLF, by command; others have 512 (RFC 5321 §4.5.3.1.4)."""
    return {
        "AUTH": LONGEST_LINE,
        "MAIL": (1000 if smtputf8 else _PLAIN_LINE) + 553 + 116,
        "RCPT": 1000 + 36 + 4 * 500 if smtputf8 else _PLAIN_LINE + 536,
    }


@dataclass(slots=True)
class Dialogue:
    """Where a session stands."""

    client_road: bool  # AUTH is offered, and required before MAIL
    tls: bool = False
    hello: str = ""  # "", "HELO" or "EHLO"
    authenticated: bool = False
    mail: bool = False
    recipients: int = 0
    refused_recipients: int = 0
    chunks: bool = False

    def secured(self) -> None:
        """TLS has begun: the client is unknown again (RFC 3207 §4.2)."""
        self.tls, self.hello, self.authenticated = True, "", False
        self.end_transaction()

    def end_transaction(self) -> None:
        self.mail, self.recipients, self.refused_recipients, self.chunks = False, 0, 0, False

    def objection(self, verb: str) -> Reply | None:
        """The reply that refuses `verb` here and now, or None: it may come."""
        needs = _NEEDS.get(verb)
        if needs is None:
            return replies.UNKNOWN_COMMAND
        if verb == "AUTH":
            refused = self._objection_to_auth()
            if refused is not None:
                return refused
        if needs & Need.TLS and not self.tls:
            return replies.STARTTLS_FIRST
        if needs & Need.NO_TLS and self.tls:
            return replies.TLS_ACTIVE
        if needs & (Need.HELLO | Need.EHLO) and not self.hello:
            return replies.HELLO_FIRST
        if needs & Need.EHLO and self.hello != "EHLO":
            return replies.HELLO_FIRST
        if needs & Need.AUTH and self.client_road and not self.authenticated:
            return replies.AUTHENTICATE_FIRST
        return self._objection_in_transaction(needs)

    def _objection_to_auth(self) -> Reply | None:
        if not self.client_road:
            return replies.NOT_IMPLEMENTED
        if not self.tls:
            return replies.ENCRYPT_FIRST
        return replies.ALREADY_AUTHENTICATED if self.authenticated else None

    def _objection_in_transaction(self, needs: Need) -> Reply | None:
        if needs & Need.NO_MAIL and self.mail:
            return replies.NESTED_MAIL
        if needs & Need.MAIL and not self.mail:
            return replies.MAIL_FIRST
        if needs & Need.NO_CHUNKS and self.chunks:
            return replies.CHUNKS_BEGUN
        if needs & Need.RECIPIENT and not self.recipients:
            # RFC 5321 §3.3: 554 when every recipient was refused, 503 when none was named.
            return replies.NO_VALID_RECIPIENT if self.refused_recipients else replies.RECIPIENT_FIRST
        return None
