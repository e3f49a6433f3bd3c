"""What a search asks for, read from its parameters.

Values of one parameter, separated by commas, are alternatives; a parameter that is there again must hold too
(FHIR R4 search §3.1.1.3). What is not known is refused, or left out with `Prefer: handling=lenient`.

Invariants: pure; whatever the octets, the answer is a `Search` or a `FhirRefusal` of 400 or 406; the number of values
and their length are bounded.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from directory.fhir.codes import ROOT
from directory.fhir.dates import Moment, moment
from directory.fhir.entries import Type
from directory.fhir.outcome import FhirRefusal, Issue

MOST_VALUES = 60
LONGEST_VALUE = 400
LONGEST_QUERY = 16_384


class Match(enum.StrEnum):
    PREFIX = ""
    CONTAINS = "contains"
    EXACT = "exact"


class Form(enum.StrEnum):
    """Kinds of search parameters, as CapabilityStatement names them."""

    STRING = "string"
    TOKEN = "token"  # noqa: RUF100, S105
    DATE = "date"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Token:
    """`system` None: any; "": none."""

    system: str | None
    code: str


Value = str | Token | Moment


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter: one of `values` must match."""

    name: str
    values: tuple[Value, ...]
    match: Match = Match.PREFIX

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(value for value in self.values if isinstance(value, str))

    @property
    def tokens(self) -> tuple[Token, ...]:
        return tuple(value for value in self.values if isinstance(value, Token))

    @property
    def moments(self) -> tuple[Moment, ...]:
        return tuple(value for value in self.values if isinstance(value, Moment))


@dataclass(frozen=True, slots=True)
class Search:
    type: Type
    criteria: tuple[Criterion, ...] = ()
    count: int = 50
    token: str = ""
    elements: frozenset[str] = frozenset()
    total: bool = False
    include: tuple[str, ...] = ()
    revinclude: tuple[str, ...] = ()
    used: tuple[tuple[str, str], ...] = ()  # as asked, without the page's token
    ignored: tuple[Issue, ...] = ()  # told as an OperationOutcome in the bundle

    def link(self, base: str, token: str = "") -> str:
        pairs = [*self.used, *([("_page_token", token)] if token else [])]
        query = "&".join(
            f"{quote(name, safe=':._-')}={quote(value, safe=':/|,._-')}" for name, value in pairs
        )
        return f"{base}{ROOT}/{self.type}" + (f"?{query}" if query else "")


_EVERYWHERE: Mapping[str, Form] = {"_id": Form.TOKEN, "_lastUpdated": Form.DATE, "active": Form.TOKEN}
_MAILBOX: Mapping[str, Form] = {"mailbox-mss": Form.STRING, "mailbox-mss-type": Form.TOKEN}
PARAMETERS: Mapping[Type, Mapping[str, Form]] = {
    Type.PRACTITIONER: {
        **_EVERYWHERE,
        **_MAILBOX,
        "identifier": Form.TOKEN,
        "family": Form.STRING,
        "given": Form.STRING,
        "name": Form.STRING,
        "qualification-code": Form.TOKEN,
    },
    Type.ROLE: {
        **_EVERYWHERE,
        **_MAILBOX,
        "practitioner": Form.REFERENCE,
        "organization": Form.REFERENCE,
        "practitioner.identifier": Form.TOKEN,
        "practitioner.family": Form.STRING,
        "practitioner.given": Form.STRING,
        "practitioner.name": Form.STRING,
        "organization.identifier": Form.TOKEN,
        "role": Form.TOKEN,
        "specialty": Form.TOKEN,
    },
    Type.ORGANIZATION: {
        **_EVERYWHERE,
        **_MAILBOX,
        "identifier": Form.TOKEN,
        "name": Form.STRING,
        "address-city": Form.STRING,
        "address-postalcode": Form.STRING,
    },
    Type.SERVICE: {
        **_EVERYWHERE,
        **_MAILBOX,
        "name": Form.STRING,
        "organization": Form.REFERENCE,
        "organization.identifier": Form.TOKEN,
    },
}
"""What can be searched by. The CapabilityStatement is made from this."""

