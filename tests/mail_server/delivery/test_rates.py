"""How much one sender may hand over, and what who guesses patients' numbers learns: nothing."""

from __future__ import annotations

import asyncio

import pytest

from mail_server.accounts import ins
from mail_server.accounts.interface import Account, Kind, Peer
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.delivery.quota import Quota
from mail_server.delivery.rates import Rates
from policies.audit.query import Filter, find
from policies.limits.limits import Limits
from policies.limits.settings import LimitsSettings
from policies.refusal import Refusal
from tests.mail_server.delivery.test_delivery import letter


def limited(desk, **settings: int) -> Limits:
    limits = Limits(LimitsSettings(**settings))
    accounts = desk.node.accounts
    rates = Rates(limits, accounts, accounts.patient_domain)
    desk.node.delivery._rates = rates
    desk.node.addressees._rates = rates
    return limits


async def send(desk, sender: Account, *to: Account, title: str = "a") -> None:
    addresses = [account.address for account in to]
    await desk.send(sender, letter(sender.address, ", ".join(addresses), title), *addresses)


async def refusal(attempt) -> Refusal:
    with pytest.raises(Refusal) as refused:
        await attempt
    return refused.value


def unknown_number(order: int) -> str:
    body = f"2850513055{900 + order}"
    return f"{body}{ins.key_of(body)}"


# -- letters


async def test_beyond_the_letters_of_an_hour_the_next_is_refused_with_the_time_to_come_back(desk) -> None:
    limited(desk, letters_per_hour=2)
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    for title in ("one", "two"):
        await send(desk, gp, nurse, title=title)
    found = await refusal(send(desk, gp, nurse, title="three"))
    assert (found.code, found.enhanced, found.reason) == (450, "4.7.1", "limit-letters-per-hour")
    assert "try again in" in found.smtp_line
    assert found.retry_after > 3_000
    await send(desk, nurse, gp)  # another's letters are their own


async def test_sessions_side_by_side_count_together_at_the_end_of_data(desk) -> None:
    limited(desk, letters_per_hour=1)
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    both = [await desk.envelope(gp, nurse.address) for _ in range(2)]
    done = await asyncio.gather(
        *(
            desk.node.delivery.deliver(envelope, letter(gp.address, nurse.address, str(number)))
            for number, envelope in enumerate(both)
        ),
        return_exceptions=True,
    )
    assert sorted(isinstance(one, Refusal) for one in done) == [False, True]
    assert len(await desk.inbox(nurse)) == 1


async def test_one_letter_to_many_by_jmap_is_one_letter(desk) -> None:
    limits = limited(desk, letters_per_hour=1)
    gp, nurse, doctor = [await desk.account(name) for name in ("gp", "nurse", "doctor")]
    sender = (await desk.envelope(gp, nurse.address)).sender
    for number, to in enumerate((nurse, doctor)):
        again = Envelope(sender, continues=number > 0)
        again.recipients.append(await desk.node.delivery.admit_recipient(again, to.address))
        await desk.node.delivery.deliver(again, letter(gp.address, to.address, "one"))
    used = {one.name: one.taken for one in limits.standings()}
    assert (used["letters_per_hour"], used["recipients_per_day"]) == (1, 2)


async def test_recipients_are_counted_before_the_bytes_come(desk) -> None:
    limited(desk, recipients_per_day=1)
    gp, nurse, doctor = [await desk.account(name) for name in ("gp", "nurse", "doctor")]
    found = await refusal(desk.envelope(gp, nurse.address, doctor.address))
    assert (found.code, found.enhanced) == (452, "4.5.3")


async def test_a_hospital_system_has_limits_of_its_own(desk) -> None:
    limited(desk, letters_per_hour=1, system_letters_per_hour=3)
    robot, gp = await desk.account("robot", Kind.APP), await desk.account("gp")
    for title in ("one", "two", "three"):
        await send(desk, robot, gp, title=title)
    assert (await refusal(send(desk, robot, gp, title="four"))).reason == "limit-system-letters-per-hour"


async def test_another_operator_has_limits_by_the_minute(desk) -> None:
    limited(desk, operator_letters_per_minute=1)
    gp = await desk.account("gp")
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)

    async def hand_over(title: str) -> None:
        sender = await desk.node.delivery.admit_sender(
            Road.OPERATOR, "dr@voisin.test", MailParameters(), peer, None
        )
        envelope = Envelope(sender)
        envelope.recipients.append(await desk.node.delivery.admit_recipient(envelope, gp.address))
        await desk.node.delivery.deliver(envelope, letter("dr@voisin.test", gp.address, title))

    await hand_over("one")
    found = await refusal(hand_over("two"))
    assert found.reason == "limit-operator-letters-per-minute"
    assert found.retry_after <= 61


# -- guessing patients


async def test_who_guesses_patients_is_answered_for_none_any_more_known_or_not(desk) -> None:
    limited(desk, unknown_patients_per_hour=3)
    gp, patient = await desk.account("gp"), await desk.patient()
    domain = desk.node.accounts.patient_domain
    for order in range(3):
        found = await refusal(desk.envelope(gp, f"{unknown_number(order)}@{domain}"))
        assert (found.code, found.reason) == (550, "recipient-unknown")
    known = await refusal(desk.envelope(gp, patient.shown))
    unknown = await refusal(desk.envelope(gp, f"{unknown_number(9)}@{domain}"))
    assert (known.code, known.enhanced, known.sentence) == (unknown.code, unknown.enhanced, unknown.sentence)
    assert known.temporary
    assert known.reason == "limit-unknown-patients-per-hour"


