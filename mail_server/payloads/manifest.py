"""The manifest: what structured items a message carries, written down inside its seal (DESIGN §1, "Payloads").

It is drawn from the content of a letter that came in clear, by `find`; a letter that a composer of ours sealed carries
one as a part (`MEDIA_TYPE`), under its author's signature. The page draws the same from what it opens:
`tests/webmail/vectors/manifests.json` holds both sides to one answer.

Invariants: a manifest names no more than its own letter holds (each item's `hash` is of bytes that are there); reading
one never raises and never drops an item, whatever its kind; what is written fits `LIMIT`; nothing of it is ever logged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Final, cast

MEDIA_TYPE: Final = "application/vnd.vaguemestre.manifest+json"
VERSION: Final = 1
LIMIT: Final = 12_288  # octets of JSON
ITEMS: Final = 100  # items of one letter
_TEXT: Final = 1000  # characters of one field, `ics` apart
ICS: Final = 4096  # characters of an appointment carried whole
_LIST: Final = 20
_READ: Final = 65_536  # octets that are read at all
_DEPTH: Final = 64

# Kinds that this version knows; any other is kept as it came and shown as an attachment.
DOCUMENT: Final = "document"  # a CDA of an IHE_XDM archive, by its XDS entry
FHIR: Final = "fhir"  # a FHIR R4 document (Bundle of type "document")
APPOINTMENT: Final = "appointment"  # one iCalendar component under one iTIP method
WITHDRAWAL: Final = "withdrawal"  # its author takes documents back
FILE: Final = "file"  # a file the patient put into the record
ENTRY: Final = "entry"  # an entry of the medical profile, as a FHIR resource
DECISION: Final = "decision"  # what the patient decided about items: masked, archived, refused


def _many() -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Item:
    """One structured item. A field that says nothing is "", 0 or (); JSON leaves it out. All times are ISO 8601."""

    kind: str
    id: str = ""  # uniqueId of a document, identifier of a FHIR bundle, UID of an appointment
    type: str = ""  # code of the document type (JDV_J07), e.g. "11502-2"
    class_: str = ""  # code of the class (JDV_J57)
    format: str = ""  # format code (JDV_J60)
    title: str = field(default="", repr=False)
    at: str = ""  # when it happened: beginning of the act, or creation
    made: str = ""  # when the document was made
    author: str = field(default="", repr=False)
    confidentiality: tuple[str, ...] = field(default_factory=_many)
    facility: str = ""
    setting: str = ""
    hash: str = ""  # SHA-256 of the item's bytes, lower-case hex
    size: int = 0
    part: str = ""  # section number of the MIME part (RFC 9051 §6.4.5), "2" or "2.1"
    entry: str = ""  # path inside the archive
    set: str = ""  # CDA setId
    version: int = 0
    replaces: tuple[str, ...] = field(default_factory=_many)
    withdraws: tuple[str, ...] = field(default_factory=_many)
    targets: tuple[str, ...] = field(default_factory=_many)  # of a decision
    decision: str = ""  # "mask", "unmask", "archive", "unarchive", "refuse", ...
    method: str = ""  # iTIP method, upper case
    sequence: int = 0
    stamp: str = ""  # DTSTAMP, UTC
    recurrence: str = ""  # RECURRENCE-ID
    ics: str = field(default="", repr=False)  # the calendar object itself, when it is small
    resource: str = field(default="", repr=False)  # the FHIR resource of an entry, as JSON text
    flags: tuple[str, ...] = field(default_factory=_many)  # what was found odd, as slugs


@dataclass(frozen=True, slots=True)
class Manifest:
    items: tuple[Item, ...] = ()
    patient: str = ""  # `patient_hash` of whom the documents are about; "" when they name nobody
    flags: tuple[str, ...] = ()  # what was found odd about the whole letter, as slugs
    cut: int = 0  # items that did not fit

    def __bool__(self) -> bool:
        return bool(self.items or self.flags or self.cut)


def patient_hash(root: str, extension: str) -> str:
    """By which documents of one person are told from another's without naming them: SHA-256 of `root|extension`."""
    return hashlib.sha256(f"{root}|{extension}".encode()).hexdigest()


