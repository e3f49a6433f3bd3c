"""The demo's story: the first letters, each step played through the node's public ports and then checked.

After each step it looks at the node's files as a thief of the disk would. A step that does not hold is shown
and counted; `--once` exits by that count. However the demo is ended (Ctrl-C, SIGTERM, the terminal closed), it
ends its node.
"""

from __future__ import annotations

import secrets
import signal
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from deploy.demo import clients, letters, people, thief, ways_in, world
from deploy.demo.browser.page import PageRefused
from deploy.demo.clients import tls
from deploy.demo.directory_story import DirectoryStory
from deploy.demo.federation import Federation
from deploy.demo.federation_story import FederationStory
from deploy.demo.patient_story import Line, NotAsPromised, PatientStory
from deploy.demo.professional_story import ProfessionalStory
from deploy.demo.sign_in import NoToken
from deploy.demo.world import DemoFailed, NodeProcess, World
from deploy.node.control import CommandFailed

# Lines are wrapped here, under their label; what has no space (a path, an address) stays whole for who copies it.
_screen = Console(highlight=False, soft_wrap=True)
_WIDEST = 100
_LABEL = 12


def run_demo(folder: Path, port_base: int, *, once: bool, federated: bool = False) -> bool:
    """Build the world, play the story, keep serving until Ctrl-C unless `once`. True if every step held.

    `federated`: with a second operator, and what passes between the two.
    """
    _end_as_by_ctrl_c()
    held = False
    process: NodeProcess | None = None
    beside = Federation(folder, port_base) if federated else None
    _screen.print(Panel.fit("[bold]Vaguemestre[/]: a whole operator on this machine, with invented people"))
    try:
        made, process = world.build(
            folder, port_base, _progress, neighbours=beside.begin if beside is not None else None
        )
        if beside is not None:
            _progress("A second operator, in its own folder, and the servers of the trust space")
            beside.complete(made)
        held = _Story(made, beside).play()
        if not once:
            _links(made, beside)
            _wait(process)
    except (DemoFailed, CommandFailed) as failure:
        _screen.print(str(failure), style="red", markup=False)
    except KeyboardInterrupt:
        _screen.print("\nThe demo ends.")
    finally:
        if process is not None:
            process.stop()
        if beside is not None:
            beside.ended.close()
    return held


def _progress(words: str) -> None:
    _say("  · ", words, "dim")


def _end_as_by_ctrl_c() -> None:
    """SIGTERM, or the end of the terminal, must not leave a node behind: it has a session of its own."""

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough: the node is being ended
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, end)


def _say(margin: str, words: str, style: str = "", label_style: str = "dim") -> None:
    """Words beside a margin that only the first line shows."""
    width = max(40, min(_screen.width, _WIDEST)) - len(margin)
    lines = textwrap.wrap(words, width, break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines or [""]):
        shown = margin if number == 0 else " " * len(margin)
        _screen.print(Text.assemble((shown, label_style), (line, style)))


def _say_line(line: Line) -> None:
    label, words = line
    _say(f"    {label:<{_LABEL}}", words)


