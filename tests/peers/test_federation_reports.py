"""What senders are told over a real hop: by both operators, by nobody where they said never, by the administrator."""

from __future__ import annotations

import smtplib
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import pytest

from deploy.demo import clients, letters
from mail_server import mime
from mail_server.payloads.record import integration
from mail_server.payloads.record.refusal import AnsCode
from tests.peers.federation import BAD, Federation, opened, wait
from tests.peers.test_federation_exchange import carrying, found, lying, machine, marked, report_on, texts
from tests.webmail.vectors import record_letters as made

pytestmark = pytest.mark.peers


@contextmanager
def submission(two: Federation) -> Generator[smtplib.SMTP]:
    with smtplib.SMTP("localhost", two.here.ports["submission"], timeout=120) as smtp:
        smtp.starttls(context=clients.tls(two.commons.ca))
        smtp.login(two.claire.address, two.claire.password)
        smtp.ehlo()
        yield smtp


def send(two: Federation, to: str, letter: letters.Letter, options: Sequence[str]) -> None:
    with submission(two) as smtp:
        smtp.sendmail(two.claire.address, [to], letter.data, rcpt_options=list(options))


def test_both_operators_tell_who_asked_one_of_the_seal_and_one_of_the_mailbox(two: Federation) -> None:
    word, letter = marked(two.claire, two.yves.address, "double")
    send(two, two.yves.address, letter, ["NOTIFY=SUCCESS", "ORCPT=rfc822;Docteur+2BYves@ailleurs.test"])
    carrying(word, two.there, two.yves)

    def is_theirs(inner: clients.Opened) -> bool:
        blocks = machine(inner.message)
        return (
            len(blocks) > 1
            and two.there.domain in str(blocks[0]["Reporting-MTA"])
            and "Docteur+Yves" in str(blocks[1]["Original-Recipient"])
        )

    theirs = found(two.here, two.claire, is_theirs)
    (_, recipient) = machine(theirs.message)
    assert recipient["Action"] == "delivered"
    assert recipient["Original-Recipient"] == "rfc822; Docteur+Yves@ailleurs.test"
    assert "personne d’autre que le destinataire" in texts(theirs.message)
    assert word not in str(theirs.message)

    def is_ours(inner: clients.Opened) -> bool:
        blocks = machine(inner.message)
        return (
            len(blocks) > 1
            and two.here.domain in str(blocks[0]["Reporting-MTA"])
            and "Docteur+Yves" in str(blocks[1]["Original-Recipient"])
        )

    ours = found(two.here, two.claire, is_ours)
    assert machine(ours.message)[1]["Action"] == "relayed"
    assert "s’est engagé à vous confirmer" in texts(ours.message)


def test_who_said_never_is_told_nothing(two: Federation) -> None:
    absent, next_one = f"jamais@{two.there.domain}", f"ensuite@{two.there.domain}"
    send(two, absent, marked(two.claire, absent, "jamais")[1], ["NOTIFY=NEVER"])
    send(two, next_one, marked(two.claire, next_one, "ensuite")[1], [])
    report_on(next_one, two.here, two.claire)
    for stored in lying(two.here, two.claire):
        try:
            inner = opened(two.here, two.claire, stored)
        except clients.NotOpened:
            continue
        assert absent not in str(inner.message)


def test_what_the_administrator_cancels_comes_back_with_the_reason(two: Federation) -> None:
    to = f"arretee@{BAD}"
    server = two.bad[BAD]
    server.manners.answers["RCPT"] = "451 4.7.1 Later"
    before = server.refused
    try:
        send(two, to, marked(two.claire, to, "arret")[1], [])
        wait(lambda: server.refused > before or None)
        two.here.command("queue_cancel", domain=BAD)
        told = report_on(to, two.here, two.claire)
    finally:
        server.manners.answers.clear()
    assert "L’administrateur de votre opérateur a arrêté ce message" in texts(told)
    assert machine(told)[1]["Status"] == "5.7.1"


def test_software_of_another_operator_hears_why_its_document_was_refused(two: Federation) -> None:
    # Rows 12 and 52: the refusal goes to its server, the code to its software, from nobody.
    system, server = f"dpi@{BAD}", two.bad[BAD]
    message = b"Disposition-Notification-To: <" + system.encode() + b">\r\n"
    message += made.letter(
        made.zip_part(made.one_document(patient_id=made.OTHER)),
        subject="XDM/1.0/DDM+Bilan VASARELY Apolline", sender=system, to=two.marc.address,
    )  # fmt: skip
    with smtplib.SMTP("localhost", two.there.ports["smtp"], timeout=120) as smtp:
        smtp.starttls(context=two.context(two.leaves[BAD]))
        with pytest.raises(smtplib.SMTPDataError) as refused:
            smtp.sendmail(system, [two.marc.address], message)
    assert refused.value.smtp_code == 554
    assert "(ANS 904)" in str(refused.value.smtp_error)
    taken = wait(lambda: next((one for one in server.taken if system in one.recipients), None))
    assert taken.mail_from == ""
    answer = integration.read(taken.data, mime.parse(taken.data))
    assert answer is not None
    assert (answer.failed, answer.code, answer.receipt) == (True, AnsCode.INS_MISMATCH, True)
