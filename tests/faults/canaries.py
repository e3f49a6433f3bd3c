"""Words that must be found nowhere, who carries them through the node, and everywhere a run may leave bytes."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from deploy.demo import letters, people, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient, PageRefused
from mail_server.accounts import ins


class Canaries:
    """Letters that each carry a word of their own in subject, body and attachment."""

    def __init__(self) -> None:
        self.markers: list[str] = []

    def word(self) -> str:
        marker = f"canari-{secrets.token_hex(10)}"
        self.markers.append(marker)
        return marker

    def mark(self, *found: str) -> None:
        """What somebody else drew, and must be found nowhere either; short ones stand everywhere by chance."""
        self.markers += [one for one in found if len(one) >= 12 and one not in self.markers]

    def moment(self) -> str:
        """A time of an appointment, as calendars write it: found nowhere by chance."""
        second = secrets.randbelow(8 * 365 * 86_400) + 1_925_000_000  # 2031 to 2038
        made = datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")
        self.mark(made)
        return made

    def agenda(self) -> list[dict[str, object]]:
        """What a patient keeps for themself in the agenda: an entry, its reminder, facts, and what recalls became."""
        uid, start, title, birth = self.word(), self.moment(), self.word(), self.word()
        lines = [
            f"UID:{uid}",
            f"DTSTART:{start}",
            f"SUMMARY:{title}",
            f"LOCATION:{self.word()}",
            f"DESCRIPTION:{self.word()}",
        ]
        ics = "\r\n".join(
            ["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR", ""]
        )
        said = [("remind", uid, "4321"), ("facts", "", f"{birth} F"), ("recall", self.word(), "refused")]
        made: list[dict[str, object]] = [
            {"kind": "appointment", "id": uid, "title": title, "at": start, "ics": ics}
        ]
        for name, target, value in said:
            one: dict[str, object] = {
                "kind": "decision",
                "decision": name,
                "targets": [target],
                "type": value,
                "stamp": start,
            }
            made.append(one)
        return made

    def letter(self, sender: str, recipient: str, *, attached: int = 3_000) -> bytes:
        made = letters.report(
            sender, recipient, pdf_bytes=attached, patient=self.word(), closing=self.word(), title=self.word()
        )
        return made.data


class Lived(Protocol):
    """Where a node lives."""

    @property
    def folder(self) -> Path: ...
    @property
    def node(self) -> Path: ...


def disk_of(made: Lived, since: float) -> list[Path]:
    """Where a run may leave bytes: the node's home and log, its keys' folder, and what is new under /tmp."""
    places = [made.node, made.folder / "node.log", made.folder / "kek"]
    for root in ("/tmp", "/var/tmp", "/dev/shm"):
        here = Path(root).stat().st_dev
        for folder, below, names in os.walk(root):
            inside = [Path(folder, name) for name in below]
            below[:] = [path.name for path in inside if path != made.folder and _device(path) == here]
            places += [path for name in names if _modified(path := Path(folder, name)) >= since]
    return places


def _device(path: Path) -> int:
    try:
        return path.lstat().st_dev
    except OSError:
        return -1


def _modified(path: Path) -> float:
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_mtime if stat.S_ISREG(found.st_mode) else 0


def invented(canaries: Canaries) -> people.Patient:
    """A patient whose name and number are markers."""
    name = "".join(secrets.choice("BCDFGKLMNPRST") for _ in range(16))
    body = f"2{secrets.randbelow(90) + 10}{secrets.randbelow(12) + 1:02d}69999{secrets.randbelow(1000):03d}"
    made = people.Patient(body + ins.key_of(body), name, name[::-1].title(), "F", "1931-02-27", "69999")
    names = [made.family_name, made.given_names]
    canaries.markers += [body, *names, *(each.lower() for each in names)]
    return made


def space_of(made: world.World, person: people.Patient) -> world.Space:
    told = made.command(
        "space_add",
        matricule=person.matricule,
        family_name=person.family_name,
        given_names=person.given_names,
        sex=person.sex,
        birth_date=person.birth_date,
        birth_place=person.birth_place,
    )
    return world.Space(person, told["address"], told["code"])


class Patient:
    """Somebody with a space, and their browser; what they know is marked."""

    def __init__(self, made: world.World, canaries: Canaries, space: world.Space) -> None:
        self.made, self.canaries, self.person = made, canaries, space.person
        self.password, self.recovery = canaries.word(), derivations.new_recovery_code()
        self.code, self.shown, self.address = space.code, space.shown, space.address
        self.keep(self.code, self.recovery)
        self.page = PageClient(made.ports["http"])

    def keep(self, *spoken: str) -> None:
        """Secrets as people write them, with their dashes and without."""
        for one in spoken:
            self.canaries.markers += [one] if "-" not in one else [one, one.replace("-", "")]

    @property
    def name_at_provider(self) -> str:
        return f"{self.person.given_names} {self.person.family_name}".lower().replace(" ", "-")

    def activate(self) -> None:
        person = self.person
        guess = {"code": self.code, "birthDate": "1930-01-01", "lastFive": person.last_five}
        with contextlib.suppress(PageRefused):
            self.page.post("/api/enrolment/start", guess)
        self.page.enrol(
            self.code,
            self.password,
            self.recovery,
            birth_date=person.birth_date,
            last_five=person.last_five,
        )
        assert self.page.reseal() == 1

    def mistype(self) -> None:
        """What people do: the password in the place of the name, the number with a wrong password."""
        stranger = PageClient(self.made.ports["http"])
        for user in (self.password, self.person.matricule, self.person.matricule[:13], self.shown):
            with contextlib.suppress(PageRefused):
                stranger.log_in(user, self.canaries.word())

    def write_and_hold(self) -> None:
        for hold in (0, 3600):
            self.page.write(world.HOSPITAL, self.canaries.word(), self.canaries.word(), hold=hold)
        # Clear text is refused, and nothing of it stays.
        clear = letters.note(self.shown, world.HOSPITAL, self.canaries.word(), self.canaries.word()).data
        account = self.page.session["account"]["id"]
        with contextlib.suppress(PageRefused):
            self.page.request("POST", f"/jmap/upload/{account}/", clear, "message/rfc822")
        draft = {"keywords": {"$draft": True}, "mailboxIds": {self.page.mailbox("drafts"): True}}
        draft |= {"subject": self.canaries.word(), "bodyValues": {"1": {"value": self.canaries.word()}}}
        self.page.call(("Email/set", {"create": {"d": draft | {"textBody": [{"partId": "1"}]}}}))

    def cut_an_upload(self) -> socket.socket:
        """A connection that has sent half of a body; the node has it in memory."""
        account = self.page.session["account"]["id"]
        half = self.canaries.letter(self.shown, world.HOSPITAL, attached=300_000)
        port = self.made.ports["http"]
        head = (
            f"POST /jmap/upload/{account}/ HTTP/1.1\r\nHost: localhost:{port}\r\nX-Vaguemestre: 1\r\n"
            f"Origin: http://localhost:{port}\r\nCookie: {self.page.cookie_header}\r\n"
            f"Content-Length: {2 * len(half)}\r\n\r\n"
        )
        connection = socket.create_connection(("localhost", port), timeout=60)
        connection.sendall(head.encode() + half)
        return connection

    def cookie(self) -> str:
        return self.page.cookie_header.partition("=")[2]
