"""Who a patient is: the INS number and its identity traits, and how they lie in the database.

What is stored of them is encrypted under the KEK, bound to its account. A number is looked up by an HMAC under a
random key that the KEK wraps: 10^13 numbers could be tried in an afternoon, so a bare hash would hide nothing.

Invariants: no number or trait stands in a repr, a log line, an exception or an id; one number has one space; a
row that does not open is the account of nobody (it gets no alias), never a reason to fall over.
"""

from __future__ import annotations

import datetime
import hmac
import json
import logging
import re
from dataclasses import dataclass, field
from os import urandom
from typing import Any, cast

from mail_server.accounts import ins
from mail_server.accounts.ins import INS_NIR, KNOWN_RANGES, TEST_RANGES, InsRefused
from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.store.interface import Sql
from mail_server.store.model import AccountId

_log = logging.getLogger("vaguemestre.accounts")
_LOOKUP = "ins lookup"
_PLACE = re.compile(r"(?:[0-9]{5}|2[AB][0-9]{3})?")  # INSEE code of the place of birth; "" when not known
_SEXES = frozenset({"F", "M", "I"})
_LONGEST_NAME = 100


class IdentityRefused(ValueError):
    """An identity that cannot be given a space. `reason` is a slug; the sentences are for who typed it."""

    def __init__(self, reason: str, fr: str, en: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fr = fr
        self.en = en


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """A qualified INS: number, range, and the traits it was verified with (reference/mssante.md §5)."""

    number: str = field(repr=False)  # 15 characters
    birth_name: str = field(repr=False)
    given_names: tuple[str, ...] = field(repr=False)  # the first one first
    birth_date: str = field(repr=False)  # YYYY-MM-DD
    sex: str = field(repr=False)  # "F", "M", "I" (not determined)
    birth_place: str = field(default="", repr=False)
    oid: str = INS_NIR

    @property
    def first_name(self) -> str:
        return self.given_names[0]

    @property
    def last_five(self) -> str:
        return self.number[-5:]


@dataclass(frozen=True, slots=True)
class PatientRow:
    """What the database holds of one patient."""

    number: bytes = field(repr=False)  # wrapped
    traits: bytes = field(repr=False)  # wrapped
    activated_at: int | None


@dataclass(frozen=True, slots=True)
class LockedIdentity:
    """An identity as it is written: wrapped, and found by its HMAC."""

    ins_hmac: bytes = field(repr=False)
    number: bytes = field(repr=False)
    traits: bytes = field(repr=False)


def checked(identity: PatientIdentity, *, test_ranges: bool) -> PatientIdentity:
    """The identity, spelled in one way. Raises IdentityRefused."""
    try:
        number = ins.parse(identity.number).number
    except InsRefused as wrong:
        raise IdentityRefused(wrong.reason, wrong.fr, wrong.en) from None
    if identity.oid not in KNOWN_RANGES or (identity.oid in TEST_RANGES and not test_ranges):
        raise IdentityRefused(
            "ins-range",
            "Ce type de numéro n’est pas accepté ici.",
            "Numbers of this range are not accepted here.",
        )
    names = (identity.birth_name, *identity.given_names)
    if not identity.given_names or not all(_is_name(name) for name in names):
        raise IdentityRefused(
            "bad-name",
            "Le nom de naissance et un prénom au moins sont nécessaires.",
            "A birth name and at least one given name are needed.",
        )
    if not _is_birth_date(identity.birth_date):
        raise IdentityRefused(
            "bad-birth-date",
            "La date de naissance s’écrit AAAA-MM-JJ ; elle est passée.",
            "The birth date is written YYYY-MM-DD, and lies in the past.",
        )
    if identity.sex not in _SEXES:
        raise IdentityRefused("bad-sex", "Le sexe est F, M ou I.", "The sex is F, M or I.")
    if not _PLACE.fullmatch(identity.birth_place):
        raise IdentityRefused(
            "bad-birth-place",
            "Le lieu de naissance est un code de commune (ou de pays) de cinq caractères.",
            "The place of birth is a code of five characters.",
        )
    return PatientIdentity(
        number,
        identity.birth_name.strip(),
        tuple(name.strip() for name in identity.given_names),
        identity.birth_date,
        identity.sex,
        identity.birth_place,
        identity.oid,
    )


def _is_name(text: str) -> bool:
    return bool(text.strip()) and len(text) <= _LONGEST_NAME and text.isprintable()


def _is_birth_date(text: str) -> bool:
    if len(text) != 10:
        return False
    try:
        return datetime.date(1850, 1, 1) <= datetime.date.fromisoformat(text) <= _today()
    except ValueError:
        return False


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1)  # born today, east of here


class PatientVault:
    """Locks and opens identities. Its lookup key comes from the database, opened by the KEK."""

    def __init__(self, keys: KeyWrapper, lookup_key: bytes) -> None:
        self._keys = keys
        self._lookup_key = lookup_key

    @classmethod
    def open(cls, keys: KeyWrapper, sql: Sql) -> PatientVault | None:
        """None when no patient was ever enrolled here. Raises KeyUnavailable."""
        row = sql.one("SELECT wrapped FROM patient_secret WHERE name = ?", (_LOOKUP,))
        return cls(keys, keys.unwrap(bytes(row[0]), _LOOKUP.encode())) if row else None

    @classmethod
    def make(cls, keys: KeyWrapper, sql: Sql) -> PatientVault:
        """The vault, its lookup key made now if there is none: inside a write transaction."""
        sql.run(
            "INSERT INTO patient_secret (name, wrapped) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (_LOOKUP, keys.wrap(urandom(32), _LOOKUP.encode())),
        )
        made = cls.open(keys, sql)
        assert made is not None
        return made

    def ins_hmac(self, number: str) -> bytes:
        return hmac.digest(self._lookup_key, number.upper().encode(), "sha256")

    def lock(self, account: AccountId, identity: PatientIdentity) -> LockedIdentity:
        traits = {
            "birth_name": identity.birth_name,
            "given_names": identity.given_names,
            "birth_date": identity.birth_date,
            "sex": identity.sex,
            "birth_place": identity.birth_place,
            "oid": identity.oid,
        }
        return LockedIdentity(
            self.ins_hmac(identity.number),
            self._keys.wrap(identity.number.encode(), _purpose(b"number", account)),
            self._keys.wrap(json.dumps(traits).encode(), _purpose(b"traits", account)),
        )

    def identity(self, account: AccountId, row: PatientRow) -> PatientIdentity:
        """Raises KeyUnavailable."""
        traits = cast(
            "dict[str, Any]", json.loads(self._keys.unwrap(row.traits, _purpose(b"traits", account)))
        )
        traits["given_names"] = tuple(traits["given_names"])
        return PatientIdentity(self._number(account, row), **traits)

    def alias_local_part(self, account: AccountId, row: PatientRow) -> str:
        """The number as it stands in an address; "" when the row does not open."""
        try:
            return self._number(account, row).lower()
        except KeyUnavailable:
            _log.error("the identity of account %s does not open: letters to it are refused", account)
            return ""

    def _number(self, account: AccountId, row: PatientRow) -> str:
        return self._keys.unwrap(row.number, _purpose(b"number", account)).decode()


def _purpose(what: bytes, account: AccountId) -> bytes:
    return b"patient/" + what + b"/" + account.encode()
