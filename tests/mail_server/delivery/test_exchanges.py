"""How a professional ends an exchange with a patient, in every way a mail program has; who is written to, and not."""

from __future__ import annotations

import base64
import email.policy
import re
import subprocess
import time
from pathlib import Path

import pytest
from pysequoia import Tsk

from directory.openpgp.gate import gate
from mail_server import mime
from mail_server.accounts import ins
from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Contact, Kind, Peer
from mail_server.conversations.closings import Actor
from mail_server.delivery import autocrypt
from mail_server.delivery.gate import ConversationClosed
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.store.armor import armor
from mail_server.store.interface import NoSuchMailbox
from policies.refusal import Refusal

FIN = "fin@mss.essai.test"
YEAR = 366 * 86_400_000


def letter(sender: str, to: str, subject: str = "Bilan", name: str = "un", more: str = "") -> bytes:
    return (
        f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <{name}@essai>\r\n{more}"
        "\r\nBonjour.\r\n"
    ).encode()


async def met(desk):
    """A doctor whose letter a patient has."""
    gp, patient = await desk.sealed("gp"), await desk.patient(activated=True)
    await desk.send(gp, letter(gp.address, patient.alias), patient.alias)
    return gp, patient


async def answers(desk, patient, gp, *, to: str = "un", name: str = "a1") -> None:
    envelope = await desk.page_envelope(patient, gp.address)
    sent = letter(patient.alias, gp.address, "Re", name, f"In-Reply-To: <{to}@essai>\r\n")
    await desk.node.delivery.deliver(envelope, sent)


async def refused(call) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await call
    return caught.value


# -- fin@<domain> ------------------------------------------------------------------------------------------


async def test_a_copy_to_fin_closes_the_exchange_and_is_laid_down_nowhere(desk) -> None:
    gp, patient = await met(desk)
    more = f"Cc: <{FIN}>\r\nIn-Reply-To: <un@essai>\r\n"
    await desk.send(gp, letter(gp.address, patient.alias, "Au revoir", "deux", more), patient.alias, FIN)
    found = await refused(desk.page_envelope(patient, gp.address))
    assert isinstance(found, ConversationClosed)
    assert (found.reason, found.closed_by) == ("conversation-closed", gp.address)
    assert found.smtp_line.startswith(f"550 5.7.1 {gp.address} has closed this exchange (ref ")
    assert len(await desk.inbox(patient)) == 2, "the letter itself arrived"
    copies = await desk.node.store.read(lambda reader: reader.sql.one("SELECT count(*) FROM message"))
    assert copies == (2,)


@pytest.mark.parametrize("field", ["To", "Cc"])
async def test_what_a_program_names_in_the_header_closes_though_each_envelope_is_apart(desk, field) -> None:
    gp, patient = await met(desk)
    sent = letter(
        gp.address, patient.alias, "Au revoir", "deux", f"{field}: <{FIN}>\r\nIn-Reply-To: <un@essai>\r\n"
    )
    await desk.send(gp, sent, patient.alias)
    await desk.send(gp, sent, FIN)
    assert (await refused(desk.page_envelope(patient, gp.address))).reason == "conversation-closed"


@pytest.mark.parametrize("first", ["patient", "fin"])
async def test_a_blind_copy_to_fin_in_an_envelope_of_its_own_closes_in_either_order(desk, first) -> None:
    gp, patient = await met(desk)
    sent = letter(gp.address, patient.alias, "Au revoir", "deux", "In-Reply-To: <un@essai>\r\n")
    for address in (patient.alias, FIN) if first == "patient" else (FIN, patient.alias):
        await desk.send(gp, sent, address)
    assert (await refused(desk.page_envelope(patient, gp.address))).reason == "conversation-closed"


