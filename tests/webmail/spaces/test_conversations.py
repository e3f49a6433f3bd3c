"""Exchanges, their end, blocks and who may write first, over HTTP as the page asks."""

from __future__ import annotations

from typing import Any

import pytest

from mail_server import mime
from mail_server.accounts.access import Access
from mail_server.accounts.interface import Account, Kind
from mail_server.conversations.blocks import Blocks
from mail_server.conversations.closings import Closings
from mail_server.conversations.conversations import Conversations
from mail_server.conversations.roots import LetterIds
from mail_server.delivery.receipts import Receipts
from mail_server.store.model import NewMessage, Rendered, SpecialUse, State, VerbatimContent
from tests.webmail.office import BOTH, Browser, Office, Refused
from webmail.spaces.conversations import Writing


class NeverSends:
    async def notify(self, *_: Any) -> None:
        raise AssertionError("nothing leaves in these tests")


@pytest.fixture
async def page(office: Office) -> Office:
    """The page with exchanges; each professional may close."""
    conversations = Conversations(store=office.store, accounts=office.accounts, keys=office.keys)
    closings = Closings(
        store=office.store,
        accounts=office.accounts,
        conversations=conversations,
        trail=office.trail,
        may_close=lambda speaker, _: speaker.kind is not Kind.PATIENT,
        clock=office.clock,
    )
    receipts = Receipts(
        store=office.store,
        accounts=office.accounts,
        conversations=conversations,
        keys=office.keys,
        delivery=NeverSends(),
        trail=office.trail,
        domain="mss.essai.test",
        clock=office.clock,
    )
    blocks = Blocks(accounts=office.accounts, conversations=conversations, trail=office.trail)
    office.writing = Writing(closings, blocks, receipts, Access(office.accounts).may)
    await office.open_page()
    return office


async def files(office: Office, account: Account, sender: Account, to: Account, name: str = "un") -> str:
    """A letter of `sender` in somebody's mailbox, as an exchange of the two when a patient has it; its EMAILID."""
    assert office.writing is not None
    message = (
        f"From: <{sender.shown}>\r\nTo: <{to.shown}>\r\nMessage-ID: <{name}@x>\r\n"
        f"Disposition-Notification-To: <{sender.shown}>\r\n\r\nx\r\n"
    ).encode()
    blob = await office.store.stage(account.id, message, compress=False)
    made = mime.render(message)
    rendered = Rendered(made.header, made.envelope, made.bodystructure, made.body)
    conversations = office.writing.closings._conversations
    written = conversations.written(sender.shown, (), LetterIds.of(mime.fields(message)))

    def write(tx: Any) -> str:
        tx.open_account(account.id)
        filed = tx.file(
            NewMessage(
                account=account.id,
                mailbox=SpecialUse.INBOX,
                content=VerbatimContent(blob),
                rendered=rendered,
                size=len(message),
                received_at=1,
                state=State.SEALED,
                message_ids=(f"<{name}@x>".encode(),),
            )
        )
        if written is not None and account.kind is Kind.PATIENT:
            conversations.record(tx, written, {account.id: filed.thread_id}, 1)
        return filed.email_id

    return await office.store.write(write)


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


async def met(page: Office) -> tuple[Account, Account, Browser, Browser]:
    patient, at_gp = await page.patient(), await page.enrolled_professional()
    gp = page.accounts.by_address("gp@mss.essai.test")
    assert gp is not None
    return patient, gp, await page.enrolled(patient), at_gp


@BOTH
async def test_a_patient_sees_the_exchange_and_the_professional_ends_it(page: Office) -> None:
    patient, gp, at_patient, at_gp = await met(page)
    theirs = await files(page, patient, gp, patient)
    mine = await files(page, gp, gp, patient)
    path = f"conversations?account={patient.id}&email={theirs}"
    [seen] = (await at_patient.get(path))["conversations"]
    assert seen["correspondent"] == gp.address
    assert (seen["open"], seen["answerable"], seen["closedBy"]) == (True, True, None)
    answer = await refused(at_patient.post("conversations/close", {"account": patient.id, "email": theirs}))
    assert answer.status == 403
    [closed] = (await at_gp.post("conversations/close", {"account": gp.id, "email": mine}))["conversations"]
    assert (closed["open"], closed["closedHow"], closed["closedBy"]) == (False, "page", gp.address)
    assert closed["correspondent"] == patient.shown
    [seen] = (await at_patient.get(path))["conversations"]
    assert (seen["open"], seen["answerable"], seen["closedBy"]) == (False, False, gp.address)
    assert isinstance(seen["closedAt"], int)


