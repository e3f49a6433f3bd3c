"""What became of each record a system handed in, told once each morning, and adding up."""

from __future__ import annotations

import asyncio
import csv
import io
import shutil
import time
import tracemalloc
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from deploy.node.composition import opened
from deploy.node.config import load
from deploy.node.home import Home
from mail_server import mime
from mail_server.accounts.interface import Identity, Kind, Peer
from mail_server.delivery.feedback_settings import MorningSettings
from mail_server.delivery.interface import Envelope, Road, Sender
from mail_server.payloads import manifest
from mail_server.payloads.record import integration
from mail_server.payloads.record.refusal import AnsCode
from mail_server.store.model import State
from policies.refusal import Refusal
from tests.mail_server.delivery.conftest import Desk

PARIS = ZoneInfo("Europe/Paris")
DAY = 86_400_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp() * 1000)


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


class Hospital:
    """A system (APP) that logged in by its certificate, and the node's clock."""

    def __init__(self, desk, account) -> None:
        self.desk, self.account = desk, account
        self.mornings = desk.node.correspondence.mornings
        self.feedback = desk.node.correspondence.feedback
        self.identity = Identity(account.id, account.address, account.kind, "EXTERNAL", "cert-1")
        self.count = 0

    async def admitted(self) -> Envelope:
        peer = Peer("127.0.0.1", 4000, "submission", "s1", tls=True)
        gate = self.desk.node.gate
        gate.require_still = lambda sender: None  # the binding is another test's
        return Envelope(Sender(Road.CLIENT, self.account.address, peer, identity=self.identity))

    async def hand_in(
        self, to: str, name: str = "", *, subject: str = "XDM/1.0/DDM+CR X Y", more: str = ""
    ) -> str:
        self.count += 1
        name = name or f"r{self.count}"
        envelope = await self.admitted()
        envelope.recipients.append(await self.desk.node.delivery.admit_recipient(envelope, to))
        data = (
            f"From: <{self.account.address}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <{name}@essai>\r\n"
            f"Disposition-Notification-To: {self.account.address}\r\n{more}\r\nBonjour.\r\n"
        ).encode()
        await self.desk.node.delivery.deliver(envelope, data)
        return f"<{name}@essai>"

    async def tell(self, *failures: tuple[str, str, str]) -> None:
        """The sender's own word: (Message-ID, address, cause)."""
        groups = [
            f"Final-Recipient: rfc822; {address}\r\nAction: failed\r\nStatus: 5.6.0\r\n"
            f"Diagnostic-Code: x-vaguemestre; {cause}\r\nX-Original-Message-ID: {name}\r\n"
            for name, address, cause in failures
        ]
        status = "\r\n".join(["Reporting-MTA: dns; essai\r\n", *groups])
        await self.say(
            'Content-Type: multipart/report; boundary="b"\r\n\r\n--b\r\n\r\nx\r\n--b\r\n'
            f"Content-Type: message/delivery-status\r\n\r\n{status}\r\n--b--\r\n"
        )

    async def say(self, body: str) -> None:
        to = f"suivi@{self.account.address.partition('@')[2]}"
        envelope = await self.admitted()
        envelope.recipients.append(await self.desk.node.delivery.admit_recipient(envelope, to))
        data = f"From: <{self.account.address}>\r\nTo: <{to}>\r\nSubject: x\r\n{body}".encode()
        await self.desk.node.delivery.deliver(envelope, data)

    async def rows(self) -> list[tuple]:
        return await self.desk.node.store.read(
            lambda reader: reader.sql.all("SELECT outcome, cause, late_cause FROM report_ledger ORDER BY at")
        )

    async def morning(self):
        day = await self.mornings.tell_now(self.account.id)
        return await self.mornings.again(self.account.id, day) if day else None

    async def age(self, milliseconds: int) -> None:
        await self.desk.node.store.write(
            lambda tx: tx.sql.run("UPDATE report_ledger SET at = at - ?", (milliseconds,))
        )


