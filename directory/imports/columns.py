"""Which column is which: by the header, in whatever order, by the beginning of its name.

Some files name a column "Code postal", others "Code postal structure BAL" or "Code postal (coord. structure)".

Invariants: a file lacks no column of its set, or is refused; columns that nobody knows are left alone; a header names
no column twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from directory.imports.wrong import ImportRefused
from directory.search.words import normalised

# The MSSanté extraction (reference/mssante.md §5.2), as `normalised` names.
MAILBOX = (
    "type de bal",
    "adresse bal",
    "type identifiant pp",
    "identifiant pp",
    "identification nationale pp",
    "type identifiant structure",
    "identification structure",
    "service de rattachement",
    "civilite d exercice",
    "nom d exercice",
    "prenom d exercice",
    "categorie profession",
    "libelle de categorie profession",
    "code profession",
    "libelle profession",
    "code savoir faire",
    "libelle savoir faire",
    "dematerialisation",
    "raison sociale",
    "enseigne commerciale",
    "l2complementlocalisation",
    "l3complementdistribution",
    "l4numerovoie",
    "l4complementnumerovoie",
    "nl4typevoie",
    "l4libellevoie",
    "l5lieuditmention",
    "l6ligneacheminement",
    "code postal",
    "departement",
    "pays",
)
# PS_LibreAcces_Personne_activite.
ACTIVITY = (
    "type d identifiant pp",
    "identifiant pp",
    "identification nationale pp",
    "code civilite d exercice",
    "libelle civilite d exercice",
    "code civilite",
    "libelle civilite",
    "nom d exercice",
    "prenom d exercice",
    "code profession",
    "libelle profession",
    "code categorie professionnelle",
    "libelle categorie professionnelle",
    "code type savoir faire",
    "libelle type savoir faire",
    "code savoir faire",
    "libelle savoir faire",
    "code mode exercice",
    "libelle mode exercice",
    "numero siret site",
    "numero siren site",
    "numero finess site",
    "numero finess etablissement juridique",
    "identifiant technique de la structure",
    "raison sociale",
    "enseigne commerciale",
    "complement destinataire",
    "complement point geographique",
    "numero voie",
    "indice repetition voie",
    "code type de voie",
    "libelle type de voie",
    "libelle voie",
    "mention distribution",
    "bureau cedex",
    "code postal",
    "code commune",
    "libelle commune",
    "code pays",
    "libelle pays",
    "telephone",
    "telephone 2",
    "telecopie",
    "adresse e mail",
    "code departement",
    "libelle departement",
    "ancien identifiant de la structure",
    "autorite d enregistrement",
)
_MOST = 200


class Columns:
    """Where each stands in a line, and what the file calls it."""

    def __init__(self, header: bytes, wanted: Sequence[str]) -> None:
        self.names = _names(header)
        self.at = _places([normalised(one) for one in self.names], wanted)

    @property
    def count(self) -> int:
        return len(self.names)

    def name(self, key: str) -> str:
        return self.names[self.at[key]]


def source_of(header: bytes) -> str:
    """Which file it is: "mssante" or "activity". Raises ImportRefused."""
    found = {normalised(one) for one in _names(header)}
    if any(one.startswith("adresse bal") for one in found):
        return "mssante"
    if any(one.startswith("identifiant technique de la structure") for one in found):
        return "activity"
    raise ImportRefused("header-unknown", "The first line is the header of neither national file.")


def _names(header: bytes) -> list[str]:
    try:
        names = [one.strip().strip('"') for one in header.decode().split("|")]
    except UnicodeDecodeError:
        raise ImportRefused("header-unknown", "The first line is not UTF-8.") from None
    while names and not names[-1]:
        names.pop()  # the line ends with a separator
    if len(names) > _MOST:
        raise ImportRefused("header-unknown", "The first line is the header of neither national file.")
    return names


def _places(found: Sequence[str], wanted: Sequence[str]) -> dict[str, int]:
    left = dict(enumerate(found))
    places: dict[str, int] = {}
    for exact in (True, False):
        # The longest name first: "telephone 2" is not "telephone".
        for key in sorted((one for one in wanted if one not in places), key=len, reverse=True):
            fits = [at for at, name in left.items() if (name == key if exact else name.startswith(f"{key} "))]
            if len(fits) > 1:
                raise ImportRefused("header-twice", f"The header names a column twice ({key}).")
            if fits:
                places[key] = fits[0]
                del left[fits[0]]
    missing = [one for one in wanted if one not in places]
    if missing:
        raise ImportRefused("header-lacks", f"The header lacks columns: {', '.join(missing)}.")
    return places
