"""Debian's Postfix as a third operator, which knows of us our certificate alone: letters and reports both ways."""

from __future__ import annotations

import secrets
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dkim
import pytest

from deploy.demo import clients, letters, pki, thief, world
from deploy.demo.federation_world import Commons
from tests.peers.federation import NOBODY, Federation, federation
from tests.peers.postfix.operator import DOMAIN, Partner, Postfix, postfix
from tests.peers.test_federation_exchange import carrying, found, machine, report_on, texts

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def three() -> Iterator[tuple[Federation, Postfix]]:
    """Our two operators and Postfix, in one trust list."""
    kept = socket.socket()  # so that no node of ours takes the port, until Postfix does
    port = world.free_port_base() + 26
    kept.bind(("127.0.0.1", port))
    leaves: list[pki.Leaf] = []

    def listed(commons: Commons) -> None:
        leaves.append(commons.operator(DOMAIN, 60))
        commons.admit(leaves[0].dn, DOMAIN)

    with federation(also={DOMAIN: {"smtp": port, "https": NOBODY}}, rows=listed, bad={}) as made:
        here = made.here
        kept.close()
        partner = Partner(here.domains, here.ports["smtp"], f"smtp.{here.domain}", here.leaf)
        with postfix(made.commons, leaves[0], port, [partner]) as served:
            yield made, served


def letter_of(sender: str, recipient: str, name: str) -> tuple[str, letters.Letter]:
    word = f"{name}{secrets.token_hex(8)}"
    return word, letters.report(sender, recipient, pdf_bytes=30_000, patient=f"Marc {word}", closing=word)


def submit(made: Federation, recipient: str, data: bytes, *options: str) -> None:
    """By swaks, as a program of Claire's."""
    command = [
        "swaks", "--server", f"localhost:{made.here.ports['submission']}", "--tls",
        "--tls-ca-path", str(made.commons.ca),
        "--auth", "PLAIN", "--auth-user", made.claire.address, "--auth-password", made.claire.password,
        "--from", made.claire.address, "--to", recipient, "--data", "-", *options,
    ]  # fmt: skip
    done = subprocess.run(command, input=data.replace(b"\r\n", b"\n"), capture_output=True, timeout=150)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


def test_ours_to_postfix_by_the_gate(three: tuple[Federation, Postfix]) -> None:
    made, served = three
    word, letter = letter_of(made.claire.address, served.address("agnes"), "sortie")
    submit(made, served.address("agnes"), letter.data)
    stored = served.await_letter("agnes", b"X-MSS-NIL")
    received: EmailMessage = message_from_bytes(stored, policy=policy.default)
    assert str(received["Subject"]) == letter.subject
    assert [part.get_payload(decode=True) for part in received.iter_attachments()] == [letter.attachment]
    assert "Client CN" in str(received["Received"])
    assert "verified OK" in str(received["Received"])
    assert thief.search([made.here.node, made.here.folder / "node.log"], [word]) == []
    told = report_on(served.address("agnes"), made.here, made.claire)
    assert "lisible par lui" in texts(told)


def test_what_postfix_holds_bears_a_good_signature(three: tuple[Federation, Postfix]) -> None:
    """dkimpy, with the keys that `dkim show` prints for the zone."""
    made, served = three
    word, letter = letter_of(made.claire.address, served.address("bruno"), "signature")
    submit(made, served.address("bruno"), letter.data)
    stored = served.await_letter(
        "bruno", word.encode()[:20] if word.encode() in letter.data else b"X-MSS-NIL"
    )
    records = {one["name"]: one["record"] for one in made.here.command("dkim_show")}

    def txt(name: bytes, timeout: int = 5) -> bytes:
        return str(records.get(name.decode().rstrip("."), "")).encode()

    count = stored.count(b"\nDKIM-Signature:") + stored.startswith(b"DKIM-Signature:")
    assert count == 2
    verifier: Any = dkim.DKIM(stored.replace(b"\n", b"\r\n"))
    assert all(verifier.verify(idx=at, dnsfunc=txt) for at in range(count))