@pytest.fixture
async def hospital(desk) -> Hospital:
    return Hospital(desk, await desk.account("dpi", Kind.APP))


async def letters_of(desk, account) -> int:
    return len(await desk.inbox(account))


async def test_delivered_waiting_and_refused_make_the_sum_of_what_was_handed_in(desk, hospital) -> None:
    gp = await desk.sealed("gp")
    waits, opened = await desk.patient(), await desk.patient("1850513055002", activated=True)
    for to in (gp.address, waits.alias, opened.alias):
        await hospital.hand_in(to)
    with pytest.raises(Refusal):
        await hospital.hand_in("personne@mss.essai.test")
    told = await hospital.morning()
    assert len(told.handed_in) == 4
    assert [told.count(name) for name in ("delivered", "waiting", "refused")] == [2, 1, 1]
    [refused] = [one for one in told.handed_in if one.outcome == "refused"]
    assert (refused.address, refused.cause) == ("personne@mss.essai.test", "recipient-unknown")


async def test_the_letter_is_sealed_like_any_other_and_names_references_addresses_and_times_alone(
    desk, hospital
) -> None:
    gp = await desk.sealed("gp")
    await hospital.hand_in(gp.address, "ref-1", subject="XDM/1.0/DDM+Titre secret NOM Prenom")
    assert await hospital.morning()
    [(row, stored)] = await desk.inbox(hospital.account)
    assert row.state is State.CUSTODY
    tree = mime.parse(stored)
    text, table = (mime.decoded_body(stored, part).decode("utf-8-sig") for part in tree.children)
    assert text.index("Envois remis au serveur") < text.index("Handed in"), "French first"
    [line] = list(csv.DictReader(io.StringIO(table), delimiter=";"))
    assert (line["reference"], line["address"], line["outcome"]) == ("<ref-1@essai>", gp.address, "delivered")
    assert "secret" not in text + table


async def test_at_its_hour_each_account_is_told_once_a_day_whoever_asks_and_however_often(
    desk, hospital, monkeypatch
) -> None:
    gp = await desk.sealed("gp")
    now = at("2026-11-20T05:30")
    monkeypatch.setattr(hospital.mornings, "_clock", lambda: now)
    await hospital.hand_in(gp.address)
    await desk.node.store.write(lambda tx: tx.sql.run("UPDATE report_ledger SET at = ?", (now,)))
    assert hospital.mornings.due()[0] == "2026-11-19"
    assert await hospital.mornings.sweep()
    assert await letters_of(desk, hospital.account) == 0, "what came since six belongs to the next morning"
    now = at("2026-11-20T06:00")
    await asyncio.gather(hospital.mornings.sweep(), hospital.mornings.sweep())
    assert await hospital.mornings.sweep()
    assert await letters_of(desk, hospital.account) == 1
    now = at("2026-11-21T07:00")
    assert await hospital.mornings.sweep()
    assert await letters_of(desk, hospital.account) == 1, "nothing new, no letter"
    assert len((await hospital.mornings.again(hospital.account.id, "2026-11-20")).handed_in) == 1


async def test_a_kill_before_the_commit_leaves_the_morning_to_be_told_whole(
    desk, hospital, monkeypatch
) -> None:
    gp = await desk.sealed("gp")
    await hospital.hand_in(gp.address)
    append = type(desk.node.trail).append

    def breaks(self, sql, events):
        append(self, sql, events)
        if any(event.action == "morning-letter" for event in events):
            raise OSError("killed")

    monkeypatch.setattr(type(desk.node.trail), "append", breaks)
    assert await hospital.mornings.tell_now(hospital.account.id) == ""
    assert await letters_of(desk, hospital.account) == 0
    monkeypatch.undo()
    assert len((await hospital.morning()).handed_in) == 1
    assert await letters_of(desk, hospital.account) == 1


