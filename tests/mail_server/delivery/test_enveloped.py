"""S/MIME that came enveloped passes as it came where its readers' own programs open it; else it is sealed around."""

from __future__ import annotations

import email
import re
from collections.abc import Sequence
from email import policy
from pathlib import Path

import pytest

from mail_server.accounts.interface import Kind
from mail_server.store.model import Form, State
from tests.directory.smime import decrypted, encrypted, own_certificate

INSIDE = b"Content-Type: text/plain; charset=utf-8\r\n\r\nLe bilan est joint.\r\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("smime")
    return {
        name: own_certificate(folder, f"{name}@mss.essai.test", curve=name == "nurse")
        for name in ("gp", "nurse", "doctor")
    }


def publish(desk, certificate: Path) -> None:
    from tests.mail_server.delivery.conftest import now

    desk.node.directory.publish_x509(f"{certificate.stem}@mss.essai.test", certificate.read_bytes(), now())


def enveloped(
    sender: str, to: str, certificates: Sequence[Path], *options: str, subject: str = "Sortie de M. Eluard"
) -> bytes:
    """As a mail program hands it over: CRLF throughout."""
    made = (
        encrypted(INSIDE, certificates, "-binary", *options).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    )
    return f"From: <{sender}>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <s@essai>\r\n".encode() + made


@pytest.mark.parametrize(
    "options",
    [[], ["-stream"], ["-keyid"], ["-aes-256-gcm", "-stream"]],
    ids=["enveloped", "indefinite lengths", "key identifier", "authEnveloped"],
)
async def test_it_passes_byte_for_byte_to_someone_whose_certificate_it_names(
    desk, certificates, options: list[str]
) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    publish(desk, certificates["gp"])
    sent = enveloped(robot.address, gp.address, [certificates["gp"]], *options)
    await desk.send(robot, sent, gp.address)
    [(row, stored)] = await desk.inbox(gp)
    assert (row.form, row.state) == (Form.VERBATIM, State.SUBJECT_OUTSIDE)
    assert stored.endswith(sent)
    told = email.message_from_bytes(stored, policy=policy.default)
    assert told["Vaguemestre-State"] == "subject outside"
    assert row.size == len(stored)
    assert decrypted(stored, certificates["gp"]) == INSIDE


async def test_as_outlook_writes_it_with_the_old_name_and_without_saying_which(desk, certificates) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    publish(desk, certificates["gp"])
    sent = enveloped(robot.address, gp.address, [certificates["gp"]], subject="...")
    sent = re.sub(
        rb"Content-Type: application/pkcs7-mime;[^\r]*",
        b'Content-Type: application/x-pkcs7-mime; name="smime.p7m"',
        sent,
    )
    await desk.send(robot, sent, gp.address)
    [(row, stored)] = await desk.inbox(gp)
    assert (row.form, row.state) == (Form.VERBATIM, State.SEALED)
    assert stored.endswith(sent)


async def test_to_somebody_whose_certificate_it_does_not_name_it_is_sealed_around(desk, certificates) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    sent = enveloped(robot.address, gp.address, [certificates["gp"]])
    await desk.send(robot, sent, gp.address)  # nothing of S/MIME is published
    publish(desk, certificates["gp"])
    other = enveloped(robot.address, gp.address, [certificates["doctor"]], subject="deux")
    await desk.send(robot, other, gp.address)
    copies = await desk.inbox(gp)
    assert [(row.form, row.state) for row, _ in copies] == [(Form.SPLIT, State.SEALED)] * 2
    assert [desk.open("gp", stored).subject for _, stored in copies] == ["Sortie de M. Eluard", "deux"]