def test_postfix_to_ours_sealed_at_our_door(three: tuple[Federation, Postfix]) -> None:
    made, served = three
    word, letter = letter_of(served.address("agnes"), made.claire.address, "entree")
    served.send(served.address("agnes"), [made.claire.address], letter.data.replace(b"\r\n", b"\n"))
    inner = carrying(word, made.here, made.claire)
    assert inner.attachments == [letter.attachment]
    assert inner.good_signature
    assert "Verified TLS connection" in served.await_log("Verified TLS connection")
    assert thief.search([made.here.node, made.here.folder / "node.log"], [word]) == []


def test_our_report_of_success_reaches_the_sender_at_postfix(three: tuple[Federation, Postfix]) -> None:
    made, served = three
    word, letter = letter_of(served.address("agnes"), made.claire.address, "avis")
    served.send(
        served.address("agnes"),
        [made.claire.address],
        letter.data.replace(b"\r\n", b"\n"),
        "-N", "success,failure", "-V", "essai-7",
    )  # fmt: skip
    told: EmailMessage = message_from_bytes(served.await_letter("agnes", b"essai-7"), policy=policy.default)
    assert str(told["Return-Path"]) in ("<>", "")
    assert told["Auto-Submitted"] == "auto-replied"
    assert "scellé" in texts(told)
    assert word not in str(told)


def test_the_report_of_success_of_postfix_reaches_our_sender(three: tuple[Federation, Postfix]) -> None:
    made, served = three
    _, letter = letter_of(made.claire.address, served.address("bruno"), "retour")
    with smtplib.SMTP("localhost", made.here.ports["submission"], timeout=120) as smtp:
        smtp.starttls(context=clients.tls(made.commons.ca))
        smtp.login(made.claire.address, made.claire.password)
        smtp.sendmail(
            made.claire.address,
            [served.address("bruno")],
            letter.data,
            mail_options=["ENVID=essai-8"],
            rcpt_options=["NOTIFY=SUCCESS,FAILURE"],
        )
    told = carrying("delivered to maildir", made.here, made.claire).message
    assert "MAILER-DAEMON" in str(told["From"])
    whole, _ = machine(told)
    assert whole["Original-Envelope-Id"] == "essai-8"


def test_an_address_that_postfix_does_not_know_comes_back_in_french(
    three: tuple[Federation, Postfix],
) -> None:
    made, served = three
    word, letter = letter_of(made.claire.address, served.address("personne"), "inconnu")
    submit(made, served.address("personne"), letter.data)
    told = report_on(served.address("personne"), made.here, made.claire)
    assert "non distribué" in str(told["Subject"])
    assert "User unknown in virtual mailbox table" in texts(told)
    assert word not in str(told)


def test_a_greylist_only_delays(three: tuple[Federation, Postfix]) -> None:
    made, served = three
    word, letter = letter_of(made.claire.address, served.address("grise"), "liste")
    submit(made, served.address("grise"), letter.data)
    served.await_letter("grise", b"X-MSS-NIL")
    assert served.greylist.put_off == 1
    assert len(served.letters("grise")) == 1
    assert thief.search([made.here.node, made.here.folder / "node.log"], [word]) == []


def test_an_address_that_we_do_not_know_comes_back_to_postfix(three: tuple[Federation, Postfix]) -> None:
    made, served = three
    word, letter = letter_of(served.address("bruno"), f"personne@{made.here.domain}", "absent")
    served.send(
        served.address("bruno"), [f"personne@{made.here.domain}"], letter.data.replace(b"\r\n", b"\n")
    )
    told = served.await_letter("bruno", f"personne@{made.here.domain}".encode())
    assert b"550 5.1.1" in told
    assert word.encode() not in b"".join(
        made.here.node.joinpath("vaguemestre.toml").read_bytes().splitlines()
    )