async def test_a_letter_sent_again_is_one_and_one_taken_after_a_refusal_is_delivered(desk, hospital) -> None:
    gp = await desk.sealed("gp")
    await hospital.hand_in(gp.address, "un")
    await hospital.hand_in(gp.address, "un")
    await hospital.tell(("<deux@essai>", gp.address, "expired"))
    await hospital.hand_in(gp.address, "deux")
    assert [row[:2] for row in await hospital.rows()] == [("delivered", ""), ("delivered", "")]


async def test_what_the_sender_tells_is_laid_down_nowhere_and_counts_once(desk, hospital) -> None:
    failure = ("<a@essai>", "", "pdf-encrypted")
    await hospital.tell(failure)
    await hospital.tell(failure, ("<b@essai>", "x@mss.essai.test", "type-unknown"))
    assert sorted(row[1] for row in await hospital.rows()) == ["pdf-encrypted", "type-unknown"]
    boxes = await desk.node.store.read(lambda reader: reader.sql.one("SELECT count(*) FROM message"))
    assert boxes == (0,)


async def test_a_refusal_at_rcpt_and_the_senders_word_of_it_are_one_row_with_the_servers_cause(
    desk, hospital
) -> None:
    for _ in range(2):  # tried again after a kill
        with pytest.raises(Refusal):
            await hospital.hand_in("personne@mss.essai.test")
    await hospital.tell(("<a@essai>", "personne@mss.essai.test", "smtp-550-5-1-1"))
    assert [row[:2] for row in await hospital.rows()] == [("refused", "recipient-unknown")]
    await hospital.tell(("<b@essai>", "personne@mss.essai.test", "smtp-550-5-1-1"))
    assert len(await hospital.rows()) == 2, "another report to the same address is another row"


async def test_a_refusal_told_in_one_morning_is_not_told_again_when_its_sender_names_it(
    desk, hospital
) -> None:
    with pytest.raises(Refusal):
        await hospital.hand_in("personne@mss.essai.test")
    assert len((await hospital.morning()).handed_in) == 1
    await hospital.tell(("<a@essai>", "personne@mss.essai.test", "smtp-550-5-1-1"))
    assert await hospital.morning() is None


async def test_suivi_hears_nobody_but_who_is_told_and_takes_reports_of_failures_alone(desk, hospital) -> None:
    gp = await desk.sealed("gp")
    with pytest.raises(Refusal) as unknown:
        await desk.envelope(gp, "suivi@mss.essai.test")
    assert unknown.value.reason == "recipient-unknown"
    with pytest.raises(Refusal) as unread:
        await hospital.say("\r\nBonjour.\r\n")
    assert unread.value.reason == "followed-address-unread"
    envelope = await hospital.admitted()
    envelope.recipients.append(await desk.node.delivery.admit_recipient(envelope, gp.address))
    with pytest.raises(Refusal) as alone:
        await desk.node.delivery.admit_recipient(envelope, "suivi@mss.essai.test")
    assert alone.value.temporary


async def test_ordinary_letters_and_people_are_not_followed_until_they_wish(desk, hospital) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.sealed("nurse")
    await hospital.hand_in(gp.address, subject="Bonjour")
    xdm = (
        f"From: <{nurse.address}>\r\nTo: <{gp.address}>\r\nSubject: XDM/1.0/DDM+CR\r\n"
        "Message-ID: <n{}@essai>\r\n\r\nx\r\n"
    )
    await desk.send(nurse, xdm.format(1).encode(), gp.address)
    assert await hospital.rows() == []
    await hospital.feedback.wish(nurse.id, True, "test")
    await hospital.feedback.load()
    await desk.send(nurse, xdm.format(2).encode(), gp.address)
    assert [row[0] for row in await hospital.rows()] == ["delivered"]
    await hospital.feedback.wish(hospital.account.id, False, "test")
    await hospital.hand_in(gp.address)
    assert len(await hospital.rows()) == 1


