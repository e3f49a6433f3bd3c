"""The demo's directory: a colleague found by a mistyped name, somebody found nowhere and written to all the same, a
doctor who is gone from the national files.

Played over the node's public ports and its console, with both national files imported as a real operator does.
"""

from __future__ import annotations

import imaplib
import smtplib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deploy.demo import clients, directory_world, letters, world
from deploy.demo.browser.page import PageClient
from deploy.demo.clients import tls
from deploy.demo.directory_world import CARDIOLOGIST, LEAVER
from deploy.demo.patient_story import Line, NotAsPromised
from deploy.demo.world import World

RED = f"anne.discrete@{world.DOMAIN}"
_TYPED = "rouseau lefebre cardio lyon"


@dataclass(slots=True)
class DirectoryStory:
    """Steps to be played in order; `page`: of a doctor who is logged in."""

    made: World
    page: PageClient
    marker: Callable[[], str]
    thief: Callable[[], list[Line]]
    _passwords: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    def national_files(self) -> list[Line]:
        self._account(LEAVER.address, "Luc", "Sortant")
        self.made.command("account_national_id", address=LEAVER.address, national_id=LEAVER.national_id)
        told = directory_world.imported(self.made)
        added = [one["added"] for one in told]
        if min(added) < directory_world.ROWS / 2:
            raise NotAsPromised("the files were not taken in")
        return [
            ("imported", f"{added[0]} practices and {added[1]} mailboxes of people who do not exist"),
            ("kept apart", "listings.db holds what can be had again; no patient is in it"),
        ]

    def mistyped(self) -> list[Line]:
        found = self._looked_up(_TYPED)
        if not found["cards"] or found["cards"][0]["address"] != CARDIOLOGIST.address:
            raise NotAsPromised("the colleague is not the first who is found")
        port = self.made.ports["ldap"]
        if CARDIOLOGIST.address.encode() not in clients.found_by_ldap(port, "rousseau-lefebvre"):
            raise NotAsPromised("a mail program does not find the colleague")
        corrected = ", ".join(f"{one['typed']} as {one['taken']}" for one in found["corrected"])
        return [
            ("typed", _TYPED),
            ("taken", corrected or "as it stands"),
            ("found", CARDIOLOGIST.address),
            (
                "LDAP",
                f"the same for mail programs, at ldap://localhost:{self.made.ports['ldap']}/dc=mssante,dc=fr",
            ),
        ]

    def on_the_red_list(self) -> list[Line]:
        made = self.made
        self._account(RED, "Anne", "Discrete")
        made.command("account_profile", address=RED, fields={"red_list": "yes"})
        self._until(lambda: not self._addresses("anne discrete"), "the red list is not kept")
        if RED.encode() in clients.found_by_ldap(made.ports["ldap"], "discrete"):
            raise NotAsPromised("a mail program finds who is on the red list")
        console = made.command("directory_search", words="anne discrete")["found"]
        if any(one["address"] == RED for one in console):
            raise NotAsPromised("an administrator's search shows who is on the red list")
        letter = letters.note(world.GP, RED, f"Confrère {self.marker()}", "Bien confraternellement.\n")
        gp = made.persons[world.GP]
        clients.send_as_person(
            made.ports["submission"], tls(made.ca), gp.address, gp.password, [RED], letter.data
        )
        with clients.mailbox(made.ports["imaps"], tls(made.ca), RED, self._passwords[RED]) as imap:
            arrived = clients.newest(imap)
        if letter.subject.encode() in arrived:
            raise NotAsPromised("the letter lies readable")
        return [
            ("looked for", "in the page, by LDAP and on the console: found nowhere"),
            ("written to", f"{RED}, by who knows the address: the letter is there, and waits for her key"),
            *self.thief(),
        ]

    def struck_off(self) -> list[Line]:
        if not self._comes_in():
            raise NotAsPromised("he does not come in before")
        began = time.monotonic()
        told = directory_world.imported(self.made, [CARDIOLOGIST])
        self._until(lambda: not self._comes_in(), "he still comes in")
        took = time.monotonic() - began
        if LEAVER.address in self._addresses("luc sortant"):
            raise NotAsPromised("he is still found")
        refused = self._refused()
        out = sum(len(one["struck_off"]) for one in told)
        directory_world.imported(self.made)
        self._until(self._comes_in, "he does not come back")
        return [
            ("imported", f"the next files, without him: {out} struck off"),
            ("out", f"{took:.1f} s later: no login, found nowhere, his certificate published no more"),
            ("a letter", refused),
            ("back", "with the files after these, which have him again"),
        ]

    # -- what steps share

    def _account(self, address: str, given: str, family: str) -> None:
        made = self.made.command("account_add", address=address, kind="PER", password=True, certificate=None)
        names = {"given_name": given, "family_name": family, "title": "Dr"}
        self.made.command("account_profile", address=address, fields=names)
        self._passwords[address] = made["password"]

    def _looked_up(self, words: str) -> dict[str, Any]:
        return self.page.post("/api/directory", {"q": words})

    def _addresses(self, words: str) -> list[str]:
        return [card["address"] for card in self._looked_up(words)["cards"]]

    def _comes_in(self) -> bool:
        made = self.made
        try:
            with clients.mailbox(
                made.ports["imaps"], tls(made.ca), LEAVER.address, self._passwords[LEAVER.address]
            ) as imap:
                imap.noop()
        except imaplib.IMAP4.error:
            return False
        return True

    def _refused(self) -> str:
        made = self.made
        note = letters.note(world.HOSPITAL, LEAVER.address, "x", "x\n")
        hospital = tls(made.ca, made.hospital.certificate, made.hospital.key)
        try:
            clients.send_as_system(
                made.ports["submissions"], hospital, world.HOSPITAL, [LEAVER.address], note.data
            )
        except smtplib.SMTPRecipientsRefused as refused:
            code, words = refused.recipients[LEAVER.address]
            return f"{code} {words.decode(errors='replace')}"
        raise NotAsPromised("a letter to him is taken")

    def _until(self, holds: Callable[[], bool], words: str) -> None:
        """Within the minute that is promised."""
        deadline = time.monotonic() + 60
        while not holds():
            if time.monotonic() > deadline:
                raise NotAsPromised(words)
            time.sleep(0.2)