INCLUDES: Mapping[Type, tuple[str, ...]] = {
    Type.PRACTITIONER: (),
    Type.ROLE: ("PractitionerRole:practitioner", "PractitionerRole:organization"),
    Type.ORGANIZATION: (),
    Type.SERVICE: ("HealthcareService:organization",),
}
REVINCLUDES: Mapping[Type, tuple[str, ...]] = {
    Type.PRACTITIONER: ("PractitionerRole:practitioner",),
    Type.ROLE: (),
    Type.ORGANIZATION: ("PractitionerRole:organization", "HealthcareService:organization"),
    Type.SERVICE: (),
}
_CONTROLS_KNOWN = frozenset({"_count", "_elements", "_total", "_include", "_revinclude", "_format"})
_FORMATS = frozenset({"json", "application/json", "application/fhir+json"})
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_ELEMENT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


def pairs_of(query: bytes) -> list[tuple[str, str]]:
    """Parameters of a query string, or of a form, in their order."""
    if len(query) > LONGEST_QUERY:
        raise FhirRefusal(400, "too-long", "The parameters are too long.")
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=False,
            errors="strict",
            max_num_fields=MOST_VALUES,
        )
    except ValueError:
        raise FhirRefusal(
            400, "invalid", "The parameters cannot be read: too many, or not UTF-8 in percent encoding."
        ) from None
    for name, value in pairs:
        if _CONTROLS.search(name) or _CONTROLS.search(value):
            raise FhirRefusal(400, "value", "Parameters have no control characters.")
    return pairs


def format_of(pairs: Sequence[tuple[str, str]], accept: str) -> None:
    """Raises 406 where JSON is not what is wanted. `_format` goes before the header."""
    wanted = [value for name, value in pairs if name == "_format"]
    if wanted:
        # "+" in a query that was not encoded is a space by now.
        names = [one.partition(";")[0].strip().lower().replace("fhir json", "fhir+json") for one in wanted]
        if any(name not in _FORMATS for name in names):
            raise FhirRefusal(406, "not-supported", "Only JSON is given: application/fhir+json.", "_format")
        return
    if accept and not any(_takes_json(one) for one in accept.lower().split(",")):
        raise FhirRefusal(406, "not-supported", "Only JSON is given: application/fhir+json.", "Accept")


def _takes_json(one: str) -> bool:
    name, *options = (part.strip() for part in one.split(";"))
    refused = any(re.fullmatch(r"q\s*=\s*0(\.0*)?", option) for option in options)
    return name in {"*/*", "application/*", "application/json", "application/fhir+json"} and not refused


def parsed(type_: Type, pairs: Sequence[tuple[str, str]], *, page: int, lenient: bool = False) -> Search:
    """Raises FhirRefusal."""
    reader = _Reader(type_, page, lenient)
    for name, value in pairs:
        reader.take(name, value)
    return reader.search()


