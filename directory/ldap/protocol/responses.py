"""What is answered (RFC 4511 §4), encoded. Referrals are never given, so none is written, not even an empty one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from directory.ldap.protocol import ber
from directory.ldap.protocol.codes import NOTICE_OF_DISCONNECTION, ResultCode
from directory.ldap.protocol.messages import ANSWERS, BIND, EXTENDED, EXTENDED_ANSWER, SEARCH

Attributes = Iterable[tuple[str, Sequence[bytes]]]
_ENTRY = 0x64


def result(
    message_id: int,
    request: int,
    code: ResultCode,
    words: str = "",
    *,
    matched: str = "",
    controls: Sequence[bytes] = (),
) -> bytes:
    """The last answer to a request tagged `request`."""
    return _message(
        message_id, ANSWERS.get(request, EXTENDED_ANSWER), _result(code, words, matched), controls
    )


def bound(message_id: int, code: ResultCode, words: str = "", credentials: bytes | None = None) -> bytes:
    """RFC 4511 §4.2.2"""
    contents = _result(code, words, "")
    if credentials is not None:
        contents += ber.octets(credentials, 0x87)
    return _message(message_id, ANSWERS[BIND], contents)


def extended(
    message_id: int, code: ResultCode, words: str = "", *, name: str = "", value: bytes | None = None
) -> bytes:
    """RFC 4511 §4.12"""
    contents = _result(code, words, "")
    if name:
        contents += ber.octets(name.encode(), 0x8A)
    if value is not None:
        contents += ber.octets(value, 0x8B)
    return _message(message_id, EXTENDED_ANSWER, contents)


def notice(code: ResultCode, words: str) -> bytes:
    """RFC 4511 §4.4.1: nobody asked, and the connection ends."""
    return extended(0, code, words, name=NOTICE_OF_DISCONNECTION)


def entry(message_id: int, name: str, attributes: Attributes) -> bytes:
    """RFC 4511 §4.5.2"""
    shown = b"".join(
        ber.value(
            ber.SEQUENCE,
            ber.octets(kind.encode()) + ber.value(ber.SET, b"".join([ber.octets(value) for value in values])),
        )
        for kind, values in attributes
    )
    return _message(message_id, _ENTRY, ber.octets(name.encode()) + ber.value(ber.SEQUENCE, shown))


def done(
    message_id: int,
    code: ResultCode = ResultCode.SUCCESS,
    words: str = "",
    *,
    matched: str = "",
    controls: Sequence[bytes] = (),
) -> bytes:
    return result(message_id, SEARCH, code, words, matched=matched, controls=controls)


def _message(message_id: int, tag: int, contents: bytes, controls: Sequence[bytes] = ()) -> bytes:
    whole = ber.number(message_id) + ber.value(tag, contents)
    if controls:
        whole += ber.sequence(controls, 0xA0)
    return ber.value(ber.SEQUENCE, whole)


def _result(code: ResultCode, words: str, matched: str) -> bytes:
    return ber.number(code, ber.ENUMERATED) + ber.octets(matched.encode()) + ber.octets(words.encode())


__all__ = ["EXTENDED", "bound", "done", "entry", "extended", "notice", "result"]