async def test_what_a_patient_does_not_open_for_days_is_told_once_for_paper(desk, hospital) -> None:
    patient = await desk.patient(activated=True)
    await hospital.hand_in(patient.alias, "papier")
    assert len((await hospital.morning()).unopened) == 0
    await hospital.age(8 * DAY)
    told = await hospital.morning()
    assert [(one.reference, one.address) for one in told.unopened] == [("<papier@essai>", patient.alias)]
    assert not told.handed_in
    assert await hospital.morning() is None


async def test_an_opened_document_is_not_to_be_sent_on_paper(desk, hospital) -> None:
    patient = await desk.patient(activated=True)
    await hospital.hand_in(patient.alias)
    await hospital.morning()
    headers = [row.rendered.header for row, _ in await desk.inbox(patient)]
    await desk.node.correspondence.receipts.opened(patient.id, headers)
    await hospital.age(8 * DAY)
    assert await hospital.morning() is None


async def test_who_opened_their_space_since_is_told_as_delivered(desk, hospital) -> None:
    patient = await desk.patient(published=True)
    await hospital.hand_in(patient.alias)
    assert [row[0] for row in await hospital.rows()] == ["waiting"]
    await desk.activate(patient)
    told = await hospital.morning()
    assert [told.count("waiting"), told.count("delivered")] == [0, 1]


async def answers(desk, hospital, by, original: str, code: AnsCode) -> None:
    letter = (
        f"From: <{hospital.account.address}>\r\nTo: <{by.address}>\r\nSubject: XDM/1.0/DDM+CR X Y\r\n"
        f"Message-ID: {original}\r\n\r\nBonjour.\r\n"
    ).encode()
    told = integration.acknowledgement(
        letter,
        integration.Outcome(code),
        integration.Answerer(by.address, "mss.essai.test", 1_760_000_000_000),
        hospital.account.address,
    )
    assert told is not None
    await desk.send(by, told, hospital.account.address)


async def test_a_failed_integration_is_counted_as_refused_with_its_code(desk, hospital) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.sealed("nurse")
    original = await hospital.hand_in(gp.address)
    await answers(desk, hospital, nurse, original, AnsCode.UNKNOWN_PATIENT)
    assert [row[0] for row in await hospital.rows()] == ["delivered"], "nobody answers for another"
    await answers(desk, hospital, gp, original, AnsCode.UNKNOWN_PATIENT)
    assert [row[:2] for row in await hospital.rows()] == [("refused", "902")]


async def test_a_failure_after_the_morning_is_told_in_the_next_and_changes_no_sum(desk, hospital) -> None:
    gp = await desk.sealed("gp")
    original = await hospital.hand_in(gp.address)
    assert (await hospital.morning()).count("delivered") == 1
    await answers(desk, hospital, gp, original, AnsCode.INS_MISMATCH)
    told = await hospital.morning()
    assert not told.handed_in
    assert [(one.reference, one.outcome, one.cause) for one in told.later] == [(original, "refused", "904")]
    assert await hospital.morning() is None


async def test_nothing_of_a_report_lies_in_clear_in_the_ledger(desk, hospital) -> None:
    await hospital.tell(("<tres-reconnaissable@essai>", "quelquun-cherche@mss.essai.test", "expired"))
    rows = await desk.node.store.read(lambda reader: reader.sql.all("SELECT * FROM report_ledger"))
    octets = repr(rows).encode()
    assert b"reconnaissable" not in octets
    assert b"quelquun" not in octets


async def test_what_is_old_and_told_is_forgotten_and_what_is_not_told_never(
    desk, hospital, monkeypatch
) -> None:
    gp = await desk.sealed("gp")
    await hospital.hand_in(gp.address)
    await hospital.morning()
    await hospital.age(100 * DAY)
    await hospital.feedback.wish(hospital.account.id, True, "test")
    await hospital.mornings.sweep()
    assert await hospital.rows() == []
    assert (await hospital.mornings.standing()).untold == 0


