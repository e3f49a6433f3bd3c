"""A FHIRPath Patch of mailboxes, read strictly (FHIR R4 fhirpatch; draft of the national publication API).

`Parameters` of operations insert, replace and delete on the `telecom` of a resource, and on one field of one mailbox.
The paths that are understood are these, and no other FHIRPath:

    Type.telecom                                                        insert
    Type.telecom.where(value = 'a@b')                                   replace, delete
    Type.telecom.where(value = 'a@b').rank                              replace
    Type.telecom.where(value = 'a@b').extension('…metadata').extension('field').value    replace
    Type.telecom.where(value = 'a@b').extension('…metadata').extension('field')          delete

Invariants: pure; whatever the octets, the answer is operations or a `FhirRefusal` of 400 or 422; of what was sent only
names of elements are told back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from directory.fhir.codes import EMAIL_TYPE, KIND_SYSTEMS, METADATA, MSSANTE
from directory.fhir.entries import Type
from directory.fhir.outcome import Code, FhirRefusal
from directory.model import Kind

MOST_OPERATIONS = 100
LONGEST_TEXT = 500
_LONGEST_PATH = 1000
_MOST_RANK = 1000
_DEEPEST = 24

_ADDRESS = re.compile(
    r"(?=.{3,254}\Z)(?=[^@]{1,64}@)[a-z0-9!#$%&*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&*+/=?^_`{|}~-]+)*"
    r"@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
)
_QUOTED = r"'((?:[^'\\]|\\['\\])*)'"
_PATH = re.compile(
    r"(?P<type>[A-Za-z]+)\.telecom"
    rf"(?:\.where\(\s*(?:system\s*=\s*'email'\s+and\s+)?value\s*=\s*(?P<address>{_QUOTED})\s*\)"
    rf"(?:(?P<rank>\.rank)|\.extension\(\s*(?P<url>{_QUOTED})\s*\)\.extension\(\s*(?P<field>{_QUOTED})\s*\)(?P<value>\.value)?)?"
    r")?"
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

TEXTS = ("description", "service", "responsible", "phone")
FLAGS = ("digitization", "listeRouge")
Field = Literal["description", "service", "responsible", "phone", "digitization", "listeRouge", "rank"]


@dataclass(frozen=True, slots=True)
class ContactPoint:
    """A mailbox as it is published. What is None was not said."""

    address: str
    kind: Kind | None = None
    rank: int | None = None
    texts: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)  # responsible and phone too
    flags: Mapping[str, bool] = field(default_factory=dict[str, bool])
    holders: tuple[str, ...] = ()  # idPP: further holders of a practice's mailbox


@dataclass(frozen=True, slots=True)
class Insert:
    point: ContactPoint


@dataclass(frozen=True, slots=True)
class Replace:
    address: str
    point: ContactPoint


@dataclass(frozen=True, slots=True)
class Change:
    """One field. `value` "" or False: taken away."""

    address: str
    name: Field
    value: str | bool | int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delete:
    address: str


Operation = Insert | Replace | Change | Delete


def refused(words: str, where: str = "", code: Code = "value") -> FhirRefusal:
    return FhirRefusal(422, code, words, where)


def operations(type_: Type, body: bytes) -> tuple[Operation, ...]:
    """Raises FhirRefusal."""
    try:
        sent: Any = json.loads(body.decode("utf-8"), object_pairs_hook=_once)
        _check_depth(sent)
    except (ValueError, RecursionError):
        raise FhirRefusal(400, "structure", "The body is not JSON.") from None
    parameters = _object(sent, "Parameters", {"resourceType", "id", "meta", "parameter"})
    if parameters.get("resourceType") != "Parameters":
        raise refused("The body is no Parameters resource.", "Parameters", "structure")
    listed = _list(parameters.get("parameter"), "Parameters.parameter")
    if not 1 <= len(listed) <= MOST_OPERATIONS:
        raise refused(f"A patch has 1 to {MOST_OPERATIONS} operations.", "Parameters.parameter", "structure")
    return tuple(_operation(type_, one, f"Parameters.parameter[{place}]") for place, one in enumerate(listed))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")
    return found


def _check_depth(value: Any, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise ValueError("too deep")
    if isinstance(value, dict):
        for one in cast("dict[str, Any]", value).values():
            _check_depth(one, depth + 1)
    elif isinstance(value, list):
        for one in cast("list[Any]", value):
            _check_depth(one, depth + 1)


# ----------------------------------------------------------------------------------------------- operations


def _operation(type_: Type, sent: Any, where: str) -> Operation:
    parameter = _object(sent, where, {"id", "name", "part"})
    if parameter.get("name") != "operation":
        raise refused("Each parameter is an operation.", f"{where}.name", "structure")
    parts: dict[str, dict[str, Any]] = {}
    for one in _list(parameter.get("part"), f"{where}.part"):
        part = _object(one, f"{where}.part")
        name = part.get("name")
        if not isinstance(name, str) or name not in {"type", "path", "index", "value"}:
            raise refused(
                "Parts of an operation are type, path, index and value.", f"{where}.part", "structure"
            )
        if name in parts:
            raise refused("A part is there twice.", f"{where}.part", "structure")
        parts[name] = {key: value for key, value in part.items() if key not in {"name", "id"}}
    kind = str(_only(parts.get("type"), "valueCode", f"{where}.part.type"))
    path = _only(parts.get("path"), "valueString", f"{where}.part.path")
    if kind not in {"insert", "replace", "delete"}:
        raise refused("Operations are insert, replace and delete.", f"{where}.part.type", "not-supported")
    if ("index" in parts) and kind != "insert":
        raise refused("Only what is inserted has an index.", f"{where}.part.index", "structure")
    if ("value" in parts) == (kind == "delete"):
        raise refused("What is inserted or replaced has a value.", f"{where}.part.value", "structure")
    if "index" in parts:
        _integer(_only(parts["index"], "valueInteger", f"{where}.part.index"), 0, f"{where}.part.index")
    return _of_path(type_, kind, path, parts.get("value", {}), where)


def _of_path(type_: Type, kind: str, path: Any, value: dict[str, Any], where: str) -> Operation:
    found = _PATH.fullmatch(path) if isinstance(path, str) and len(path) <= _LONGEST_PATH else None
    if found is None or found["type"] != type_.value:
        raise refused(
            f"This path is not understood; paths begin {type_}.telecom.",
            f"{where}.part.path",
            "not-supported",
        )
    at = f"{where}.part.value"
    if found["address"] is None:
        if kind != "insert":
            raise refused("Say which one: telecom.where(value = '…').", f"{where}.part.path")
        return Insert(_point(_only(value, "valueContactPoint", at), at))
    address = _unquoted(found["address"]).strip().lower()
    if _ADDRESS.fullmatch(address) is None:
        raise refused("This is no address.", f"{where}.part.path")
    if found["rank"]:
        if kind != "replace":
            raise refused("A rank is replaced.", f"{where}.part.type", "not-supported")
        return Change(
            address, "rank", _integer(_either(value, at, "valuePositiveInt", "valueInteger"), 1, at)
        )
    if found["url"] is None:
        if kind == "delete":
            return Delete(address)
        if kind != "replace":
            raise refused("One mailbox is replaced or deleted.", f"{where}.part.type", "not-supported")
        return Replace(address, _point(_only(value, "valueContactPoint", at), at))
    return _change(kind, address, found, value, where)


def _change(kind: str, address: str, found: re.Match[str], value: dict[str, Any], where: str) -> Change:
    name, at = _unquoted(found["field"]), f"{where}.part.value"
    if name == "type":
        raise refused("The type of a mailbox never changes.", f"{where}.part.path", "business-rule")
    if _unquoted(found["url"]) != METADATA or name not in (*TEXTS, *FLAGS):
        raise refused("This field is not known.", f"{where}.part.path", "not-supported")
    known = cast("Field", name)
    if kind == "delete":
        if found["value"]:
            raise refused("The extension is deleted, not its value.", f"{where}.part.path", "not-supported")
        return Change(address, known, "" if name in TEXTS else False)
    if kind != "replace" or not found["value"]:
        raise refused("The value of a field is replaced.", f"{where}.part.path", "not-supported")
    if name in TEXTS:
        return Change(address, known, _text(_only(value, "valueString", at), at))
    return Change(address, known, _boolean(_only(value, "valueBoolean", at), at))


# --------------------------------------------------------------------------------------------- the mailbox


def _point(sent: Any, where: str) -> ContactPoint:
    point = _object(sent, where, {"id", "extension", "system", "value", "use", "rank"})
    if point.get("system") != "email":
        raise refused("A mailbox is a ContactPoint of system email.", f"{where}.system")
    given = point.get("value")
    address = given.strip().lower() if isinstance(given, str) else ""
    if _ADDRESS.fullmatch(address) is None:
        raise refused("This is no address.", f"{where}.value")
    rank = _integer(point["rank"], 1, f"{where}.rank") if "rank" in point else None
    metadata: list[Any] | None = None
    for one in _list(point.get("extension", []), f"{where}.extension"):
        extension = _object(one, f"{where}.extension")
        match extension.get("url"):
            case url if url == EMAIL_TYPE:
                _check_service(extension, f"{where}.extension")
            case url if url == METADATA and metadata is None:
                _object(extension, f"{where}.extension", {"id", "url", "extension"})
                metadata = _list(extension.get("extension"), f"{where}.extension.extension")
            case _:
                raise refused(
                    "This extension is not known, or there twice.", f"{where}.extension", "not-supported"
                )
    return _described(address, rank, metadata or [], f"{where}.extension.extension")


def _check_service(extension: dict[str, Any], where: str) -> None:
    if _code({key: value for key, value in extension.items() if key not in {"url", "id"}}, where) != MSSANTE:
        raise refused("Only mailboxes of the service MSSANTE are published.", where)


def _described(address: str, rank: int | None, metadata: list[Any], where: str) -> ContactPoint:
    kind: Kind | None = None
    texts: dict[str, str] = {}
    flags: dict[str, bool] = {}
    holders: list[str] = []
    for one in metadata:
        sub = _object(one, where)
        name = sub.get("url")
        value = {key: each for key, each in sub.items() if key not in {"url", "id"}}
        if name == "type" and kind is None:
            kind = _kind(value, where)
        elif name in TEXTS and name not in texts:
            texts[name] = _text(_only(value, "valueString", where), where)
        elif name in FLAGS and name not in flags:
            flags[name] = _boolean(_only(value, "valueBoolean", where), where)
        elif name == "idPP" and len(holders) < MOST_OPERATIONS:
            holders.append(_text(_only(value, "valueString", where), where))
        else:
            raise refused("This field is not known, or there twice.", where, "not-supported")
    return ContactPoint(address, kind, rank, texts, flags, tuple(holders))


def _kind(value: dict[str, Any], where: str) -> Kind:
    try:
        return Kind(_code(value, where, KIND_SYSTEMS))
    except ValueError:
        raise refused("Types of mailboxes are PER, ORG, APP and CAB.", where) from None


def _code(value: dict[str, Any], where: str, systems: frozenset[str] = frozenset()) -> str:
    """However it is spelled: valueCode, valueCoding, valueCodeableConcept. `systems`: those of which it may be."""
    match value:
        case {"valueCode": str() as code} if len(value) == 1:
            return code
        case {"valueCodeableConcept": {"coding": [{"code": str() as code, **coding}]}} if len(value) == 1:
            pass
        case {"valueCoding": {"code": str() as code, **coding}} if len(value) == 1:
            pass
        case _:
            raise refused("A code is expected here.", where, "structure")
    system = cast("dict[str, Any]", coding).get("system")
    if systems and system is not None and not (isinstance(system, str) and system in systems):
        raise refused("This code is of another system.", where)
    return code


# --------------------------------------------------------------------------------------------------- values


def _object(value: Any, where: str, known: set[str] | None = None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise refused("An object is expected here.", where, "structure")
    found = cast("dict[str, Any]", value)
    if known is not None and (extra := found.keys() - known):
        shown = min(extra)
        if not re.fullmatch(r"[A-Za-z_]{1,40}", shown):
            shown = "?"
        raise refused(f"This element is not known: {shown}.", where, "structure")
    return found


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise refused("A list is expected here.", where, "structure")
    return cast("list[Any]", value)


def _only(value: dict[str, Any] | None, name: str, where: str) -> Any:
    if value is None or value.keys() != {name}:
        raise refused(f"{name} is expected here.", where, "structure")
    return value[name]


def _either(value: dict[str, Any], where: str, *names: str) -> Any:
    if len(value) != 1 or next(iter(value)) not in names:
        raise refused(f"{' or '.join(names)} is expected here.", where, "structure")
    return next(iter(value.values()))


def _integer(value: Any, least: int, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST_RANK:
        raise refused(f"A number from {least} to {_MOST_RANK} is expected here.", where)
    return value


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise refused("true or false is expected here.", where)
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or _CONTROLS.search(value):
        raise refused(f"A line of at most {LONGEST_TEXT} characters is expected here.", where)
    line = " ".join(value.split())
    # Invisible signs, and those that turn writing round, show another text than is there.
    if not line.isprintable():
        raise refused("Only characters that can be seen are expected here.", where)
    return line


def _unquoted(text: str) -> str:
    return re.sub(r"\\(['\\])", r"\1", text[1:-1])
