"""The letter of the morning and its table, for people who look after a hospital's system: French, then English.

Invariants: pure; no patient's name, no title, no type: references, addresses, times and what became of each; the three
figures make the sum, of documents and of withdrawals each.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from mail_server.payloads.record.causes import words

_SHOWN = 20  # of each list in the letter; the table has all


@dataclass(frozen=True, slots=True)
class Told:
    """One letter handed in, as it is told."""

    reference: str
    address: str = field(repr=False)
    at: int
    outcome: str  # "delivered", "waiting", "refused"
    cause: str = ""
    opened_at: int | None = None
    withdrawal: bool = False


@dataclass(frozen=True, slots=True)
class Morning:
    """Everything one letter tells."""

    day: str  # YYYY-MM-DD
    handed_in: Sequence[Told]
    later: Sequence[Told] = ()  # told before, and refused or delivered since
    unopened: Sequence[Told] = ()
    still: Sequence[Told] = ()  # told of as unopened before, and not opened yet
    unopened_days: int = 7

    @property
    def documents(self) -> list[Told]:
        return [one for one in self.handed_in if not one.withdrawal]

    @property
    def withdrawals(self) -> list[Told]:
        return [one for one in self.handed_in if one.withdrawal]

    def count(self, outcome: str, *, withdrawals: bool = False) -> int:
        """Of the documents, or of the withdrawals: either adds up to what was handed in."""
        return sum(one.outcome == outcome for one in (self.withdrawals if withdrawals else self.documents))

    def __bool__(self) -> bool:
        return bool(self.handed_in or self.later or self.unopened)


_OUTCOMES = {
    "delivered": ("remis", "delivered"),
    "waiting": ("en attente", "waiting"),
    "refused": ("refusé", "refused"),
}


def subject(morning: Morning) -> str:
    day = "/".join(reversed(morning.day[:10].split("-")))
    return f"Vos envois au {day} / What became of your reports"


def text(morning: Morning, zone: ZoneInfo) -> str:
    return "\n".join([*_french(morning, zone), "", "- - -", "", *_english(morning, zone)]) + "\n"


def table(morning: Morning, zone: ZoneInfo) -> bytes:
    """CSV with a byte order mark, which spreadsheets need to read it as UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(("list", "reference", "address", "time", "outcome", "cause", "cause_fr", "opened"))
    lists = (
        ("handed-in", morning.documents),
        ("withdrawal", morning.withdrawals),
        ("since", morning.later),
        ("unopened", morning.unopened),
        ("still-unopened", morning.still),
    )
    for name, rows in lists:
        for one in rows:
            writer.writerow(
                (
                    name,
                    _plain(one.reference),
                    _plain(one.address),
                    _time(one.at, zone),
                    one.outcome,
                    one.cause if one.outcome == "refused" else "",
                    words(one.cause)[0] if one.outcome == "refused" else "",
                    _time(one.opened_at, zone) if one.opened_at else "",
                )
            )
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "replace")


def _french(morning: Morning, zone: ZoneInfo) -> list[str]:
    lines = [
        "Bonjour,",
        "",
        f"Envois remis au serveur depuis la dernière lettre\u00a0: {len(morning.documents)}",
        f"    remis à leur destinataire\u00a0: {morning.count('delivered')}",
        f"    en attente (espace pas encore ouvert, ou opérateur pas encore joint)\u00a0: {morning.count('waiting')}",
        f"    refusés\u00a0: {morning.count('refused')}",
    ]
    if taken_back := len(morning.withdrawals):
        lines.append(
            f"Retraits, comptés à part\u00a0: {taken_back}"
            f" (remis\u00a0: {morning.count('delivered', withdrawals=True)},"
            f" en attente\u00a0: {morning.count('waiting', withdrawals=True)},"
            f" refusés\u00a0: {morning.count('refused', withdrawals=True)})"
        )
    refused = [one for one in morning.handed_in if one.outcome == "refused"]
    lines += _list("Refusés, avec la cause\u00a0:", refused, zone, 0)
    lines += _list("Refusés depuis\u00a0:", _later(morning, refused=True), zone, 0)
    arrived = _later(morning, refused=False)
    since = "Remis depuis, le patient ayant ouvert son espace ou son opérateur ayant été joint\u00a0:"
    lines += _list(since, arrived, zone, 0)
    lines += _list(
        f"Pas encore ouverts après {morning.unopened_days} jours\u00a0: à envoyer sur papier.",
        morning.unopened,
        zone,
        0,
    )
    if morning.still:
        lines += [
            "",
            f"Déjà signalés, et toujours pas ouverts\u00a0: {len(morning.still)} (dans le tableau).",
        ]
    return [*lines, "", "Le tableau joint les donne tous."]


def _english(morning: Morning, zone: ZoneInfo) -> list[str]:
    lines = [
        f"Handed in since the last letter: {len(morning.documents)}",
        f"    delivered: {morning.count('delivered')}",
        f"    waiting (space not opened, or operator not reached yet): {morning.count('waiting')}",
        f"    refused: {morning.count('refused')}",
    ]
    if taken_back := len(morning.withdrawals):
        lines.append(
            f"Withdrawals, counted apart: {taken_back} (delivered: {morning.count('delivered', withdrawals=True)},"
            f" waiting: {morning.count('waiting', withdrawals=True)},"
            f" refused: {morning.count('refused', withdrawals=True)})"
        )
    refused = [one for one in morning.handed_in if one.outcome == "refused"]
    lines += _list("Refused, with the cause:", refused, zone, 1)
    lines += _list("Refused since:", _later(morning, refused=True), zone, 1)
    arrived = _later(morning, refused=False)
    since = "Delivered since: the patient has opened their space, or their operator was reached:"
    lines += _list(since, arrived, zone, 1)
    lines += _list(
        f"Not opened after {morning.unopened_days} days: send them on paper.", morning.unopened, zone, 1
    )
    if morning.still:
        lines += ["", f"Told of before, and still not opened: {len(morning.still)} (in the table)."]
    return [*lines, "", "The attached table has all of them."]


def _later(morning: Morning, *, refused: bool) -> list[Told]:
    return [one for one in morning.later if (one.outcome == "refused") is refused]


def _list(title: str, rows: Sequence[Told], zone: ZoneInfo, language: int) -> list[str]:
    if not rows:
        return []
    lines = ["", title]
    for one in rows[:_SHOWN]:
        what = (
            words(one.cause)[language]
            if one.outcome == "refused"
            else _OUTCOMES.get(one.outcome, ("", ""))[language]
        )
        lines.append(f"    {_time(one.at, zone)}  {one.address or '-'}  {one.reference or '-'}")
        lines.append(f"        {what}")
    if len(rows) > _SHOWN:
        more = len(rows) - _SHOWN
        lines.append(
            f"    … et {more} de plus, dans le tableau."
            if not language
            else f"    … and {more} more, in the table."
        )
    return lines


def _time(at: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC).astimezone(zone):%Y-%m-%d %H:%M}"


def _plain(value: str) -> str:
    """A cell that a spreadsheet must not take for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
