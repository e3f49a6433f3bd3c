"""`vaguemestre report …`: a hospital's system sends documents, and learns what became of them.

It runs where the documents are, with settings of its own (`reports.toml`): it needs no node on this machine. `report
morning` alone is a command of the node.

Exit codes, for whoever calls it from a script: 0 the node has it (or it is held, as asked); 2 the report is refused;
3 it is kept, and leaves later; 1 anything else.
Invariants: a report that was said to be taken is on the disk; nothing of a document or a patient is printed.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.node.terminal import (
    JsonOption,
    Terminal,
    at_terminal,
    content,
    fail,
    progress,
    screen,
    show,
    table,
)

if TYPE_CHECKING:
    from mail_server.reports.refusal import ReportRefused
    from mail_server.reports.sending import Desk, Taken
    from mail_server.reports.settings import HospitalSettings
    from mail_server.reports.spool import Outcome, Row

report = typer.Typer(
    no_args_is_help=True, help="Documents of a hospital's system: send, announce, withdraw, watch."
)
SettingsOption = Annotated[
    Path, typer.Option("--settings", help="Settings of the hospital's side (`report init` writes them).")
]
WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Hand it over now, or leave it to `report watch`.")
]
_FILE = Path("reports.toml")
_REFUSED, _LATER = 2, 3


@report.command()
def init(
    host: Annotated[str, typer.Option(help="Name of the node, as in its certificate.")],
    address: Annotated[str, typer.Option(help="This system's address (APP).")],
    certificate: Annotated[Path, typer.Option(help="This system's certificate with its chain (PEM).")],
    key: Annotated[Path, typer.Option(help="Its private key (PEM).")],
    establishment: Annotated[str, typer.Option(help="Name of the establishment.")],
    identifier: Annotated[
        str, typer.Option(help='Its IdNat_Struct: "1" and the FINESS number (or 2 SIREN, 3 SIRET).')
    ],
    spool: Annotated[Path, typer.Option(help="Folder where letters wait, sealed.")],
    spool_key: Annotated[Path, typer.Option(help="Key of the spool to make, outside that folder.")],
    settings: SettingsOption = _FILE,
    port: Annotated[int, typer.Option(help="465 (TLS at once) or 587 (STARTTLS).")] = 465,
    start_tls: Annotated[
        bool, typer.Option("--start-tls", help="Begin in clear and ask for TLS (587).")
    ] = False,
    authorities: Annotated[
        Path | None, typer.Option(help="Authorities of the node's certificate (PEM).")
    ] = None,
    name: Annotated[str, typer.Option(help="Name shown before the address.")] = "",
    reply_to: Annotated[str, typer.Option(help="Where answers go: a mailbox that people read.")] = "",
    watch: Annotated[Path | None, typer.Option(help="Folder to watch.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the settings, every key with its meaning, and make the spool's key."""
    from directory.identifiers.national import parse_structure
    from directory.identifiers.refused import IdentifierRefused
    from mail_server.keys.interface import KeyUnavailable
    from mail_server.keys.kek import make_kek
    from mail_server.reports.settings import SettingsRefused, load, render

    if settings.exists():
        raise fail(f"{settings} exists already.")
    try:
        identifier = parse_structure(identifier).value
    except IdentifierRefused as refused:  # every document would bear it
        raise fail(f"--identifier: {refused.en}") from None
    values: dict[str, dict[str, Any]] = {
        "node": {"host": host, "port": port, "certificate": certificate.absolute(), "key": key.absolute()}
        | ({"authorities": authorities.absolute()} if authorities else {})
        | ({"start_tls": True} if start_tls or port == 587 else {}),
        "account": {"address": address.lower()}
        | ({"name": name} if name else {})
        | ({"reply_to": reply_to} if reply_to else {}),
        "establishment": {"name": establishment, "identifier": identifier},
        "spool": {"folder": spool.absolute(), "key": spool_key.absolute()},
        "watch": {"folder": watch.absolute()} if watch else {},
    }
    try:
        make_kek(spool_key.absolute(), spool.absolute())
        settings.write_text(render(values), encoding="utf-8")
        settings.chmod(0o600)
        load(settings)
    except (KeyUnavailable, SettingsRefused, OSError) as failure:
        raise fail(_words(failure)) from None
    told = {"settings": str(settings), "spool_key": str(spool_key)}
    words = (
        f"Settings: {settings}\nKey of the spool: {spool_key} - without it nothing in the spool opens again.\n"
        "The node's administrator binds the certificate: vaguemestre account add "
        f"{address.lower()} --kind APP --client-certificate {certificate}"
    )
    show(told, as_json, words)


