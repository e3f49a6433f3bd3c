"""What a letter's header says of signatures: DKIM-Signature fields and ARC sets, read strictly. Pure.

Strangers wrote it. Invariants: never raises; what is not exactly as RFC 6376 and RFC 8617 write it is a fault, so that
what verifies a mark and what reads it cannot mean two things; what is read is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mail_server.mime import Field

MOST_SIGNATURES = 5  # verified of one letter
_MOST_READ = 25  # fields of one letter: thousands would hold the loop, and no letter has so many
_MOST_NAMES = 500  # in h=
MOST_SETS = 5  # of an ARC chain; more hands than that carry no letter here
_LONGEST = 16_384  # octets of a signature's field
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]*+")
_SPACE = re.compile(r"[ \t\r\n]++")
_NUMBER = re.compile(r"[0-9]{1,12}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 §3.6.8
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_ALGORITHMS = frozenset({"rsa-sha256", "ed25519-sha256"})
_CANONICAL = frozenset({"simple", "relaxed"})
_ARC_PARTS = ("arc-authentication-results", "arc-message-signature", "arc-seal")
_INSTANCE = re.compile(r"i[ \t]*=[ \t]*([0-9]{1,2})[ \t]*;")


@dataclass(frozen=True, slots=True)
class Mark:
    """One signature as its field says it is, before anything is verified."""

    index: int  # among the fields of its name, from the top
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    names: tuple[str, ...] = ()  # h=
    identity: str = ""  # domain of i=; "" when it is d=
    begun: str = ""  # first characters of b=, by which it is told from others (RFC 6008)
    signed_at: int | None = None
    expires_at: int | None = None
    partly: bool = False  # l=: what follows so much of the body is anybody's
    fault: str = ""  # why it cannot be verified

    @property
    def key_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class Chain:
    """An ARC chain: its sets, the oldest first."""

    messages: tuple[Mark, ...] = ()  # ARC-Message-Signature
    seals: tuple[Mark, ...] = ()  # ARC-Seal
    failed_before: bool = False  # cv=fail: who sealed it last found it broken
    fault: str = ""

    @property
    def marks(self) -> tuple[Mark, ...]:
        return self.messages + self.seals


@dataclass(frozen=True, slots=True)
class Marks:
    signatures: tuple[Mark, ...] = field(default=())
    chain: Chain | None = None

    def __bool__(self) -> bool:
        return bool(self.signatures) or self.chain is not None


def read(fields: Sequence[Field], author_domain: str) -> Marks:
    """The signatures of the author's domain come first, then the others, as far as they are verified at all."""
    found = [one for one in fields if one.name == "dkim-signature"][:_MOST_READ]
    signatures = [signature(one, at) for at, one in enumerate(found)]
    signatures.sort(key=lambda one: (one.domain != author_domain, one.index))
    return Marks(tuple(signatures[:MOST_SIGNATURES]), chain(fields))


def tags(value: str) -> Mapping[str, str] | None:
    """A tag list (RFC 6376 §3.2); None when it is ill-formed. Values are trimmed."""
    parts = value.split(";")
    if not parts[-1].strip():
        parts.pop()
    found: dict[str, str] = {}
    for part in parts:
        name, equals, text = part.partition("=")
        name = name.strip()
        # A tag that stands twice makes the whole list void.
        if not equals or _TAG.fullmatch(name) is None or name in found:
            return None
        found[name] = text.strip()
    return found


def signature(one: Field, index: int) -> Mark:
    """A DKIM-Signature (RFC 6376 §3.5)."""
    told = _told(one)
    if told is None:
        return Mark(index, fault="ill-formed")
    mark = _mark(told, index)
    if mark.fault:
        return mark
    if told.get("v") != "1":
        return _faulty(mark, "version")
    if "from" not in mark.names:
        return _faulty(mark, "From is not signed")
    if mark.identity and mark.identity != mark.domain and not mark.identity.endswith("." + mark.domain):
        return _faulty(mark, "i= is outside d=")
    return mark