def test_an_operator_whose_certificate_postfix_does_not_know_hands_nothing_over(
    three: tuple[Federation, Postfix],
) -> None:
    """Postfix is a closed operator too: the second of ours is no partner of it, and its letters wait."""
    made, served = three
    _, letter = letter_of(made.yves.address, served.address("agnes"), "ferme")
    made.there.send(made.yves, [served.address("agnes")], letter.data)
    served.await_log("Client host rejected: Access denied")
    told = report_on(served.address("agnes"), made.there, made.yves)
    assert "non distribué" in str(told["Subject"])
    assert Path(served.folder / "mail" / "agnes").exists()
    assert not [one for one in served.letters("agnes") if made.yves.address.encode() in one]


# -- as a server of another age, until the end of this file ---------------------------------------------------------

SUBJECT, NAMED = "Bilan de Mme Éluard, à relire", "résumé d’hôpital.pdf"


@pytest.fixture(scope="module")
def bare(three: tuple[Federation, Postfix]) -> tuple[Federation, Postfix]:
    _, served = three
    served.offer_no("8bitmime", "smtputf8", "pipelining", "dsn", "size")
    return three


def raw(made: Federation, to: str, kind: str, *parts: str) -> bytes:
    """As old programs write: eight bits everywhere, in the header too."""
    head = f"From: Hélène <{made.claire.address}>\r\nTo: {to}\r\nSubject: {SUBJECT}\r\nMIME-Version: 1.0\r\n"
    body = "".join(f"--b\r\n{part}\r\n" for part in parts)
    return f'{head}Content-Type: multipart/{kind}; boundary="b"\r\n\r\n{body}--b--\r\n'.encode()


def text(words: str) -> str:
    return f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{words}"


def test_what_was_written_in_eight_bits_reaches_a_server_that_takes_seven(
    bare: tuple[Federation, Postfix],
) -> None:
    made, served = bare
    words, to = f"À surveiller : œdème {secrets.token_hex(8)}", served.address("agnes")
    kind = f'Content-Type: application/pdf; name="{NAMED}"\r\n'
    attached = f'{kind}Content-Disposition: attachment; filename="{NAMED}"\r\n'
    attached += "Content-Transfer-Encoding: base64\r\n\r\nJVBERg=="
    long = "Content-Type: text/csv\r\n\r\n" + "valeur;" * 400
    submit(made, to, raw(made, to, "mixed", text(words), attached, long))
    stored = served.await_letter("agnes", b"text/csv")
    assert stored.isascii()
    assert max(map(len, stored.splitlines())) <= 998
    received: EmailMessage = message_from_bytes(stored, policy=policy.default)
    assert (received["Subject"], received["From"].addresses[0].display_name) == (SUBJECT, "Hélène")
    first, second, third = received.iter_parts()
    assert str(first.get_content()).strip() == words
    assert (second.get_filename(), second.get_content()) == (NAMED, b"%PDF")
    assert third.get_content().strip() == "valeur;" * 400
    told = report_on(to, made.here, made.claire)
    assert machine(told)[1]["Action"] == "relayed"


def test_what_its_program_signed_in_eight_bits_is_not_changed_and_comes_back(
    bare: tuple[Federation, Postfix],
) -> None:
    made, served = bare
    to = served.address("bruno")
    signature = "Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA"
    submit(made, to, raw(made, to, "signed; micalg=sha-256", text("Signé à la main"), signature))

    def is_it(inner: clients.Opened) -> bool:
        return "eight-bit-not-offered" in str(inner.message)

    told = found(made.here, made.claire, is_it).message
    assert "Renvoyez le message sans le signer" in texts(told)
    assert machine(told)[1]["Status"] == "5.6.3"


def test_an_address_with_an_accent_is_refused_in_plain_words(bare: tuple[Federation, Postfix]) -> None:
    made, served = bare
    to = served.address("hélène")
    with smtplib.SMTP("localhost", made.here.ports["submission"], timeout=120) as smtp:
        smtp.starttls(context=clients.tls(made.commons.ca))
        smtp.login(made.claire.address, made.claire.password)
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        smtp.sendmail(made.claire.address, [to], raw(made, to, "mixed", text("é")), mail_options=options)

    def is_it(inner: clients.Opened) -> bool:
        return "smtputf8-not-offered" in str(inner.message)

    told = found(made.here, made.claire, is_it).message
    assert "Écrivez à une adresse sans accents" in texts(told)