MANIFEST = (
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nRetrait.\r\n--b\r\n'
    f"Content-Type: {manifest.MEDIA_TYPE}\r\n\r\n"
    + manifest.written(
        manifest.Manifest((manifest.Item(kind=manifest.WITHDRAWAL, id="w", withdraws=("1.2.3",)),))
    ).decode()
    + "\r\n--b--\r\n"
)


async def test_withdrawals_are_counted_apart_and_the_documents_add_up_without_them(desk, hospital) -> None:
    gp, patient = await desk.sealed("gp"), await desk.patient()
    await hospital.hand_in(gp.address, "un")
    await hospital.hand_in(patient.alias, "deux")
    await hospital.hand_in(gp.address, "retrait", subject="Re: XDM/1.0/DDM+CR X Y", more=MANIFEST)
    with pytest.raises(Refusal):
        await hospital.hand_in(
            "personne@mss.essai.test", "autre", subject="Re: XDM/1.0/DDM+CR X Y", more=MANIFEST
        )
    await hospital.tell(
        ("<autre@essai>", "personne@mss.essai.test", "smtp-550-5-1-1\r\nX-Vaguemestre-Errand: withdrawal")
    )
    told = await hospital.morning()
    outcomes = ("delivered", "waiting", "refused")
    assert [told.count(one) for one in outcomes] == [1, 1, 0]
    assert len(told.documents) == 2
    assert [told.count(one, withdrawals=True) for one in outcomes] == [1, 0, 1]
    text = hospital.mornings.text(told)
    assert "depuis la dernière lettre\u00a0: 2\n" in text
    assert "Retraits, comptés à part\u00a0: 2 (remis\u00a0: 1, en attente\u00a0: 0, refusés\u00a0: 1)" in text
    table = hospital.mornings.table(told).decode("utf-8-sig")
    assert [line.split(";")[0] for line in table.split()[1:]].count("withdrawal") == 2


async def test_who_opens_their_space_after_the_morning_is_told_as_delivered_in_the_next(
    desk, hospital
) -> None:
    patient, never = await desk.patient(published=True), await desk.patient("1850513055002")
    original = await hospital.hand_in(patient.alias)
    await hospital.hand_in(never.alias)
    assert (await hospital.morning()).count("waiting") == 2
    await desk.activate(patient)
    told = await hospital.morning()
    assert not told.handed_in
    assert [(one.reference, one.outcome) for one in told.later] == [(original, "delivered")]
    assert "Remis depuis, le patient ayant ouvert son espace" in hospital.mornings.text(told)
    assert await hospital.morning() is None


async def test_what_stays_unopened_stays_in_the_table_until_it_is_opened_or_a_month_has_passed(
    desk, hospital
) -> None:
    gp, patient = await desk.sealed("gp"), await desk.patient(activated=True)
    late = await hospital.hand_in(patient.alias)
    await hospital.morning()
    await hospital.age(8 * DAY)
    assert [one.reference for one in (await hospital.morning()).unopened] == [late]
    await hospital.hand_in(gp.address)
    told = await hospital.morning()
    assert (told.unopened, [one.reference for one in told.still]) == ([], [late])
    assert "Déjà signalés, et toujours pas ouverts\u00a0: 1" in hospital.mornings.text(told)
    assert "still-unopened" in hospital.mornings.table(told).decode()
    await hospital.age(30 * DAY)
    await hospital.hand_in(gp.address)
    assert (await hospital.morning()).still == []
    await hospital.age(-30 * DAY)
    await desk.node.correspondence.receipts.opened(
        patient.id, [row.rendered.header for row, _ in await desk.inbox(patient)]
    )
    await hospital.hand_in(gp.address)
    assert (await hospital.morning()).still == []
    again = await hospital.mornings.again(hospital.account.id, told.day)
    assert hospital.mornings.table(again) == hospital.mornings.table(told), "printed again as it was"


