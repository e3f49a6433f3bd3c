"""Our mailboxes in one table for the people in charge: how each stands here, at the national directory, and until when.

Invariants: no patient is in it; lines are in the order of kinds and addresses, and the same at each reading of the same
state; no cell begins with what a spreadsheet takes for a formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

from deploy.node.inactivity import Unused
from deploy.node.node import Node
from directory.certificates.interface import CertificateStanding
from directory.certificates.interface import Standing as Certified
from directory.publication.client.states import Shown, Standing
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.life import Life

DAY = 86_400_000  # ms
SOON_DAYS = 60
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what spreadsheets run when a cell begins with it
_NO_LINE = Standing("")


@dataclass(frozen=True, slots=True)
class Line:
    """One mailbox of ours. Days are YYYY-MM-DD (UTC)."""

    address: str
    kind: str
    holder: str  # identifier; several of a group practice, the responsible first
    name: str
    state: str  # in service, suspended, not practising, closed
    shown: str  # listed, red list, withdrawn, no
    national_directory: str
    published_since: str
    last_login: str  # the month alone
    notice_sent: str
    closes_on: str
    certificate_until: str
    wrong: str  # what is to be mended, sentences joined by "; "


COLUMNS = tuple(field.name for field in fields(Line))


async def lines(node: Node, at: int, kinds: frozenset[Kind] = frozenset(Kind)) -> list[Line]:
    standings = {one.address: one for one in await node.publications.standings()}
    lives = await node.accounts.lives()
    unused = {one.account.id: one for one in await node.inactivity.unused()}
    found = [
        _line(
            node,
            account,
            standings.get(account.address, _NO_LINE),
            lives.get(account.id),
            unused.get(account.id),
            at,
        )
        for account in node.accounts.all()
        if account.kind is not Kind.PATIENT and account.kind in kinds
    ]
    return sorted(found, key=lambda line: (line.kind, line.address))


def as_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """RFC 4180 but for its semicolons, which French spreadsheets want; UTF-8 with a mark that tells them so."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([safe(row[name]) for name in COLUMNS] for row in rows)
    return "\ufeff" + out.getvalue()


def safe(cell: str) -> str:
    """As text, whatever it begins with."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def as_rows(found: Sequence[Line]) -> list[dict[str, str]]:
    return [asdict(line) for line in found]


def _line(
    node: Node, account: Account, standing: Standing, life: Life | None, unused: Unused | None, at: int
) -> Line:
    profile, state = node.profiles.of(account.id), _state(account)
    holder = account.national_id or " ".join(profile.id_pp) or profile.id_nat_struct
    certified = node.directory.certificate(account.address, at)
    withdrawn = standing.withdrawn_at is not None
    shown = node.publications.shown(standing)
    told = "" if shown is Shown.NOWHERE else shown.value
    return Line(
        address=account.address,
        kind=account.kind.value,
        holder=holder,
        name=node.profiles.display_name(account),
        state=state,
        shown=_shown(state, withdrawn=withdrawn, red=profile.red_list),
        national_directory=told,
        published_since=_day(standing.published_at) if told and standing.published else "",
        last_login=_day(life.last_login)[:7] if life is not None else "",
        notice_sent=_day(life.notified) if life is not None else "",
        closes_on=_day(unused.closes) if unused is not None else "",
        certificate_until=_until(certified),
        wrong="; ".join(_wrong(node, account, state, holder, certified, standing, told, at)),
    )


def _wrong(
    node: Node,
    account: Account,
    state: str,
    holder: str,
    certified: CertificateStanding,
    standing: Standing,
    told: str,
    at: int,
) -> Iterable[str]:
    if state == "in service":
        if not holder:
            yield "no identifier of its holder"
        if not node.profiles.display_name(account):
            yield "no name"
        # Shared mailboxes are sealed to their members, software is held in custody: people alone have one of their own.
        if account.kind is Kind.PER:
            yield from _of_certificate(certified, at)
    if told == Shown.REFUSED.value:
        yield f"refused by the national directory: {standing.words or standing.reason}"


def _of_certificate(certified: CertificateStanding, at: int) -> Iterable[str]:
    match certified.standing:
        case Certified.NONE:
            yield "no certificate"
        case Certified.EXPIRED:
            yield "its certificate has expired"
        case Certified.REVOKED:
            yield "its certificate is revoked"
        case Certified.VALID:
            end = certified.certificate.not_after if certified.certificate is not None else None
            if end is not None and end - at < SOON_DAYS * DAY:
                yield f"its certificate ends on {_day(end)}"


def _state(account: Account) -> str:
    if account.closed:
        return "closed"
    if not account.practising:
        return "not practising"
    return "suspended" if account.suspended else "in service"


def _shown(state: str, *, withdrawn: bool, red: bool) -> str:
    if state != "in service":
        return "no"
    if withdrawn:
        return "withdrawn"
    return "red list" if red else "listed"


def _until(certified: CertificateStanding) -> str:
    if certified.certificate is None:
        return ""
    return _day(certified.certificate.not_after) or "no end"


def _day(at: int | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")
