"""What became of each document: current, superseded, archived, withdrawn; masked or not. The page follows the same
rules (`webmail/ui/src/worker/record/life_cycle.ts`); `tests/webmail/vectors/life_cycle.json` holds both to one answer.

A document is known by its uniqueId and the hash of its bytes: the same by two ways is one, the same id with other bytes
is two, each flagged "differs". A letter may say that it replaces or withdraws documents: that counts only if it comes
from an address that sent the document, about the same person; anybody else's word is shown for what it is, and changes
nothing. What the holder decided (masked, archived) counts only in letters of their own.

Invariants: pure; the answer does not depend on the order in which letters came, nor on how often; nothing is ever
dropped: a circle of replacements supersedes nothing; a decision about an id holds for all that bear it, so that what
is masked cannot come back under other bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from mail_server.payloads.manifest import DECISION, DOCUMENT, ENTRY, FHIR, FILE, WITHDRAWAL, Item

State = Literal["current", "superseded", "archived", "withdrawn"]
LIVING: Final = frozenset({DOCUMENT, FHIR, FILE, ENTRY})  # kinds that have a life cycle
_UNDOES: Final = {"unmask": "mask", "unarchive": "archive"}


@dataclass(frozen=True, slots=True)
class Arrival:
    """One item as one letter brought it."""

    letter: str
    sender: str = field(repr=False)  # the address that the server verified
    item: Item = field(repr=False)
    patient: str = ""  # `Manifest.patient`
    own: bool = False  # the holder wrote it to themself


@dataclass(frozen=True, slots=True)
class Standing:
    """One document, and what became of it. `key` is its id, with the beginning of its hash when that differs."""

    key: str
    id: str
    hash: str
    state: State
    masked: bool = False
    archived: bool = False
    letters: tuple[str, ...] = ()  # that brought it
    replaced_by: tuple[str, ...] = ()  # keys
    history: tuple[str, ...] = ()  # keys of the other versions, newest first
    withdrawn_in: tuple[str, ...] = ()  # letters that took it back
    flags: tuple[str, ...] = ()


@dataclass(slots=True)
class _Document:
    key: str
    id: str
    hash: str
    made: str
    senders: set[tuple[str, str]]  # address, patient
    letters: set[str]
    claims: set[tuple[str, str, str]]  # address, patient, id said to be replaced


def life_cycle(arrivals: Iterable[Arrival]) -> tuple[Standing, ...]:
    """Every document of these letters, by key."""
    known = list(arrivals)
    documents = _documents(known)
    by_id: defaultdict[str, list[_Document]] = defaultdict(list)
    for one in documents.values():
        by_id[one.id].append(one)
    replaced, unheeded = _replacements(documents, by_id)
    circular = _circular(replaced)
    flagged: defaultdict[str, set[str]] = defaultdict(set)
    for key in circular:
        flagged[key].add("cycle")
    for key in unheeded:
        flagged[key].add("replaces-unheeded")
    for several in by_id.values():
        if len(several) > 1:
            for one in several:
                flagged[one.key].add("differs")
    newer: defaultdict[str, set[str]] = defaultdict(set)  # key → keys that replace it
    for key, olds in replaced.items():
        for old in olds - {key}:
            if not (key in circular and old in circular):
                newer[old].add(key)
    withdrawn = _withdrawals(known, by_id)
    masked, archived = _decided(known, "mask"), _decided(known, "archive")
    chains = _chains(documents, newer)
    found: list[Standing] = []
    for key in sorted(documents):
        one = documents[key]
        put_away = one.id in archived
        state: State = "archived" if put_away else "current"
        if newer[key]:
            state = "superseded"
        if key in withdrawn:
            state = "withdrawn"
        found.append(
            Standing(
                key,
                one.id,
                one.hash,
                state,
                masked=one.id in masked,
                archived=put_away,
                letters=tuple(sorted(one.letters)),
                replaced_by=tuple(sorted(newer[key])),
                history=tuple(other for other in chains[key] if other != key),
                withdrawn_in=tuple(sorted(withdrawn.get(key, ()))),
                flags=tuple(sorted(flagged[key])),
            )
        )
    return tuple(found)


def identity(item: Item) -> str:
    """By which an item is known: its own id, or its bytes when it has none."""
    return item.id or f"sha256:{item.hash}"


def _documents(arrivals: Sequence[Arrival]) -> dict[str, _Document]:
    living = [one for one in arrivals if one.item.kind in LIVING and (one.item.id or one.item.hash)]
    hashes: defaultdict[str, set[str]] = defaultdict(set)
    for one in living:
        hashes[identity(one.item)].add(one.item.hash)
    found: dict[str, _Document] = {}
    for one in living:
        name, item = identity(one.item), one.item
        key = name if len(hashes[name]) == 1 else f"{name}#{item.hash[:16]}"
        document = found.get(key)
        if document is None:
            document = found[key] = _Document(key, name, item.hash, item.made, set(), set(), set())
        document.made = max(document.made, item.made)  # one way may tell more than another
        sender = one.sender.lower()
        document.senders.add((sender, one.patient))
        document.letters.add(one.letter)
        document.claims.update((sender, one.patient, old) for old in item.replaces)
    return found


def _replacements(
    documents: Mapping[str, _Document], by_id: Mapping[str, Sequence[_Document]]
) -> tuple[dict[str, set[str]], set[str]]:
    """Keys that each document replaces; those whose word about a document that is here does not count."""
    replaced: dict[str, set[str]] = {}
    unheeded: set[str] = set()
    for key, one in documents.items():
        for sender, patient, old in one.claims:
            for target in by_id.get(old, ()):
                if (sender, patient) in target.senders:
                    replaced.setdefault(key, set()).add(target.key)
        said = {old for _, _, old in one.claims if old in by_id}
        heeded = {documents[old].id for old in replaced.get(key, ())}
        if said - heeded:
            unheeded.add(key)
    return replaced, unheeded


def _circular(replaced: Mapping[str, set[str]]) -> set[str]:
    """Documents that, by what they say, replace themselves in the end."""
    found: set[str] = set()
    for start in replaced:
        seen: set[str] = set()
        ahead = list(replaced[start])
        while ahead:
            key = ahead.pop()
            if key in seen:
                continue
            seen.add(key)
            ahead.extend(replaced.get(key, ()))
        if start in seen:
            found.add(start)
    return found


def _withdrawals(
    arrivals: Iterable[Arrival], by_id: Mapping[str, Sequence[_Document]]
) -> dict[str, set[str]]:
    """Letters that took a document back, by its key. A letter without documents may name nobody."""
    found: dict[str, set[str]] = {}
    for one in arrivals:
        if one.item.kind != WITHDRAWAL:
            continue
        sender = one.sender.lower()
        for old in one.item.withdraws:
            for target in by_id.get(old, ()):
                if any(sender == by and one.patient in ("", about) for by, about in target.senders):
                    found.setdefault(target.key, set()).add(one.letter)
    return found


def _decided(arrivals: Iterable[Arrival], what: str) -> set[str]:
    """Ids that the holder's last word about is `what`; of two at one instant, the one that hides more."""
    last: dict[str, tuple[str, bool]] = {}
    for one in arrivals:
        item = one.item
        if not one.own or item.kind != DECISION or _UNDOES.get(item.decision, item.decision) != what:
            continue
        said = (item.stamp.removesuffix("Z"), item.decision == what)
        for target in item.targets:
            last[target] = max(last.get(target, said), said)
    return {target for target, (_, holds) in last.items() if holds}


def _chains(documents: Mapping[str, _Document], newer: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    """All versions of each document, newest first."""
    beside: defaultdict[str, set[str]] = defaultdict(set)
    for old, news in newer.items():
        for new in news:
            beside[old].add(new)
            beside[new].add(old)
    found: dict[str, tuple[str, ...]] = {}
    for start in documents:
        if start in found:
            continue
        chain: set[str] = set()
        ahead = [start]
        while ahead:
            key = ahead.pop()
            if key not in chain:
                chain.add(key)
                ahead.extend(beside[key])
        ordered = _newest_first(chain, documents, newer)
        found.update(dict.fromkeys(chain, ordered))
    return found


def _newest_first(
    chain: Iterable[str], documents: Mapping[str, _Document], newer: Mapping[str, set[str]]
) -> tuple[str, ...]:
    """What replaces stands before what it replaces; else by when it was made, then by key."""
    left = set(chain)
    ordered: list[str] = []
    while left:
        free = [key for key in left if not (newer.get(key, set()) & left)]
        free.sort(key=lambda key: (documents[key].made, key), reverse=True)
        ordered.extend(free)
        left.difference_update(free)
    return tuple(ordered)