async def test_practice_software_speaks_for_who_has_copies_made_for_it_and_hands_in_nothing_by_that(
    desk, hospital
) -> None:
    gp, robot = await desk.sealed("gp"), await desk.account("robot", Kind.APP)
    original = await hospital.hand_in(gp.address)
    await hospital.feedback.wish(robot.id, True, "test")
    await answers(desk, hospital, robot, original, AnsCode.UNKNOWN_PATIENT)
    assert [row[0] for row in await hospital.rows()] == ["delivered"], "it has no copy of theirs"
    await desk.node.accounts.software_set(gp.id, robot.id, "test")
    await desk.node.accounts.copies_set(gp.id, True, gp.id)
    await answers(desk, hospital, robot, original, AnsCode.UNKNOWN_PATIENT)
    assert [row[:2] for row in await hospital.rows()] == [("refused", "902")], "and no row for its own answer"


@pytest.mark.parametrize(
    ("now", "day", "until"),
    [
        ("2026-11-20T05:59+01:00", "2026-11-19", "2026-11-19T06:00+01:00"),
        ("2026-11-20T09:00+01:00", "2026-11-20", "2026-11-20T06:00+01:00"),  # started late: told at once
        (
            "2026-03-29T05:59+02:00",
            "2026-03-28",
            "2026-03-28T06:00+01:00",
        ),  # an hour was left out in the night
        ("2026-03-29T06:00+02:00", "2026-03-29", "2026-03-29T06:00+02:00"),
        ("2026-10-25T05:59+01:00", "2026-10-24", "2026-10-24T06:00+02:00"),  # an hour came twice
        ("2026-10-25T06:00+01:00", "2026-10-25", "2026-10-25T06:00+01:00"),
    ],
)
async def test_six_is_six_where_the_hospital_is(
    hospital, monkeypatch, now: str, day: str, until: str
) -> None:
    monkeypatch.setattr(hospital.mornings, "_clock", lambda: instant(now))
    assert hospital.mornings.due() == (day, instant(until))


async def test_an_hour_that_is_left_out_or_comes_twice_is_told_once(desk, hospital, monkeypatch) -> None:
    gp = await desk.sealed("gp")
    monkeypatch.setattr(hospital.mornings, "_settings", MorningSettings(hour=2))
    nights = (
        (
            "2026-03-28T12:00+01:00",
            ["2026-03-29T01:59+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"],
        ),
        (
            "2026-10-24T12:00+02:00",
            ["2026-10-25T02:10+02:00", "2026-10-25T02:10+01:00", "2026-10-25T03:00+01:00"],
        ),
    )
    for letters, (told, moments) in enumerate(nights, 1):
        await hospital.hand_in(gp.address)
        await desk.node.store.write(
            lambda tx, told=told: tx.sql.run(
                "UPDATE report_ledger SET at = ? WHERE told_day IS NULL", (instant(told),)
            )
        )
        for moment in moments:
            monkeypatch.setattr(hospital.mornings, "_clock", lambda moment=moment: instant(moment))
            assert await hospital.mornings.sweep()
        assert await letters_of(desk, hospital.account) == letters


async def test_a_clock_set_back_tells_nothing_twice(desk, hospital, monkeypatch) -> None:
    gp = await desk.sealed("gp")
    await hospital.hand_in(gp.address)
    for moment in (
        "2027-01-10T07:00+01:00",
        "2027-01-08T07:00+01:00",
        "2027-01-09T07:00+01:00",
        "2027-01-10T07:00+01:00",
    ):
        monkeypatch.setattr(hospital.mornings, "_clock", lambda moment=moment: instant(moment))
        assert await hospital.mornings.sweep()
    assert await letters_of(desk, hospital.account) == 1


