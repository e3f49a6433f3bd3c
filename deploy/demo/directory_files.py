"""Both national flat files, of people who do not exist, at any size: what imports are tried and measured with.

Each line is made of its number and the seed alone, so a file of two million lines needs no memory, and its later
version (`diff`) differs in that part of the lines: a third gone, a third changed, a third new.

The defects of the real files are there: lines that stand twice, addresses with several holders, fields that are
missing, a few lines that nobody can read (`wrong`).

Invariants: identifiers are right and belong to nobody (RPPS 997…, SIREN 99…); the same arguments make the same octets.
"""

from __future__ import annotations

import argparse
import functools
import unicodedata
import zipfile
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.directory_words import (
    COMMUNES,
    COMPOUND,
    ENDS,
    GIVEN,
    HEADS,
    MIDDLES,
    PARTICLES,
    PROFESSIONS,
    SERVICES,
    SPECIALITIES,
    STRUCTURES,
    WAYS,
)
from directory.identifiers.luhn import luhn_digit

ACTIVITY_HEADER = (
    "Type d'identifiant PP|Identifiant PP|Identification nationale PP|Code civilité d'exercice|"
    "Libellé civilité d'exercice|Code civilité|Libellé civilité|Nom d'exercice|Prénom d'exercice|Code profession|"
    "Libellé profession|Code catégorie professionnelle|Libellé catégorie professionnelle|Code type savoir-faire|"
    "Libellé type savoir-faire|Code savoir-faire|Libellé savoir-faire|Code mode exercice|Libellé mode exercice|"
    "Numéro SIRET site|Numéro SIREN site|Numéro FINESS site|Numéro FINESS établissement juridique|"
    "Identifiant technique de la structure|Raison sociale site|Enseigne commerciale site|"
    "Complément destinataire (coord. structure)|Complément point géographique (coord. structure)|"
    "Numéro Voie (coord. structure)|Indice répétition voie (coord. structure)|Code type de voie (coord. structure)|"
    "Libellé type de voie (coord. structure)|Libellé Voie (coord. structure)|Mention distribution (coord. structure)|"
    "Bureau cedex (coord. structure)|Code postal (coord. structure)|Code commune (coord. structure)|"
    "Libellé commune (coord. structure)|Code pays (coord. structure)|Libellé pays (coord. structure)|"
    "Téléphone (coord. structure)|Téléphone 2 (coord. structure)|Télécopie (coord. structure)|"
    "Adresse e-mail (coord. structure)|Code Département (structure)|Libellé Département (structure)|"
    "Ancien identifiant de la structure|Autorité d'enregistrement"
)
_ADDRESS = (
    "L2COMPLEMENTLOCALISATION|L3COMPLEMENTDISTRIBUTION|L4NUMEROVOIE|L4COMPLEMENTNUMEROVOIE|NL4TYPEVOIE|L4LIBELLEVOIE|"
    "L5LIEUDITMENTION|L6LIGNEACHEMINEMENT|Code postal|Département|Pays"
)
MAILBOX_HEADER = (
    "Type de BAL|Adresse BAL|Type Identifiant PP|Identifiant PP|Identification nationale PP|"
    "Type identifiant structure|Identification Structure|Service de rattachement|Civilité d'exercice|Nom d'exercice|"
    "Prénom d'exercice|Catégorie profession|Libellé de catégorie profession|Code Profession|Libellé Profession|"
    "Code savoir-faire|Libellé savoir-faire|Dématérialisation|Raison Sociale structure BAL|"
    "Enseigne commerciale structure BAL|" + "|".join(f"{one} structure BAL" for one in _ADDRESS.split("|"))
)
_MASK = (1 << 64) - 1
_BY_THOUSAND = [row for row in PROFESSIONS for _ in range(row[3])]


