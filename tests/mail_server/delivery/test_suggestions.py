""" "Did you mean …?" in refusals: who hears it, of whom, and what it never does."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from directory.harvest import TooMuch
from mail_server.accounts.interface import Kind, Peer
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.delivery.suggestions import NotMeant, Suggestions, nearest
from policies.refusal import Refusal

HERE = "mss.essai.test"
NEAR = "pierre.durand@voisin.test"


@dataclass
class Known:
    """Listings of a few addresses; what each asked address may be meant for is said by the test."""

    near: dict[str, tuple[str, ...]] = field(default_factory=dict)
    shown: frozenset[str] = frozenset()
    red: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    held_up: threading.Event | None = None

    def suggest(self, address: str, limit: int = 3) -> tuple[str, ...]:
        if self.held_up is not None:
            self.held_up.wait()
        self.asked.append(address)
        return self.near.get(address, ())[:limit]

    def deliverable(self, address: str) -> bool | None:
        return address in self.shown | self.red

    def mailbox(self, address: str) -> object | None:
        return address if address in self.shown else None


@dataclass
class Counted:
    """An account of what was shown."""

    full: bool = False
    wait: float = 0
    told: list[tuple[str, list[str]]] = field(default_factory=list)

    def require(self, asker: str, *, trusted: bool = False, door: str = "") -> None:
        if self.full:
            raise TooMuch(60)

    def shown(self, asker: str, keys: list[str], *, trusted: bool = False, door: str = "") -> float:
        self.told.append((asker, keys))
        return self.wait


@pytest.fixture
def suggestions(desk) -> Suggestions:
    found = desk.node.delivery._suggestions
    found._listings, found._harvest = Known(), Counted()
    found._within = 60.0  # a slow machine is no reason to fail here
    listed = {"voisin.test", "xn--hpital-ixa.test"} | {f"{'b' * 60}.{'c' * 60}.voisin.test"}
    found._listed_domains = lambda: listed
    return found


async def refused(call: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await call
    return caught.value


async def test_a_mistyped_address_here_is_refused_with_whom_it_may_have_meant(desk, suggestions) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    suggestions._listings.near = {f"nurce@{HERE}": (nurse.address,)}
    refusal = await refused(desk.envelope(gp, f"nurce@{HERE}"))
    assert refusal.smtp_line == (
        f"550 5.1.1 No such mailbox here; did you mean nurse@{HERE}? (ref {refusal.id})"
    )
    assert refusal.reason == "recipient-unknown"
    assert suggestions._harvest.told == [(f"account:{gp.id}", [nurse.address])]


async def test_the_trace_knows_the_refusal_under_the_id_that_was_shown(
    desk, suggestions, monkeypatch
) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    suggestions._listings.near = {f"nurce@{HERE}": (nurse.address,)}
    noted: list[Any] = []
    monkeypatch.setattr(desk.node.delivery, "_audit", noted.extend)
    refusal = await refused(desk.envelope(gp, f"nurce@{HERE}"))
    assert [event.reference for event in noted if event.action == "refuse"] == [refusal.id]
    assert "nurse" not in repr(noted)


async def test_who_knows_nobody_near_hears_the_refusal_as_it_was(desk, suggestions) -> None:
    gp = await desk.account("gp")
    refusal = await refused(desk.envelope(gp, f"qui@{HERE}"))
    assert refusal.sentence == "No such mailbox here"
    assert suggestions._harvest.told == []


async def test_nobody_here_who_is_suspended_closed_or_a_patient_is_ever_suggested(desk, suggestions) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    patient = await desk.patient()
    await desk.node.accounts.suspend(nurse.id)
    suggestions._listings.near = {
        f"nurce@{HERE}": (nurse.address, patient.address, f"gone@{HERE}"),
    }
    assert "mean" not in (await refused(desk.envelope(gp, f"nurce@{HERE}"))).sentence


async def test_systems_patients_and_other_operators_hear_none(desk, suggestions) -> None:
    nurse = await desk.account("nurse")
    robot, patient = await desk.account("robot", Kind.APP), await desk.patient(activated=True)
    suggestions._listings.near = {f"nurce@{HERE}": (nurse.address,)}
    assert "mean" not in (await refused(desk.envelope(robot, f"nurce@{HERE}"))).sentence
    assert "mean" not in (await refused(desk.page_envelope(patient, f"nurce@{HERE}"))).sentence
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    sender = await desk.node.delivery.admit_sender(
        Road.OPERATOR, "dr@voisin.test", MailParameters(), peer, None
    )
    refusal = await refused(desk.node.delivery.admit_recipient(Envelope(sender), f"nurce@{HERE}"))
    assert "mean" not in refusal.sentence
    assert suggestions._listings.asked == []


async def test_patients_addresses_are_looked_for_nowhere(desk, suggestions) -> None:
    gp = await desk.account("gp")
    for address in (
        f"285051305500121@patient.{HERE}",
        f"apolline@{desk.node.accounts.patient_domain}",
        f"2850513055001@{HERE}",
        "paul@patient.ailleurs.test",
    ):
        assert "mean" not in (await refused(desk.envelope(gp, address))).sentence
    assert suggestions._listings.asked == []


async def test_a_domain_that_is_mistyped_is_named_as_the_trust_list_writes_it(desk, suggestions) -> None:
    gp = await desk.account("gp")
    suggestions._listings.shown = frozenset({NEAR})
    refusal = await refused(desk.envelope(gp, "pierre.durand@vosin.test"))
    assert (refusal.code, refusal.reason) == (550, "recipient-domain-unlisted")
    assert refusal.sentence.endswith(f"nothing was sent to it; did you mean {NEAR}?")


async def test_of_a_mistyped_domain_alone_the_same_name_is_offered_there(desk, suggestions) -> None:
    gp = await desk.account("gp")
    refusal = await refused(desk.envelope(gp, "nouvelle@voisim.test"))
    assert "did you mean nouvelle@voisin.test?" in refusal.sentence


async def test_who_was_shown_too_much_hears_no_more(desk, suggestions) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    suggestions._listings.near = {f"nurce@{HERE}": (nurse.address,)}
    suggestions._harvest.wait = 1.0
    assert "mean" not in (await refused(desk.envelope(gp, f"nurce@{HERE}"))).sentence
    suggestions._harvest.full = True
    assert "mean" not in (await refused(desk.envelope(gp, f"nurce@{HERE}"))).sentence
    assert len(suggestions._listings.asked) == 1


async def test_a_directory_that_is_slow_or_broken_holds_no_answer_up(desk, suggestions, monkeypatch) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    suggestions._listings.near = {f"nurce@{HERE}": (nurse.address,)}
    suggestions._listings.held_up, suggestions._within = threading.Event(), 0.01
    try:
        assert "mean" not in (await refused(desk.envelope(gp, f"nurce@{HERE}"))).sentence
    finally:
        suggestions._listings.held_up.set()
    suggestions._within = 60.0

    def broken(address: str, limit: int = 3) -> tuple[str, ...]:
        raise OSError("the disk is gone")

    monkeypatch.setattr(suggestions._listings, "suggest", broken)
    assert (await refused(desk.envelope(gp, f"nurce@{HERE}"))).sentence == "No such mailbox here"


async def test_nobody_is_suggested_whose_domain_letters_do_not_go_to(desk, suggestions) -> None:
    gp = await desk.account("gp")
    suggestions._listings.near = {f"nurce@{HERE}": ("nurse@ailleurs.test", NEAR)}
    assert (await refused(desk.envelope(gp, f"nurce@{HERE}"))).sentence.endswith(f"did you mean {NEAR}?")


@pytest.mark.parametrize(
    "odd",
    [
        "a\r\n250 ok@voisin.test",
        'a"b@voisin.test',
        "é@voisin.test",
        "a@voisin",
        "a@vo isin.test",
        f"{'a' * 65}@voisin.test",
        "a@b@voisin.test",
    ],
)
async def test_what_a_reply_cannot_name_is_not_suggested(desk, suggestions, odd: str) -> None:
    gp = await desk.account("gp")
    suggestions._listings.near = {f"nurce@{HERE}": (odd,)}
    refusal = await refused(desk.envelope(gp, f"nurce@{HERE}"))
    assert refusal.sentence == "No such mailbox here"


async def test_a_domain_of_other_letters_is_named_in_ascii(desk, suggestions) -> None:
    gp = await desk.account("gp")
    suggestions._listings.near = {f"nurce@{HERE}": ("nurse@hôpital.test",)}
    assert "nurse@xn--hpital-ixa.test?" in (await refused(desk.envelope(gp, f"nurce@{HERE}"))).sentence


async def test_a_reply_stays_a_line_however_long_the_addresses_are(desk, suggestions) -> None:
    gp = await desk.account("gp")
    long = tuple(f"{letter * 60}@{'b' * 60}.{'c' * 60}.voisin.test" for letter in "xyz")
    suggestions._listings.near = {f"nurce@{HERE}": long}
    refusal = await refused(desk.envelope(gp, f"nurce@{HERE}"))
    assert isinstance(refusal, NotMeant)
    assert refusal.suggestions == long
    assert " or " in refusal.sentence  # two of three
    assert len(refusal.smtp_line) <= 510
    assert refusal.smtp_line.isascii()
    named = f"{'n' * 64}@{'m' * 60}.{'o' * 60}.{'p' * 58}.test"
    suggestions._listings.near = {named: long}
    refusal = await refused(desk.envelope(gp, named))
    assert len(refusal.smtp_line) <= 510


async def test_the_page_hears_the_same_and_of_an_address_let_through_who_is_near(
    desk, way, suggestions
) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    suggestions._listings.near = {
        f"nurce@{HERE}": (nurse.address,),
        "piere.durand@voisin.test": (NEAR,),
        "rouge@voisin.test": (NEAR,),
    }
    suggestions._listings.red = frozenset({"rouge@voisin.test"})
    refusal = await refused(desk.node.addressees.addressee(gp, f"nurce@{HERE}"))
    assert isinstance(refusal, NotMeant)
    assert refusal.suggestions == (nurse.address,)
    assert (await desk.node.addressees.addressee(gp, "piere.durand@voisin.test")).suggestions == (NEAR,)
    assert (await desk.node.addressees.addressee(gp, "rouge@voisin.test")).suggestions == ()


async def test_the_report_of_an_unknown_address_may_name_whom_it_meant(desk, suggestions) -> None:
    gp, ward = await desk.account("gp"), await desk.account("ward", Kind.ORG)
    robot, patient = await desk.account("robot", Kind.APP), await desk.patient(activated=True)
    suggestions._listings.near = {"piere.durand@voisin.test": (NEAR,)}
    told = {
        account.kind: suggestions.of_report(account.id, "piere.durand@voisin.test")
        for account in (gp, ward, robot, patient)
    }
    assert told == {Kind.PER: (NEAR,), Kind.ORG: (NEAR,), Kind.APP: (), Kind.PATIENT: ()}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("chu-lyonn.mssante.fr", "chu-lyon.mssante.fr"),
        ("chu-lyno.mssante.fr", "chu-lyon.mssante.fr"),
        ("chu-lyon.fr", "chu-lyon.mssante.fr"),
        ("chu-lyon", "chu-lyon.mssante.fr"),
        ("ch-lyon.mssante.fr", "chu-lyon.mssante.fr"),
        ("chu-nice.mssante.fr", ""),
        ("patient.mssante.fr", ""),
        ("ch-aa.mssante.fr", ""),  # two are as near
        ("gmail.com", ""),
        ("", ""),
    ],
)
def test_a_domain_is_taken_for_the_one_listed_that_is_written_nearly_so(typed: str, meant: str) -> None:
    listed = {
        "chu-lyon.mssante.fr",
        "ch-a.mssante.fr",
        "ch-b.mssante.fr",
        "patient.mssantee.fr",
        "voisin.test",
    }
    listed |= {"ch-aaa.mssante.fr", "ch-ab.mssante.fr"}
    assert nearest(typed, listed) == meant
