"""A letter in other bytes: what was found out about it before stays known."""

from __future__ import annotations

from dataclasses import replace

from mail_server.delivery.examine import examine, rewritten
from mail_server.store.model import CoarseClass

LARGE = 1 << 20
LETTER = (
    b"From: a@peer.test\r\nMessage-ID: <1@peer.test>\r\nSubject: [FIN]\r\nX-MSS-MES: FIN\r\n\r\nBonjour\r\n"
)


async def test_it_has_the_fields_of_its_new_bytes() -> None:
    made = await rewritten(await examine(LETTER, LARGE), b"Date: now\r\n" + LETTER, LARGE)
    assert made.data.startswith(b"Date: now")
    assert made.fields[0].name == "date"
    assert made.message_ids == (b"<1@peer.test>",)


async def test_what_was_verified_and_decided_of_it_is_not_lost() -> None:
    letter = replace(
        await examine(LETTER, LARGE), results=b"Authentication-Results: x; none\r\n", vouched=True
    )
    letter = letter.closing_nothing()
    letter = replace(letter, findings=replace(letter.findings, coarse_class=CoarseClass.RECORD))
    made = await rewritten(letter, b"Date: now\r\n" + LETTER, LARGE)
    assert (made.results, made.vouched) == (letter.results, True)
    assert not made.findings.closes_exchange
    assert not made.findings.fin_subject
    assert made.findings.coarse_class is CoarseClass.RECORD