@report.command()
def send(
    pdf: Annotated[Path | None, typer.Option(help="The document (PDF).")] = None,
    cda: Annotated[Path | None, typer.Option(help="The document (CDA), instead of a PDF.")] = None,
    fhir: Annotated[
        Path | None, typer.Option(help="The document (FHIR R4, JSON): beside one of those, or alone.")
    ] = None,
    patient: Annotated[
        Path | None, typer.Option(help="JSON of the patient, or of the whole order; - for the input.")
    ] = None,
    ins: Annotated[
        str, typer.Option(help="INS number; better in --patient: lists of processes show options.")
    ] = "",
    family_name: Annotated[str, typer.Option(help="Family name at birth.")] = "",
    given_name: Annotated[str, typer.Option(help="First given name.")] = "",
    birth_date: Annotated[str, typer.Option(help="YYYY-MM-DD.")] = "",
    sex: Annotated[str, typer.Option(help="F or M.")] = "",
    birth_place: Annotated[str, typer.Option(help="INSEE code of the place of birth.")] = "",
    document_type: Annotated[
        str, typer.Option("--type", help="Type of document (JDV_J07), such as 34112-3; else what it says.")
    ] = "",
    title: Annotated[
        str, typer.Option(help="Title, as people read it; else that of the CDA or FHIR document.")
    ] = "",
    date: Annotated[
        str, typer.Option(help="Date of the act, YYYY-MM-DD; else the document's, or today.")
    ] = "",
    to: Annotated[str, typer.Option(help="Another addressee than the patient.")] = "",
    replaces: Annotated[str, typer.Option(help="Reference of the report that this one replaces.")] = "",
    confidentiality: Annotated[
        list[str] | None, typer.Option(help="N, R, V, MASQUE_PS, INVISIBLE_PATIENT… (repeat).")
    ] = None,
    reference: Annotated[str, typer.Option(help="Reference of your own: the same one is taken once.")] = "",
    hold: Annotated[bool, typer.Option("--hold", help="Keep it until `report announce`.")] = False,
    wait: WaitOption = True,
    settings: SettingsOption = _FILE,
    as_json: JsonOption = False,
) -> None:
    """Send one document to its patient."""
    from mail_server.reports.documents import Source
    from mail_server.reports.refusal import ReportRefused

    if (pdf and cda) or not (pdf or cda or fhir):
        raise fail("Name the document: --pdf, --cda or --fhir.")
    order = _order(patient)
    traits = {
        "ins": ins, "family_name": family_name, "given_name": given_name, "birth_date": birth_date, "sex": sex,
        "birth_place": birth_place,
    }  # fmt: skip
    order["patient"] = {**order.get("patient", {}), **{key: value for key, value in traits.items() if value}}
    given: dict[str, Any] = {
        "type": document_type, "title": title, "date": date, "to": to, "replaces": replaces,
        "confidentiality": confidentiality, "reference": reference, "hold": hold,
    }  # fmt: skip
    order |= {key: value for key, value in given.items() if value}
    if pdf is not None:
        order.setdefault("date", f"{datetime.now(UTC).astimezone():%Y-%m-%d}")
    pdf_bytes, cda_bytes, fhir_bytes = (content(one) if one else b"" for one in (pdf, cda, fhir))
    source = Source(pdf_bytes, cda_bytes, fhir=fhir_bytes)
    with _desk(settings) as desk:
        try:
            taken = desk.take(order, source)
        except ReportRefused as refused:
            raise _refused(refused, as_json) from None
        _end(desk, taken, wait, as_json)


@report.command()
def announce(
    reference: str, wait: WaitOption = True, settings: SettingsOption = _FILE, as_json: JsonOption = False
) -> None:
    """Send a report that was held: its patient was told what it says."""
    _about(reference, "held", lambda desk: desk.announce(reference), wait, settings, as_json)


@report.command()
def withdraw(
    reference: str, wait: WaitOption = True, settings: SettingsOption = _FILE, as_json: JsonOption = False
) -> None:
    """Take back a report: whoever got it is told."""
    _about(reference, "sent", lambda desk: desk.withdraw(reference), wait, settings, as_json)


