"""The only writer: new header fields and entities, as bytes, for what the node itself says.

Invariants: lines end in CRLF and stay under 998 octets (78 where folding allows, RFC 5322 §2.1.1); a value
cannot open a second field, for CR, LF and NUL never pass; what is read from others is never rewritten here.
"""

from __future__ import annotations

import binascii
import datetime
import re
import secrets
from collections.abc import Iterable, Sequence
from urllib.parse import quote

_LINE = 76
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]+")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def header_field(name: str, value: str | bytes) -> bytes:
    """`Name: value` folded; what is not ASCII in encoded words (RFC 2047). For unstructured fields."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    text = _UNSAFE.sub(" ", text).strip()
    label = _field_name(name)
    if text.isascii() and "=?" not in text:
        return _folded(label, text.split(" "))
    return _folded(label, encoded_words(text, len(label)))


def encoded_words(text: str, used: int = 0) -> list[str]:
    """RFC 2047 §2: words of at most 75 characters, never cutting a character."""
    words: list[str] = []
    room = min(45, max((_LINE - used - 12) * 3 // 4, 12))
    chunk = b""
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(chunk) + len(octets) > room:
            words.append(_encoded_word(chunk))
            chunk, room = b"", 45
        chunk += octets
    if chunk or not words:
        words.append(_encoded_word(chunk))
    return words


def _encoded_word(octets: bytes) -> str:
    return f"=?utf-8?b?{binascii.b2a_base64(octets, newline=False).decode('ascii')}?="


def _field_name(name: str) -> str:
    return re.sub(r"[^!-9;-~]", "", name)


def _folded(name: str, words: Iterable[str]) -> bytes:
    """`Name: words`, broken before the word that would pass the limit."""
    lines: list[str] = []
    line = f"{name}:"
    filled = False  # a line of white space alone is obsolete syntax (RFC 5322 §4.2): fold only after a word
    for word in words:
        if filled and word and len(line) + 1 + len(word) > _LINE:
            lines.append(line)
            line = ""
        line += " " + word
        filled = filled or bool(word)
    lines.append(line)
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n"


def address_field(name: str, people: Sequence[tuple[str, str]]) -> bytes:
    """A From, To or Cc field from pairs of display name and `local@domain`."""
    words: list[str] = []
    for index, (display, spec) in enumerate(people):
        comma = "," if index < len(people) - 1 else ""
        spec = _UNSAFE.sub("", spec)
        if display:
            words.extend(phrase(display))
            words.append(f"<{spec}>{comma}")
        else:
            words.append(f"{spec}{comma}")
    return _folded(_field_name(name), words)


def phrase(display: str) -> list[str]:
    """A display name as words that may be folded between: bare, quoted, or encoded."""
    display = _UNSAFE.sub(" ", display).strip()
    if not display.isascii() or "=?" in display:
        return encoded_words(display, 10)
    if _PHRASE.fullmatch(display):
        return display.split()
    return ['"' + display.replace("\\", "\\\\").replace('"', '\\"') + '"']


def date_text(ms: int) -> bytes:
    """RFC 5322 §3.3, in UTC; names of days and months are not the locale's."""
    at = datetime.datetime.fromtimestamp(ms // 1000, datetime.UTC)
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year:04d} {at:%H:%M:%S} +0000"
    ).encode("ascii")


def parameter(name: str, value: str) -> bytes:
    """`name=value`, quoted when it must be, RFC 2231 when it is not ASCII."""
    value = _UNSAFE.sub(" ", value)
    if not value.isascii():
        encoded = quote(value, safe="!#$&+-.^_`|~", errors="replace")
        return f"{name}*=utf-8''{encoded}".encode("ascii")
    if _TOKEN.fullmatch(value):
        return f"{name}={value}".encode("ascii")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'.encode("ascii")


def new_boundary() -> str:
    """128 random bits; `=_` can stand in no base64 and no quoted-printable line."""
    return "=_" + secrets.token_hex(16)


def new_message_id(domain: str) -> str:
    return f"<{secrets.token_hex(16)}@{_UNSAFE.sub('', domain)}>"


def text_part(text: str, subtype: str = "plain") -> bytes:
    """A text entity in UTF-8: as it is when ASCII and short-lined, else quoted-printable."""
    body = "\r\n".join(text.splitlines()) + "\r\n"
    octets = body.encode("utf-8", "replace")
    if body.isascii() and all(len(line) < 900 for line in body.split("\r\n")):
        encoding = b"7bit"
    else:
        encoding = b"quoted-printable"
        octets = b"".join(
            binascii.b2a_qp(line, istext=True).replace(b"=\n", b"=\r\n") + b"\r\n"
            for line in octets.removesuffix(b"\r\n").split(b"\r\n")
        )
    return b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (
        subtype.encode("ascii", "replace"),
        encoding,
        octets,
    )


def attachment_part(data: bytes, content_type: str, filename: str) -> bytes:
    """An attachment in base64."""
    head = b"Content-Type: %b;\r\n %b\r\nContent-Disposition: attachment;\r\n %b\r\n" % (
        _UNSAFE.sub("", content_type).encode("ascii", "replace"),
        parameter("name", filename),
        parameter("filename", filename),
    )
    return head + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64_lines(data)


def base64_lines(data: bytes) -> bytes:
    """Base64 in lines of 76, CRLF (RFC 2045 §6.8)."""
    encode = binascii.b2a_base64
    return b"".join([encode(data[at : at + 57], newline=False) + b"\r\n" for at in range(0, len(data), 57)])


def multipart(
    subtype: str, parts: Sequence[bytes], boundary: str | None = None, params: bytes = b""
) -> tuple[bytes, bytes]:
    """The Content-Type field and the body of a multipart around whole entities."""
    boundary = boundary or new_boundary()
    line = boundary.encode("ascii", "replace")
    field = b'Content-Type: multipart/%b;%b\r\n boundary="%b"\r\n' % (
        subtype.encode("ascii", "replace"),
        b" " + params + b";" if params else b"",
        line,
    )
    body = b"".join([b"--%b\r\n%b\r\n" % (line, part) for part in parts]) + b"--%b--\r\n" % line
    return field, body
