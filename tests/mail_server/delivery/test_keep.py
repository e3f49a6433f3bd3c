"""What a mail program or the page stores itself: where, with what beside it, and what a patient's space refuses."""

from __future__ import annotations

import pytest

from mail_server import mime
from mail_server.accounts.interface import PAGE, Identity
from mail_server.delivery.quota import Quota
from mail_server.store.armor import armor
from mail_server.store.model import Flag, SpecialUse, State
from policies.refusal import Refusal

CLEAR = b"From: <a@mss.essai.test>\r\nSubject: Brouillon\r\n\r\nA relire.\r\n"


def speaker(account) -> Identity:
    return Identity(account.id, account.address, account.kind, PAGE, "session-1")


async def mailbox(desk, account, use: SpecialUse):
    return await desk.node.store.read(lambda reader: reader.mailbox_by_use(account.id, use).id)


async def sealed(desk, account, fields: str, entity: bytes = b"\r\nVu.\r\n"):
    """A letter sealed to its own holder, and its packets."""
    plan = desk.node.planner.plan(account)
    made = await desk.node.delivery._composer._engine.seal(entity, plan.sealing_set)
    packets = made.key_packets[0].packet + made.body
    head, tail = mime.wrap(fields.encode(), "limite")
    return head + armor(made.key_packets[0].packet, made.body) + tail, packets


FIELDS = "From: <x@y.test>\r\nTo: <gp@mss.essai.test>\r\nSubject: [...] abcd\r\nMessage-ID: <1@page>\r\n"


async def keep(desk, account, message: bytes, use: SpecialUse = SpecialUse.SENT, **more):
    return await desk.node.delivery.keep(
        speaker(account),
        await mailbox(desk, account, use),
        message,
        Flag.SEEN,
        frozenset({"$mdnsent"}),
        None,
        **more,
    )


async def refused(call) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await call
    return caught.value


async def test_a_letter_imported_into_several_mailboxes_is_one_letter_with_its_summary(desk) -> None:
    patient = await desk.patient(activated=True)
    message, packets = await sealed(desk, patient, FIELDS)
    sent = await mailbox(desk, patient, SpecialUse.SENT)
    archive = await mailbox(desk, patient, SpecialUse.ARCHIVE)
    filed = await keep(desk, patient, message, also=(archive, sent), sealed_summary=packets)
    [row] = await desk.node.store.read(lambda reader: reader.emails(patient.id, [filed.email_id]))
    assert {place.mailbox for place in row.placements} == {sent, archive}
    assert {(place.flags, place.keywords) for place in row.placements} == {
        (Flag.SEEN, frozenset({"$mdnsent"}))
    }
    assert row.findings.summary == packets
    assert row.state is State.SEALED
    assert filed.mailbox == sent


async def test_a_professional_keeps_a_draft_in_clear_as_before(desk) -> None:
    gp = await desk.sealed("gp")
    filed = await keep(desk, gp, CLEAR, SpecialUse.DRAFTS)
    [row] = await desk.node.store.read(lambda reader: reader.emails(gp.id, [filed.email_id]))
    assert row.state is State.KEPT


NOT_ENCRYPTED = b"""From: <x@y.test>\r
Subject: ...\r
MIME-Version: 1.0\r
Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r
\r
--b\r
Content-Type: application/pgp-encrypted\r
\r
Version: 1\r
\r
--b\r
Content-Type: application/octet-stream\r
\r
-----BEGIN PGP MESSAGE-----\r
\r
yxR0AAAAAABMZSBwYXRpZW50IHRvdXNzZQ==\r
-----END PGP MESSAGE-----\r
\r
--b--\r
"""


@pytest.mark.parametrize(
    "message",
    [
        CLEAR,
        b"",
        b"\r\n",
        NOT_ENCRYPTED,
        b"Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nAAAA\r\n-----END PGP MESSAGE-----\r\n",
    ],
    ids=["clear", "empty", "blank", "literal-in-the-frame", "inline-claim"],
)
@pytest.mark.parametrize("use", [SpecialUse.SENT, SpecialUse.DRAFTS, SpecialUse.INBOX])
async def test_nothing_is_kept_in_clear_in_a_patient_s_space(desk, message: bytes, use: SpecialUse) -> None:
    patient = await desk.patient(activated=True)
    found = await refused(keep(desk, patient, message, use))
    assert (found.code, found.enhanced, found.reason) == (550, "5.7.1", "clear-content-refused")
    box = await mailbox(desk, patient, use)
    assert (await desk.node.store.read(lambda reader: reader.counts(box))).messages == 0


