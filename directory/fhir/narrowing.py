"""What SQL can say of a criterion, so that few entries have to be looked at one by one.

A fragment is a condition on the row `e` of one phase of `selection` (a professional, a card of somebody without a
national identifier, an organisation, a mailbox of a service); it may let too much through, never too little:
`predicates` decide.

Invariants: what people type is a parameter, never text of a statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from directory.fhir.codes import FINESS, IDNPS, IDNST, RPPS, SIRENE
from directory.fhir.entries import Type
from directory.fhir.locators import Locators, Shape
from directory.fhir.parameters import Criterion, Match, Token
from directory.listings.database import Sql
from directory.search.words import normalised

Phase = Literal["person", "addressed", "organisation", "served"]

_MOST_ADDRESSES = 500
_MOST_SPELLINGS = 2000
_MOST_WORDS = 12  # of a name
_LAST = "\U0010ffff"
_SHAPES: dict[tuple[Phase, Type], Shape] = {
    ("person", Type.PRACTITIONER): "P",
    ("person", Type.ROLE): "R",
    ("addressed", Type.PRACTITIONER): "Q",
    ("addressed", Type.ROLE): "S",
    ("organisation", Type.ORGANIZATION): "O",
    ("served", Type.SERVICE): "H",
}
_KEY = {
    "person": "e.national_id",
    "addressed": "e.organisation_id",
    "organisation": "e.national_id",
    "served": "e.organisation_id",
}
_HELD = "FROM mailbox_holder h JOIN mailbox m ON m.address = h.address WHERE m.card IS NOT NULL"
_IN_HOUSE = "FROM mailbox m WHERE m.card IS NOT NULL AND m.kind IN ('ORG', 'APP')"


@dataclass(frozen=True, slots=True)
class Fragment:
    """ " AND …", with its parameters."""

    text: str = ""
    parameters: tuple[Any, ...] = ()


class Narrowing:
    def __init__(self, sql: Sql, locators: Locators, type_: Type) -> None:
        self._sql = sql
        self._locators = locators
        self._type: Type = type_

    def of(self, phase: Phase, criterion: Criterion) -> Fragment | None:
        """None: no row of this phase can hold."""
        match criterion.name:
            case "_id":
                wanted = [one.code for one in criterion.tokens if one.system is None]
                return self._refers(phase, _SHAPES[phase, self._type], wanted)
            case "_lastUpdated":
                low = min(one.not_before for one in criterion.moments)
                return Fragment(" AND e.updated_at >= ?", (low,)) if low > 0 else Fragment()
            case "active":
                return Fragment() if any(one.code == "true" for one in criterion.tokens) else None
            case "mailbox-mss":
                return self._addresses(phase, criterion)
            case "mailbox-mss-type":
                return _kinds(phase, [one.code for one in criterion.tokens])
            case "practitioner":
                return self._refers(phase, "P" if phase == "person" else "Q", criterion.texts)
            case "organization":
                return _within(phase, self._keys("O", criterion.texts))
            case "organization.identifier":
                return _within(phase, [key for one in criterion.tokens for key in _structure_ids(one)])
            case _:
                return self._of_one_type(phase, criterion)

    def _of_one_type(self, phase: Phase, criterion: Criterion) -> Fragment | None:
        name = criterion.name.removeprefix("practitioner.")
        match phase, name:
            case "person", "identifier":
                return _person_ids(criterion.tokens)
            case "person", "family" | "given" | "name":
                return self._named(name, criterion)
            case "person", "qualification-code":
                return _coded(criterion.tokens, "e.profession_code")
            case "person", "specialty":
                return _coded(criterion.tokens, "")
            case "person", "role":
                return _role(criterion.tokens)
            case "addressed", "identifier":
                return None
            case "addressed", "family" | "given" | "name":
                return self._card_named(criterion)
            case "organisation", "identifier":
                return _organisation_ids(criterion.tokens)
            case "organisation", "name":
                return self._organisation_named(criterion)
            case "organisation", "address-city":
                return self._spelled("organisation", "commune", criterion)
            case "organisation", "address-postalcode":
                return self._any("e.postcode", criterion)
            case "served", "name":
                return self._spelled("mailbox", "service", criterion)
            case _:
                return Fragment()

    # ------------------------------------------------------------ references

    def _keys(self, shape: Shape, ids: Iterable[str]) -> list[str]:
        found = (self._locators.read(one) for one in ids)
        return [one.key for one in found if one is not None and one.shape == shape]

    def _refers(self, phase: Phase, shape: Shape, ids: Iterable[str]) -> Fragment | None:
        keys = self._keys(shape, ids)
        return Fragment(f" AND {_KEY[phase]} IN ({_marks(keys)})", tuple(keys)) if keys else None

    # ------------------------------------------------------------ words

    def _begins(self, column: str, words: str) -> Fragment:
        if self._sql.dialect == "postgresql":
            return Fragment(f"{column} ^@ ?", (words,))
        return Fragment(f"({column} >= ? AND {column} < ?)", (words, words + _LAST))

    def _has(self, text: str, words: str) -> Fragment:
        function = "strpos" if self._sql.dialect == "postgresql" else "instr"
        return Fragment(f"{function}({text}, ?) > 0", (words,))

    def _any(self, column: str, criterion: Criterion) -> Fragment | None:
        return _either(
            self._has(column, wanted) if criterion.match is Match.CONTAINS else self._begins(column, wanted)
            for wanted in map(normalised, criterion.texts)
            if wanted
        )

    def _named(self, name: str, criterion: Criterion) -> Fragment | None:
        columns = {"family": ["family_words"], "given": ["given_words"]}.get(
            name, ["family_words", "given_words"]
        )
        if criterion.match is Match.CONTAINS:
            whole = "e.given_words || ' ' || e.family_words || ' ' || e.given_words"
            text = whole if name == "name" else f"e.{columns[0]}"
            return _either(self._has(text, one) for one in map(normalised, criterion.texts) if one)
        parts: list[Fragment] = []
        for wanted in filter(None, map(normalised, criterion.texts)):
            first, *more = wanted.split()
            if (
                len(more) >= _MOST_WORDS
            ):  # nobody's; hundreds of ways to part it take seconds to be prepared alone
                parts += [self._begins(column, first) for column in columns]
                continue
            parts += [self._begins(column, wanted) for column in columns]
            if name == "name":
                parts += self._both_ways([first, *more])
        if not parts:
            return None
        # Each part by its index: OR over two columns would be a pass over the table.
        union = " UNION ".join(
            f"SELECT national_id FROM professional WHERE {part.text}"  # noqa: S608
            for part in parts
        )
        return Fragment(f" AND e.national_id IN ({union})", _parameters(parts))

    def _both_ways(self, words: Sequence[str]) -> list[Fragment]:
        """Given name and family name together, in either order."""
        found: list[Fragment] = []
        for cut in range(1, len(words)):
            first, second = " ".join(words[:cut]), " ".join(words[cut:])
            for one, other in (("family_words", "given_words"), ("given_words", "family_words")):
                rest = self._begins(other, second)
                found.append(Fragment(f"({one} = ? AND {rest.text})", (first, *rest.parameters)))
        return found

    def _card_named(self, criterion: Criterion) -> Fragment | None:
        wanted = [normalised(one).split() for one in criterion.texts]
        longest = [max(one, key=len) for one in wanted if one]
        return _either(self._has("e.name_words", one) for one in longest)

    def _organisation_named(self, criterion: Criterion) -> Fragment | None:
        # Name and brand stand one after the other in name_words: either may begin so.
        inside = criterion.match is Match.CONTAINS
        return _either(
            self._has("e.name_words", one) if inside else self._has("' ' || e.name_words", f" {one}")
            for one in map(normalised, criterion.texts)
            if one
        )

    def _spelled(self, table: str, column: str, criterion: Criterion) -> Fragment | None:
        """Which spellings there are, compared as words: there is no column of their words."""
        wanted = [one for one in map(normalised, criterion.texts) if one]
        rows = self._sql.all(f"SELECT DISTINCT {column} FROM {table} WHERE {column} <> ''")  # noqa: S608
        inside = criterion.match is Match.CONTAINS
        found = [
            row[0]
            for row in rows
            for words in (normalised(row[0]),)
            if any(one in words if inside else words.startswith(one) for one in wanted)
        ]
        if len(found) > _MOST_SPELLINGS:
            return Fragment()
        return Fragment(f" AND e.{column} IN ({_marks(found)})", tuple(found)) if found else None

    # ------------------------------------------------------------ mailboxes

    def _addresses(self, phase: Phase, criterion: Criterion) -> Fragment | None:
        wanted = [one.strip().lower() for one in criterion.texts if one.strip()]
        if not wanted:
            return None
        column = "e.address" if phase in ("addressed", "served") else "m.address"
        if criterion.match is Match.EXACT:
            here = Fragment(f"{column} IN ({_marks(wanted)})", tuple(wanted))
        else:
            inside = criterion.match is Match.CONTAINS
            parts = [self._has(column, one) if inside else self._begins(column, one) for one in wanted]
            here = Fragment(" OR ".join(part.text for part in parts), _parameters(parts))
        if column == "e.address":
            return Fragment(f" AND ({here.text})", here.parameters)
        return self._carried(phase, here)

    def _carried(self, phase: Phase, here: Fragment) -> Fragment | None:
        """Few such mailboxes: whoever has one of them. Many: whoever has one, asked one by one."""
        probe = f"SELECT m.address FROM mailbox m WHERE m.card IS NOT NULL AND ({here.text}) LIMIT ?"  # noqa: S608
        found = [row[0] for row in self._sql.all(probe, (*here.parameters, _MOST_ADDRESSES + 1))]
        if not found:
            return None
        if len(found) <= _MOST_ADDRESSES:
            who = (
                "SELECT h.national_id FROM mailbox_holder h WHERE h.address"
                if phase == "person"
                else "SELECT m.organisation_id FROM mailbox m WHERE m.address"
            )
            return Fragment(f" AND e.national_id IN ({who} IN ({_marks(found)}))", tuple(found))
        return _exists(phase, here)


def _exists(phase: Phase, condition: Fragment) -> Fragment:
    source = f"{_HELD} AND h.national_id" if phase == "person" else f"{_IN_HOUSE} AND m.organisation_id"
    return Fragment(
        f" AND EXISTS (SELECT 1 {source} = e.national_id AND ({condition.text}))",
        condition.parameters,
    )


def _kinds(phase: Phase, codes: Sequence[str]) -> Fragment | None:
    possible = {"person": {"PER", "CAB"}, "addressed": {"PER"}}.get(phase, {"ORG", "APP"})
    kinds = sorted(possible.intersection(codes))
    if not kinds:
        return None
    match phase:
        case "addressed":
            return Fragment()
        case "served":
            return Fragment(f" AND e.kind IN ({_marks(kinds)})", tuple(kinds))
        case _:
            return _exists(phase, Fragment(f"m.kind IN ({_marks(kinds)})", tuple(kinds)))


def _within(phase: Phase, organisations: Sequence[str]) -> Fragment | None:
    if not organisations:
        return None
    marks, keys = _marks(organisations), tuple(organisations)
    if phase != "person":
        return Fragment(f" AND e.organisation_id IN ({marks})", keys)
    return Fragment(
        f" AND e.national_id IN (SELECT s.national_id FROM situation s WHERE s.organisation_id IN ({marks})"  # noqa: S608
        f" UNION SELECT h.national_id {_HELD} AND m.kind = 'PER' AND m.organisation_id IN ({marks}))",
        keys * 2,
    )


# ---------------------------------------------------------------------------------------------- identifiers


def _person_ids(tokens: Sequence[Token]) -> Fragment | None:
    ids: list[str] = []
    for token in tokens:
        if not token.code and token.system in (IDNPS, RPPS):
            return Fragment()
        if token.system is None:
            ids += [token.code, f"8{token.code}"]
        elif token.system == IDNPS:
            ids.append(token.code)
        elif token.system == RPPS:
            ids.append(f"8{token.code}")
    return Fragment(f" AND e.national_id IN ({_marks(ids)})", tuple(ids)) if ids else None


def _structure_ids(token: Token) -> list[str]:
    """Identifiers of structures that it may be."""
    prefixes = {None: ("", "1", "2", "3"), IDNST: ("",), FINESS: ("1",), SIRENE: ("2", "3")}.get(
        token.system, ()
    )
    return [prefix + token.code for prefix in prefixes] if token.code else []


def _organisation_ids(tokens: Sequence[Token]) -> Fragment | None:
    if any(not token.code and token.system for token in tokens):
        return Fragment()
    ids = [key for token in tokens for key in _structure_ids(token)]
    numbers = [token.code for token in tokens if token.system in (None, FINESS, SIRENE) and token.code]
    parts = [Fragment(f"e.national_id IN ({_marks(ids)})", tuple(ids))] if ids else []
    if numbers:
        parts += [
            Fragment(f"e.{column} IN ({_marks(numbers)})", tuple(numbers))
            for column in ("finess", "finess_legal", "siret", "siren")
        ]
    return _either(parts)


# ---------------------------------------------------------------------------------------------------- codes


def _coded(tokens: Sequence[Token], column: str) -> Fragment | None:
    """By a column of `e`, or the speciality of a situation or a mailbox."""
    if any(not token.code and token.system for token in tokens):
        return Fragment()
    codes = [token.code for token in tokens if token.code]
    marks = _marks(codes)
    conditions = [
        f"EXISTS (SELECT 1 FROM situation s WHERE s.national_id = e.national_id AND s.speciality_code IN ({marks}))",  # noqa: S608
        f"EXISTS (SELECT 1 {_HELD} AND h.national_id = e.national_id AND m.speciality_code IN ({marks}))",
    ]
    if column:
        conditions.insert(0, f"{column} IN ({marks})")
    return _either(Fragment(one, tuple(codes)) for one in conditions) if codes else None


def _role(tokens: Sequence[Token]) -> Fragment | None:
    if any(not token.code and token.system for token in tokens):
        return Fragment()
    codes = tuple(token.code for token in tokens if token.code)
    marks = _marks(codes)
    mode = (
        f"EXISTS (SELECT 1 FROM situation s WHERE s.national_id = e.national_id AND s.mode_code IN ({marks}))"  # noqa: S608
    )
    conditions = (f"e.profession_code IN ({marks})", f"e.category_code IN ({marks})", mode)
    return _either(Fragment(one, codes) for one in conditions) if codes else None


def _either(parts: Iterable[Fragment]) -> Fragment | None:
    found = list(parts)
    if not found:
        return None
    return Fragment(f" AND ({' OR '.join(part.text for part in found)})", _parameters(found))


def _parameters(parts: Iterable[Fragment]) -> tuple[Any, ...]:
    return tuple(each for part in parts for each in part.parameters)


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