@report.command()
def watch(
    folder: Annotated[Path | None, typer.Argument(help="Folder to watch; else `watch.folder`.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Take and hand over what is there, then end.")] = False,
    settings: SettingsOption = _FILE,
    as_json: JsonOption = False,
) -> None:
    """Send what comes into a folder, until SIGTERM; and whatever waits in the spool."""
    from mail_server.reports.spool import Busy, SpoolUnusable

    with _desk(settings) as desk, progress(as_json) as bars:
        place = folder or desk.settings.watch.folder
        if place is None or not place.is_dir():
            raise fail("Name a folder: as an argument, or `watch.folder` in the settings.")
        try:
            counts = asyncio.run(_watch(desk, place.absolute(), once, bars))
        except Busy:
            raise fail("Another program sends from this spool.") from None
        except (SpoolUnusable, OSError) as failure:
            raise fail(_words(failure)) from None
    show(counts, as_json, ", ".join(f"{number} {name}" for name, number in counts.items()) + ".")


@report.command()
def queue(
    waiting: Annotated[bool, typer.Option("--waiting", help="Those alone that wait or are held.")] = False,
    limit: Annotated[int, typer.Option(help="How many at most, the newest first.")] = 100,
    settings: SettingsOption = _FILE,
    as_json: JsonOption = False,
) -> None:
    """What the spool holds, and what became of it."""
    from mail_server.reports.spool import State

    with _desk(settings) as desk:
        states = (State.WAITING, State.HELD) if waiting else tuple(State)
        rows = [_shown(row) for row in desk.spool.rows(states, limit)]
        counts = desk.spool.counts()
    if as_json:
        show({"counts": counts, "reports": rows}, True, "")
        return
    columns = {name: name.capitalize() for name in ("reference", "kind", "state", "taken", "tries", "cause")}
    table(rows, columns, "The spool is empty.")
    screen.print(", ".join(f"{number} {name}" for name, number in counts.items()) + ".", highlight=False)


@report.command()
def status(reference: str, settings: SettingsOption = _FILE, as_json: JsonOption = False) -> None:
    """What became of one report. Exit code as `send`'s."""
    with _desk(settings) as desk:
        row = desk.spool.find(reference)
    if row is None:
        raise fail(f"There is no report {reference}.")
    told = _shown(row)
    show(told, as_json, " ".join(f"{key}={value}" for key, value in told.items() if value not in ("", None)))
    _exit(row.state.value)


