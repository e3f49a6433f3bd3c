"""The demo's people at their desks: real SMTP, IMAP and GnuPG, as any mail client would.

Invariants: everything goes through the node's public ports; a person's key is used in a GnuPG home of its own
that is removed afterwards; decrypted text stays in memory.
"""

from __future__ import annotations

import imaplib
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

from deploy.demo.people import temporary_home
from directory.ldap.protocol import ber

PROTOCOL_ERRORS = (smtplib.SMTPException, imaplib.IMAP4.error)


class NotOpened(Exception):
    """A letter could not be decrypted with the key at hand."""


class NotRefused(smtplib.SMTPException):
    """The server took what it must refuse."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A letter as its reader sees it."""

    outer_subject: str
    inner: bytes = field(repr=False)
    good_signature: bool

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.inner, policy=policy.default)

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def attachments(self) -> list[bytes]:
        return [cast(bytes, part.get_payload(decode=True)) for part in self.message.iter_attachments()]


def tls(ca: Path, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def send_as_system(
    port: int, context: ssl.SSLContext, sender: str, recipients: list[str], data: bytes
) -> None:
    """Implicit TLS with the system's client certificate, SASL EXTERNAL (RFC 4422, appendix A)."""
    with smtplib.SMTP_SSL("localhost", port, context=context, timeout=60) as smtp:
        smtp.ehlo("hopital.demo.test")
        code, answer = smtp.docmd("AUTH", "EXTERNAL =")
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, answer)
        smtp.sendmail(sender, recipients, data, mail_options=["BODY=8BITMIME"])


def send_as_person(
    port: int, context: ssl.SSLContext, address: str, password: str, recipients: list[str], data: bytes
) -> None:
    """Submission with STARTTLS and an app password."""
    with smtplib.SMTP("localhost", port, timeout=60) as smtp:
        smtp.starttls(context=context)
        smtp.login(address, password)
        smtp.sendmail(address, recipients, data)


def send_as_operator(
    port: int, context: ssl.SSLContext, sender: str, recipients: list[str], data: bytes
) -> None:
    """Port 25, STARTTLS with the operator's certificate."""
    with smtplib.SMTP("localhost", port, timeout=60) as smtp:
        smtp.starttls(context=context)
        smtp.sendmail(sender, recipients, data)


@contextmanager
def mailbox(port: int, context: ssl.SSLContext, address: str, password: str) -> Generator[imaplib.IMAP4_SSL]:
    imap = imaplib.IMAP4_SSL("localhost", port, ssl_context=context, timeout=60)
    try:
        imap.login(address, password)
        yield imap
    finally:
        imap.logout()


def folders(imap: imaplib.IMAP4_SSL) -> list[str]:
    _, lines = imap.list('""', "*")
    return [cast(bytes, line).decode().rpartition(' "/" ')[2].strip('"') for line in lines if line]


def newest(imap: imaplib.IMAP4_SSL, folder: str = "INBOX") -> bytes:
    """The newest letter of a folder, as it lies on the server."""
    imap.select(f'"{folder}"', readonly=True)
    _, found = imap.uid("SEARCH", "ALL")
    uids = cast(bytes, found[0]).split()
    if not uids:
        raise NotOpened(f"{folder} is empty")
    _, data = imap.uid("FETCH", uids[-1].decode(), "(BODY.PEEK[])")
    return cast(tuple[bytes, bytes], data[0])[1]


def open_with_gpg(stored: bytes, secret_key: Path, passphrase: str, authority: Path | None) -> Opened:
    """Decrypt with GnuPG, as Thunderbird or mutt would. Raises NotOpened."""
    outer = message_from_bytes(stored, policy=policy.default)
    with temporary_home() as home:
        _gpg(home, ["--import", str(secret_key)], b"", passphrase)
        if authority is not None:
            _gpg(home, ["--import", str(authority)], b"", passphrase)
        done = _gpg(home, ["--decrypt"], _armored(stored), passphrase)
        status = done.stderr.decode(errors="replace")
        if "DECRYPTION_OKAY" not in status:
            raise NotOpened("gpg cannot open it with this key")
        return Opened(str(outer["Subject"]), done.stdout, "GOODSIG" in status)


def _armored(stored: bytes) -> bytes:
    begin = stored.find(b"-----BEGIN PGP MESSAGE-----")
    if begin < 0:
        raise NotOpened("it is not encrypted")
    return stored[begin:]


def _gpg(
    home: Path, arguments: list[str], data: bytes, passphrase: str
) -> subprocess.CompletedProcess[bytes]:
    command = [
        "gpg", "--homedir", str(home), "--batch", "--yes", "--status-fd", "2", "--pinentry-mode", "loopback",
        "--passphrase", passphrase, "--trust-model", "always", *arguments,
    ]  # fmt: skip
    return subprocess.run(command, input=data, capture_output=True, check=False)


def refusal(send: Callable[[], None]) -> str:
    """The line the server refuses with. Raises NotRefused when it takes the letter."""
    try:
        send()
    except smtplib.SMTPRecipientsRefused as refused:
        code, line = next(iter(refused.recipients.values()))
    except smtplib.SMTPResponseException as refused:
        code, line = refused.smtp_code, refused.smtp_error
    else:
        raise NotRefused("it was accepted")
    return f"{code} {line.decode(errors='replace') if isinstance(line, bytes) else line}"


def found_by_ldap(port: int, name: str) -> bytes:
    """What a mail program is answered that looks a family name up, without logging in (RFC 4511 §4.5.1)."""
    subtree, never, most, seconds = ber.number(2, 0x0A), ber.number(0, 0x0A), ber.number(20), ber.number(10)
    is_named = ber.sequence([ber.octets(b"sn"), ber.octets(name.encode())], 0xA3)
    asked = [ber.octets(b"dc=mssante,dc=fr"), subtree, never, most, seconds, ber.truth(of=False), is_named]
    asked.append(ber.sequence([ber.octets(b"mail")]))
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(ber.sequence([ber.number(1), ber.sequence(asked, 0x63)]))
        told, at = b"", 0
        while True:
            length = ber.message_length(told[at:], 1 << 20)
            if length is None or len(told) < at + length:
                if not (piece := connection.recv(65_536)):
                    return told
                told += piece
                continue
            _, start, stop = ber.header(told, at, at + length)
            _, _, operation = ber.header(told, start, stop)
            if told[operation] == 0x65:  # searchResDone
                return told
            at += length