def chain(fields: Sequence[Field]) -> Chain | None:
    """None: the letter has no ARC field (RFC 8617 §5.2)."""
    parts: dict[str, list[tuple[int, Field]]] = {name: [] for name in _ARC_PARTS}
    for one in fields:
        if one.name in parts:
            if len(parts[one.name]) > MOST_SETS:
                return Chain(fault="too many sets")
            found = _INSTANCE.match(_text(one))
            parts[one.name].append((int(found[1]) if found else 0, one))
    count = max(len(found) for found in parts.values())
    if not count:
        return None
    if count > MOST_SETS:
        return Chain(fault="too many sets")
    # Each instance once, the newest on top: what is verified goes by position, what is read by number.
    if any([at for at, _ in found] != list(range(count, 0, -1)) for found in parts.values()):
        return Chain(fault="sets are not whole and in order")
    messages = [_message_signature(one, count - at) for at, (_, one) in enumerate(parts[_ARC_PARTS[1]])]
    seals = [_told(one) for _, one in parts[_ARC_PARTS[2]]]
    marks: list[Mark] = []
    for at, told in enumerate(seals):
        instance = count - at
        if told is None or "h" in told:
            return Chain(fault="ill-formed seal")
        # RFC 8617 §5.1.1: the first set says none, each later one says what was found.
        if told.get("cv") not in (("none",) if instance == 1 else ("pass", "fail")):
            return Chain(fault="cv")
        marks.append(_mark({**told, "h": "from", "bh": "AAAA"}, instance))
    fault = next((one.fault for one in (*messages, *marks) if one.fault), "")
    newest = seals[0]
    failed = newest is not None and newest.get("cv") == "fail"
    return Chain(tuple(reversed(messages)), tuple(reversed(marks)), failed, fault)


def _message_signature(one: Field, instance: int) -> Mark:
    told = _told(one)
    if told is None:
        return Mark(instance, fault="ill-formed")
    mark = _mark({**told, "i": ""}, instance)
    if mark.fault:
        return mark
    if mark.partly:
        return _faulty(mark, "l=")
    if "from" not in mark.names or set(mark.names) & {"arc-seal", "authentication-results"}:
        return _faulty(mark, "h=")
    return mark


def _mark(told: Mapping[str, str], index: int) -> Mark:
    domain, selector = told.get("d", "").lower(), told.get("s", "").lower()
    stamped, ending = _number(told.get("t")), _number(told.get("x"))
    names = tuple(one.strip().lower() for one in told.get("h", "").split(":", _MOST_NAMES))
    mark = Mark(
        index=index,
        domain=domain if _is_name(domain) else "",
        selector=selector if _is_name(selector) else "",
        algorithm=told.get("a", "").lower(),
        names=names,
        identity=told.get("i", "").rpartition("@")[2].lower(),
        begun=_solid(told.get("b", ""))[:8],
        signed_at=stamped,
        expires_at=ending,
        partly="l" in told,
    )
    canonical = told.get("c", "simple").split("/")
    faults = {
        "d= or s=": not mark.domain or not mark.selector,
        "a=": mark.algorithm not in _ALGORITHMS,  # RFC 8301 §3.1: rsa-sha1 is not to be verified
        "c=": len(canonical) > 2 or not set(canonical) <= _CANONICAL,
        "h=": len(names) > _MOST_NAMES or not all(_NAME.fullmatch(one) for one in names),
        "b=": _BASE64.fullmatch(_solid(told.get("b", ""))) is None,
        "bh=": _BASE64.fullmatch(_solid(told.get("bh", ""))) is None,
        "q=": told.get("q", "dns/txt") != "dns/txt",
        "t=": stamped is None and "t" in told,
        "x=": ending is None and "x" in told,
    }
    return _faulty(mark, next((name for name, wrong in faults.items() if wrong), ""))


def _told(one: Field) -> Mapping[str, str] | None:
    if len(one.raw) > _LONGEST:
        return None
    return tags(_text(one))


def _text(one: Field) -> str:
    """What is not ASCII belongs into no tag: it becomes a mark that no rule lets pass."""
    return one.value.decode("ascii", "replace")


def _is_name(name: str) -> bool:
    return len(name) <= 253 and all(_LABEL.fullmatch(one) for one in name.split("."))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


def _solid(text: str) -> str:
    return _SPACE.sub("", text)


def _faulty(mark: Mark, fault: str) -> Mark:
    if not fault:
        return mark
    return Mark(
        index=mark.index,
        domain=mark.domain,
        selector=mark.selector,
        algorithm=mark.algorithm if mark.algorithm in _ALGORITHMS else "",
        begun=mark.begun if _BASE64.fullmatch(mark.begun) else "",
        fault=fault,
    )
