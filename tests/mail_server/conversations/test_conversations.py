"""Who a patient may answer, until when, and what the page shows of it."""

from __future__ import annotations

from typing import Any

from mail_server.accounts.interface import Kind
from mail_server.conversations.conversations import MOST, Correspondence, Standing
from mail_server.store.model import SpecialUse


async def test_a_professional_s_letter_opens_and_their_fin_closes_and_their_next_letter_opens_again(
    town: Any,
) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    assert await town.standing(patient, gp) is Standing.NONE
    await town.writes(gp.address, patient)
    assert await town.standing(patient, gp) is Standing.OPEN
    await town.writes(gp.address, patient, closes=True)
    assert await town.standing(patient, gp) is Standing.CLOSED
    await town.writes(gp.address, patient)
    assert await town.standing(patient, gp) is Standing.OPEN


async def test_closing_one_thread_leaves_another_open(town: Any) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    await town.writes(gp.address, patient, "T1")
    await town.writes(gp.address, patient, "T2")
    await town.writes(gp.address, patient, "T1", closes=True)
    assert await town.standing(patient, gp) is Standing.OPEN
    await town.writes(gp.address, patient, "T3", closes_all=True)
    assert await town.standing(patient, gp) is Standing.CLOSED


async def test_who_closes_ends_what_they_opened_for_others_and_not_what_others_opened(town: Any) -> None:
    robot, ward = await town.person("robot", Kind.APP), await town.person("ward", Kind.ORG)
    gp, patient = await town.person("gp"), await town.patient()
    await town.writes(robot.address, patient, "T1", ward.address)
    await town.writes(gp.address, patient, "T1")
    await town.writes(robot.address, patient, "T1", closes=True)
    assert await town.standing(patient, ward) is Standing.CLOSED
    assert await town.standing(patient, gp) is Standing.OPEN
    await town.writes(gp.address, patient, "T2", ward.address)
    await town.writes(robot.address, patient, "T2", ward.address, closes_all=True)
    assert await town.standing(patient, ward) is Standing.OPEN, "the GP opened that one"


async def test_one_patient_s_exchange_is_not_another_s(town: Any) -> None:
    gp, one, other = await town.person("gp"), await town.patient(), await town.patient("185052A004123")
    await town.writes(gp.address, one)
    assert await town.standing(other, gp) is Standing.NONE


async def test_a_patient_is_nobody_s_correspondent_and_opens_nothing(town: Any) -> None:
    one, other = await town.patient(), await town.patient("185052A004123")
    assert town.conversations.party(one.alias) is None
    assert not await town.writes(one.alias, other)
    assert await town.standing(other, one) is Standing.NONE


async def test_an_address_here_that_nobody_has_and_what_is_no_address_are_nobody(town: Any) -> None:
    for address in ("nobody@chu.test", "", "x", "@", "x@"):
        assert town.conversations.party(address) is None


async def test_a_reply_to_that_names_nobody_leaves_the_sender(town: Any) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    await town.writes(gp.address, patient, "T1", "nobody@chu.test", patient.alias)
    assert await town.standing(patient, gp) is Standing.OPEN


async def test_a_correspondent_of_another_operator_is_shown_and_not_written_down(town: Any) -> None:
    patient = await town.patient()
    await town.writes("Dr.Loin@Voisin.test", patient)
    await town.writes("dr.loin@voisin.test", patient, "T2")
    rows = await town.store.read(lambda reader: reader.sql.all("SELECT * FROM conversation"))
    assert len(rows) == 2
    stored = b"".join(v if isinstance(v, bytes) else str(v).encode() for row in rows for v in row)
    assert b"loin" not in stored.lower()
    [found] = await town.of(patient)
    assert found == Correspondence("dr.loin@voisin.test", True, town.clock, ("T2", "T1"))
    assert "loin" not in repr(found)


async def test_a_patient_sees_every_exchange_newest_first_with_its_threads(town: Any) -> None:
    gp, nurse, patient = await town.person("gp"), await town.person("nurse"), await town.patient()
    await town.writes(gp.address, patient, "T1")
    await town.writes(nurse.address, patient, "T2")
    await town.writes(gp.address, patient, "T3")
    await town.writes(gp.address, patient, "T1", closes=True)
    await town.writes(nurse.address, patient, "T2", closes=True)
    seen = [(one.address, one.open, one.threads) for one in await town.of(patient)]
    assert seen == [(nurse.address, False, ("T2",)), (gp.address, True, ("T1", "T3"))]