async def test_each_account_is_told_of_its_own_and_one_that_cannot_be_told_holds_up_no_other(
    desk, hospital
) -> None:
    other = Hospital(desk, await desk.account("labo", Kind.APP))
    gone = Hospital(desk, await desk.account("radio", Kind.APP))
    gp = await desk.sealed("gp")
    for one, number in ((hospital, 1), (other, 2), (gone, 1)):
        for _ in range(number):
            await one.hand_in(gp.address, f"{one.account.address[:5]}{one.count}")
    await hospital.age(2 * DAY)
    await desk.node.accounts.suspend(hospital.account.id)
    await desk.node.accounts.close(gone.account.id)
    await hospital.mornings.sweep()
    day = hospital.mornings.due()[0]
    assert len((await hospital.mornings.again(other.account.id, day)).handed_in) == 2
    assert await hospital.mornings.again(gone.account.id, day) is None
    await desk.node.accounts.reinstate(hospital.account.id)
    assert await hospital.mornings.sweep()
    assert len((await hospital.mornings.again(hospital.account.id, day)).handed_in) == 1
    assert (await hospital.mornings.standing()).untold == 0


async def test_thousands_of_lines_make_one_letter_of_a_bounded_size(desk, hospital) -> None:
    gp = await desk.sealed("gp")
    await hospital.hand_in(gp.address)
    copied = (
        "INSERT INTO report_ledger SELECT account, randomblob(16), letter, whom, recipient, address, reference, at,"
        " outcome, cause, told_day, late_cause, late_day, unopened_day, withdrawal FROM report_ledger"
    )
    for _ in range(13):
        await desk.node.store.write(lambda tx: tx.sql.run(copied))
    tracemalloc.start()
    began = time.monotonic()
    day = await hospital.mornings.tell_now(hospital.account.id)
    took, (_, peak) = time.monotonic() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len((await hospital.mornings.again(hospital.account.id, day)).handed_in) == 8192
    [(_, stored)] = await desk.inbox(hospital.account)
    assert len(stored) < 2_000_000
    assert peak < 100_000_000
    print(f"8,192 lines: {len(stored):,} octets, {took:.1f} s, {peak / 1e6:.0f} MB at most")


@pytest.fixture
async def desk_on_postgresql(template: Path, tmp_path: Path, make_postgresql_database) -> AsyncIterator[Desk]:
    shutil.copytree(template / "node", tmp_path / "node")
    config = load(tmp_path / "node" / "vaguemestre.toml")
    store = config.store.model_copy(update={"database": make_postgresql_database()})
    async with opened(Home(tmp_path / "node"), config.model_copy(update={"store": store})) as node:
        yield Desk(node, template / "people", b"")


async def test_postgresql_tells_the_same(desk_on_postgresql) -> None:
    desk = desk_on_postgresql
    hospital = Hospital(desk, await desk.account("dpi", Kind.APP))
    gp, patient = await desk.sealed("gp"), await desk.patient()
    first = await hospital.hand_in(gp.address)
    await hospital.hand_in(patient.alias)
    for _ in range(2):
        with pytest.raises(Refusal):
            await hospital.hand_in("personne@mss.essai.test")
    await hospital.tell(("<a@essai>", "personne@mss.essai.test", "smtp-550-5-1-1"))
    await hospital.tell(("<b@essai>", "personne@mss.essai.test", "smtp-550-5-1-1"))
    told = await hospital.morning()
    assert [told.count(name) for name in ("delivered", "waiting", "refused")] == [1, 1, 2]
    assert {one.cause for one in told.handed_in if one.cause} == {"recipient-unknown"}
    await answers(desk, hospital, gp, first, AnsCode.OTHER)
    await hospital.age(8 * DAY)
    again = await hospital.morning()
    assert [len(again.later), len(again.unopened)] == [1, 1]
    assert await hospital.mornings.sweep()
    assert (await hospital.mornings.standing()).untold == 0