async def test_each_addressee_is_looked_at_alone(desk, certificates) -> None:
    robot, gp, nurse = (
        await desk.account("robot", Kind.APP),
        await desk.sealed("gp"),
        await desk.sealed("nurse"),
    )
    publish(desk, certificates["gp"])
    publish(desk, certificates["nurse"])
    sent = enveloped(robot.address, gp.address, [certificates["gp"]])
    await desk.send(robot, sent, gp.address, nurse.address)
    [(row, stored)], [(around, _)] = await desk.inbox(gp), await desk.inbox(nurse)
    assert (row.form, around.form) == (Form.VERBATIM, Form.SPLIT)
    assert decrypted(stored, certificates["gp"]) == INSIDE


@pytest.mark.parametrize("named", [["nurse"], ["nurse", "doctor"]], ids=["one of them", "each of them"])
async def test_to_a_ward_it_passes_where_it_names_each_who_reads_it(desk, certificates, named) -> None:
    robot = await desk.account("robot", Kind.APP)
    ward = await desk.ward(await desk.sealed("nurse"), await desk.sealed("doctor"))
    for one in ("nurse", "doctor"):
        publish(desk, certificates[one])
    await desk.send(
        robot, enveloped(robot.address, ward.address, [certificates[one] for one in named]), ward.address
    )
    [(row, _)] = await desk.inbox(ward)
    assert row.form is (Form.VERBATIM if len(named) == 2 else Form.SPLIT)


async def test_a_certificate_that_was_withdrawn_counts_no_more(desk, certificates) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    publish(desk, certificates["gp"])
    fingerprint = desk.node.directory.x509_fingerprint(gp.address)
    desk.node.directory.revoke_x509(gp.address, fingerprint, 1)
    await desk.send(robot, enveloped(robot.address, gp.address, [certificates["gp"]]), gp.address)
    [(row, _)] = await desk.inbox(gp)
    assert row.form is Form.SPLIT


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda sent: sent + b"\r\nEn clair, sous le chiffre, des mots qui disent tout.\r\n" * 20,
        lambda sent: re.sub(rb"\r\n\r\n.*", b"\r\n\r\nZW4gY2xhaXI=\r\n", sent, flags=re.DOTALL),
        lambda sent: sent[: sent.index(b"\r\n\r\n") + 300],
    ],
    ids=["words below", "only the name of it", "cut short"],
)
async def test_what_only_claims_to_be_enveloped_is_sealed_whole(desk, certificates, spoilt) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    publish(desk, certificates["gp"])
    await desk.send(robot, spoilt(enveloped(robot.address, gp.address, [certificates["gp"]])), gp.address)
    [(row, _)] = await desk.inbox(gp)
    assert (row.form, row.state) == (Form.SPLIT, State.SEALED)


async def test_in_custody_it_lies_as_it_came_and_stays_so_once_a_key_is_published(desk, certificates) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.account("gp")
    publish(desk, certificates["gp"])
    sent = enveloped(robot.address, gp.address, [certificates["gp"]])
    await desk.send(robot, sent, gp.address)
    [(before, stored)] = await desk.inbox(gp)
    assert before.state is State.CUSTODY
    desk.publish("gp")
    assert await desk.node.resealer.begin(gp) == 1
    [(row, after)] = await desk.inbox(gp)
    assert (row.form, row.state, row.thread_id) == (Form.VERBATIM, State.SUBJECT_OUTSIDE, before.thread_id)
    assert after == stored.replace(b"Vaguemestre-State: custody", b"Vaguemestre-State: subject outside")
    assert await desk.node.resealer.begin(gp) == 0
    assert decrypted(after, certificates["gp"]) == INSIDE


async def test_it_is_rendered_for_imap_as_what_it_is(desk, certificates) -> None:
    robot, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    publish(desk, certificates["gp"])
    await desk.send(robot, enveloped(robot.address, gp.address, [certificates["gp"]]), gp.address)
    [(row, stored)] = await desk.inbox(gp)
    assert row.rendered.bodystructure.upper().startswith(b'("APPLICATION" "PKCS7-MIME"')
    assert b"Sortie de M. Eluard" in row.rendered.envelope
    assert stored.startswith(row.rendered.header)
