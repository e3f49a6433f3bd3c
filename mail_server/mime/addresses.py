"""Address lists (RFC 5322 §3.4 and its obsolete forms), as people and programs really write them.

Invariants: never raises, linear in its input, at most `MAX_ADDRESSES` per list; the bytes that IMAP must show
(`raw_*`, quoting removed, encoded words left) and the text a person reads come from one reading of the field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mail_server.mime.charsets import decode_text
from mail_server.mime.headers import decoded, unfold

MAX_ADDRESSES = 5000
_MAX_TOKENS = 60_000  # of what does not look like an address at once

# The two shapes of nearly every address: `"Name" <local@domain>` or `Name <...>`, and `local@domain`.
_PLAIN = re.compile(
    rb"[\s,]*+(?:"
    rb'(?:"([^"\\]*+)"|([^"<>()\[\],;:\\@]*+))\s*+<([^\s"<>()\[\],;:\\@]++)@([^\s"<>()\[\],;:\\@]++)>'
    rb'|([^\s"<>()\[\],;:\\@]++)@([^\s"<>()\[\],;:\\@]++)'
    rb")\s*+(?:,|(?=;)|\Z)"
)
_TOKEN = re.compile(
    rb'(\s++)|"((?:[^"\\]|\\.)*+)"|(\[(?:[^\[\]\\]|\\.)*+\])|([^\s"(),:;<>@\[\]\\]++)|\\(.)|(.)', re.DOTALL
)
_COMMENT = re.compile(rb"\\.|[()]", re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_DOT_ATOM = re.compile(r"[^\s\"(),:;<>@\[\]\\\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Address:
    raw_name: bytes | None = field(repr=False)
    raw_local: bytes = field(repr=False)
    raw_domain: bytes = field(repr=False)
    route: bytes | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return decoded(self.raw_name) if self.raw_name else ""

    @property
    def local(self) -> str:
        return decode_text(self.raw_local)

    @property
    def domain(self) -> str:
        return decode_text(self.raw_domain)

    @property
    def spec(self) -> str:
        """`local@domain`, the local part quoted when it must be: two addresses never look the same."""
        local = self.local
        if _DOT_ATOM.fullmatch(local) is None:
            local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{local}@{self.domain}" if self.raw_domain else local


@dataclass(frozen=True, slots=True)
class Group:
    raw_name: bytes = field(repr=False)
    members: tuple[Address, ...] = field(repr=False)

    @property
    def name(self) -> str:
        return decoded(self.raw_name)


def parse(value: bytes, cap: int = MAX_ADDRESSES) -> list[Address | Group]:
    """The addresses and groups of a field's value, in order."""
    if b"\n" in value:
        value = unfold(value)
    found: list[Address | Group] = []
    group: bytes | None = None
    members: list[Address] = []
    position, end, tokens = 0, len(value), _MAX_TOKENS
    while position < end and cap > 0 and tokens > 0:
        cap -= 1
        match = _PLAIN.match(value, position)
        if match is not None:
            quoted, bare, local, domain, only_local, only_domain = match.groups()
            position = match.end()
            if only_local is not None:
                address = Address(None, only_local, only_domain)
            else:
                address = Address((bare.strip() if quoted is None else quoted) or None, local, domain)
        else:
            reader = _Reader(value, position, group is not None, tokens)
            position, tokens = reader.end, reader.tokens
            if reader.opens_group:
                group, members = reader.name or b"", []
                continue
            address = reader.address
        if address is not None:
            (found if group is None else members).append(address)
        if value[position : position + 1] == b";":
            position += 1
            if group is not None:
                found.append(Group(group, tuple(members)))
                group = None
    if group is not None:
        found.append(Group(group, tuple(members)))
    return found


def mailboxes(value: bytes) -> list[Address]:
    """The addresses of a field's value, those in groups too."""
    found: list[Address] = []
    for entry in parse(value):
        if isinstance(entry, Group):
            found.extend(entry.members)
        else:
            found.append(entry)
    return found