class _Reader:
    def __init__(self, type_: Type, page: int, lenient: bool) -> None:
        self._type = type_
        self._page = page
        self._lenient = lenient
        self._criteria: list[Criterion] = []
        self._used: list[tuple[str, str]] = []
        self._ignored: list[Issue] = []
        self._count = page
        self._token = ""
        self._elements: set[str] = set()
        self._total = False
        self._include: list[str] = []
        self._revinclude: list[str] = []
        self._values = 0

    def search(self) -> Search:
        return Search(
            type=self._type,
            criteria=tuple(self._criteria),
            count=self._count,
            token=self._token,
            elements=frozenset(self._elements),
            total=self._total,
            include=tuple(dict.fromkeys(self._include)),
            revinclude=tuple(dict.fromkeys(self._revinclude)),
            used=tuple(self._used),
            ignored=tuple(self._ignored),
        )

    def take(self, name: str, value: str) -> None:
        if len(value) > LONGEST_VALUE and name != "_page_token":
            raise FhirRefusal(400, "too-long", "The value is too long.", name[:80])
        if name == "_page_token":
            self._token = value
            return
        if not value.strip(" ,") and self._known(name):
            return  # as if it was not there (R4 search §3.1.1.3)
        try:
            if name.startswith("_") and name not in _EVERYWHERE:
                self._control(name, value)
            else:
                self._criteria.append(self._criterion(name, value))
        except FhirRefusal as refusal:
            unknown = refusal.issues[0].code == "not-supported"
            if not (unknown and self._lenient and refusal.status == 400):
                raise
            self._ignored.append(
                Issue("not-supported", refusal.issues[0].words, refusal.issues[0].where, "warning")
            )
            return
        self._used.append((name, value))

    def _known(self, name: str) -> bool:
        return name in _CONTROLS_KNOWN or name.partition(":")[0] in PARAMETERS[self._type]

    # ------------------------------------------------------------ controls

    def _control(self, name: str, value: str) -> None:
        match name:
            case "_count":
                if not re.fullmatch(r"[0-9]{1,6}", value):
                    raise FhirRefusal(400, "value", "_count is a number of resources.", name)
                self._count = min(int(value), self._page)
            case "_elements":
                names = value.split(",")
                if not all(_ELEMENT.fullmatch(one) for one in names):
                    raise FhirRefusal(400, "value", "_elements names elements of the resource.", name)
                self._elements.update(names)
            case "_total":
                if value not in {"none", "estimate", "accurate"}:
                    raise FhirRefusal(400, "value", "_total is none, estimate or accurate.", name)
                self._total = value == "accurate"
            case "_include" | "_revinclude":
                known = (INCLUDES if name == "_include" else REVINCLUDES)[self._type]
                wanted = known if value == "*" else tuple(one for one in known if one == value)
                if not wanted and value != "*":
                    raise FhirRefusal(400, "not-supported", "Not included here; see /metadata.", name)
                (self._include if name == "_include" else self._revinclude).extend(wanted)
            case "_format":
                pass
            case _:
                raise FhirRefusal(400, "not-supported", "This parameter is not known.", name[:80])

    # ------------------------------------------------------------ criteria

    def _criterion(self, spelled: str, value: str) -> Criterion:
        name, _, modifier = spelled.partition(":")
        form = PARAMETERS[self._type].get(name)
        if form is None:
            raise FhirRefusal(400, "not-supported", "This parameter is not known.", spelled[:80])
        values = _alternatives(value)
        self._values += len(values)
        if self._values > MOST_VALUES:
            raise FhirRefusal(400, "too-costly", f"No more than {MOST_VALUES} values are looked for.", name)
        match form:
            case Form.STRING:
                if modifier not in {"", "contains", "exact"}:
                    raise FhirRefusal(400, "not-supported", "This modifier is not known.", spelled[:80])
                return Criterion(name, tuple(_plain(one) for one in values), Match(modifier))
            case Form.REFERENCE:
                return Criterion(name, tuple(_reference(name, modifier, one) for one in values))
            case Form.DATE | Form.TOKEN if modifier:
                raise FhirRefusal(400, "not-supported", "This modifier is not known.", spelled[:80])
            case Form.DATE:
                return Criterion(name, tuple(_moment(name, one) for one in values))
            case Form.TOKEN:
                tokens = tuple(token(one) for one in values)
                if name == "active":
                    _check_boolean(tokens)
                return Criterion(name, tokens)


_REFERRED = {"practitioner": Type.PRACTITIONER, "organization": Type.ORGANIZATION}


def _alternatives(value: str) -> list[str]:
    r"""Parts between commas that no backslash stands before; what it stands before is left as it is."""
    parts = [""]
    for piece in re.findall(r"\\.|[^\\]|\\$", value):
        if piece == ",":
            parts.append("")
        else:
            parts[-1] += piece
    return [part for part in parts if part.strip(" ")]


def _plain(value: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", value)


def token(value: str) -> Token:
    """`code`, `system|code`, `|code`, `system|`."""
    found = re.match(r"((?:\\.|[^\\|])*)\|(.*)\Z", value, re.DOTALL)
    if found is None:
        return Token(None, _plain(value))
    return Token(_plain(found[1]), _plain(found[2]))


def _check_boolean(tokens: Sequence[Token]) -> None:
    if any(token.code not in {"true", "false"} for token in tokens):
        raise FhirRefusal(400, "value", "It is true or false.", "active")


def _moment(name: str, value: str) -> Moment:
    found = moment(value)
    if found is None:
        raise FhirRefusal(
            400,
            "value",
            "A date is written as 2026-11-22 or 2026-11-22T08:00:00Z, after eq, ge, gt, le…",
            name,
        )
    return found


def _reference(name: str, modifier: str, value: str) -> str:
    """The id: `id`, `Type/id`, or an absolute address that ends so."""
    wanted = _REFERRED[name]
    if modifier not in {"", wanted}:
        raise FhirRefusal(400, "not-supported", "This modifier is not known.", f"{name}:{modifier}"[:80])
    kind, slash, last = value.rpartition("/")
    if slash and kind.rpartition("/")[2] != wanted:
        raise FhirRefusal(400, "value", f"It refers to a {wanted}.", name)
    if not _ID.fullmatch(last):
        raise FhirRefusal(400, "value", "This is no id of a resource.", name)
    return last