@pytest.mark.parametrize(
    "fields",
    [
        FIELDS.replace("[...] abcd", "Bilan de M. Eluard"),
        FIELDS + "Thread-Topic: Bilan\r\n",
        FIELDS + "X-Note: Bilan de M. Eluard\r\n",
    ],
)
async def test_an_encrypted_letter_that_tells_something_outside_is_refused_too(desk, fields: str) -> None:
    patient = await desk.patient(activated=True)
    message, _ = await sealed(desk, patient, fields)
    assert (await refused(keep(desk, patient, message))).reason == "clear-content-refused"


async def test_a_summary_that_is_not_encrypted_or_too_long_is_refused(desk) -> None:
    patient = await desk.patient(activated=True)
    message, packets = await sealed(desk, patient, FIELDS)
    long = (await sealed(desk, patient, FIELDS, b"x" * 17_000))[1]
    for summary in (b"", b'{"subject": "Bilan"}', packets[:-1], long):
        found = await refused(keep(desk, patient, message, sealed_summary=summary))
        assert (found.code, found.reason) == (554, "summary-refused")


async def test_a_mailbox_of_another_is_refused_beside_one_s_own_as_well(desk) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.sealed("nurse")
    other = await mailbox(desk, nurse, SpecialUse.INBOX)
    found = await refused(keep(desk, gp, CLEAR, also=(other,)))
    assert found.reason == "mailbox-not-yours"


async def test_a_refusal_is_in_the_trace_under_its_id(desk) -> None:
    patient = await desk.patient(activated=True)
    found = await refused(keep(desk, patient, CLEAR))
    await desk.node.trace.stop()
    rows = await desk.node.store.read(
        lambda reader: reader.sql.all(
            "SELECT actor, outcome FROM audit_entry WHERE reference = ?", (found.id,)
        )
    )
    assert rows == [(patient.id, "clear-content-refused")]


# -- quota ----------------------------------------------------------------------------------------------------


def limited(desk, limit: int) -> None:
    desk.node.delivery._quota = Quota(desk.node.store.used, limit)


async def test_a_full_mailbox_takes_nothing_until_room_is_made(desk) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.sealed("nurse")
    await keep(desk, gp, CLEAR)
    used, limit = desk.node.delivery.quota_of(gp.id)
    assert used == len(CLEAR)
    assert limit == 20 * 1024**3
    limited(desk, len(CLEAR))
    found = await refused(desk.envelope(nurse, gp.address))
    assert (found.code, found.enhanced, found.reason) == (452, "4.2.2", "over-quota")
    assert (await refused(keep(desk, gp, CLEAR))).code == 452
    await desk.envelope(nurse, nurse.address)


async def test_what_would_never_fit_is_refused_for_good(desk) -> None:
    gp = await desk.sealed("gp")
    limited(desk, len(CLEAR) - 1)
    found = await refused(keep(desk, gp, CLEAR))
    assert (found.code, found.enhanced) == (552, "5.2.2")


async def test_no_limit_is_no_question(desk) -> None:
    gp = await desk.sealed("gp")
    limited(desk, 0)
    await keep(desk, gp, CLEAR)
    assert desk.node.delivery.quota_of(gp.id)[1] == 0


async def test_the_declared_size_counts_at_rcpt(desk) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.sealed("nurse")
    limited(desk, 1000)
    envelope = await desk.envelope(nurse, gp.address)
    envelope.parameters = type(envelope.parameters)(size=1001)
    assert (await refused(desk.node.delivery.admit_recipient(envelope, gp.address))).code == 552
    await keep(desk, gp, CLEAR)
    envelope.parameters = type(envelope.parameters)(size=990)
    assert (await refused(desk.node.delivery.admit_recipient(envelope, gp.address))).code == 452