async def test_another_s_letter_and_one_that_is_gone_are_not_shown(page: Office) -> None:
    patient, gp, at_patient, at_gp = await met(page)
    theirs = await files(page, patient, gp, patient)
    answer = await refused(at_gp.get(f"conversations?account={patient.id}&email={theirs}"))
    assert answer.status == 403
    answer = await refused(at_patient.get(f"conversations?account={patient.id}&email=Mabc"))
    assert (answer.status, answer.error) == (404, "unknown-letter")
    answer = await refused(page.browser().get(f"conversations?account={patient.id}&email={theirs}"))
    assert answer.error == "no-session"


@BOTH
async def test_opening_is_noted_once_and_only_for_one_s_own_letter(page: Office) -> None:
    patient, gp, at_patient, at_gp = await met(page)
    theirs = await files(page, patient, gp, patient)
    assert page.writing is not None
    mark = page.writing.closings._conversations.mark(b"<un@x>")
    await page.store.write(
        lambda tx: tx.sql.run(
            "INSERT INTO receipt (patient, letter, sender, message_id, asked_at) VALUES (?, ?, ?, ?, 1)",
            (patient.id, mark, gp.id, b"x"),
        )
    )
    named = {"account": patient.id, "email": theirs}
    assert (await refused(at_gp.post("receipts", named))).status == 403
    await at_patient.post("receipts", named)
    first = await page.store.read(lambda reader: reader.sql.one("SELECT opened_at, due FROM receipt"))
    assert first is not None
    assert first[0] == first[1] is not None
    page.clock.forward(minutes=5)
    await at_patient.post("receipts", named)
    assert await page.store.read(lambda reader: reader.sql.one("SELECT opened_at, due FROM receipt")) == first


@BOTH
async def test_a_patient_blocks_and_unblocks_and_it_is_in_the_trace(page: Office) -> None:
    _, gp, at_patient, at_gp = await met(page)
    await at_patient.post("blocks", {"address": gp.address})
    [found] = (await at_patient.get("blocks"))["blocks"]
    assert (found["address"], found["kind"]) == (gp.address, "PER")
    assert await page.traced(action="correspondent-block") == ["correspondent-block done"]
    await at_patient.delete(f"blocks/{gp.address}")
    assert (await at_patient.get("blocks"))["blocks"] == []
    assert (await refused(at_gp.get("blocks"))).status == 403
    assert (await refused(at_patient.post("blocks", {"address": "rien"}))).error == "bad-request"


async def test_a_block_tells_nobody_who_is_a_patient(page: Office) -> None:
    patient, _, at_patient, _ = await met(page)
    other = await page.patient("1850513055002")
    assert other.id != patient.id
    for address in (other.alias, f"285051305500337@{other.alias.partition('@')[2]}"):
        await at_patient.post("blocks", {"address": address})
    told = (await at_patient.get("blocks"))["blocks"]
    assert [each["kind"] for each in told] == ["", ""]
    await at_patient.delete(f"blocks/{other.alias}")
    assert len((await at_patient.get("blocks"))["blocks"]) == 1


async def test_a_professional_says_which_patients_may_write_first(page: Office) -> None:
    _, gp, at_patient, at_gp = await met(page)
    assert await at_gp.get("contact") == {"contact": "replies_only", "choices": ["replies_only", "open"]}
    assert (await at_gp.put("contact", {"contact": "open"}))["contact"] == "open"
    assert page.by_id(gp.id).contact.value == "open"
    assert (await refused(at_gp.put("contact", {"contact": "opted_in"}))).error == "bad-request"
    assert (await refused(at_patient.get("contact"))).status == 403


async def test_a_member_without_the_right_to_administer_changes_nothing_of_the_ward(page: Office) -> None:
    _, gp, _, at_gp = await met(page)
    ward = await page.accounts.add("ward@mss.essai.test", Kind.ORG)
    assert (await refused(at_gp.get(f"contact?account={ward.id}"))).status == 403
    await page.accounts.member_add(ward.id, gp.id)
    told = await at_gp.get(f"contact?account={ward.id}")
    assert told["choices"] == ["replies_only", "opted_in", "open"]
    answer = await refused(at_gp.put(f"contact?account={ward.id}", {"contact": "open"}))
    assert answer.status == 403
