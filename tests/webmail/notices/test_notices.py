"""Notices to ordinary addresses: proven by a code, laid down with the letter, sent by the smarthost, content-free."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP

from deploy.demo import pki
from mail_server.accounts.interface import Account, Peer
from mail_server.delivery.interface import Envelope, Recipient, Road, Sender
from tests.webmail.office import BOTH, DOMAIN, Office
from webmail.notices import words
from webmail.notices.service import CODE_TRIES, CODES_OF_HOUR, AddressRefused, Notices
from webmail.notices.settings import NoticesSettings

pytestmark = BOTH
HERE = "apolline@exemple.fr"
LETTER = cast(Any, SimpleNamespace())


@dataclass
class Smarthost:
    """A mail server that takes what it is given, or answers as a test says."""

    port: int = 0
    ca: Path = Path()
    taken: list[tuple[list[str], bytes]] = field(default_factory=list)
    answer: str = "250 OK"
    refuses: str = ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refuses and address == self.refuses:
            return "550 5.1.1 nobody"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.taken.append((list(envelope.rcpt_tos), bytes(envelope.content)))
        return self.answer


@pytest.fixture
async def smarthost(tmp_path: Path) -> AsyncIterator[Smarthost]:
    authority = pki.TestAuthority.create()
    host = Smarthost(ca=authority.write(tmp_path / "pki"))
    here = pki.Organisation.with_finess("FOURNISSEUR TEST", 9, "Rhône (69)")
    files = authority.issue_server("localhost", here).write(tmp_path / "pki", "smarthost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)

    class Door(UnthreadedController):
        def factory(self) -> SMTP:
            return SMTP(
                host, hostname="localhost", require_starttls=True, tls_context=context, loop=self.loop
            )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Door(host, loop=loop).factory, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    yield host
    server.close()


def notices(office: Office, host: Smarthost, **more: Any) -> Notices:
    given = {"smarthost": "localhost", "port": host.port, "ca": host.ca}
    settings = NoticesSettings(**{**given, "sender": "ne-pas-repondre@ch-exemple.fr", **more})
    return Notices(
        settings,
        store=office.store,
        accounts=office.accounts,
        keys=office.keys,
        trail=office.trail,
        operator="Hôpital d’essai",
        page="https://messagerie.exemple.fr",
        clock=office.clock,
        for_letters=lambda domain: domain == DOMAIN,
    )


def said(message: bytes) -> tuple[str, str]:
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    return str(parsed["subject"]), parsed.get_content()


def code_in(message: bytes) -> str:
    return next(line.strip() for line in said(message)[1].splitlines() if line.strip().isdigit())


async def letter_for(office: Office, made: Notices, account: Account) -> None:
    """A letter is filed for them: what delivery does with the note, in one transaction."""
    envelope = Envelope(Sender(Road.OPERATOR, "dr@ailleurs.test", Peer("", 0, "smtp", "s", True)))
    envelope.recipients.append(Recipient(account.address, account.id))
    note = made.note(envelope, LETTER)
    assert note is not None
    await office.store.write(lambda transaction: note(transaction, [], office.clock()))


async def proven(office: Office, made: Notices, smarthost: Smarthost) -> Account:
    account = await office.patient()
    await made.ask(account.id, HERE, "fr")
    assert await made.send_due() == 1
    assert await made.confirm(account.id, code_in(smarthost.taken.pop()[1]))
    return account


async def test_an_address_counts_once_the_code_sent_there_came_back(
    office: Office, smarthost: Smarthost
) -> None:
    made, account = notices(office, smarthost), await office.patient()
    await made.ask(account.id, HERE, "fr")
    await letter_for(office, made, account)
    office.clock.forward(minutes=6)
    assert await made.send_due() == 1  # the code alone: nothing is told to an address that proved nothing
    (to, message) = smarthost.taken.pop()
    assert to == [HERE]
    assert (await made.standing(account.id)).confirmed is False
    assert not await made.confirm(account.id, "000000" if code_in(message) != "000000" else "000001")
    assert await made.confirm(account.id, code_in(message))
    assert not await made.confirm(account.id, code_in(message))  # it serves once
    standing = await made.standing(account.id)
    assert (standing.shown, standing.confirmed) == ("a…@exemple.fr", True)
    assert await office.traced(action="notice-address") == ["notice-address done"]


async def test_a_code_ends_after_a_quarter_of_an_hour_and_after_a_few_tries(
    office: Office, smarthost: Smarthost
) -> None:
    made, account = notices(office, smarthost), await office.patient()
    await made.ask(account.id, HERE, "fr")
    await made.send_due()
    code = code_in(smarthost.taken.pop()[1])
    office.clock.forward(minutes=16)
    assert not await made.confirm(account.id, code)
    await made.ask(account.id, HERE, "fr")
    await made.send_due()
    code = code_in(smarthost.taken.pop()[1])
    for _ in range(CODE_TRIES):
        assert not await made.confirm(account.id, "12345")
    assert not await made.confirm(account.id, code)


async def test_nobody_has_codes_sent_to_strangers_without_end(office: Office, smarthost: Smarthost) -> None:
    made, account = notices(office, smarthost), await office.patient()
    for number in range(CODES_OF_HOUR):
        await made.ask(account.id, f"inconnu{number}@exemple.fr", "fr")
        await made.forget(account.id)
    for _ in range(2):
        with pytest.raises(AddressRefused) as refused:
            await made.ask(account.id, HERE, "fr")
        assert refused.value.reason == "too-many"
    await made.ask((await office.patient("1600275056002")).id, HERE, "fr")  # others may
    office.clock.forward(minutes=61)
    await made.ask(account.id, HERE, "fr")


async def test_several_letters_make_one_notice_that_says_nothing_of_them(
    office: Office, smarthost: Smarthost
) -> None:
    made = notices(office, smarthost)
    account = await proven(office, made, smarthost)
    for _ in range(3):
        await letter_for(office, made, account)
    assert await made.send_due() == 0  # not at once
    office.clock.forward(minutes=6)
    assert await made.send_due() == 1
    ((to, message),) = smarthost.taken
    subject, text = said(message)
    assert to == [HERE]
    assert subject == "Vous avez un nouveau message dans votre messagerie de santé"
    assert "https://messagerie.exemple.fr" in text
    number = office.accounts.patient_identity(account.id).number
    for hidden in ("ailleurs.test", "dr@", account.id, account.address, number, "Vasarely"):
        assert hidden.encode() not in message
    await letter_for(office, made, account)
    office.clock.forward(minutes=6)
    assert await made.send_due() == 0  # told already today
    office.clock.forward(hours=25)
    await letter_for(office, made, account)
    office.clock.forward(minutes=6)
    assert await made.send_due() == 1


async def test_a_smarthost_that_is_down_is_tried_again_and_nothing_is_lost(
    office: Office, smarthost: Smarthost
) -> None:
    made = notices(office, smarthost)
    account = await proven(office, made, smarthost)
    await letter_for(office, made, account)
    office.clock.forward(minutes=6)
    smarthost.answer = "451 4.3.0 later"
    assert await made.send_due() == 0
    assert await made.send_due() == 0  # not before its time
    smarthost.answer = "250 OK"
    office.clock.forward(minutes=2)
    assert await notices(office, smarthost).send_due() == 1  # by the node that came after
    assert len(smarthost.taken) == 1


async def test_an_address_that_takes_no_mail_is_left_alone_and_its_holder_sees_it(
    office: Office, smarthost: Smarthost
) -> None:
    made = notices(office, smarthost)
    account = await proven(office, made, smarthost)
    smarthost.refuses = HERE
    await letter_for(office, made, account)
    office.clock.forward(minutes=6)
    assert await made.send_due() == 0
    assert (await made.standing(account.id)).refused
    smarthost.refuses = ""
    office.clock.forward(days=3)
    await letter_for(office, made, account)
    office.clock.forward(minutes=6)
    assert await made.send_due() == 0
    assert await office.traced(action="notice") == ["notice done", "notice refused"]


async def test_nothing_goes_over_a_connection_that_is_not_verified(
    office: Office, smarthost: Smarthost, tmp_path: Path
) -> None:
    stranger = pki.TestAuthority.create().write(tmp_path / "stranger")
    made, account = notices(office, smarthost, ca=stranger), await office.patient()
    await made.ask(account.id, HERE, "fr")
    assert await made.send_due() == 0
    assert smarthost.taken == []
    assert made.counters.failed == 1


async def test_mailboxes_for_letters_and_what_is_no_address_are_refused(
    office: Office, smarthost: Smarthost
) -> None:
    made, account = notices(office, smarthost), await office.patient()
    for address, reason in (
        (f"gp@{DOMAIN}", "address-here"),
        ("apolline", "address"),
        ("a@b.fr\r\nBcc: x@y.fr", "address"),
        ("a@b.fr, c@d.fr", "address"),
    ):
        with pytest.raises(AddressRefused) as refused:
            await made.ask(account.id, address, "fr")
        assert refused.value.reason == reason
    off = notices(office, smarthost, smarthost="")
    with pytest.raises(AddressRefused) as refused:
        await off.ask(account.id, HERE, "fr")
    assert refused.value.reason == "off"
    assert (await off.standing(account.id)).offered is False


async def test_who_is_not_a_patient_is_told_nothing_of_letters_but_of_the_end_of_their_mailbox(
    office: Office, smarthost: Smarthost
) -> None:
    made, doctor = notices(office, smarthost), await office.professional()
    envelope = Envelope(Sender(Road.OPERATOR, "", Peer("", 0, "smtp", "s", True)))
    envelope.recipients.append(Recipient(doctor.address, doctor.id))
    assert made.note(envelope, LETTER) is None
    assert not await made.inactivity(doctor.id, office.clock())
    await made.put(doctor.id, "dr.aubry@exemple.fr", "en", "console:root")
    assert await made.inactivity(doctor.id, 1_798_761_600_000)
    assert await made.send_due() == 1
    subject, text = said(smarthost.taken[0][1])
    assert subject == "Your health mailbox will be closed"
    assert "on 2027-01-01" in text


async def test_what_lies_in_the_database_names_no_address_and_no_code(
    office: Office, smarthost: Smarthost
) -> None:
    made, account = notices(office, smarthost), await office.patient()
    await made.ask(account.id, HERE, "fr")
    await made.send_due()
    code = code_in(smarthost.taken.pop()[1])

    def everything(reader: Any) -> bytes:
        rows = reader.sql.all("SELECT * FROM notice_address") + reader.sql.all("SELECT * FROM notice")
        return b"\n".join(
            bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
            for row in rows
            for value in row
        )

    found = await office.store.read(everything)
    assert account.id.encode() in found
    assert b"apolline" not in found
    assert b"exemple.fr" not in found
    assert code.encode() not in found


@pytest.mark.parametrize("language", words.LANGUAGES)
async def test_every_notice_is_there_in_both_languages(office: Office, language: str) -> None:
    for kind in words.Kind:
        made = words.message(
            kind, language, "ne@ch.fr", HERE, words.Said("https://page", "Hôpital", "123456", "2027-01-01"), 0
        )
        parsed = email.message_from_bytes(made, policy=email.policy.default)
        assert parsed["auto-submitted"] == "auto-generated"
        assert "{" not in parsed.get_content()


async def test_a_holder_sets_it_on_the_page_after_a_fresh_proof(office: Office, smarthost: Smarthost) -> None:
    office.notices = notices(office, smarthost)
    await office.open_page()
    at_home = await office.enrolled()
    assert (await at_home.get("notice-address"))["offered"] is True
    asked = await at_home.put("notice-address", {"address": HERE, "language": "fr"})
    assert (asked["shown"], asked["confirmed"]) == ("a…@exemple.fr", False)
    await office.notices.send_due()
    code = code_in(smarthost.taken[0][1])
    assert (await at_home.post("notice-address/confirm", {"code": code}))["confirmed"] is True
    assert (await at_home.delete("notice-address"))["shown"] == ""
    office.clock.forward(hours=1)
    late = await at_home.raw("PUT", "notice-address", {"address": HERE, "language": "fr"})
    assert (late.status_code, late.json()["error"]) == (403, "step-up-needed")