async def test_guessing_by_the_page_counts_with_guessing_by_mail(desk) -> None:
    limited(desk, unknown_patients_per_hour=2)
    gp, patient = await desk.account("gp"), await desk.patient()
    domain = desk.node.accounts.patient_domain
    await refusal(desk.envelope(gp, f"{unknown_number(1)}@{domain}"))
    await refusal(desk.node.addressees.addressee(gp, f"{unknown_number(2)}@{domain}"))
    found = await refusal(desk.node.addressees.addressee(gp, patient.shown))
    assert found.reason == "limit-unknown-patients-per-hour"


async def test_guessing_is_in_the_trace_once_under_who_does_it(desk) -> None:
    limited(desk, unknown_patients_per_hour=2)
    gp = await desk.account("gp")
    domain = desk.node.accounts.patient_domain
    for order in range(4):
        await refusal(desk.envelope(gp, f"{unknown_number(order)}@{domain}"))
    await desk.node.trace.stop()
    found = await desk.node.store.read(lambda reader: find(reader.sql, Filter(action="probing", last=10)))
    assert [(entry.actor, entry.outcome) for entry in found] == [(gp.id, "limit-unknown-patients")]


async def test_who_guesses_may_still_write_to_professionals(desk) -> None:
    limited(desk, unknown_patients_per_hour=1)
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    await refusal(desk.envelope(gp, f"{unknown_number(1)}@{desk.node.accounts.patient_domain}"))
    await send(desk, gp, nurse)
    assert len(await desk.inbox(nurse)) == 1


# -- who is no longer there


async def test_a_closed_space_reads_as_one_that_never_was(desk) -> None:
    gp, patient = await desk.account("gp"), await desk.patient()
    await desk.node.accounts.close(patient.id)
    closed = await refusal(desk.envelope(gp, patient.shown))
    never = await refusal(desk.envelope(gp, f"{unknown_number(1)}@{desk.node.accounts.patient_domain}"))
    assert (closed.code, closed.enhanced, closed.sentence) == (never.code, never.enhanced, never.sentence)


async def test_mail_to_who_is_struck_off_or_closed_is_refused_in_clear_words(desk) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    await desk.node.accounts.practice_set(nurse.id, False)
    struck_off = await refusal(desk.envelope(gp, nurse.address))
    await desk.node.accounts.close(nurse.id)
    closed = await refusal(desk.envelope(gp, nurse.address))
    assert not struck_off.temporary
    assert not closed.temporary
    assert struck_off.sentence != closed.sentence
    assert "practise" in struck_off.sentence
    assert "closed" in closed.sentence


async def test_who_is_closed_while_the_letter_comes_in_gets_none(desk) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    envelope = await desk.envelope(gp, nurse.address)
    await desk.node.accounts.close(nurse.id)
    found = await refusal(desk.node.delivery.deliver(envelope, letter(gp.address, nurse.address)))
    assert found.temporary  # at the next try RCPT TO says that it is for good


# -- quota at the end of data


async def test_a_letter_whose_size_was_not_told_is_refused_at_the_end_when_it_does_not_fit(desk) -> None:
    gp, nurse = await desk.account("gp"), await desk.account("nurse")
    envelope = await desk.envelope(gp, nurse.address)
    desk.node.delivery._quota = Quota(lambda _: 900, 1000)
    found = await refusal(desk.node.delivery.deliver(envelope, letter(gp.address, nurse.address)))
    assert (found.code, found.reason) == (452, "over-quota")
    assert await desk.inbox(nurse) == []


async def test_who_has_room_gets_a_letter_to_several_though_another_is_filled_by_it(desk) -> None:
    gp, nurse, doctor = [await desk.account(name) for name in ("gp", "nurse", "doctor")]
    envelope = await desk.envelope(gp, nurse.address, doctor.address)
    desk.node.delivery._quota = Quota(lambda account: 900 if account == nurse.id else 0, 1000)
    await desk.node.delivery.deliver(envelope, letter(gp.address, f"{nurse.address}, {doctor.address}"))
    assert len(await desk.inbox(doctor)) == 1
    desk.node.delivery._quota = Quota(lambda account: 1400 if account == nurse.id else 0, 1000)
    assert (await refusal(desk.envelope(gp, nurse.address))).reason == "over-quota"


async def test_addressees_of_other_operators_count_like_those_here(desk, way) -> None:
    from mail_server.delivery.rates import _addressees

    gp = await desk.account("gp")
    nurse = await desk.account("nurse")
    envelope = await desk.envelope(gp, nurse.address, "marie@voisin.test", "paul@voisin.test")
    assert _addressees(envelope) == 3
    taken: list[int] = []
    limits = desk.node.delivery._rates._limits
    take = limits.take
    limits.take = lambda limit, key, count=1: (taken.append(count), take(limit, key, count))[1]
    await desk.node.delivery.deliver(
        envelope, f"From: <{gp.address}>\r\nTo: <{nurse.address}>\r\n\r\nBonjour.\r\n".encode()
    )
    assert max(taken) == 3
