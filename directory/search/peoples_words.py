"""How people name what the national tables name otherwise: "généraliste" for « Médecine générale », "kiné", "CHU".

Invariants: everything is in the words of `search.words`; an alternative is words that must all be there, each as the
beginning of one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

Alternative = tuple[str, ...]

_TABLE = """
generaliste: medecine generale
medecin generaliste: medecine generale
medecin traitant: medecine generale
medecin de famille: medecine generale
toubib: medecin
urgentiste: medecine urgence
interniste: medecine interne
anesthesiste: anesthesie
reanimateur: reanimation
orl: oto rhino | orl
otorhino: oto rhino
accoucheur: obstetri
obstetricien: obstetri
obstetricienne: obstetri
gyneco: gyneco
oculiste: ophtalmolog
dermato: dermatolog
gastro: gastro
rhumato: rhumatolog
cancerologue: oncolog | cancerolog
oncologue: oncolog | cancerolog
chirurgien: chirurgi
chirurgienne: chirurgi
neurochirurgien: neurochirurgi
orthopediste: orthopedi
orthodontiste: orthopedie dento | orthodont
orthodontie: orthopedie dento | orthodont
dentiste: dentiste
stomato: stomatolog
radiologue: radiolog | radio diagnostic
radiotherapeute: radiotherap
biologiste: biologie | biologiste
geneticien: genetique
nutritionniste: nutrition
medecin du travail: medecine travail
medecin du sport: medecine sport
legiste: medecine legale
acupuncteur: acupuncture
kine: kinesitherap
kines: kinesitherap
kinesi: kinesitherap
masseur kine: kinesitherap
infirmiere: infirmier
infirmieres: infirmier
infirmiers: infirmier
ide: infirmier
idel: infirmier
pharmacie: pharmacie | pharmacien
pharmacienne: pharmacien
psy: psych
psychologue: psycholog
pedicure: pedicure
podologue: podolog
sagefemme: sage femme
maieuticien: sage femme
dieteticienne: dieteticien
opticienne: opticien
prothesiste: prothesiste
ergo: ergotherap
psychomot: psychomotric
chu: chu | centre hospitalier universitaire
chr: chr | centre hospitalier regional
ch: ch | centre hospitalier
chs: chs | centre hospitalier specialise
hopital: hopital | hopitaux | centre hospitalier | hospital
hosto: hopital | hopitaux | centre hospitalier
labo: laboratoire | labo
maison de retraite: ehpad | residence | hebergement personnes agees
ehpad: ehpad | hebergement personnes agees
had: had | hospitalisation domicile
smur: smur | urgence
urgences: urgence
msp: msp | maison sante
maison medicale: maison medicale | maison sante
ssr: ssr | soins suite | readaptation
cmp: cmp | centre medico psychologique
pmi: pmi | protection maternelle
st: st | saint
ste: ste | sainte
"""

LABELS = frozenset(
    """medecin medecine generale infirmier masseur kinesitherapeute pharmacien pharmacie chirurgien chirurgie dentiste
    sage femme orthophoniste psychologue pedicure podologue manipulateur ergotherapeute psychomotricien orthoptiste
    qualifie specialiste centre hospitalier universitaire hopital clinique cabinet maison sante medicale medical
    laboratoire ehpad residence maladies service groupe secretariat""".split()  # noqa: SIM905  # forty words
)
"""Whole words of official labels: thousands of cards have each, and who typed one has typed all of it."""

_MOST = 3  # words of a phrase
_SHORTEST = 5  # letters by which one of these words, being typed, is known
# What follows the name of a body's science, in who practises it: cardiologue, cardiologie; psychiatre, psychiatrie.
_SCIENCES = (("ologue", "ologi"), ("iatre", "iatri"), ("pathe", "pathi"))


def _read(table: str) -> dict[str, tuple[Alternative, ...]]:
    return {
        typed.strip(): tuple(tuple(each.split()) for each in official.split("|"))
        for typed, official in (line.split(":") for line in table.strip().splitlines())
    }


_OFFICIAL: Mapping[str, tuple[Alternative, ...]] = _read(_TABLE)
_IN_ORDER = sorted(_OFFICIAL)


def phrase(words: list[str]) -> tuple[int, tuple[Alternative, ...]]:
    """How many of the first words are one phrase of people's, and what it may stand for; 0 where none is."""
    for length in range(min(_MOST, len(words)), 0, -1):
        found = _OFFICIAL.get(" ".join(words[:length]))
        if found is None and length == 1:
            found = _one(words[0])
        if found is not None:
            return length, found
    return 0, ()


def begun(word: str) -> tuple[Alternative, ...]:
    """What a word that is still being typed may become ("generalis")."""
    if len(word) < _SHORTEST:
        return ()
    at = bisect_left(_IN_ORDER, word)
    if at < len(_IN_ORDER) and _IN_ORDER[at].startswith(word) and " " not in _IN_ORDER[at]:
        return _OFFICIAL[_IN_ORDER[at]]
    return ()


def _one(word: str) -> tuple[Alternative, ...] | None:
    single = word[:-1] if len(word) > _SHORTEST and word.endswith("s") else word
    if single in _OFFICIAL:
        return _OFFICIAL[single]
    for ending, science in _SCIENCES:
        if single.endswith(ending) and len(single) > len(ending) + 1:
            return ((single,), (single.removesuffix(ending) + science,))
    return None