def _mixed(number: int) -> int:
    """64 bits that look like chance (the finaliser of splitmix64)."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


class _Dice:
    """Choices, one after the other, out of a number."""

    __slots__ = ("_left",)

    def __init__(self, seed: int, what: int, number: int) -> None:
        self._left = _mixed(_mixed(seed * 7919 + what) + number) | _mixed(number * 31 + what) << 64

    def below(self, limit: int) -> int:
        self._left, found = divmod(self._left, limit)
        return found

    def of(self, choices: Iterable[str]) -> str:
        listed = choices if isinstance(choices, (list, tuple)) else list(choices)
        return listed[self.below(len(listed))]


@dataclass(frozen=True, slots=True)
class Person:
    national_id: str
    family: str
    given: str
    civility: tuple[str, str]
    profession: tuple[str, str]
    title: str
    speciality: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Structure:
    finess: str
    siret: str
    name: str
    brand: str
    number: str
    way: tuple[str, str, str]
    place: tuple[str, str, str, str]


def person(seed: int, number: int) -> Person:
    dice = _Dice(seed, 1, number)
    family = _family(dice)
    given = dice.of(GIVEN)
    if dice.below(25) == 0:
        given = f"{dice.of(COMPOUND)}-{given}"
    code, label, title, _ = _BY_THOUSAND[dice.below(len(_BY_THOUSAND))]
    speciality = SPECIALITIES[dice.below(len(SPECIALITIES))] if code == "10" else ("", "")
    if dice.below(40) == 0:
        speciality = ("", "")  # missing, as it is in the real files
    stem = f"997{number:07d}"
    civility = (("MME", "Madame"), ("M", "Monsieur"))[dice.below(2)]
    return Person(f"8{stem}{luhn_digit(stem)}", family, given, civility, (code, label), title, speciality)


def _family(dice: _Dice) -> str:
    name = _surname(dice)
    kind = dice.below(100)
    if kind < 5:
        return f"{name}-{_surname(dice)}"
    if kind < 10:
        return (dice.of(PARTICLES) + name).upper()
    return name


def _surname(dice: _Dice) -> str:
    return (dice.of(HEADS) + dice.of(MIDDLES) + dice.of(ENDS)).upper()


@functools.lru_cache(maxsize=65_536)
def structure(seed: int, number: int) -> Structure:
    dice = _Dice(seed, 2, number)
    place = COMMUNES[dice.below(len(COMMUNES))]
    department = place[3][:2]
    stem = f"{department}{number % 1_000_000:06d}"
    finess = stem + (luhn_digit(stem) if stem.isdigit() else "0")
    siren = f"99{number % 1_000_000:06d}"
    siren += luhn_digit(siren)
    nic = f"{siren}{dice.below(100):04d}"
    name = dice.of(STRUCTURES).format(place[0]).upper()
    brand = "" if dice.below(3) else f"{_surname(dice)} SANTÉ"
    way = WAYS[dice.below(len(WAYS))]
    return Structure(
        finess, nic + luhn_digit(nic), f"{name} {number}", brand, str(1 + dice.below(120)), way, place
    )


def write_activity(
    path: Path, rows: int, seed: int = 1, *, diff: float = 0.0, wrong: float = 0.0005, version: int = 2
) -> int:
    """PS_LibreAcces_Personne_activite with about `rows` lines; how many. A path that ends in .zip is a zip."""
    return _written(path, ACTIVITY_HEADER, _activity(rows, seed, diff, wrong, version))


def write_mailboxes(
    path: Path, rows: int, seed: int = 1, *, diff: float = 0.0, wrong: float = 0.0005, version: int = 2
) -> int:
    """The MSSanté extraction with about `rows` lines; how many."""
    return _written(path, MAILBOX_HEADER, _mailboxes(rows, seed, diff, wrong, version))


def _written(path: Path, header: str, lines: Iterable[bytes]) -> int:
    def all_lines() -> Generator[bytes]:
        yield header.encode() + b"\n"
        yield from lines

    count = -1
    if path.suffix == ".zip":
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open(f"{path.stem}.txt", "w", force_zip64=True) as out,
        ):
            for line in all_lines():
                out.write(line)
                count += 1
        return count
    with path.open("wb") as out:
        for line in all_lines():
            out.write(line)
            count += 1
    return count


def _fate(seed: int, number: int, diff: float, version: int) -> str:
    """What became of this one in the later file."""
    if not diff:
        return "same"
    chance = _mixed(_mixed(seed * 104_729 + version) + number) % 1_000_000
    if chance >= diff * 1_000_000:
        return "same"
    return ("gone", "changed", "new")[chance % 3]


def _defective(line: str, seed: int, number: int, wrong: float) -> Generator[bytes]:
    """The line, or what may become of one in the real files."""
    chance = _mixed(_mixed(seed * 15_485_863) + number)
    if chance % 1_000_000 >= wrong * 1_000_000:
        yield line.encode() + b"\n"
        if chance % 5_000 == 3:
            yield line.encode() + b"\n"  # it stands twice
        return
    match (chance >> 32) % 5:
        case 0:
            yield line.rpartition("|")[0].encode() + b"\n"  # a column is missing
        case 1:
            yield line.encode()[:-3] + b"\xe9\xff\n"  # no UTF-8
        case 2:
            yield line.replace("|", "|\x07", 1).encode() + b"\n"  # a control character
        case 3:
            yield line.replace("899", "889", 1).replace("@", " at ").encode() + b"\n"  # a digit is wrong
        case _:
            yield b"\n"


def _activity(rows: int, seed: int, diff: float, wrong: float, version: int) -> Generator[bytes]:
    pool = max(12, rows // 30)
    made = number = 0
    while made < rows:
        fate = _fate(seed, number, diff, version)
        if fate != "gone":
            for line in _activity_of(seed, number, pool, fate == "changed"):
                yield from _defective(line, seed, made, wrong)
                made += 1
                if made >= rows:
                    return
        else:
            made += 1
        if fate == "new":
            for line in _activity_of(seed, 9_000_000 + number % 900_000, pool, False):
                yield line.encode() + b"\n"
        number += 1


def _activity_of(seed: int, number: int, pool: int, changed: bool) -> Generator[str]:
    who = person(seed, number)
    dice = _Dice(seed, 3, number + (1 << 40 if changed else 0))
    count = (1, 1, 1, 1, 1, 1, 1, 2, 2, 3)[dice.below(10)]
    speciality = (
        SPECIALITIES[dice.below(len(SPECIALITIES))]
        if changed and who.profession[0] == "10"
        else who.speciality
    )
    title = ("DR", "Docteur") if who.title else ("", "")
    for _ in range(count):
        where = structure(seed, _skewed(dice, pool))
        salaried = dice.below(10) < 6
        mode = ("S", "Salarié") if salaried else ("L", "Libéral, indépendant, artisan, commerçant")
        known = salaried or dice.below(2) == 0
        place, way = where.place, where.way
        department = place[3]
        yield "|".join(
            (
                "8", who.national_id[1:], who.national_id, *title, *who.civility, who.family, who.given,
                *who.profession, "C", "Civil", *(("S", "Spécialité ordinale") if speciality[0] else ("", "")),
                *speciality, *mode,
                where.siret if known else "", where.siret[:9] if known else "", where.finess if salaried else "", "",
                f"R{where.siret}" if known else "", where.name if known else "", where.brand if known else "",
                "", "", where.number, "", *way, "", f"{place[1]} {place[0].upper()}", place[1], place[2], place[0],
                "99000", "FRANCE", f"04{number % 100_000_000:08d}", "", "", f"contact{number}@exemple.fr",
                department, "", "", "CNOM" if who.profession[0] == "10" else "ARS",
            )
        )  # fmt: skip


def _skewed(dice: _Dice, pool: int) -> int:
    """Few structures have many people."""
    return int(pool * (dice.below(10_000) / 10_000) ** 3)


def _mailboxes(rows: int, seed: int, diff: float, wrong: float, version: int) -> Generator[bytes]:
    pool = max(12, rows // 30)
    seen: set[str] = set()
    for number in range(rows):
        fate = _fate(seed, number, diff, version)
        if fate != "gone":
            for line in _mailbox(seed, number, pool, seen, fate == "changed"):
                yield from _defective(line, seed, number, wrong)
        if fate == "new":
            for line in _mailbox(seed, 9_000_000 + number % 900_000, pool, seen, False):
                yield line.encode() + b"\n"


def _mailbox(seed: int, number: int, pool: int, seen: set[str], changed: bool) -> Generator[str]:
    dice = _Dice(seed, 4, number)
    where = structure(seed, _skewed(dice, pool))
    kind = dice.below(1000)
    domain = f"{plain(where.place[0])}{int(where.finess[-5:]) % 83 if kind < 850 else ''}.mssante.fr"
    if kind >= 850:
        service = dice.of(SERVICES)
        address = _free(f"{plain(service)}{number}@{domain}", seen, number)
        title = "Service fermé" if changed else service
        yield _line("ORG", address, None, where, title, dice, True)
        return
    who = person(seed, number)
    if kind == 849:
        address = _free(f"cabinet{number}@{domain}", seen, number)
        for holder in (who, person(seed, number + 1), person(seed, number + 2)):
            yield _line("CAB", address, holder, where, "", dice, True)
        return
    address = _free(f"{plain(who.given)}.{plain(who.family)}@{domain}", seen, number)
    placed = dice.below(10) < 6
    yield _line("PER", address, who, where if placed else None, "", dice, not changed)


def _free(address: str, seen: set[str], number: int) -> str:
    found = address
    if found in seen:
        local, _, domain = address.partition("@")
        found = f"{local}.{number}@{domain}"
    seen.add(found)
    return found


def _line(
    kind: str,
    address: str,
    who: Person | None,
    where: Structure | None,
    service: str,
    dice: _Dice,
    paperless: bool,
) -> str:
    person_columns = ("8", who.national_id[1:], who.national_id) if who else ("", "", "")
    names = (
        (
            "Docteur" if who.title else "",
            who.family,
            who.given,
            "C",
            "Civil",
            *who.profession,
            *who.speciality,
        )
        if who
        else ("",) * 9
    )
    structure_columns = ("FINESS", where.finess) if where else ("", "")
    place = (
        ("", "", where.number, "", where.way[0], where.way[2], "", f"{where.place[1]} {where.place[0].upper()}",
         where.place[1], where.place[3], "FRANCE")
        if where
        else ("",) * 11
    )  # fmt: skip
    called = (where.name, where.brand) if where else ("", "")
    demat = "O" if paperless and dice.below(3) else "N"
    return "|".join(
        (kind, address, *person_columns, *structure_columns, service, *names, demat, *called, *place)
    )


@functools.lru_cache(maxsize=65_536)
def plain(text: str) -> str:
    """As it stands in an address."""
    apart = unicodedata.normalize("NFKD", text.replace("Œ", "OE").replace("œ", "oe"))
    kept = "".join(one for one in apart if not unicodedata.combining(one)).lower()
    return "".join(one if one.isalnum() else "-" for one in kept).strip("-")


def main(words: Sequence[str] | None = None) -> None:
    """Both files in a folder, to try imports with: `python -m deploy.demo.directory_files FOLDER --rows 535000`."""
    asked = argparse.ArgumentParser(description="The national files, of people who do not exist.")
    asked.add_argument("folder", type=Path)
    asked.add_argument("--rows", type=int, default=10_000, help="lines of each file, about (default: 10,000)")
    asked.add_argument("--seed", type=int, default=1, help="other people (default: 1)")
    asked.add_argument(
        "--diff", type=float, default=0.0, help="a later file: 0.01 differs in one line of a hundred"
    )
    asked.add_argument("--plain", action="store_true", help="no zip")
    given = asked.parse_args(words)
    given.folder.mkdir(parents=True, exist_ok=True)
    for name, write in (
        ("Extraction_Correspondance_MSSante", write_mailboxes),
        ("PS_LibreAcces_Personne_activite", write_activity),
    ):
        path = given.folder / f"{name}.{'txt' if given.plain else 'zip'}"
        print(f"{path}: {write(path, given.rows, given.seed, diff=given.diff)} lines")


if __name__ == "__main__":
    main()
