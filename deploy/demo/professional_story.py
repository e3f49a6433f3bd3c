"""The demo's professionals: in by their provider, a program of their own, a delegate, and why an answer is as it is.

Played over the node's public ports and its console, as a mail program, a browser and an administrator would.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from deploy.demo import clients, letters, sign_in, world
from deploy.demo.browser.page import PageClient
from deploy.demo.clients import tls
from deploy.demo.patient_story import Line, NotAsPromised
from deploy.demo.world import World

_DAYS = 30


@dataclass(slots=True)
class ProfessionalStory:
    """Steps to be played in order; `marker` draws a word that stands in one letter and nowhere else."""

    made: World
    marker: Callable[[], str]
    thief: Callable[[], list[Line]]
    page: PageClient = field(init=False)

    def __post_init__(self) -> None:
        self.page = PageClient(self.made.ports["http"])

    def by_the_provider(self) -> list[Line]:
        made, port = self.made, self.made.ports["imaps"]
        token = made.identity.token(world.GP)
        with sign_in.mailbox_by_token(port, tls(made.ca), world.GP, token) as imap:
            seen = clients.folders(imap)
        if "INBOX" not in seen:
            raise NotAsPromised("the mailbox is not hers")
        refused = _refused(lambda: self._another_with(token))
        self.page.log_in_by_provider(sign_in.PROFESSIONALS, made.identity.doctors[world.GP].name)
        session = self.page.session
        if session["way"] != "provider" or not session["strong"]:
            raise NotAsPromised("the page does not know how she came in")
        if token.encode() in (made.folder / "node.log").read_bytes():
            raise NotAsPromised("the token stands in the log")
        return [
            ("IMAP", "by a token of her provider (SASL XOAUTH2), for half an hour at the most"),
            ("another's", f"mailbox with the same token: {refused}"),
            ("page", f"by {session['provider']}, code and PKCE; the provider never sees a key"),
        ]

    def a_program_of_her_own(self) -> list[Line]:
        made = self.made
        new = self.page.post(
            "/api/app-passwords", {"label": "Tablette du cabinet", "protocols": ["imap"], "days": _DAYS}
        )
        with clients.mailbox(made.ports["imaps"], tls(made.ca), world.GP, new["password"]) as imap:
            imap.noop()
        note = letters.note(world.GP, world.NURSE, "x", "x\n")
        refused = _refused(
            lambda: clients.send_as_person(
                made.ports["submission"],
                tls(made.ca),
                world.GP,
                new["password"],
                [world.NURSE],
                note.data,
            )
        )
        until = datetime.fromtimestamp(new["expires"] / 1000, UTC)
        return [
            ("made", f"after a strong login, shown once, for IMAP alone, until {until:%Y-%m-%d}"),
            ("to send", f"it does not serve: {refused}"),
        ]

    def a_delegate(self) -> list[Line]:
        made = self.made
        account = self.page.session["account"]["id"]
        until = int(time.time() * 1000) + 21 * 86_400_000
        self.page.post(
            f"/api/readers/{account}/{world.NURSE}",
            {"role": "delegate", "rights": "lrs", "until": until},
            method="PUT",
        )
        letter = letters.report(
            world.HOSPITAL, world.GP, pdf_bytes=40_000, patient=f"Nadia Perrin {self.marker()}"
        )
        hospital = tls(made.ca, made.hospital.certificate, made.hospital.key)
        clients.send_as_system(made.ports["submissions"], hospital, world.HOSPITAL, [world.GP], letter.data)
        nurse = made.persons[world.NURSE]
        assert nurse.secret_key is not None
        with clients.mailbox(made.ports["imaps"], tls(made.ca), nurse.address, nurse.password) as imap:
            seen = [name for name in clients.folders(imap) if world.GP in name]
            if not seen:
                raise NotAsPromised("her delegate does not see the mailbox")
            folder = next((name for name in seen if name.endswith("/INBOX")), seen[0])
            stored = clients.newest(imap, folder)
        opened = clients.open_with_gpg(stored, nurse.secret_key, nurse.passphrase, made.authority)
        if opened.subject != letter.subject:
            raise NotAsPromised("her delegate reads another letter")
        return [
            ("let in", f"{world.NURSE}, to read and to mark as read, for three weeks"),
            ("opened by", f"the delegate's own key, in {folder}; the trace names the delegate"),
            *self.thief(),
        ]

    def why(self) -> list[Line]:
        """Rows of the rules' own explanation."""
        lines: list[Line] = []
        for asked in (
            {"principal": world.GP, "action": "write_to", "resource": self.made.patient.shown},
            {"principal": self.made.patient.shown, "action": "write_to", "resource": self.made.you.shown},
        ):
            told: dict[str, Any] = self.made.command("policies_explain", **asked, context=[])
            word = "allowed" if told["allowed"] else "refused"
            lines.append((word, f"{told['rule']}: {told['fr']}"))
            lines.append(("", told["en"]))
        if [word for word, _ in lines if word] != ["allowed", "refused"]:
            raise NotAsPromised("the rules answer otherwise")
        return lines

    def audit(self) -> list[Line]:
        """The chain, held against the heads that lie outside the home."""
        heads = self.made.command("audit_heads")
        if not heads["file"] or str(self.made.node) in heads["file"]:
            raise NotAsPromised("the heads of the trace lie within the home")
        found = self.made.command("audit_verify", heads=heads["file"], key=heads["key"])
        broken, entries = trace_of(found)
        if broken:
            raise NotAsPromised(f"the chain is broken: {broken}")
        return [
            ("audit", f"{entries} entries, each chained to the one before; none holds content"),
            ("heads", f"signed, and written outside the home: {heads['file']}"),
        ]

    def _another_with(self, token: str) -> None:
        made = self.made
        with sign_in.mailbox_by_token(made.ports["imaps"], tls(made.ca), world.DOCTOR, token):
            pass


def trace_of(found: dict[str, Any]) -> tuple[str, int]:
    """What broke, "" when nothing did; and how many entries there are."""
    broken = found.get("broken")
    return (str(broken) if broken else ""), int(found["entries"])


def _refused(attempt: Callable[[], None]) -> str:
    """The server's words. Raises NotAsPromised when it was let in."""
    try:
        attempt()
    except clients.PROTOCOL_ERRORS as refused:
        words = refused.args[-1] if refused.args else ""
        return words.decode(errors="replace") if isinstance(words, bytes) else str(words)
    raise NotAsPromised("it was let in")