async def test_fin_alone_and_no_patient_named_says_that_there_is_nothing_to_close(desk) -> None:
    gp, nurse = await desk.sealed("gp"), await desk.sealed("nurse")
    found = await refused(desk.send(gp, letter(gp.address, nurse.address), FIN))
    assert (found.code, found.reason) == (550, "nothing-to-close")


async def test_fin_tells_nobody_who_is_a_patient(desk) -> None:
    gp, patient = await desk.sealed("gp"), await desk.patient()
    domain = patient.alias.partition("@")[2]
    number = "185052A004123"
    nobody = f"{number}{ins.key_of(number)}@{domain}"
    assert desk.node.accounts.by_address(nobody) is None
    for name, address in (("un", patient.alias), ("deux", nobody)):
        await desk.send(gp, letter(gp.address, address, "Au revoir", name), FIN)


async def test_a_patient_and_another_operator_cannot_use_fin(desk) -> None:
    _, patient = await met(desk)
    assert (await refused(desk.page_envelope(patient, FIN))).reason == "not-a-correspondent"
    peer = Peer("127.0.0.1", 4000, "smtp", "s2", tls=True, certificate=desk.operator_certificate)
    sender = await desk.node.delivery.admit_sender(
        Road.OPERATOR, "dr@voisin.test", MailParameters(), peer, None
    )
    found = await refused(desk.node.delivery.admit_recipient(Envelope(sender), FIN))
    assert found.reason == "closing-address-reserved"
    sent = letter("dr@voisin.test", patient.alias, "Bilan", "loin", f"Cc: <{FIN}>\r\n")
    envelope = Envelope(sender)
    envelope.recipients.append(await desk.node.delivery.admit_recipient(envelope, patient.alias))
    await desk.node.delivery.deliver(envelope, sent)
    [closed] = await desk.node.store.read(
        lambda reader: reader.sql.all("SELECT closed_at FROM conversation WHERE correspondent LIKE 'h:%'")
    )
    assert closed == (None,)


async def test_nobody_can_have_the_address(desk) -> None:
    with pytest.raises(AccountError) as caught:
        await desk.account("fin", Kind.ORG)
    assert caught.value.reason == "address-reserved"