@report.command()
@at_terminal
def morning(
    terminal: Terminal,
    address: Annotated[str, typer.Argument(help="The sending account.")],
    day: Annotated[str, typer.Option(help="YYYY-MM-DD; the last one due if left out.")] = "",
    send: Annotated[
        bool, typer.Option("--send", help="Send a letter now, out of its turn, and print it.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
) -> None:
    """On the node: print again what an account was told in the morning."""
    result = terminal.ask("report_morning", address=address, day=day, send=send)
    if csv is not None:
        csv.write_text("\ufeff" + result["csv"], encoding="utf-8", newline="")
    terminal.show(result, result["text"])


@at_terminal
def morning_letter(
    terminal: Terminal, address: str, choice: Annotated[str, typer.Argument(help="on or off.")]
) -> None:
    """Tell this account every morning what became of the records it handed in. Systems are told unless it is off."""
    if choice not in ("on", "off"):
        raise fail("Say on or off.")
    result = terminal.ask("account_morning_letter", address=address, wanted=choice == "on")
    terminal.show(result, f"{address}: morning letter {choice}.")


# -- what they share --------------------------------------------------------------------------------------


def _settings(path: Path) -> HospitalSettings:
    from mail_server.reports.settings import SettingsRefused, load

    try:
        return load(path)
    except SettingsRefused as failure:
        raise fail(str(failure)) from None


@contextmanager
def _desk(path: Path) -> Generator[Desk]:
    from mail_server.reports.sending import Desk
    from mail_server.reports.spool import SpoolUnusable

    try:
        desk = Desk.open(_settings(path))
    except SpoolUnusable as failure:
        raise fail(str(failure)) from None
    try:
        yield desk
    except (SpoolUnusable, OSError) as failure:
        raise fail(_words(failure)) from None
    finally:
        desk.spool.close()


def _order(path: Path | None) -> dict[str, Any]:
    """The JSON of a patient alone, or of everything."""
    if path is None:
        return {}
    octets = typer.get_binary_stream("stdin").read() if str(path) == "-" else content(path)
    try:
        found: Any = json.loads(octets.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise fail(f"{path} is not JSON.") from None
    if not isinstance(found, dict):
        raise fail(f"{path} is not a JSON object.")
    order: dict[str, Any] = {str(key): value for key, value in found.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return order if "patient" in order else {"patient": order}


def _about(
    reference: str, state: str, act: Callable[[Desk], Taken], wait: bool, settings: Path, as_json: bool
) -> None:
    """Do something about a report that is in the spool."""
    from mail_server.reports.refusal import ReportRefused

    with _desk(settings) as desk:
        try:
            taken = act(desk)
        except ReportRefused as refused:
            raise _refused(refused, as_json, f"No report is {state} under {reference}.") from None
        _end(desk, taken, wait, as_json)


def _end(desk: Desk, taken: Taken, wait: bool, as_json: bool) -> None:
    """Hand it over if asked, say what became of it, and end with its code."""
    trouble = ""
    if wait:
        trouble = _hand_over(desk)
        row = desk.spool.find(taken.reference)
        if row is not None:
            taken = replace(taken, state=row.state, slug=row.about.cause)
    told = {"reference": taken.reference, "state": taken.state.value, "cause": taken.slug, "node": trouble}
    words = {
        "sent": "is with the node",
        "held": "is held: `report announce` sends it",
        "waiting": f"is kept, and leaves when the node takes it ({trouble or 'report watch'})",
        "refused": f"is refused: {_cause(taken.slug)}",
    }
    show(told, as_json, f"{taken.reference} {words[taken.state.value]}.")
    _exit(taken.state.value if wait or taken.state.value == "refused" else "sent")


def _hand_over(desk: Desk) -> str:
    """Why the node was not reached, "" when it was."""
    import ssl

    from mail_server.reports.sending import deliver
    from mail_server.reports.spool import Busy

    try:
        return deliver(desk).trouble
    except Busy:
        return "another program sends from this spool"
    except (OSError, ssl.SSLError) as failure:
        raise fail(f"The certificate or its key cannot be used: {_words(failure)}") from None


def _exit(state: str) -> None:
    code = {"refused": _REFUSED, "waiting": _LATER}.get(state, 0)
    if code:
        raise typer.Exit(code)


def _refused(refused: ReportRefused, as_json: bool, words: str = "") -> typer.Exit:
    if as_json:
        show({"reference": "", "state": "refused", "cause": refused.slug, "field": refused.place}, True, "")
        return typer.Exit(_REFUSED)
    return fail(words or f"Refused: {refused.en}.", _REFUSED)


def _cause(slug: str) -> str:
    from mail_server.payloads.record.causes import words

    return words(slug)[1]


def _shown(row: Row) -> dict[str, Any]:
    return {
        "reference": row.reference,
        "kind": row.errand.value,
        "state": row.state.value,
        "taken": _time(row.taken_at),
        "done": _time(row.done_at),
        "next": _time(row.due),
        "tries": row.attempts,
        "cause": row.about.cause,
        "message_id": row.about.message_id,
        "of": row.about.of,
    }


def _time(at: int | None) -> str | None:
    return None if at is None else f"{datetime.fromtimestamp(at / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


async def _watch(desk: Desk, folder: Path, once: bool, bars: Any) -> dict[str, int]:
    from mail_server.reports.watching import watch as watching

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    counts = {"taken": 0, "sent": 0, "refused": 0}

    def told(taken: Sequence[Taken], outcomes: Sequence[Outcome]) -> None:
        counts["taken"] += len(taken)
        counts["sent"] += sum(one.state.value == "sent" for one in outcomes)
        counts["refused"] += sum(one.state.value == "refused" for one in (*taken, *outcomes))
        bars("sent or refused", counts["sent"] + counts["refused"], counts["taken"])

    await watching(desk, folder, stop, told, once=once)
    return counts


def _words(failure: BaseException) -> str:
    from deploy.node.failures import sentence

    return sentence(failure) if isinstance(failure, OSError) else str(failure)
