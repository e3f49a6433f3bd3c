"""Who a patient may answer, until when, and what the page shows of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mail_server import mime
from mail_server.accounts.interface import Account, Contact, Kind
from mail_server.conversations.conversations import MOST
from mail_server.conversations.model import Bar, Correspondence, How, Party, Standing
from mail_server.conversations.roots import LetterIds, thread_root
from mail_server.store.model import SpecialUse


async def test_a_professional_s_letter_opens_and_their_fin_closes_and_their_next_letter_opens_again(
    town: Any,
) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    assert await town.standing(patient, gp) is Standing.NONE
    await town.writes(gp.address, patient)
    assert await town.standing(patient, gp) is Standing.OPEN
    await town.writes(gp.address, patient, closes=How.SUBJECT)
    assert await town.standing(patient, gp) is Standing.CLOSED
    await town.writes(gp.address, patient)
    assert await town.standing(patient, gp) is Standing.OPEN


async def test_closing_one_thread_leaves_another_open(town: Any) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    await town.writes(gp.address, patient, "T1")
    await town.writes(gp.address, patient, "T2")
    await town.writes(gp.address, patient, "T1", closes=How.SUBJECT)
    assert await town.standing(patient, gp) is Standing.OPEN
    await town.writes(gp.address, patient, "T3", closes=How.SUBJECT)
    assert await town.standing(patient, gp) is Standing.CLOSED


async def test_who_closes_ends_what_they_opened_for_others_and_not_what_others_opened(town: Any) -> None:
    robot, ward = await town.person("robot", Kind.APP), await town.person("ward", Kind.ORG)
    gp, patient = await town.person("gp"), await town.patient()
    await town.writes(robot.address, patient, "T1", ward.address)
    await town.writes(gp.address, patient, "T1")
    await town.writes(robot.address, patient, "T1", closes=How.SUBJECT)
    assert await town.standing(patient, ward) is Standing.CLOSED
    assert await town.standing(patient, gp) is Standing.OPEN
    await town.writes(gp.address, patient, "T2", ward.address)
    await town.writes(robot.address, patient, "T2", ward.address, closes=How.SUBJECT)
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
    await town.writes(gp.address, patient, "T1", closes=How.SUBJECT)
    await town.writes(nurse.address, patient, "T2", closes=How.SUBJECT)
    seen = [(one.address, one.open, one.threads) for one in await town.of(patient)]
    assert seen == [(nurse.address, False, ("T2",)), (gp.address, True, ("T1", "T3"))]


async def test_a_patient_is_told_which_threads_of_an_exchange_take_no_answer(town: Any) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    for thread in ("T1", "T2"):
        await town.writes(gp.address, patient, thread)
    await town.writes(gp.address, patient, "T1", closes=How.SUBJECT)
    assert [(one.open, one.closed) for one in await town.of(patient)] == [(True, {"T1"})]
    await town.writes(gp.address, patient, "T1")
    assert [(one.open, one.closed) for one in await town.of(patient)] == [(True, frozenset())]


async def test_a_patient_s_answer_makes_the_exchange_recent(town: Any) -> None:
    gp, nurse, patient = await town.person("gp"), await town.person("nurse"), await town.patient()
    await town.writes(gp.address, patient, "T1", ids=town.ids("un"))
    await town.writes(nurse.address, patient, "T2", ids=town.ids("deux"))
    at = town.tick()
    await town.store.write(
        lambda tx: town.conversations.answered(tx, patient.id, [Party(gp.id)], town.ids("trois", "un"), at)
    )
    assert next((one.address, one.last_at) for one in await town.of(patient)) == (gp.address, at)


async def test_a_patient_s_own_new_thread_opens_nothing(town: Any) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    at = town.tick()
    await town.store.write(
        lambda tx: town.conversations.answered(tx, patient.id, [Party(gp.id)], town.ids("premier"), at)
    )
    assert await town.standing(patient, gp) is Standing.NONE
    assert [one.open for one in await town.of(patient)] == [False]
    await town.writes(gp.address, patient, "T1", ids=town.ids("reponse", "premier"))
    assert await town.standing(patient, gp) is Standing.OPEN
    assert len(await town.of(patient)) == 1


async def test_closing_ends_also_a_thread_that_the_patient_began_and_nobody_answered(town: Any) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    await town.writes(gp.address, patient, "T1", ids=town.ids("un"))
    at = town.tick()
    await town.store.write(
        lambda tx: town.conversations.answered(tx, patient.id, [Party(gp.id)], town.ids("autre"), at)
    )
    await town.writes(gp.address, patient, "T1", ids=town.ids("fin", "un"), closes=How.SUBJECT)
    assert await town.standing(patient, gp) is Standing.CLOSED


async def barred(town: Any, patient: Any, who: Any, *references: str) -> Bar | None:
    ids = town.ids("reponse", *references)
    return await town.store.read(lambda reader: town.conversations.barred(reader, patient.id, [who.id], ids))


async def test_an_answer_into_a_closed_exchange_is_known_as_one_and_by_whom_it_is_closed(town: Any) -> None:
    gp, nurse, patient = await town.person("gp"), await town.person("nurse"), await town.patient()
    await town.writes(gp.address, patient, "T1", ids=town.ids("un"))
    assert await barred(town, patient, gp, "un") is None
    await town.writes(gp.address, patient, "T1", ids=town.ids("fin", "un"), closes=How.SUBJECT)
    assert await barred(town, patient, gp, "un") == Bar(False, gp.address)
    assert await barred(town, patient, nurse, "un") is None
    assert await barred(town, patient, gp, "elsewhere") is None


async def test_an_answer_that_forgets_the_first_letters_is_still_known(town: Any) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    await town.writes(gp.address, patient, "T1", ids=town.ids("un"))
    await town.writes(gp.address, patient, "T1", ids=town.ids("deux", "un"))
    await town.writes(gp.address, patient, "T1", ids=town.ids("trois", "deux"))
    await town.writes(gp.address, patient, "T1", ids=town.ids("fin", "trois"), closes=How.SUBJECT)
    assert await town.standing(patient, gp) is Standing.CLOSED
    assert await barred(town, patient, gp, "autre-chose", "deux") == Bar(False, gp.address)


async def test_x_mss_mes_closes_one_message_and_leaves_the_exchange_open(town: Any) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    await town.writes(gp.address, patient, "T1", ids=town.ids("un"))
    await town.writes(gp.address, patient, "T1", ids=town.ids("deux", "un"), no_answer=True)
    assert await town.standing(patient, gp) is Standing.OPEN
    assert await barred(town, patient, gp, "un", "deux") == Bar(True, gp.address)
    assert await barred(town, patient, gp, "un") is None


async def test_a_letter_under_anothers_message_id_takes_no_answer_away_from_that_one(town: Any) -> None:
    gp, other, patient = await town.person("gp"), await town.person("other"), await town.patient()
    await town.writes(gp.address, patient, "T1", ids=town.ids("un"))
    await town.writes(other.address, patient, "T2", ids=town.ids("un"), no_answer=True)
    assert await barred(town, patient, gp, "un") is None


async def test_a_first_letter_that_takes_no_answer_is_a_closed_exchange(town: Any) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    await town.writes(gp.address, patient, "T1", ids=town.ids("un"), no_answer=True)
    assert await town.standing(patient, gp) is Standing.CLOSED


async def test_an_exchange_from_before_roots_were_kept_is_known_by_its_thread(town: Any) -> None:
    gp, patient = await town.person("gp"), await town.patient()
    thread = await town.files(patient, SpecialUse.INBOX, f"From: <{gp.address}>", "ancien")
    await town.store.write(
        lambda tx: tx.sql.run(
            "INSERT INTO conversation (patient, correspondent, root, thread_id, opener, opened_at, last_at)"
            " VALUES (?, ?, ?, ?, ?, 1, 1)",
            (patient.id, gp.id, thread_root(thread), thread, gp.id),
        )
    )
    await town.writes(gp.address, patient, thread, ids=town.ids("fin", "ancien"), closes=How.SUBJECT)
    assert await town.standing(patient, gp) is Standing.CLOSED
    assert await barred(town, patient, gp, "ancien") == Bar(False, gp.address)


def test_what_a_letter_names_is_read_in_order() -> None:
    header = b"Message-ID: <c@x>\r\nReferences: <a@x> <b@x>\r\nIn-Reply-To: <b@x>\r\n\r\n"
    assert LetterIds.of(mime.fields(header)) == LetterIds(b"<c@x>", (b"<a@x>", b"<b@x>"), (b"<b@x>",))
    assert LetterIds.of(mime.fields(b"References: <a@x> <b@x>\r\n\r\n")).answered == (b"<b@x>",)
    assert LetterIds.of(mime.fields(b"Subject: x\r\n\r\n")) == LetterIds()


@given(st.binary(max_size=400))
def test_any_header_has_ids_or_none_and_never_raises(data: bytes) -> None:
    found = LetterIds.of(mime.fields(b"References: " + data + b"\r\n\r\n"))
    assert set(found.answered) <= set(found.named)


async def test_a_professional_sees_patients_and_whom_they_wrote_with_lately(town: Any) -> None:
    gp, nurse, labo = await town.person("gp"), await town.person("nurse"), await town.person("labo", Kind.APP)
    patient = await town.patient()
    received = await town.files(gp, SpecialUse.INBOX, f"From: Labo <{labo.address}>", "un")
    sent = await town.files(
        gp, SpecialUse.SENT, f"From: <{gp.address}>\r\nTo: <{nurse.address}>, <x@loin.test>", "deux"
    )
    await town.writes(gp.address, patient, closes=How.SUBJECT)
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
            written = town.conversations.written(f"dr{number}@loin.test", (), town.ids(f"{number}"))
            town.conversations.record(tx, written, {patient.id: f"T{number}"}, at)

    await town.store.write(many)
    assert len(await town.of(patient)) == MOST


async def test_a_pharmacy_that_dispensed_since_and_takes_a_first_letter_is_told_to_that_patient_alone(
    town: Any,
) -> None:
    patient, other = await town.patient(), await town.patient("1850513055002")
    pharmacy, silent = await town.person("officine", Kind.ORG), await town.person("autre-officine", Kind.ORG)
    await town.accounts.contact_set(pharmacy.id, Contact.OPTED_IN)

    def record(transaction: Any) -> None:
        town.dispensings.record(transaction, patient.id, pharmacy.id, 1_000)
        town.dispensings.record(transaction, patient.id, silent.id, 1_000)

    await town.store.write(record)

    async def told(account: Account, since: int) -> list[tuple[str, bool]]:
        def read(reader: Any) -> list[Correspondence]:
            return town.conversations.dispensed(reader, account, since)

        found: list[Correspondence] = await town.store.read(read)
        return [(one.address, one.open) for one in found]

    assert await told(patient, 500) == [("officine@chu.test", True)]
    assert await told(patient, 2_000) == []
    assert await told(other, 500) == []
    assert await told(pharmacy, 500) == []