async def test_a_patient_is_told_which_threads_of_an_exchange_take_no_answer(town: Any) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    for thread in ("T1", "T2"):
        await town.writes(gp.address, patient, thread)
    await town.writes(gp.address, patient, "T1", closes=True)
    assert [(one.open, one.closed) for one in await town.of(patient)] == [(True, {"T1"})]
    await town.writes(gp.address, patient, "T1")
    assert [(one.open, one.closed) for one in await town.of(patient)] == [(True, frozenset())]


async def test_a_patient_s_answer_makes_the_exchange_recent(town: Any) -> None:
    gp, nurse, patient = await town.person("gp"), await town.person("nurse"), await town.patient()
    thread = await town.files(patient, SpecialUse.INBOX, f"From: <{gp.address}>", "un")
    await town.writes(gp.address, patient, thread)
    await town.writes(nurse.address, patient, "T2")
    at = town.tick()
    await town.store.write(
        lambda tx: town.conversations.answered(tx, patient.id, [gp.id], [b"<deux@x>", b"<un@x>"], at)
    )
    assert [one.address for one in await town.of(patient)] == [gp.address, nurse.address]
    later = town.tick()
    await town.store.write(
        lambda tx: town.conversations.answered(tx, patient.id, [nurse.id], [b"<new@x>"], later)
    )
    assert [one.last_at for one in await town.of(patient)] == [later, at]


async def test_an_answer_to_a_closed_thread_is_known_as_one(town: Any) -> None:
    gp, nurse, patient = await town.person("gp"), await town.person("nurse"), await town.patient()
    thread = await town.files(patient, SpecialUse.INBOX, f"From: <{gp.address}>", "un")
    await town.writes(gp.address, patient, thread)

    async def closed(who: Any, *names: bytes) -> bool:
        return await town.store.read(
            lambda reader: town.conversations.closed_thread(reader, patient.id, [who.id], names)
        )

    assert not await closed(gp, b"<deux@x>", b"<un@x>")
    await town.writes(gp.address, patient, thread, closes=True)
    assert await closed(gp, b"<deux@x>", b"<un@x>")
    assert not await closed(nurse, b"<deux@x>", b"<un@x>")
    assert not await closed(gp, b"<deux@x>", b"<elsewhere@x>")


async def test_a_professional_sees_patients_and_whom_they_wrote_with_lately(town: Any) -> None:
    gp, nurse, labo = await town.person("gp"), await town.person("nurse"), await town.person("labo", Kind.APP)
    patient = await town.patient()
    received = await town.files(gp, SpecialUse.INBOX, f"From: Labo <{labo.address}>", "un")
    sent = await town.files(
        gp, SpecialUse.SENT, f"From: <{gp.address}>\r\nTo: <{nurse.address}>, <x@loin.test>", "deux"
    )
    await town.writes(gp.address, patient, closes=True)
    seen = [(one.address, one.open, one.threads) for one in await town.of(gp)]
    assert seen == [
        (patient.alias, True, ()),
        (nurse.address, True, (sent,)),
        (labo.address, True, (received,)),
    ]


async def test_a_professional_who_never_wrote_and_a_header_that_makes_no_sense(town: Any) -> None:
    gp = await town.person("gp")
    assert await town.of(gp) == []
    await town.files(gp, SpecialUse.INBOX, "From: <<<,;@@\r\nReply-To: \x00", "un")
    assert await town.of(gp) == []


async def test_what_is_shown_is_bounded(town: Any) -> None:
    patient = await town.patient()
    at = town.tick()

    def many(tx: Any) -> None:
        for number in range(MOST + 20):
            written = town.conversations.written(f"dr{number}@loin.test", (), closes=False, closes_all=False)
            town.conversations.record(tx, written, {patient.id: f"T{number}"}, at)

    await town.store.write(many)
    assert len(await town.of(patient)) == MOST
