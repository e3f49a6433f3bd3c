"""Messages and threads by id, as JMAP asks for them."""

from __future__ import annotations

import re

from mail_server.store.identifiers import new_id
from mail_server.store.model import CoarseClass, FindingsColumns, Flag, Form, SpecialUse, State


async def emails(desk, ids, account=None):
    return await desk.store.read(lambda r: r.emails(account or desk.account, ids))


async def test_an_email_tells_all_but_its_body(desk):
    findings = FindingsColumns(
        CoarseClass.RECORD, closes_exchange=True, has_xdm=True, summary=b"sealed summary"
    )
    filed = await desk.file(
        await desk.split(
            received_at=5, size=77, flags=Flag.SEEN, keywords=frozenset({"$k"}), findings=findings
        )
    )
    (email,) = await emails(desk, [filed.email_id])
    assert (email.message, email.email_id, email.thread_id) == (
        filed.message,
        filed.email_id,
        filed.thread_id,
    )
    assert (email.form, email.state, email.size, email.received_at) == (Form.SPLIT, State.SEALED, 77, 5)
    assert (email.findings, email.rendered, email.created_modseq) == (findings, desk.rendered(), filed.modseq)
    (place,) = email.placements
    assert (place.mailbox, place.uid, place.flags, place.keywords, place.modseq) == (
        filed.mailbox,
        1,
        Flag.SEEN,
        {"$k"},
        filed.modseq,
    )


async def test_an_email_in_two_mailboxes_has_two_placements(desk):
    filed = await desk.file(await desk.verbatim())
    archive = await desk.box(SpecialUse.ARCHIVE)
    await desk.store.write(lambda tx: tx.copy(filed.mailbox, [1], archive.id))
    (email,) = await emails(desk, [filed.email_id])
    assert {place.mailbox for place in email.placements} == {filed.mailbox, archive.id}


async def test_emails_come_in_the_order_asked_and_once(desk):
    ids = [(await desk.file(await desk.verbatim())).email_id for _ in range(3)]
    asked = [ids[2], ids[0], ids[2], ids[1]]
    assert [one.email_id for one in await emails(desk, asked)] == [ids[2], ids[0], ids[1]]


async def test_ids_that_are_not_this_account_s_are_left_out(desk):
    own = await desk.file(await desk.verbatim())
    foreign = await desk.file(await desk.verbatim(account=desk.other))
    asked = [foreign.email_id, new_id("M"), "M\0", "'; --", "", "é" * 300, own.email_id]
    assert [one.email_id for one in await emails(desk, asked)] == [own.email_id]
    assert await emails(desk, []) == []


async def test_a_thread_lists_its_emails_oldest_first(desk):
    late = await desk.file(await desk.verbatim(message_ids=(b"<1@x>",), received_at=20))
    early = await desk.file(await desk.verbatim(message_ids=(b"<2@x>", b"<1@x>"), received_at=10))
    alone = await desk.file(await desk.verbatim(message_ids=(b"<9@x>",)))
    foreign = await desk.file(await desk.verbatim(message_ids=(b"<1@x>",), account=desk.other))
    asked = [late.thread_id, alone.thread_id, foreign.thread_id, "Tnone", "T\0"]
    assert await desk.store.read(lambda r: r.threads(desk.account, asked)) == {
        late.thread_id: [early.email_id, late.email_id],
        alone.thread_id: [alone.email_id],
    }


async def test_ids_grow_with_time_and_never_repeat(desk):
    ids = [new_id("M") for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert [one[:13] for one in ids] == sorted(one[:13] for one in ids)
    filed = await desk.file(await desk.verbatim())
    assert re.fullmatch("M[0-9a-f]{24}", filed.email_id)
    assert re.fullmatch("T[0-9a-f]{24}", filed.thread_id)
