"""A hospital's night for tests and measurements: reports in a watched folder, some of them bad, and who sends them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pypdf import PdfReader, PdfWriter
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

from deploy.demo import letters, world
from mail_server.accounts import ins
from mail_server.keys.kek import make_kek
from mail_server.reports import settings as hospital
from mail_server.reports.settings import HospitalSettings

PDF_OCTETS = 40_000


def hour_far_away() -> int:
    """`[reports] hour` that no test sees come: the node tells of what was handed in by itself then."""
    return (datetime.now(UTC).hour + 11) % 24


def invented(number: int) -> dict[str, str]:
    """A patient who does not exist."""
    sex = "M" if number % 2 else "F"
    year = 30 + number % 60
    body = f"{1 if sex == 'M' else 2}{year:02d}{number % 12 + 1:02d}69123{number % 1000:03d}"
    return {
        "ins": body + ins.key_of(body),
        "family_name": f"Nocturne-{'abcdefghij'[number % 10]}{'abcdefghij'[number // 10 % 10]}",
        "given_name": "Ondine" if sex == "F" else "Oscar",
        "birth_date": f"19{year:02d}-{number % 12 + 1:02d}-14",
        "sex": sex,
        "birth_place": "69123",
    }


def order(patient: dict[str, str], title: str) -> dict[str, Any]:
    return {"patient": patient, "type": "34112-3", "title": title, "date": "2026-11-20"}


# -- what is bad, and who finds it ------------------------------------------------------------------------

Bad = Callable[[dict[str, Any], bytes], tuple[Any, bytes]]


def _changed(**values: Any) -> Bad:
    return lambda told, pdf: (told | values, pdf)


def _patient(**values: str) -> Bad:
    return lambda told, pdf: (told | {"patient": told["patient"] | values}, pdf)


def encrypted(pdf: bytes) -> bytes:
    writer = PdfWriter(PdfReader(io.BytesIO(pdf)))
    writer.encrypt("secret")
    return _written(writer)


def with_script(pdf: bytes) -> bytes:
    return _opening(pdf, "/JavaScript", "/JS")


def with_launch(pdf: bytes) -> bytes:
    return _opening(pdf, "/Launch", "/F")


def _opening(pdf: bytes, action: str, what: str) -> bytes:
    writer = PdfWriter(PdfReader(io.BytesIO(pdf)))
    acts = DictionaryObject({NameObject("/S"): NameObject(action), NameObject(what): TextStringObject("x")})
    writer.root_object[NameObject("/OpenAction")] = writer._add_object(acts)
    return _written(writer)


def with_file(pdf: bytes) -> bytes:
    writer = PdfWriter(PdfReader(io.BytesIO(pdf)))
    writer.add_attachment("x.txt", b"x")
    return _written(writer)


def _written(writer: PdfWriter) -> bytes:
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _mistyped(told: dict[str, Any], pdf: bytes) -> tuple[Any, bytes]:
    number = told["patient"]["ins"]
    return told | {"patient": told["patient"] | {"ins": number[:-1] + str((int(number[-1]) + 1) % 10)}}, pdf


BAD: dict[str, Bad] = {
    "ins-key": _mistyped,
    "traits-missing": _patient(birth_place=""),
    "traits-disagree": _patient(birth_date="1901-02-03"),
    "type-unknown": _changed(type="00000-0"),
    "date-wrong": _changed(date="2026-02-30"),
    "field-missing": _changed(title=""),
    "field-unknown": _changed(tilte="x"),
    "confidentiality-wrong": _changed(confidentiality=["MASQUE_PS", "INVISIBLE_PATIENT"]),
    "pdf-encrypted": lambda told, pdf: (told, encrypted(pdf)),
    "pdf-active": lambda told, pdf: (told, with_script(pdf)),
    "pdf-embeds": lambda told, pdf: (told, with_file(pdf)),
    "pdf-unreadable": lambda told, pdf: (told, pdf[:200]),
    "index-unreadable": lambda told, pdf: ("{", pdf),
    # What the node alone can know:
    "recipient-unknown": lambda told, pdf: (told | {"patient": invented(999)}, pdf),
    "recipient-suspended": _changed(to=""),  # filled in by `Night`
}


@dataclass
class Night:
    """One world's hospital: settings, folders, patients, and the program that sends."""

    made: world.World
    patients: int = 20
    place: Path = field(init=False)
    settings: HospitalSettings = field(init=False)
    people: list[dict[str, str]] = field(init=False)
    bad: dict[str, str] = field(default_factory=dict[str, str])  # name of the report, why it is refused
    _sender: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.place = self.made.folder / "hospital"
        self.folder.mkdir(parents=True)
        values: dict[str, dict[str, Any]] = {
            "node": {
                "host": "localhost",
                "port": self.made.ports["submissions"],
                "certificate": self.made.hospital.certificate,
                "key": self.made.hospital.key,
                "authorities": self.made.ca,
            },
            "account": {"address": world.HOSPITAL, "name": world.HOSPITAL_NAME},
            "establishment": {
                "name": world.HOSPITAL_NAME,
                "identifier": "1690000001",
                "author_family_name": "Aurore",
                "author_given_name": "Lise",
                "author_identifier": "899700000001",
            },
            "spool": {"folder": self.spool, "key": self.place / "key" / "spool.key"},
            "watch": {"folder": self.folder, "after": "remove", "settle_seconds": 0.2, "poll_seconds": 0.1},
        }
        self.file.write_text(hospital.render(values))
        make_kek(self.place / "key" / "spool.key", self.spool)
        self.settings = hospital.load(self.file)
        self.people = [invented(number) for number in range(self.patients)]
        for one in self.people:
            self.made.command(
                "space_add",
                matricule=one["ins"],
                family_name=one["family_name"],
                given_names=one["given_name"],
                sex=one["sex"],
                birth_date=one["birth_date"],
                birth_place=one["birth_place"],
            )
        closed = f"parti@{world.DOMAIN}"
        self.made.command("account_add", address=closed, kind="PER", password=False, certificate=None)
        self.made.command("account_suspend", address=closed, reason="essai")
        self._closed = closed

    @property
    def file(self) -> Path:
        return self.place / "reports.toml"

    @property
    def folder(self) -> Path:
        return self.place / "documents"

    @property
    def spool(self) -> Path:
        return self.place / "spool"

    def put(self, number: int, bad: int, title: Callable[[int], str], pdf: Callable[[int], bytes]) -> None:
        """`number` reports, of which `bad` are bad in turn; the document first, its index by a rename."""
        kinds = list(BAD)
        every = number // bad if bad else 0
        for each in range(number):
            told: Any = order(self.people[each % len(self.people)], title(each))
            content, name = pdf(each), f"cr-{each:05d}"
            if bad and each % every == every // 2 and len(self.bad) < bad:
                kind = kinds[len(self.bad) % len(kinds)]
                told, content = BAD[kind](told, content)
                if kind == "recipient-suspended":
                    told["to"] = self._closed
                self.bad[name] = kind
            (self.folder / f"{name}.pdf").write_bytes(content)
            being = self.folder / f"{name}.json.tmp"
            being.write_text(told if isinstance(told, str) else json.dumps(told, ensure_ascii=False))
            being.rename(self.folder / f"{name}.json")

    # -- who sends

    def start(self) -> None:
        command = [sys.executable, "-m", "deploy.node.cli", "report", "watch", "--settings", str(self.file)]
        with (self.place / "sender.log").open("ab") as log:
            self._sender = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        assert self._sender is not None
        return self._sender.pid

    def kill(self) -> None:
        assert self._sender is not None
        self._sender.kill()
        self._sender.wait()

    def stop(self) -> float:
        """End the sender; the CPU seconds it used."""
        assert self._sender is not None
        self._sender.terminate()
        _, _, used = os.wait4(self._sender.pid, 0)
        self._sender.returncode = 0
        self._sender = None
        return used.ru_utime + used.ru_stime

    def close(self) -> None:
        if self._sender is not None:
            self._sender.kill()
            self._sender.wait()
            self._sender = None

    def counts(self) -> dict[str, int]:
        """How many reports of the spool stand where, and how many the node must still be told of."""
        from mail_server.reports.spool import Spool

        spool = Spool.open(self.settings.spool)
        try:
            return spool.counts() | {"untold": len(spool.untold(1000))}
        finally:
            spool.close()

    def wait(self, done: Callable[[dict[str, int]], bool], seconds: float) -> dict[str, int]:
        deadline = time.monotonic() + seconds
        while not done(found := self.counts()):
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        return found

    def wait_all(self, number: int, seconds: float) -> dict[str, int]:
        return self.wait(
            lambda found: found["sent"] + found["refused"] == number and not found["untold"], seconds
        )


def plain_pdf(octets: int = PDF_OCTETS) -> bytes:
    return letters.pdf("Compte rendu", octets)