async def test_the_certificate_of_fin_can_be_encrypted_to_and_its_secret_is_nowhere(desk, tmp_path) -> None:
    certificates = desk.node.correspondence.certificates
    await certificates.make()
    data = certificates.certificate(FIN.upper())
    assert data is not None
    assert gate(data, FIN, time.time_ns() // 1_000_000).encryption_key_id
    before = data
    await certificates.make()
    assert certificates.certificate(FIN) == before, "made once"
    assert all("fin@" not in account for account in desk.node.operator_keys.accounts())
    stored = [path.read_bytes() for path in Path(desk.node.home.path).rglob("*") if path.is_file()]
    assert any(before in one for one in stored), "published from the database"


# -- [FIN], X-MSS-MES --------------------------------------------------------------------------------------


async def test_x_mss_mes_takes_the_answer_to_that_message_alone(desk) -> None:
    gp, patient = await met(desk)
    more = "In-Reply-To: <un@essai>\r\nX-MSS-MES: FIN\r\n"
    await desk.send(gp, letter(gp.address, patient.alias, "Pour information", "deux", more), patient.alias)
    found = await refused(answers(desk, patient, gp, to="deux"))
    assert (found.reason, found.code) == ("message-closed", 550)
    assert found.sentence == f"{gp.address} takes no answer to this message"
    await answers(desk, patient, gp, to="un", name="a2")


async def test_a_subject_hidden_outside_and_protected_inside_a_signature_counts(desk) -> None:
    gp, patient = await met(desk)
    more = (
        "In-Reply-To: <un@essai>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary="s"\r\n'
    )
    body = (
        b'\r\n--s\r\nContent-Type: text/plain; hp="clear"\r\nSubject: [FIN]\r\n\r\nAu revoir.\r\n'
        b"--s\r\nContent-Type: application/pgp-signature\r\n\r\n-----\r\n--s--\r\n"
    )
    head = letter(gp.address, patient.alias, "...", "deux", more).partition(b"\r\n\r\n")[0]
    await desk.send(gp, head + b"\r\n" + body, patient.alias)
    assert (await refused(desk.page_envelope(patient, gp.address))).reason == "conversation-closed"


async def test_closing_one_exchange_leaves_another_with_the_same_person_open(desk) -> None:
    gp, patient = await met(desk)
    await desk.send(gp, letter(gp.address, patient.alias, "Autre", "autre"), patient.alias)
    await desk.send(
        gp, letter(gp.address, patient.alias, "[FIN]", "fin", "In-Reply-To: <un@essai>\r\n"), patient.alias
    )
    assert (await refused(answers(desk, patient, gp, to="un"))).reason == "conversation-closed"
    await answers(desk, patient, gp, to="autre", name="a2")


async def test_a_closing_is_in_the_trace_with_who_and_how(desk) -> None:
    gp, patient = await met(desk)
    await desk.send(gp, letter(gp.address, patient.alias, "[FIN]", "fin"), patient.alias)
    rows = await desk.node.store.read(
        lambda reader: reader.sql.all(
            "SELECT actor, subject, detail FROM audit_entry WHERE action = 'conversation-close'"
        )
    )
    assert [(actor, subject) for actor, subject, _ in rows] == [(gp.id, patient.id)]
    assert "fin-subject" in str(rows[0][2])


# -- the mailbox Clos --------------------------------------------------------------------------------------


async def clos_of(desk, account):
    return await desk.node.store.read(lambda reader: reader.mailbox_by_name(account.id, "Clos"))


async def test_a_professional_finds_clos_once_they_wrote_to_a_patient(desk) -> None:
    nurse = await desk.sealed("nurse")
    with pytest.raises(NoSuchMailbox):
        await clos_of(desk, await opened(desk, nurse))
    gp, _ = await met(desk)
    assert (await clos_of(desk, gp)).subscribed


async def opened(desk, account):
    await desk.node.store.write(lambda tx: tx.open_account(account.id))
    return account


async def filed_in_clos(desk, gp, name: str = "INBOX") -> None:
    """As a door does: what the letters may close is asked first, then they move, in one transaction."""
    closings = desk.node.correspondence.closings

    def rows(reader):
        box = reader.mailbox_by_name(gp.id, name)
        uids = [one.uid for one in reader.memberships(box.id)]
        return box, uids, [row.rendered.header for row in reader.rows(box.id, uids)]

    wish = await closings.wish(gp.id, Actor(gp.id), lambda reader: rows(reader)[2])

    def move(tx):
        box, uids, headers = rows(tx)
        for header in headers:
            if wish is not None:
                wish(tx, header)
        tx.move(box.id, uids, tx.mailbox_by_name(gp.id, "Clos").id)

    await desk.node.store.write(move)


async def test_filing_the_patient_s_answer_in_clos_closes_its_exchange_alone(desk) -> None:
    gp, patient = await met(desk)
    await desk.send(gp, letter(gp.address, patient.alias, "Autre", "autre"), patient.alias)
    await answers(desk, patient, gp)
    await filed_in_clos(desk, gp)
    assert (await refused(answers(desk, patient, gp, to="un", name="a2"))).reason == "conversation-closed"
    await answers(desk, patient, gp, to="autre", name="a3")


async def test_what_a_professional_has_nothing_to_do_with_is_not_closed_by_filing_it(desk) -> None:
    gp, patient = await met(desk)
    nurse = await opened(desk, await desk.sealed("nurse"))
    await desk.send(gp, letter(gp.address, patient.alias, "Suite", "suite"), patient.alias, nurse.address)
    await desk.node.store.write(lambda tx: tx.create_mailbox(nurse.id, "Clos"))
    await filed_in_clos(desk, nurse)
    await answers(desk, patient, gp, to="suite", name="a2")


# -- the page ----------------------------------------------------------------------------------------------


async def test_the_page_shows_and_closes_the_exchange_of_a_letter(desk) -> None:
    gp, patient = await met(desk)
    await answers(desk, patient, gp)
    closings = desk.node.correspondence.closings
    [(row, _)] = await desk.inbox(gp)
    [before] = await closings.of_letter(gp, row.email_id)
    assert (before.open, before.correspondent, before.answerable) == (True, patient.alias, True)
    [after] = await closings.close_letter(gp, row.email_id, Actor(gp.id))
    assert (after.id, after.open, after.closed_by, after.closed_how) == (
        before.id, False, gp.address, "page",
    )  # fmt: skip
    [(theirs, _)] = await desk.inbox(patient)
    [seen] = await closings.of_letter(patient, theirs.email_id)
    assert (seen.correspondent, seen.open, seen.answerable, seen.closed_by) == (
        gp.address, False, False, gp.address,
    )  # fmt: skip
    await closings.close_letter(patient, theirs.email_id, Actor(patient.id))
    assert (await refused(answers(desk, patient, gp, name="a2"))).reason == "conversation-closed"


# -- blocks ------------------------------------------------------------------------------------------------


async def block(desk, patient, address: str) -> bool:
    blocks = desk.node.correspondence.blocks
    return await desk.node.store.write(lambda tx: blocks.block(tx, patient, address, 1000))


async def test_a_patient_receives_nothing_from_whom_they_blocked_who_is_told_so(desk) -> None:
    gp, patient = await met(desk)
    assert await block(desk, patient, gp.address.upper())
    found = await refused(desk.envelope(gp, patient.alias))
    assert (found.code, found.reason) == (550, "write-to-blocked")
    assert (await refused(desk.page_envelope(patient, gp.address))).reason == "write-to-one-you-blocked"
    blocks = desk.node.correspondence.blocks
    assert await desk.node.store.write(lambda tx: blocks.unblock(tx, patient, gp.address, 2000))
    await desk.envelope(gp, patient.alias)


async def test_a_blocked_organisation_is_blocked_for_its_members_who_write_for_it_alone(desk) -> None:
    nurse, patient = await desk.sealed("nurse"), await desk.patient(activated=True)
    ward = await desk.ward(nurse)
    assert await block(desk, patient, ward.address)
    sender = (await desk.envelope(nurse)).sender
    for_ward = Envelope(
        await desk.node.delivery.admit_sender(
            Road.CLIENT, ward.address, MailParameters(), sender.peer, sender.identity
        )
    )
    found = await refused(desk.node.delivery.admit_recipient(for_ward, patient.alias))
    assert found.reason == "write-to-blocked"
    await desk.envelope(nurse, patient.alias)
    await block(desk, patient, nurse.address)
    blocks = desk.node.correspondence.blocks
    await desk.node.store.write(lambda tx: blocks.unblock(tx, patient, ward.address, 2000))
    found = await refused(desk.node.delivery.admit_recipient(for_ward, patient.alias))
    assert found.reason == "write-to-blocked", "who is blocked is blocked under any name"


async def test_a_stranger_s_address_is_blocked_by_its_mark_and_another_patient_like_a_stranger(desk) -> None:
    patient, other = await desk.patient(), await desk.patient("185052A004123")
    assert await block(desk, patient, "Dr.Loin@voisin.test")
    assert await block(desk, patient, other.alias), "a refusal would tell that there is such a patient"
    assert not await block(desk, patient, "pas une adresse")
    blocks = desk.node.correspondence.blocks
    found = await desk.node.store.read(lambda reader: blocks.of(reader, patient.id))
    assert {(one.address, one.kind) for one in found} == {
        ("dr.loin@voisin.test", ""),
        (other.alias.lower(), ""),
    }
    rows = await desk.node.store.read(lambda reader: reader.sql.all("SELECT * FROM correspondent_block"))
    assert "loin" not in str(rows).lower()


# -- who may be written to first ---------------------------------------------------------------------------


async def pharmacy(desk, contact: Contact):
    accounts = desk.node.accounts
    found = await desk.account("pharmacie", Kind.ORG)
    await accounts.sector_set(found.id, "SA33")
    await accounts.contact_set(found.id, contact)
    return accounts.by_id(found.id)


@pytest.mark.parametrize(
    ("contact", "ago", "reason"),
    [
        (Contact.OPTED_IN, 1000, ""),
        (Contact.OPTED_IN, YEAR, "not-a-correspondent"),
        (Contact.OPTED_IN, None, "not-a-correspondent"),
        (Contact.REPLIES_ONLY, 1000, "not-a-correspondent"),
        (Contact.OPEN, None, ""),
    ],
)
async def test_a_patient_writes_first_where_the_pharmacy_takes_it_and_dispensed_within_a_year(
    desk, contact, ago, reason
) -> None:
    patient, shop = await desk.patient(), await pharmacy(desk, contact)
    now = desk.node.correspondence.exchanges._clock()
    if ago is not None:
        kept = desk.node.correspondence.dispensings
        await desk.node.store.write(lambda tx: kept.record(tx, patient.id, shop.id, now - ago))
    if not reason:
        await desk.page_envelope(patient, shop.address)
    else:
        assert (await refused(desk.page_envelope(patient, shop.address))).reason == reason


async def test_an_exchange_that_the_patient_began_with_a_pharmacy_can_be_closed_by_it(desk) -> None:
    patient, shop = await desk.patient(activated=True), await pharmacy(desk, Contact.OPEN)
    envelope = await desk.page_envelope(patient, shop.address)
    await desk.node.delivery.deliver(envelope, letter(patient.alias, shop.address, "Ordonnance", "o1"))
    [(row, _)] = await desk.inbox(shop)
    [closed] = await desk.node.correspondence.closings.close_letter(shop, row.email_id, Actor(shop.id))
    assert not closed.open
    found = await refused(desk.page_envelope(patient, shop.address))
    assert (found.reason, found.sentence) == (
        "conversation-closed", f"{shop.address} has closed this exchange",
    )  # fmt: skip


# -- a patient's certificate -------------------------------------------------------------------------------


def autocrypt_of(stored: bytes) -> tuple[str, bytes]:
    header = email.message_from_bytes(stored, policy=email.policy.compat32)["Autocrypt"]
    values = dict(re.findall(r"(\w[\w-]*)=([^;]*)", " ".join(header.split())))
    assert values["prefer-encrypt"] == "mutual"
    return values["addr"], base64.b64decode(values["keydata"].replace(" ", ""))


async def test_a_patient_s_letter_carries_their_certificate_and_what_gpg_encrypts_with_it_opens(
    desk, tmp_path
) -> None:
    gp, patient = await met(desk)
    envelope = await desk.page_envelope(patient, gp.address)
    forged = "In-Reply-To: <un@essai>\r\nAutocrypt: addr=x@y; keydata=AAAA\r\n"
    await desk.node.delivery.deliver(envelope, letter(patient.alias, gp.address, "Re", "a1", forged))
    [(_, stored)] = await desk.inbox(gp)
    assert (b"\n" + stored.lower()).count(b"\nautocrypt:") == 1
    assert max(map(len, stored.partition(b"\r\n\r\n")[0].split(b"\r\n"))) < 100
    address, certificate = autocrypt_of(stored)
    assert address == patient.alias
    (tmp_path / "home").mkdir(mode=0o700)
    gpg = ["gpg", "--batch", "--homedir", str(tmp_path / "home"), "--trust-model", "always"]
    imported = subprocess.run([*gpg, "--import"], input=certificate, capture_output=True, check=False)
    assert b"imported" in imported.stderr
    [fingerprint] = re.findall(
        rb"^fpr:::::::::(\w+):",
        subprocess.run([*gpg, "--with-colons", "--list-keys"], capture_output=True, check=True).stdout,
        re.MULTILINE,
    )[:1]
    sealed = subprocess.run(
        [*gpg, "--encrypt", "-r", fingerprint.decode()],
        input=b"Content-Type: text/plain\r\n\r\nSous pli.\r\n", capture_output=True, check=True,
    ).stdout  # fmt: skip
    fields = f"From: <{gp.address}>\r\nTo: <{patient.alias}>\r\nSubject: ...\r\nMessage-ID: <s@essai>\r\n"
    head, tail = mime.wrap(fields.encode(), "limite")
    await desk.send(gp, head + armor(sealed, b"") + tail, patient.alias)
    _, last = (await desk.inbox(patient))[-1]
    assert b"Sous pli." in desk.open(patient.id, last).inner


async def test_a_program_that_wants_the_sender_s_name_in_the_certificate_finds_the_one_the_letter_shows(
    desk, tmp_path
) -> None:
    """Thunderbird offers no key that names somebody else: the browser certifies the name, the gate passes it."""
    gp, patient = await met(desk)
    added = "In-Reply-To: <un@essai>\r\n" + autocrypt.field(patient.alias, desk.named(patient)).decode()
    envelope = await desk.page_envelope(patient, gp.address)
    await desk.node.delivery.deliver(envelope, letter(patient.alias, gp.address, "Re", "a2", added))
    [(_, stored)] = await desk.inbox(gp)
    address, told = autocrypt_of(stored)
    assert address == patient.alias
    (tmp_path / "home").mkdir(mode=0o700)
    gpg = ["gpg", "--batch", "--homedir", str(tmp_path / "home"), "--trust-model", "always"]
    subprocess.run([*gpg, "--import"], input=told, capture_output=True, check=True)
    listed = subprocess.run([*gpg, "--with-colons", "--list-keys"], capture_output=True, check=True).stdout
    assert [line.split(b":")[9] for line in listed.splitlines() if line.startswith(b"uid")] == [
        f"<{patient.alias}>".encode()
    ]
    sealed = subprocess.run(
        [*gpg, "--encrypt", "-r", patient.alias],
        input=b"Content-Type: text/plain\r\n\r\nPar votre nom.\r\n", capture_output=True, check=True,
    ).stdout  # fmt: skip
    fields = f"From: <{gp.address}>\r\nTo: <{patient.alias}>\r\nSubject: ...\r\nMessage-ID: <t@essai>\r\n"
    head, tail = mime.wrap(fields.encode(), "limite")
    await desk.send(gp, head + armor(sealed, b"") + tail, patient.alias)
    _, last = (await desk.inbox(patient))[-1]
    assert b"Par votre nom." in desk.open(patient.id, last).inner


async def test_a_key_that_is_not_the_published_one_is_never_told_whatever_name_it_bears(desk) -> None:
    gp, patient = await met(desk)
    other = bytes(Tsk.generate(f"<{patient.alias}>").extract_certificate())
    added = "In-Reply-To: <un@essai>\r\n" + autocrypt.field(patient.alias, other).decode()
    envelope = await desk.page_envelope(patient, gp.address)
    await desk.node.delivery.deliver(envelope, letter(patient.alias, gp.address, "Re", "a3", added))
    [(_, stored)] = await desk.inbox(gp)
    _, told = autocrypt_of(stored)
    published = desk.node.planner.certificate(desk.node.accounts.by_id(patient.id))
    assert told == published.minimised


async def test_who_has_no_certificate_yet_sends_none(desk) -> None:
    gp, patient = await desk.sealed("gp"), await desk.patient()
    await desk.send(gp, letter(gp.address, patient.alias), patient.alias)
    await answers(desk, patient, gp)
    [(_, stored)] = await desk.inbox(gp)
    assert b"autocrypt" not in stored.lower()
