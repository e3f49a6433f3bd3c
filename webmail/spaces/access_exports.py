"""The access log as a file, for who holds the account or reads a shared one: CSV and PDF/UA.

Invariants: the export is in the trace before it is answered; lines, words and order are those of the page's History
screen; the same log gives the same octets; setting a PDF holds neither the loop nor anybody's content.
"""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response

from mail_server.accounts.entities import rights_in
from mail_server.accounts.interface import Account, Kind
from mail_server.store.model import AccountId
from policies.audit.export import csv_cell
from policies.audit.printing import Printed, render
from webmail.login.front import Front, router
from webmail.login.ground import Ground, Visitor
from webmail.login.problems import Problem
from webmail.spaces.access_log import AccessLog
from webmail.spaces.access_words import Words, words_of
from webmail.spaces.routes import unrestricted

_MOST_CSV = 200_000
_MOST_PDF = 5_000
_AT_ONCE = 2  # files being made; others wait
_FAR = 2**53
_WIDTHS = ("7.5em", "2.2fr", "2.2fr", "1fr", "1.4fr", "1.4fr", "1fr")
_SHARED = (Kind.ORG, Kind.CAB)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a file shall hold."""

    account: Account
    since: int
    until: int
    words: Words


@dataclass(frozen=True, slots=True)
class Exported:
    data: bytes = field(repr=False)
    type: str
    name: str


class AccessExports:
    def __init__(self, ground: Ground, log: AccessLog) -> None:
        self._ground = ground
        self._log = log
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def csv(self, asked: Asked, reader: Account, visitor: Visitor) -> Exported:
        lines, _ = await self._lines(asked, reader, visitor, "csv", _MOST_CSV)
        data = await asyncio.to_thread(_as_csv, lines, asked.words)
        return Exported(data, "text/csv; charset=utf-8", f"{asked.words.file}.csv")

    async def pdf(self, asked: Asked, reader: Account, visitor: Visitor) -> Exported:
        async with self._turns:
            lines, cut = await self._lines(asked, reader, visitor, "pdf", _MOST_PDF)
            data = await asyncio.to_thread(_as_pdf, lines, asked, cut)
        return Exported(data, "application/pdf", f"{asked.words.file}.pdf")

    async def _lines(
        self, asked: Asked, reader: Account, visitor: Visitor, form: str, most: int
    ) -> tuple[list[dict[str, Any]], bool]:
        ground = self._ground
        event = ground.event("access-log-export", asked.account.id, visitor, actor=reader.id, form=form)
        await ground.store.write(lambda transaction: ground.trail.append(transaction.sql, [event]))
        until = min(asked.until, event.at)  # what comes later, this export among it, is in the next file
        lines = await ground.store.read(
            lambda store: self._log.lines(store.sql, asked.account, asked.since, until, most + 1)
        )
        return lines[:most], len(lines) > most


def export_routes(ground: Ground, front: Front, exports: AccessExports) -> APIRouter:
    routes = router()

    async def exported(request: Request, make: Callable[[Asked, Account, Visitor], Any]) -> Response:
        session = unrestricted(front, request)
        reader = ground.account(session)
        if ground.trace_full():
            raise Problem("busy")
        made: Exported = await make(
            _asked(ground, reader, request.query_params), reader, front.visitor(request, session)
        )
        headers = {
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="{made.name}"',
            "x-content-type-options": "nosniff",
        }
        return Response(made.data, media_type=made.type, headers=headers)

    @routes.get("/access-log.csv")
    async def as_csv(request: Request) -> Response:
        return await exported(request, exports.csv)

    @routes.get("/access-log.pdf")
    async def as_pdf(request: Request) -> Response:
        return await exported(request, exports.pdf)

    return routes


def _asked(ground: Ground, reader: Account, given: Mapping[str, str]) -> Asked:
    """Raises Problem bad-request; forbidden, for what is not there as for what is not theirs."""
    account = reader
    if (wanted := given.get("account", reader.id)) != reader.id:
        found = ground.accounts.by_id(AccountId(wanted))
        if found is None or found.kind not in _SHARED or "r" not in rights_in(found, reader.id):
            raise Problem("forbidden")
        account = found
    since, until = _moment(given.get("since"), 0), _moment(given.get("until"), _FAR)
    if since > until:
        raise Problem("bad-request")
    return Asked(account, since, until, words_of(given.get("lang", "fr")))


def _moment(text: str | None, otherwise: int) -> int:
    if not text:
        return otherwise
    if not text.isascii() or not text.isdecimal() or len(text) > 16:
        raise Problem("bad-request")
    return min(int(text), _FAR)


def _as_csv(lines: Sequence[Mapping[str, Any]], words: Words) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")  # RFC 4180 §2
    writer.writerow(words.headings)
    zone = _zone()
    for line in lines:
        when = dt.datetime.fromtimestamp(line["at"] / 1000, zone).isoformat(timespec="seconds")
        writer.writerow([csv_cell(cell) for cell in (when, *_cells(line, words))])
    # Spreadsheets take a file for UTF-8 when it begins so.
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8")


def _as_pdf(lines: Sequence[Mapping[str, Any]], asked: Asked, cut: bool) -> bytes:
    words, zone = asked.words, _zone()

    def day(at: int) -> str:
        return dt.datetime.fromtimestamp(at / 1000, zone).strftime("%d/%m/%Y")

    first = lines[-1]["at"] if lines else asked.since
    last = lines[0]["at"] if lines else min(asked.until, 4_102_444_800_000)
    lead = [
        words.account.format(address=asked.account.shown),
        words.period.format(since=day(first), until=day(last), count=len(lines)),
        words.times.format(zone="Paris" if zone is not dt.UTC else "UTC"),
    ]
    if cut:
        lead.append(words.cut)
    rows = [
        [dt.datetime.fromtimestamp(line["at"] / 1000, zone).strftime("%d/%m/%Y %H:%M"), *_cells(line, words)]
        for line in lines
    ]
    return render(
        Printed(words.language, words.title, lead, words.headings, rows, _WIDTHS, words.page, landscape=True)
    )


def _cells(line: Mapping[str, Any], words: Words) -> list[str]:
    done = line["outcome"] in ("done", "") or line["action"].endswith(("-failed", "-refused"))
    return [
        words.action(line["action"]),
        line["address"] or words.who[line["who"]],
        "" if done else words.refused,
        line["label"],
        line["network"],
        str(line["seq"]),
    ]


def _zone() -> dt.tzinfo:
    """The time of the people this is for; a machine without the table of zones tells UTC, and says so."""
    try:
        return zoneinfo.ZoneInfo("Europe/Paris")
    except zoneinfo.ZoneInfoNotFoundError:
        return dt.UTC