class _Story:
    def __init__(self, made: World, beside: Federation | None = None) -> None:
        self._world = made
        self._beside = beside
        self._played = self._failed = 0
        self._markers: list[str] = []
        self._professional = ProfessionalStory(made, self._marker, self._thief)

    def play(self) -> bool:
        began = time.monotonic()
        self._step(
            "A hospital system sends a discharge report to a general practitioner", self._hospital_to_gp
        )
        self._step(
            "A hospital system writes to a ward: each member opens it with their own key", self._to_ward
        )
        self._step("The general practitioner answers the ward from a mail program", self._gp_to_ward)
        self._step(
            "Another operator hands over a letter on port 25, by its certificate", self._operator_to_gp
        )
        self._step("A laboratory robot, which has no key, receives a letter", self._to_robot)
        self._professionals()
        self._directory()
        self._patient()
        self._step(
            "What is refused: another's name, an unlisted certificate, passing letters on", self._refusals
        )
        if self._beside is not None:
            self._federation(self._beside)
        self._step("Why an answer is as it is: the rule that decided, in words", self._professional.why)
        self._step("The trace of all this is whole", self._professional.audit)
        words = f"{self._played - self._failed} of {self._played} steps held, in {time.monotonic() - began:.1f} s."
        _screen.print(f"\n[bold]{words}[/]")
        return not self._failed

    def _step(self, title: str, play: Callable[[], list[Line]]) -> None:
        _screen.print()
        _say("▸ ", title, "bold cyan", "bold cyan")
        self._played += 1
        try:
            for line in play():
                _say_line(line)
        except (
            NotAsPromised,
            CommandFailed,
            clients.NotOpened,
            PageRefused,
            NoToken,
            OSError,
            *clients.PROTOCOL_ERRORS,
        ) as failure:
            self._failed += 1
            _say("    ", f"did not hold: {failure}", "red")

    # -- steps --------------------------------------------------------------------------------------------

    def _hospital_to_gp(self) -> list[Line]:
        made = self._world
        marker = self._marker()
        letter = letters.report(world.HOSPITAL, world.GP, patient=f"Éloïse Garance {marker}")
        clients.send_as_system(
            made.ports["submissions"], self._hospital(), world.HOSPITAL, [world.GP], letter.data
        )
        opened = self._read(world.GP, "INBOX")
        self._expect(opened, letter)
        return [
            ("sent", f"{_size(len(letter.data))} over TLS; the system logs in by its client certificate"),
            ("stored as", f"Subject: {opened.outer_subject}"),
            ("opened as", f"Subject: {opened.subject}"),
            (
                "",
                f"PDF of {_size(len(letter.attachment))}, the same to the byte; our signature is good",
            ),
            *self._thief(),
        ]

    def _to_ward(self) -> list[Line]:
        made = self._world
        letter = letters.report(
            world.HOSPITAL, world.WARD, pdf_bytes=60_000, patient=f"Marc Delalande {self._marker()}"
        )
        clients.send_as_system(
            made.ports["submissions"], self._hospital(), world.HOSPITAL, [world.WARD], letter.data
        )
        lines: list[Line] = []
        folder = self._ward_folder(world.NURSE)
        lines.append(("lies in", folder))
        for member in (world.NURSE, world.DOCTOR):
            self._expect(self._read(member, self._ward_folder(member)), letter)
            lines.append(("opened by", f"{member}, with their own key"))
        return [*lines, *self._thief()]

    def _gp_to_ward(self) -> list[Line]:
        made = self._world
        gp = made.persons[world.GP]
        letter = letters.note(
            world.GP,
            world.WARD,
            f"Re: suivi de M. Delalande {self._marker()}",
            "Merci. Je le revois jeudi ; l’ordonnance est renouvelée.\n",
        )
        clients.send_as_person(
            made.ports["submission"], tls(made.ca), gp.address, gp.password, [world.WARD], letter.data
        )
        self._expect(self._read(world.NURSE, self._ward_folder(world.NURSE)), letter)
        return [
            ("sent", "with an app password; sealed to each member of the ward"),
            *self._thief(),
        ]

    def _operator_to_gp(self) -> list[Line]:
        made = self._world
        letter = letters.report(
            world.FOREIGN_DOCTOR, world.GP, pdf_bytes=30_000, patient=f"Sonia Keller {self._marker()}"
        )
        context = tls(made.ca, made.operator.certificate, made.operator.key)
        clients.send_as_operator(made.ports["smtp"], context, world.FOREIGN_DOCTOR, [world.GP], letter.data)
        self._expect(self._read(world.GP, "INBOX"), letter)
        return [
            ("accepted", "its certificate is in the trust list; sealed at our door"),
            *self._thief(),
        ]

    def _to_robot(self) -> list[Line]:
        made = self._world
        letter = letters.note(
            world.HOSPITAL,
            world.LABORATORY,
            f"Demande d’analyses {self._marker()}",
            "Ionogramme, NT-proBNP.\n",
        )
        clients.send_as_system(
            made.ports["submissions"], self._hospital(), world.HOSPITAL, [world.LABORATORY], letter.data
        )
        robot = made.persons[world.LABORATORY]
        with clients.mailbox(made.ports["imaps"], tls(made.ca), robot.address, robot.password) as imap:
            stored = clients.newest(imap)
        if letter.text.splitlines()[0].encode() not in stored:
            raise NotAsPromised("the robot does not read its letter")
        return [
            ("custody", "encrypted on the disk; the operator's key opens it at each read"),
            *self._thief(),
        ]

    def _refusals(self) -> list[Line]:
        made = self._world
        note = letters.note(world.GP, world.WARD, "usurpation", "x\n")
        gp = made.persons[world.GP]
        hospital = self._hospital()
        return [
            (
                "forged",
                clients.refusal(
                    lambda: clients.send_as_system(
                        made.ports["submissions"], hospital, world.HOSPITAL, [world.WARD], note.data
                    )
                ),
            ),
            (
                "unlisted",
                clients.refusal(
                    lambda: clients.send_as_operator(
                        made.ports["smtp"], hospital, world.FOREIGN_DOCTOR, [world.GP], note.data
                    )
                ),
            ),
            (
                "relay",
                clients.refusal(
                    lambda: clients.send_as_person(
                        made.ports["submission"],
                        tls(made.ca),
                        gp.address,
                        gp.password,
                        ["ailleurs@mss.inconnu.test"],
                        note.data,
                    )
                ),
            ),
        ]

    def _professionals(self) -> None:
        story = self._professional
        self._step(
            "A doctor comes in by her identity provider, in a program and in the page", story.by_the_provider
        )
        self._step("She makes a password for one program, with an end", story.a_program_of_her_own)
        self._step("She lets a delegate read her letters while she is away", story.a_delegate)

    def _directory(self) -> None:
        story = DirectoryStory(self._world, self._professional.page, self._marker, self._thief)
        self._step("The national files are imported, as every day", story.national_files)
        self._step("A doctor finds a colleague by a mistyped name", story.mistyped)
        self._step("Who is on the red list is found nowhere, and still gets a letter", story.on_the_red_list)
        self._step("A doctor is gone from the national files: out within the minute", story.struck_off)

    def _patient(self) -> None:
        story = PatientStory(self._world, self._marker, self._thief)
        self._markers += [space.person.matricule for space in (self._world.patient, self._world.you)]
        self._step("A patient is written to before she has opened her space", story.letters_wait)
        self._step("She activates it from her browser, with the code of a letter", story.activation)
        self._step("She reads what came before", story.reading)
        self._step("Her doctor, who asked for it, gets a receipt", story.receipt)
        self._step("She answers her doctor, who reads it in a mail program", story.answering)
        self._step("Her doctor's calendar invites her, and she accepts", story.appointment)
        self._step("Who she may write to, and how her doctor ends the exchange", story.closing)
        self._step("She shuts her door to a correspondent, and opens it again", story.blocking)

    def _federation(self, beside: Federation) -> None:
        self._markers.append(people.THEIRS.matricule)
        story = FederationStory(self._world, beside, self._marker, lambda: self._thieves(beside))
        for title, play in story.steps():
            self._step(title, play)

    # -- what steps share ---------------------------------------------------------------------------------

    def _marker(self) -> str:
        """A word that stands in this letter and nowhere else."""
        marker = "témoin" + secrets.token_hex(8)
        self._markers.append(marker.removeprefix("témoin"))
        return marker

    def _hospital(self) -> clients.ssl.SSLContext:
        return tls(self._world.ca, self._world.hospital.certificate, self._world.hospital.key)

    def _read(self, address: str, folder: str) -> clients.Opened:
        made = self._world
        person = made.persons[address]
        with clients.mailbox(made.ports["imaps"], tls(made.ca), address, person.password) as imap:
            stored = clients.newest(imap, folder)
        if person.secret_key is None:
            raise NotAsPromised(f"{address} has no key")
        return clients.open_with_gpg(stored, person.secret_key, person.passphrase, made.authority)

    def _ward_folder(self, member: str) -> str:
        person = self._world.persons[member]
        with clients.mailbox(
            self._world.ports["imaps"], tls(self._world.ca), member, person.password
        ) as imap:
            found = [name for name in clients.folders(imap) if world.WARD in name]
        if not found:
            raise NotAsPromised(f"{member} does not see the ward")
        return next((name for name in found if name.endswith("/INBOX")), found[0])

    def _expect(self, opened: clients.Opened, letter: letters.Letter) -> None:
        if opened.subject != letter.subject:
            raise NotAsPromised("the subject inside is not the one that was sent")
        if letter.subject in opened.outer_subject or not opened.outer_subject.startswith("[...] "):
            raise NotAsPromised("the subject stands outside")
        if not opened.good_signature:
            raise NotAsPromised("the gateway's signature is not good")
        if letter.attachment and opened.attachments != [letter.attachment]:
            raise NotAsPromised("the PDF is not the one that was sent")

    def _thief(self) -> list[Line]:
        size = self._search(self._world.folder)
        return [
            (
                "thief",
                f"copies the node's {_size(size)} of files: none of the words is there",
            )
        ]

    def _thieves(self, beside: Federation) -> list[Line]:
        ours, theirs = self._search(self._world.folder), self._search(beside.peer.folder)
        return [("thieves", f"of our {_size(ours)} and of their {_size(theirs)}: none of the words is there")]

    def _search(self, folder: Path) -> int:
        """How much a thief of this node's disk copies. Raises NotAsPromised when there is something to read."""
        node = folder / "node"
        found = thief.search([node, folder / "node.log"], self._markers)
        if found:
            raise NotAsPromised(f"a thief reads it in {found[0].path.name} ({found[0].how})")
        return sum(path.stat().st_size for path in node.rglob("*") if path.is_file())


def _size(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB" if count >= 1_000_000 else f"{count // 1000} kB"


def _links(made: World, beside: Federation | None) -> None:
    _screen.print("\n[bold]It keeps serving. Ctrl-C ends it.[/]")
    _show(ways_in.here(made))
    _screen.print()
    _say(
        "    ",
        "For a mail program: trust the authority's certificate, then import the key. All of it stands in "
        f"{made.folder / 'demo.json'}. One thing here is not as it must be on a real node: the key-encryption key "
        "lies on the same disk.",
    )
    if beside is not None:
        _show(ways_in.beside(beside))


def _show(ways: Sequence[ways_in.Way]) -> None:
    for title, lines in ways:
        _screen.print()
        _say("▸ ", title, "bold cyan", "bold cyan")
        for line in lines:
            _say_line(line)


def _wait(process: NodeProcess) -> None:
    while process.running:
        time.sleep(0.5)
    _screen.print("The node ended by itself: see node.log in the demo's folder.", style="red")
