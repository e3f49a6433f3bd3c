"""Filing in `Clos` closes, by MOVE and by COPY; a body that is fetched is opened: what exchanges ask of IMAP."""

from __future__ import annotations

from dataclasses import replace

import pytest

M = b"From: <rose@patient.example.org>\r\nMessage-ID: <m@x>\r\n\r\nbody\r\n"


class Closings:
    """What was asked, and what was closed in the transaction that files it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.closed: list[bytes] = []

    async def wish(self, account, actor, headers):
        self.asked.append((account, actor.person))
        self.headers = headers
        return lambda transaction, header: self.closed.append(header)


class Receipts:
    def __init__(self) -> None:
        self.opened_: list[tuple[str, list[bytes]]] = []

    async def opened(self, account, headers) -> None:
        self.opened_.append((account, list(headers)))


async def with_exchanges(world):
    closings, receipts = Closings(), Receipts()
    client = await world.client()
    client.session.services = replace(client.session.services, closings=closings, receipts=receipts)
    return client, closings, receipts


@pytest.mark.parametrize("command", ["MOVE 1 Clos", "COPY 1 Clos", "UID MOVE 1 Clos", "UID COPY 1 Clos"])
async def test_filing_a_letter_in_clos_closes_its_exchange(world, command):
    await world.file(M)
    client, closings, _ = await with_exchanges(world)
    await client("CREATE Clos")
    await client("SELECT INBOX")
    assert (await client(command))[-1].startswith("tag OK")
    person = client.session.person.account
    assert closings.asked == [(person, person)]
    assert [b"<m@x>" in header for header in closings.closed] == [True]


async def test_neither_another_mailbox_nor_one_below_nor_append_closes(world):
    await world.file(M)
    client, closings, _ = await with_exchanges(world)
    for name in ("Clos", "Dossiers/Clos", "Clos/2026"):
        await client(f"CREATE {name}")
    await client(b"APPEND Clos {17+}\r\nSubject: x\r\n\r\nabc")
    await client("SELECT INBOX")
    for command in ('COPY 1 "Dossiers/Clos"', 'COPY 1 "Clos/2026"', "COPY 1 Archive"):
        assert (await client(command))[-1].startswith("tag OK")
    assert (closings.asked, closings.closed) == ([], [])


async def test_a_body_that_is_fetched_is_opened_and_a_header_is_not(world):
    await world.file(M)
    client, _, receipts = await with_exchanges(world)
    await client("SELECT INBOX")
    await client("FETCH 1 (FLAGS ENVELOPE BODY.PEEK[HEADER.FIELDS (FROM)])")
    assert receipts.opened_ == []
    await client("FETCH 1 BODY.PEEK[]")
    [(account, [header])] = receipts.opened_
    assert account == client.session.person.account
    assert b"<m@x>" in header