def hash_of(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def bounded(item: Item) -> Item:
    """The item as whoever reads it will have it: no field longer than is read."""
    return _item(_told(item))


def written(manifest: Manifest) -> bytes:
    """Compact JSON of at most `LIMIT` octets: calendars, then items from the end, are left out until it fits."""
    kept = list(manifest.items[:ITEMS])
    cut = manifest.cut + len(manifest.items) - len(kept)
    while True:
        octets = _json(kept, manifest, cut)
        if len(octets) <= LIMIT or not kept:
            return octets
        large = next((at for at in reversed(range(len(kept))) if kept[at].ics or kept[at].resource), None)
        if large is not None:
            kept[large] = replace(kept[large], ics="", resource="")
        else:
            kept.pop()
            cut += 1


def as_json(manifest: Manifest) -> dict[str, Any]:
    """The object `written` serialises."""
    return cast("dict[str, Any]", json.loads(_json(list(manifest.items), manifest, manifest.cut)))


def read(octets: bytes | str) -> Manifest | None:
    """A manifest as it came; None when it is none. Never raises; fields of another shape are left empty."""
    if len(octets) > _READ:
        return None
    try:
        text = octets if isinstance(octets, str) else octets.decode()
        found: Any = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None
    return of_json(found)


def of_json(found: object) -> Manifest | None:
    if not isinstance(found, dict):
        return None
    told = cast("dict[str, Any]", found)
    if told.get("v") is True or told.get("v") != VERSION or not isinstance(told.get("items"), list):
        return None
    if _too_deep(told, _DEPTH):
        return None
    listed = cast("list[object]", told["items"])
    items = [_item(cast("dict[str, Any]", one)) for one in listed[:ITEMS] if isinstance(one, dict)]
    cut = _number(told.get("cut")) + max(len(listed) - ITEMS, 0)
    return Manifest(tuple(items), _text(told.get("patient")), _texts(told.get("flags")), cut)


_NAMES: Final[Mapping[str, str]] = {one.name: one.name.rstrip("_") for one in fields(Item)}


def _json(items: Sequence[Item], manifest: Manifest, cut: int) -> bytes:
    whole: dict[str, Any] = {"v": VERSION}
    if manifest.patient:
        whole["patient"] = manifest.patient
    whole["items"] = [_told(one) for one in items]
    if manifest.flags:
        whole["flags"] = list(manifest.flags)
    if cut:
        whole["cut"] = cut
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _told(item: Item) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, key in _NAMES.items():
        value: object = getattr(item, name)
        if value:
            told[key] = list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
    return told


def _item(told: Mapping[str, Any]) -> Item:
    known: dict[str, Any] = {}
    for one in fields(Item):
        value = told.get(_NAMES[one.name])
        if one.name in ("ics", "resource"):
            known[one.name] = _text(value, ICS)
        elif one.default_factory is not MISSING:
            known[one.name] = _texts(value)
        elif one.default == 0 and isinstance(one.default, int):
            known[one.name] = _number(value)
        else:
            known[one.name] = _text(value)
    return Item(**known)


def _text(value: object, limit: int = _TEXT) -> str:
    return value[:limit] if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(one[:_TEXT] for one in cast("list[object]", value)[:_LIST] if isinstance(one, str))


def _number(value: object) -> int:
    """JSON knows no integers apart: the page reads `1.0` as 1, and so do we."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**31:
        return 0
    return int(value) if value == int(value) else 0


def _refused(constant: str) -> None:
    raise ValueError  # NaN and Infinity are no JSON (RFC 8259 §6)


def _too_deep(found: object, left: int) -> bool:
    if isinstance(found, dict):
        inside: Iterable[object] = cast("dict[str, object]", found).values()
    elif isinstance(found, list):
        inside = cast("list[object]", found)
    else:
        return False
    return left == 0 or any(_too_deep(one, left - 1) for one in inside)
