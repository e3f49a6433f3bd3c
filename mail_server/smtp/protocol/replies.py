"""Every line the door says, each with its enhanced code.

Invariants: replies are ASCII and one line (EHLO alone has several); the greeting, EHLO, HELO and 3yz
replies carry no enhanced code, all others do (RFC 2034 §4); no reply repeats what the peer sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: `code`, `enhanced` ("" where RFC 2034 has none), a sentence for a person."""

    code: int
    enhanced: str
    text: str
    wire: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = (str(self.code), self.enhanced, self.text)
        line = " ".join(word for word in words if word)
        object.__setattr__(self, "wire", line.encode("ascii") + b"\r\n")

    def referring(self, reference: str) -> Reply:
        """The same reply with the opaque id that finds it in the audit or the log."""
        return Reply(self.code, self.enhanced, f"{self.text} (ref {reference})")


class CommandRefused(Exception):
    """A command that cannot be obeyed, with the reply that says so."""

    __slots__ = ("reply",)

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.code} {reply.enhanced}")
        self.reply = reply


OK = Reply(250, "2.0.0", "OK")
BYE = Reply(221, "2.0.0", "Bye")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
SEND_MESSAGE = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
AUTHENTICATED = Reply(235, "2.7.0", "Authentication succeeded")
CANNOT_VERIFY = Reply(252, "2.5.2", "Cannot verify, but will accept a message and attempt delivery")
HELP = Reply(
    214,
    "2.0.0",
    "AUTH BDAT DATA EHLO EXPN HELO HELP MAIL NOOP QUIT RCPT RSET STARTTLS VRFY, as RFC 5321 says",
)

# Who may come when (RFC 5321 §4.1.4, RFC 3207 §4, RFC 4954 §4).
STARTTLS_FIRST = Reply(530, "5.7.0", "Must issue a STARTTLS command first")
AUTHENTICATE_FIRST = Reply(530, "5.7.0", "Authentication required")
ENCRYPT_FIRST = Reply(538, "5.7.11", "Encryption required for requested authentication mechanism")
HELLO_FIRST = Reply(503, "5.5.1", "Send EHLO first")
MAIL_FIRST = Reply(503, "5.5.1", "Need MAIL command")
RECIPIENT_FIRST = Reply(503, "5.5.1", "Need RCPT command")
NESTED_MAIL = Reply(503, "5.5.1", "A mail transaction is already open")
TLS_ACTIVE = Reply(503, "5.5.1", "TLS is already active")
ALREADY_AUTHENTICATED = Reply(503, "5.5.1", "Already authenticated")
CHUNKS_BEGUN = Reply(503, "5.5.1", "This transaction goes on with BDAT or RSET")
NO_VALID_RECIPIENT = Reply(554, "5.5.1", "No valid recipients")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not recognized")

# How a line must be written.
BARE_NEWLINE_IN_COMMAND = Reply(500, "5.5.2", "A command line ends with <CR><LF>, nothing else")
LINE_TOO_LONG = Reply(500, "5.5.2", "Command line too long")
AUTH_LINE_TOO_LONG = Reply(500, "5.5.6", "Authentication exchange line is too long")
BAD_SYNTAX = Reply(501, "5.5.2", "Syntax error")
HELLO_SYNTAX = Reply(501, "5.5.2", "Syntax: EHLO domain or address literal")
MAIL_SYNTAX = Reply(501, "5.5.2", "Syntax: MAIL FROM:<address> [parameters]")
RCPT_SYNTAX = Reply(501, "5.5.2", "Syntax: RCPT TO:<address> [parameters]")
NO_ARGUMENT = Reply(501, "5.5.4", "This command takes no argument")
BAD_PARAMETER = Reply(501, "5.5.4", "Parameter value not valid")
REPEATED_PARAMETER = Reply(501, "5.5.4", "A parameter is given twice")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognized or not implemented")
BAD_SENDER = Reply(553, "5.1.7", "Bad sender address syntax")
BAD_RECIPIENT = Reply(553, "5.1.3", "Bad recipient address syntax")
SENDER_LITERAL = Reply(553, "5.1.7", "Address literals are not accepted")
RECIPIENT_LITERAL = Reply(553, "5.1.3", "Address literals are not accepted")
NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "A non-ASCII address needs the SMTPUTF8 parameter")

# Authentication (RFC 4954 §4, §6).
AUTH_SYNTAX = Reply(501, "5.5.4", "Syntax: AUTH mechanism [initial-response]")
AUTH_CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")
BAD_BASE64 = Reply(501, "5.5.2", "Cannot decode this response as base64")
AUTH_UNAVAILABLE = Reply(454, "4.7.0", "Temporary authentication failure")

# What a message may be.
BARE_NEWLINE_OR_NUL = Reply(550, "5.6.11", "Message refused: bare CR, bare LF or NUL in it")
TOO_BIG = Reply(552, "5.3.4", "Message too big")
MEMORY_FULL = Reply(452, "4.3.1", "Too much mail in flight, try again in a minute")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients: send the others in another letter, at once")
CHUNK_SYNTAX = Reply(501, "5.5.4", "Syntax: BDAT size [LAST]; closing, for the chunk cannot be told")
CHUNK_TOO_BIG = Reply(552, "5.3.4", "Chunk too big; closing")

# Good-bye, and why (421 closes the connection: RFC 5321 §3.8).
OUT_OF_TURN = Reply(554, "5.5.0", "SMTP protocol synchronization: talking out of turn")
TIMED_OUT = Reply(421, "4.4.2", "Timeout, closing")
TOO_SLOW = Reply(421, "4.4.2", "Sending too slowly, closing")
SHUTTING_DOWN = Reply(421, "4.3.2", "Shutting down, try again later")
LOGIN_OVER = Reply(421, "4.7.0", "What you logged in with is no longer valid, log in again")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors, closing")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "Too many connections, try again in a minute")
TOO_MANY_MESSAGES = Reply(421, "4.7.0", "Too many messages on this connection, open another at once")
TLS_FAILED = Reply(454, "4.7.0", "TLS not available")
INTERNAL = Reply(451, "4.3.0", "Temporary failure, try again later")


def greeting(hostname: str) -> Reply:
    return Reply(220, "", f"{hostname} ESMTP")


def hello(hostname: str) -> Reply:
    return Reply(250, "", hostname)


def extended_hello(hostname: str, keywords: Sequence[str]) -> bytes:
    """The lines of EHLO (RFC 5321 §4.1.1.1)."""
    lines = [hostname, *keywords]
    body = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
    return body.encode("ascii")


def challenge(base64: str) -> bytes:
    """A SASL challenge; the empty one is `334 ` with its space (RFC 4954 §4)."""
    return f"334 {base64}\r\n".encode("ascii")


def accepted(reference: str) -> Reply:
    return Reply(250, "2.0.0", f"Accepted {reference}")


def chunk_taken(octets: int) -> Reply:
    return Reply(250, "2.0.0", f"{octets} octets received")
