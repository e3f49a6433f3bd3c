"""Which address a wrong one may have been meant for: "did you mean".

Words of the part before the @ are taken for words that addresses have, one edit away (the lexicon); given and family
name may be exchanged or joined otherwise; the domain may be one near. What comes out is then looked up: a few dozen
look-ups in an index, whatever the number of mailboxes.

Invariants: only addresses that a card shows; nothing is suggested for an address that is shown itself; bounded work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product

from rapidfuzz import process
from rapidfuzz.distance import OSA

from directory.listings.database import Sql
from directory.search.lexicon import SHORTEST, Lexicon
from directory.search.words import normalised, storable

_LONGEST = 254  # RFC 5321 §4.5.3.1.3
_SIGNS = re.compile(r"([._+-]+)")
_MOST_ASKED = 120
_MOST_PARTS = 5
_SHORTEST_NEAR = 2  # letters
_LONGEST_PART = 64
_NEAR_DOMAINS = 4
_SLICE = 2_000


def suggested(
    sql: Sql, address: str, lexicon: Lexicon, domains: Sequence[str], limit: int = 3
) -> tuple[str, ...]:
    """`domains`: all there are, in lower case."""
    plain = storable(address.strip().lower())
    local, at, domain = plain.rpartition("@")
    if not at or not local or not domain or len(plain) > _LONGEST:
        return ()
    asked = list(dict.fromkeys(islice(_candidates(local, domain, lexicon, domains), _MOST_ASKED)))
    marks = ", ".join("?" * (len(asked) + 1))
    rows = sql.all(f"SELECT address FROM card WHERE address IN ({marks})", [plain, *asked])  # noqa: S608
    shown = {row[0] for row in rows}
    return () if plain in shown else tuple(one for one in asked if one in shown)[:limit]


def _candidates(local: str, domain: str, lexicon: Lexicon, domains: Sequence[str]) -> Iterator[str]:
    """The likeliest first."""
    near = list(near_domains(domain, domains))
    known = domain in domains
    yield from (f"{local}@{one}" for one in near)
    for place in [domain, *near] if known or not near else near:
        yield from (f"{one}@{place}" for one in _locals(local, lexicon))


def near_domains(domain: str, domains: Sequence[str]) -> Iterable[str]:
    """Domains that this one may have been meant for; without itself."""
    found: dict[str, None] = {}
    first = domain.partition(".")[0]
    # "chu-lyon.fr" for "chu-lyon.mssante.fr".
    for start in range(0, len(domains), _SLICE):
        for one, _, _ in process.extract(
            domain, domains[start : start + _SLICE], scorer=OSA.distance, score_cutoff=2, limit=_NEAR_DOMAINS
        ):
            found.setdefault(one)
    if (secure := f"{first}.mssante.fr") in domains:
        found.setdefault(secure)
    found.pop(domain, None)
    return sorted(found, key=lambda one: OSA.distance(domain, one))[:_NEAR_DOMAINS]


def _locals(local: str, lexicon: Lexicon) -> Iterator[str]:
    pieces = _SIGNS.split(local)[: 2 * _MOST_PARTS - 1]
    parts, signs = pieces[::2], pieces[1::2]
    plain = [normalised(part).replace(" ", "") for part in parts]
    if len(parts) > 1:
        yield _together(reversed(plain), signs)
        yield from ("".join(plain), ".".join(plain), "-".join(plain), "_".join(plain))
        yield f"{plain[0][:1]}{signs[0]}{plain[-1]}"
        yield f"{plain[0][:1]}{plain[-1]}"
    elif plain != parts:
        yield plain[0]
    unknown = [_near(part, lexicon) if part not in lexicon else [part] for part in plain]
    for some in islice(product(*unknown), _MOST_ASKED // 3):
        yield _together(some, signs)
    for at, part in enumerate(plain):
        for one, other in _halves(part, lexicon):
            yield from (
                _together([*plain[:at], f"{one}{sign}{other}", *plain[at + 1 :]], signs) for sign in "-."
            )
        for other in _near(part, lexicon):
            yield _together([*plain[:at], other, *plain[at + 1 :]], signs)


def _halves(part: str, lexicon: Lexicon) -> Iterator[tuple[str, str]]:
    """ "marieclaire": marie and claire."""
    for at in range(SHORTEST, min(len(part), _LONGEST_PART) - SHORTEST + 1):
        if part[:at] in lexicon and part[at:] in lexicon:
            yield part[:at], part[at:]


def _near(part: str, lexicon: Lexicon) -> list[str]:
    """The word itself first: it may stand in another place."""
    if len(part) < _SHORTEST_NEAR:
        return [part]
    near = lexicon.one_edit(part)
    return [part, *(near if near or part in lexicon else lexicon.two_edits(part))]


def _together(parts: Iterable[str], signs: Sequence[str]) -> str:
    """Parts with the signs that stood between them."""
    made = ""
    for number, part in enumerate(parts):
        made += (signs[number - 1] if number else "") + part
    return made
