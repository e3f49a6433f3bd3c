"""SEARCH programs (RFC 3501 §6.4.4, RFC 4731, 5032, 5182, 7162, 8474, 8514).

Invariants: nesting and the number of keys are capped; search texts are unicode whatever way they came.
"""

from __future__ import annotations

from collections.abc import Callable

from mail_server.imap.protocol.commands import (
    Age,
    AllOf,
    AnyOf,
    BodyHas,
    Clock,
    Everything,
    Flagged,
    HeaderHas,
    Key,
    Keyword,
    ModSeqSince,
    Not,
    ObjectIdIs,
    OnDay,
    Search,
    SizeIs,
    Within,
)
from mail_server.imap.protocol.lexer import BadCharset, Lexer, Malformed

MAX_DEPTH = 40
MAX_KEYS = 2000
_CHARSETS = frozenset({"US-ASCII", "UTF-8", "ASCII", "UTF8"})
_RETURNS = frozenset({"MIN", "MAX", "ALL", "COUNT", "SAVE"})


def parse_search(lexer: Lexer, by_uid: bool) -> Search:
    lexer.space()
    returns = _returns(lexer)
    if _word_ahead(lexer, b"CHARSET"):
        lexer.at += len(b"CHARSET")
        lexer.space()
        if lexer.astring().decode("latin-1").upper() not in _CHARSETS:
            raise BadCharset("Charset not supported")
        lexer.space()
    reader = _Reader(lexer)
    keys = [reader.key(0)]
    while not lexer.finished:
        lexer.space()
        if lexer.finished:
            break
        keys.append(reader.key(0))
    return Search(keys[0] if len(keys) == 1 else AllOf(tuple(keys)), by_uid, returns)


def _word_ahead(lexer: Lexer, word: bytes) -> bool:
    end = lexer.at + len(word)
    return lexer.text[lexer.at : end].upper() == word and lexer.text[end : end + 1] in (b" ", b"")


def _returns(lexer: Lexer) -> frozenset[str] | None:
    """`RETURN (MIN COUNT) ` (RFC 4731 §3.1); empty parentheses mean ALL."""
    if not _word_ahead(lexer, b"RETURN"):
        return None
    lexer.at += len(b"RETURN")
    lexer.space()
    lexer.expect(b"(")
    wanted: set[str] = set()
    while not lexer.accept(b")"):
        option = lexer.word("a RETURN option")
        if option not in _RETURNS:
            raise Malformed("Unknown RETURN option")
        wanted.add(option)
        while lexer.accept(b" "):
            pass
    lexer.space()
    return frozenset(wanted or {"ALL"})


class _Reader:
    __slots__ = ("count", "lexer")

    def __init__(self, lexer: Lexer) -> None:
        self.lexer = lexer
        self.count = 0

    def key(self, depth: int) -> Key:
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_KEYS:
            raise Malformed("Search too complex")
        lexer = self.lexer
        if lexer.accept(b"("):
            return self._group(depth)
        if lexer.text[lexer.at : lexer.at + 1] in b"0123456789*$" and not lexer.finished:
            return Within(lexer.sequence_set(), by_uid=False)
        word = lexer.word("a search key")
        simple = _SIMPLE.get(word)
        if simple is not None:
            return simple
        if word == "NOT":
            lexer.space()
            return Not(self.key(depth + 1))
        if word == "OR":
            lexer.space()
            first = self.key(depth + 1)
            lexer.space()
            return AnyOf((first, self.key(depth + 1)))
        reader = _WITH_ARGUMENT.get(word)
        if reader is None:
            raise Malformed("Unknown search key")
        lexer.space()
        return reader(lexer, word)

    def _group(self, depth: int) -> Key:
        keys: list[Key] = []
        while True:
            keys.append(self.key(depth + 1))
            while self.lexer.accept(b" "):
                pass
            if self.lexer.accept(b")"):
                return keys[0] if len(keys) == 1 else AllOf(tuple(keys))


def _text(lexer: Lexer) -> str:
    raw = lexer.astring()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _header(lexer: Lexer, _: str) -> Key:
    name = lexer.astring().decode("latin-1").lower()
    lexer.space()
    return HeaderHas(name, _text(lexer))


def _address_or_subject(lexer: Lexer, word: str) -> Key:
    return HeaderHas(word.lower(), _text(lexer))


def _body(lexer: Lexer, word: str) -> Key:
    return BodyHas(_text(lexer), with_header=word == "TEXT")


def _day(lexer: Lexer, word: str) -> Key:
    for prefix, clock in (("SENT", Clock.SENT), ("SAVED", Clock.SAVED)):
        if word.startswith(prefix):
            return OnDay(clock, word[len(prefix) :], lexer.date())
    return OnDay(Clock.INTERNAL, word, lexer.date())


def _age(lexer: Lexer, word: str) -> Key:
    seconds = lexer.number()
    if seconds == 0:
        raise Malformed("Interval must be positive")
    return Age(word == "YOUNGER", seconds)


def _size(lexer: Lexer, word: str) -> Key:
    return SizeIs(word == "LARGER", lexer.number())


def _keyword(lexer: Lexer, word: str) -> Key:
    return Keyword(lexer.keyword(), word == "KEYWORD")


def _uid(lexer: Lexer, _: str) -> Key:
    return Within(lexer.sequence_set(), by_uid=True)


def _modseq(lexer: Lexer, _: str) -> Key:
    # RFC 7162 §3.1.5: an optional entry name and type may come first; flags share one modseq here.
    if lexer.ahead(b'"'):
        lexer.string()
        lexer.space()
        if lexer.word("shared, priv or all") not in ("SHARED", "PRIV", "ALL"):
            raise Malformed("Unknown entry type")
        lexer.space()
    return ModSeqSince(lexer.number())


def _object_id(lexer: Lexer, word: str) -> Key:
    return ObjectIdIs(word, lexer.astring().decode("latin-1"))


_UNSEEN = Flagged("seen", False)
_RECENT = Flagged("recent", True)
_STORED_FLAGS = ("seen", "answered", "flagged", "deleted", "draft")
_SIMPLE: dict[str, Key] = {
    "ALL": Everything(),
    "SAVEDATESUPPORTED": Everything(),
    "NEW": AllOf((_RECENT, _UNSEEN)),
    "OLD": Flagged("recent", False),
    "RECENT": _RECENT,
    **{name.upper(): Flagged(name, True) for name in ("seen", "answered", "flagged", "deleted", "draft")},
    **{
        "UN" + name.upper(): Flagged(name, False)
        for name in ("seen", "answered", "flagged", "deleted", "draft")
    },
}
_WITH_ARGUMENT: dict[str, Callable[[Lexer, str], Key]] = {
    **dict.fromkeys(("BCC", "CC", "FROM", "SUBJECT", "TO"), _address_or_subject),
    "HEADER": _header,
    **dict.fromkeys(("BODY", "TEXT"), _body),
    **{
        prefix + day: _day
        for prefix in ("", "SENT", "SAVED")
        for day in ("BEFORE", "ON", "SINCE")
    },
    **dict.fromkeys(("YOUNGER", "OLDER"), _age),
    **dict.fromkeys(("LARGER", "SMALLER"), _size),
    **dict.fromkeys(("KEYWORD", "UNKEYWORD"), _keyword),
    "UID": _uid,
    "MODSEQ": _modseq,
    **dict.fromkeys(("EMAILID", "THREADID"), _object_id),
}  # fmt: skip