class _Reader:
    """Reads one address, or the opening of a group, token by token; stops before `;` and after `,` or `:`."""

    __slots__ = (
        "address",
        "angle",
        "at",
        "comment",
        "end",
        "local",
        "name",
        "opens_group",
        "route",
        "tokens",
        "words",
    )

    def __init__(self, value: bytes, position: int, in_group: bool, tokens: int) -> None:
        self.tokens = tokens
        self.words: list[bytes] = []  # of what is being read: a phrase, a local part or a domain
        self.name: bytes | None = None
        self.comment: bytes | None = None
        self.local: bytes | None = None
        self.route: bytes | None = None
        self.angle = 0  # 0 before "<", 1 inside, 2 after ">"
        self.at = False
        self.opens_group = False
        self.end = self._read(value, position, in_group)
        self.address = None if self.opens_group else self._finish()

    def _read(self, value: bytes, position: int, in_group: bool) -> int:
        end = len(value)
        while position < end:
            match = _TOKEN.match(value, position)
            if match is None:  # one alternative takes any byte
                break
            position = match.end()
            self.tokens -= 1
            if self.tokens < 0:
                return end
            kind = match.lastindex
            if kind == 1:
                if self.words and self.angle != 1 and not self.at:
                    self.words.append(b" ")
            elif self.angle == 2 and kind != 6:
                pass  # whatever follows ">"
            elif kind == 2:
                text = match[2]
                self.words.append(_QUOTED_PAIR.sub(rb"\1", text) if b"\\" in text else text)
            elif kind != 6:
                self.words.append(match[kind or 0])
            elif (token := match[6]) == b"(":
                position = self._read_comment(value, position)
            elif token == b";":
                return position - 1
            elif token == b"," and not (self.angle == 1 and self._in_route()):
                if self.at or self.words or self.angle or self.comment:
                    return position
            elif token == b":" and not self.angle and not self.at and not in_group:
                self.opens_group = True
                self.name = self._text()
                return position
            else:
                self._special(token)
        return end

    def _special(self, token: bytes) -> None:
        if token == b"<" and self.angle == 0:
            self.angle = 1
            phrase = self._text()
            if self.at:  # an address stands where a name should: keep what it said
                phrase = (self.local or b"") + b"@" + phrase
                self.at, self.local = False, None
            self.name = phrase or None
        elif token == b">" and self.angle == 1:
            self.angle = 2
        elif token == b":" and self.angle == 1 and self._in_route():
            self.route = self._text()  # RFC 5322 §4.4: a source route
        elif self.angle == 2:
            pass
        elif token == b"@" and not self.at and (self.angle != 1 or self.words):
            if self.angle == 1 and self._in_route():
                self.words.append(token)
            else:
                self.local = self._text()
                self.at = True
        else:
            self.words.append(token)

    def _in_route(self) -> bool:
        return bool(self.words) and self.words[0] == b"@"

    def _text(self) -> bytes:
        text = b"".join(self.words).strip()
        self.words = []
        return text

    def _read_comment(self, value: bytes, position: int) -> int:
        """Past the comment opened just before `position`; an unclosed one runs to the end."""
        depth, start = 1, position
        while (match := _COMMENT.search(value, position)) is not None:
            position = match.end()
            if match[0] == b"(":
                depth += 1
            elif match[0] == b")":
                depth -= 1
                if not depth:
                    self.comment = _QUOTED_PAIR.sub(rb"\1", value[start : position - 1]).strip()
                    return position
        return len(value)

    def _finish(self) -> Address | None:
        text = self._text()
        local, domain = (self.local or b"", text) if self.at else (text, b"")
        name = self.name or self.comment or None
        if not (local or domain or (name and self.angle)):
            return None
        return Address(name, local, domain, self.route)
