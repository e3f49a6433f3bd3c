"""A patient's number typed at the doors: right, mistyped, at the wrong domain. No log, no trace, no file has it."""

from __future__ import annotations

import asyncio
import imaplib
import logging
import smtplib
import ssl

from deploy.demo import pki
from mail_server.accounts.interface import Kind
from mail_server.delivery.interface import Road
from mail_server.imap.server import ImapDoor
from mail_server.imap.settings import ImapSettings
from mail_server.smtp.server import Entrance, SmtpDoor
from mail_server.smtp.settings import SmtpSettings
from mail_server.store.model import State


def server_context(folder) -> ssl.SSLContext:
    clinic = pki.Organisation.with_finess("ESSAI", 5, "Ain (01)")
    files = pki.TestAuthority.create().issue_server("localhost", clinic).write(folder, "door")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def hand_over(port: int, user: str, password: str, typed: list[str], good: str) -> list[bytes]:
    """Every spelling at MAIL FROM, RCPT TO, VRFY and AUTH; then one letter to the good one."""
    said: list[bytes] = []
    with smtplib.SMTP_SSL("127.0.0.1", port, context=trusting(), timeout=20) as client:
        client.login(user, password)
        for address in typed:
            said += [client.mail(address)[1], client.rset()[1], client.verify(address)[1]]
            client.mail(user)
            said += [client.rcpt(address)[1], client.rset()[1]]
        letter = f"From: <{user}>\r\nTo: <{good}>\r\nSubject: Bilan\r\n\r\nVu.\r\n"
        client.sendmail(user, [good], letter)
    for address in typed[:4]:
        with smtplib.SMTP_SSL("127.0.0.1", port, context=trusting(), timeout=20) as client:
            try:
                client.login(address, "secret")
            except smtplib.SMTPAuthenticationError as refused:
                said.append(refused.smtp_error)
    return said


def log_in(port: int, typed: list[str]) -> None:
    for address in typed[:4]:
        client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=trusting(), timeout=20)
        try:
            client.login(address, "secret")
        except imaplib.IMAP4.error:
            continue
        finally:
            client.shutdown()
        raise AssertionError("a patient came in by IMAP")


async def test_a_patient_s_number_typed_at_the_doors_is_written_nowhere(desk, caplog, tmp_path) -> None:
    caplog.set_level(logging.DEBUG)
    node, patient = desk.node, await desk.patient()
    robot = await desk.account("robot", Kind.APP)
    password = (await node.accounts.app_password_create(robot.id, "robot")).secret
    node.authenticator._sleep = lambda _: asyncio.sleep(0)
    number, _, domain = patient.alias.partition("@")
    typed = [
        patient.alias,
        f"{number[:-1]}{(int(number[-1]) + 1) % 10}@{domain}",
        f"{number}@mss.essai.test",
        f"{number[:13]}@{domain}",
        f"{number}@ailleurs.test",
        f"{number}@{domain.replace('patient', 'pateint')}",
        number,
    ]
    tls = server_context(tmp_path / "tls")
    settings = SmtpSettings(
        hostname="localhost",
        listen=("127.0.0.1",),
        operator_port=0,
        submission_port=0,
        submissions_port=0,
        greeting_pause_seconds=0,
        max_errors=100,
    )
    smtp = SmtpDoor(
        settings, node.delivery, node.authenticator, node.accounts, {Road.CLIENT: tls, Road.OPERATOR: tls}
    )
    imap = ImapDoor(
        ImapSettings(host="127.0.0.1", port=None, tls_port=0),
        store=node.store,
        delivery=node.delivery,
        accounts=node.accounts,
        authenticator=node.authenticator,
        tls=tls,
        audit=node.trace.note,
    )
    await smtp.start()
    await imap.start()
    try:
        port = smtp.ports[Entrance.SUBMISSIONS]
        said = await asyncio.to_thread(hand_over, port, robot.address, password, typed, patient.alias)
        await asyncio.to_thread(log_in, imap.ports[-1], typed)
    finally:
        await smtp.stop()
        await imap.stop()
    await node.trace.stop()

    [(row, stored)] = await desk.inbox(patient)
    assert row.state is State.WAITING
    assert patient.alias.encode() in stored, "the letter itself carries it, encrypted at rest"
    assert sum(b"This patient number is mistyped" in line for line in said) == 1
    assert sum(b"Authentication" in line for line in said) == 4
    rows = await node.store.read(lambda reader: reader.sql.all("SELECT * FROM audit_entry"))
    assert sum("login-failed" in row for row in rows) == 8
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for canary in (number, number[:13], number[:12]):
        assert canary not in caplog.text
        assert [row for row in rows if canary in str(row)] == []
        assert [path for path, content in files.items() if canary.encode() in content] == []
