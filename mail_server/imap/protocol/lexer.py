"""Tokens of one command: text with its literals set aside, walked by regular expressions.

A command reaches the lexer as `text` (its lines joined, each literal's `{n}` left in place) and the
`literals` in order. A `{` can begin nothing else outside quotes, so each marker takes the next literal.

Invariants: a position never goes back; the only exception raised is `Malformed`, whose text holds no input.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

from mail_server.imap.protocol.commands import FlagList
from mail_server.imap.protocol.sequence import SequenceSet, parse_set
from mail_server.imap.protocol.utf7 import decode, decode_utf8


class Malformed(Exception):
    """The command does not follow the grammar: answered BAD."""


class BadCharset(Malformed):
    """SEARCH in a charset we do not read: answered NO [BADCHARSET] (RFC 3501 §6.4.4)."""


# RFC 9051 §9: ATOM-CHAR, tolerant of 8-bit octets (clients send raw UTF-8 names).
ATOM = re.compile(rb'[^\x00-\x20\x7f(){%*"\\\]]+')
ASTRING = re.compile(rb'[^\x00-\x20\x7f(){%*"\\]+')
LIST_ATOM = re.compile(rb'[^\x00-\x20\x7f(){"\\]+')
QUOTED = re.compile(rb'"([^"\\\r\n\x00]*(?:\\[^\r\n\x00][^"\\\r\n\x00]*)*)"')
MARKER = re.compile(rb"~?\{\d+\+?\}")
NUMBER = re.compile(rb"\d{1,20}")
SET = re.compile(rb"[0-9*:,]+|\$")
FLAG = re.compile(rb'\\?[^\x00-\x20\x7f(){%*"\\\]]+|\\\*')
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_DATE = re.compile(rb'"?(\d{1,2})-([A-Za-z]{3})-(\d{4})"?')
_DATE_TIME = re.compile(rb'"([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"')
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
SYSTEM_FLAGS = frozenset({"seen", "answered", "flagged", "deleted", "draft", "recent"})
MAX_KEYWORD = 200
MAX_MAILBOX_NAME = 1000  # octets of UTF-8


class Lexer:
    __slots__ = ("_literals", "_next", "at", "text", "utf8")

    def __init__(self, text: bytes, literals: Sequence[bytes] = (), utf8: bool = False) -> None:
        self.text = text
        self.at = 0
        self.utf8 = utf8
        self._literals = literals
        self._next = 0

    # ── steps ──

    def ahead(self, token: bytes) -> bool:
        return self.text.startswith(token, self.at)

    def accept(self, token: bytes) -> bool:
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def expect(self, token: bytes) -> None:
        if not self.accept(token):
            raise Malformed("Missing " + ("space" if token == b" " else repr(token.decode("ascii"))))

    def space(self) -> None:
        """One space; more are tolerated, as every server in use does."""
        if not self.accept(b" "):
            raise Malformed("Missing space or argument")
        while self.accept(b" "):
            pass

    def end(self) -> None:
        while self.accept(b" "):
            pass
        if self.at != len(self.text):
            raise Malformed("Unexpected text after the last argument")

    @property
    def finished(self) -> bool:
        return self.at >= len(self.text)

    def take(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise Malformed(f"Expected {what}")
        self.at = match.end()
        return match[0]

    def word(self, what: str = "a keyword") -> str:
        return self.take(ATOM, what).decode("latin-1").upper()

    # ── strings ──

    def _quoted_or_literal(self) -> bytes | None:
        start = self.text[self.at : self.at + 1]
        if start == b'"':
            match = QUOTED.match(self.text, self.at)
            if match is None:
                raise Malformed("Unfinished quoted string")
            self.at = match.end()
            value = match[1]
            return _ESCAPE.sub(rb"\1", value) if b"\\" in value else value
        if start == b"{" or self.ahead(b"~{"):
            self.take(MARKER, "a literal")
            if self._next >= len(self._literals):
                raise Malformed("Missing literal")
            value = self._literals[self._next]
            self._next += 1
            return value
        return None

    def string(self) -> bytes:
        value = self._quoted_or_literal()
        if value is None:
            raise Malformed("Expected a string")
        return value

    def nstring(self) -> bytes | None:
        value = self._quoted_or_literal()
        if value is None:
            if self.word("a string or NIL") != "NIL":
                raise Malformed("Expected a string or NIL")
            return None
        return value

    def astring(self) -> bytes:
        """NIL is a legal atom here: a mailbox or a keyword may be called so."""
        value = self._quoted_or_literal()
        return self.take(ASTRING, "a string") if value is None else value

    def mailbox(self) -> str:
        return self.name(self.astring())

    def pattern(self) -> str:
        value = self._quoted_or_literal()
        return self.name(self.take(LIST_ATOM, "a mailbox pattern") if value is None else value)

    def name(self, raw: bytes) -> str:
        if len(raw) > MAX_MAILBOX_NAME:
            raise Malformed("Mailbox name too long")
        name = decode_utf8(raw) if self.utf8 else decode(raw)
        # RFC 9051 §5.1: INBOX is case-blind, also as the first level of a hierarchy.
        if name[:5].upper() == "INBOX" and (len(name) == 5 or name[5] == "/"):
            return "INBOX" + name[5:]
        return name

    # ── numbers, sets, dates, flags ──

    def number(self) -> int:
        value = int(self.take(NUMBER, "a number"))
        if value > 0x7FFFFFFFFFFFFFFF:
            raise Malformed("Number too large")
        return value

    def sequence_set(self) -> SequenceSet:
        parsed = parse_set(self.take(SET, "a message set"))
        if parsed is None:
            raise Malformed("Invalid message set")
        return parsed

    def date(self) -> datetime.date:
        match = _DATE.match(self.text, self.at)
        if match is None:
            raise Malformed("Expected a date such as 1-Jan-2026")
        self.at = match.end()
        try:
            return datetime.date(int(match[3]), _month(match[2]), int(match[1]))
        except ValueError:
            raise Malformed("No such day") from None

    def date_time(self) -> int:
        """RFC 9051 §9 `date-time`, as milliseconds since the epoch."""
        match = _DATE_TIME.match(self.text, self.at)
        if match is None:
            raise Malformed("Expected a date and time")
        self.at = match.end()
        offset = int(match[8]) * 60 + int(match[9])
        if offset >= 24 * 60:
            raise Malformed("No such time zone")
        try:
            moment = datetime.datetime(
                int(match[3]),
                _month(match[2]),
                int(match[1]),
                int(match[4]),
                int(match[5]),
                min(int(match[6]), 59),
                tzinfo=datetime.UTC,
            )
        except ValueError:
            raise Malformed("No such date and time") from None
        seconds = int(moment.timestamp()) - (offset if match[7] == b"+" else -offset) * 60
        if seconds < 0:
            raise Malformed("Date before 1970")
        return seconds * 1000

    def flag_list(self) -> FlagList:
        """`(\\Seen Work)`, or the same without parentheses as STORE allows."""
        if not self.accept(b"("):
            return self._flags_until(None)
        return self._flags_until(b")")

    def _flags_until(self, closing: bytes | None) -> FlagList:
        system: set[str] = set()
        keywords: dict[str, None] = {}
        while True:
            while self.accept(b" "):
                pass
            if closing is not None and self.accept(closing):
                break
            if self.finished:
                if closing is not None or not (system or keywords):
                    raise Malformed("Unfinished flag list")
                break
            flag = self.take(FLAG, "a flag").decode("latin-1")
            if not flag.startswith("\\"):
                if len(flag) > MAX_KEYWORD or not flag.isascii():
                    raise Malformed("Keyword too long or not ASCII")
                keywords[flag] = None
                continue
            name = flag[1:].lower()
            if name not in SYSTEM_FLAGS:
                raise Malformed("Unknown system flag")
            system.add(name)
        return FlagList(frozenset(system), tuple(keywords))

    def keyword(self) -> str:
        word = self.take(ATOM, "a keyword").decode("latin-1")
        if len(word) > MAX_KEYWORD or not word.isascii():
            raise Malformed("Keyword too long or not ASCII")
        return word


def _month(name: bytes) -> int:
    try:
        return MONTHS.index(name.decode("ascii").lower()) + 1
    except ValueError:
        raise Malformed("No such month") from None
