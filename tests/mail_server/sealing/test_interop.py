"""What we seal is opened by the programs people have, with a signature they find good."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pysequoia
import pytest

from directory.openpgp.certificate import Certificate
from directory.openpgp.gate import gate
from directory.openpgp.packets import Tag, key_packet, seipd_version, span
from mail_server.sealing.authority import Authority
from mail_server.sealing.engine import OpenPgpEngine
from mail_server.sealing.interface import Sealed

LETTER = "Content-Type: text/plain; charset=utf-8\r\n\r\nCompte rendu d'hospitalisation, é\r\n".encode()

Whole = Callable[[Sealed], bytes]
Gated = Callable[[Any, str], Certificate]


def key_ids(sealed: Sealed) -> list[str | None]:
    found: list[str | None] = []
    for one in sealed.key_packets:
        part = span(one.packet)
        assert part.tag == Tag.PKESK
        header = key_packet(part.body(one.packet))
        assert header.version == 3
        found.append(header.key_id)
    return found


@pytest.mark.parametrize("kind", ["cv25519", "rsa3072"])
async def test_gnupg_opens_it_and_finds_the_gateway_s_signature_good(
    engine: OpenPgpEngine, reader: Any, whole: Whole, request: pytest.FixtureRequest, kind: str
) -> None:
    recipient: Certificate = request.getfixturevalue(kind)
    sealed = await engine.seal(LETTER, [recipient])
    clear, said = reader.opens(whole(sealed))
    assert clear == LETTER
    assert "[GNUPG:] GOODSIG" in said
    assert "Vaguemestre gateway <gateway@mss.example>" in said
    assert "[GNUPG:] DECRYPTION_INFO 2 9" in said  # integrity-protected (version 1), AES-256


async def test_it_is_neither_compressed_nor_turned_into_text(
    engine: OpenPgpEngine, cv25519: Certificate, reader: Any, whole: Whole
) -> None:
    odd = bytes(range(256)) * 4 + b"line\nline\r\nline\r"
    message = whole(await engine.seal(odd, [cv25519]))
    clear, _ = reader.opens(message)
    assert clear == odd
    listed = reader.run("--list-packets", data=message).stdout.decode()
    assert "mode b" in listed
    assert ":compressed packet:" not in listed


async def test_each_recipient_gets_one_key_packet_and_opens_with_it_alone(
    engine: OpenPgpEngine, cv25519: Certificate, rsa3072: Certificate, reader: Any
) -> None:
    sealed = await engine.seal(LETTER, [cv25519, rsa3072])
    assert {one.fingerprint for one in sealed.key_packets} == {cv25519.fingerprint, rsa3072.fingerprint}
    assert set(key_ids(sealed)) == {cv25519.encryption_key_id, rsa3072.encryption_key_id}
    for one in sealed.key_packets:
        clear, _ = reader.opens(one.packet + sealed.body)
        assert clear == LETTER


async def test_an_empty_letter_and_a_large_one_come_back_the_same(
    engine: OpenPgpEngine, cv25519: Certificate, reader: Any, whole: Whole
) -> None:
    for letter in (b"", b"x" * (6 << 20)):  # beyond 4 MiB the data packet comes in partial lengths
        sealed = await engine.seal(letter, [cv25519])
        assert seipd_version(sealed.body, span(sealed.body)) == 1
        assert reader.opens(whole(sealed))[0] == letter


async def test_a_certificate_silent_about_its_features_still_gets_what_gnupg_reads(
    engine: OpenPgpEngine, forge: ModuleType, gated: Gated, reader: Any, whole: Whole
) -> None:
    made = forge.Forge()
    silent = gated(made.certificate("silent@mss.example", features=None), "silent@mss.example")
    # The trap this guards against: left alone, the library writes what neither GnuPG nor Thunderbird reads.
    alone = pysequoia.encrypt(b"x", [pysequoia.Cert.from_bytes(silent.minimised)], armor=False)
    assert key_packet(span(alone).body(alone)).version == 6
    sealed = await engine.seal(LETTER, [silent])
    assert key_ids(sealed) == [silent.encryption_key_id]
    imported = reader.run("--import", data=made.secret_key("silent@mss.example", features=None))
    assert imported.returncode == 0, imported.stderr
    assert reader.opens(whole(sealed))[0] == LETTER


async def test_rnp_opens_what_is_sealed_to_a_key_it_made(
    engine: OpenPgpEngine, tmp_path: Path, whole: Whole
) -> None:
    if shutil.which("rnp") is None:
        pytest.skip("rnp is not installed")
    address = "rnp@mss.example"
    home = ["--homedir", str(tmp_path / "rnp"), "--password", ""]
    (tmp_path / "rnp").mkdir(mode=0o700)

    def run(*command: str) -> bytes:
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout

    run("rnpkeys", *home, "--generate-key", "--numbits", "3072", "--userid", address)
    exported = run("rnpkeys", *home, "--export-key", address)
    sealed = await engine.seal(LETTER, [gate(exported, address, int(time.time() * 1000))])
    (tmp_path / "letter.pgp").write_bytes(whole(sealed))
    run("rnp", *home, "--decrypt", str(tmp_path / "letter.pgp"), "--output", str(tmp_path / "clear"))
    assert (tmp_path / "clear").read_bytes() == LETTER


async def test_a_key_that_advertises_newer_features_gets_the_universal_shape_too(
    engine: OpenPgpEngine, gated: Gated, authority: Authority, whole: Whole
) -> None:
    key = pysequoia.Tsk.generate("sq@mss.example", profile=pysequoia.Profile.RFC4880)
    recipient = gated(bytes(key.extract_certificate()), "sq@mss.example")
    sealed = await engine.seal(LETTER, [recipient])
    assert key_ids(sealed) == [recipient.encryption_key_id]
    signer = pysequoia.Cert.from_bytes(authority.certificate())
    opened = pysequoia.decrypt(whole(sealed), key.decryptor(), lambda _ids: [signer])
    assert opened.bytes == LETTER
    assert len(opened.valid_sigs) == 1


async def test_two_hundred_recipients_get_one_key_packet_each(
    engine: OpenPgpEngine, forge: ModuleType, gated: Gated
) -> None:
    people = [gated(forge.Forge().certificate(f"p{n}@mss.example"), f"p{n}@mss.example") for n in range(200)]
    sealed = await engine.seal(LETTER, people)
    assert len(sealed.key_packets) == 200
    named = {one.fingerprint: key_id for one, key_id in zip(sealed.key_packets, key_ids(sealed), strict=True)}
    assert named == {one.fingerprint: one.encryption_key_id for one in people}


async def test_many_letters_at_once_do_not_mix(
    engine: OpenPgpEngine, cv25519: Certificate, rsa3072: Certificate, reader: Any
) -> None:
    letters = [b"letter %d" % n * (n * 50 + 1) for n in range(40)]
    recipients = [cv25519 if n % 2 else rsa3072 for n in range(40)]
    sealed = await asyncio.gather(
        *(engine.seal(letter, [to]) for letter, to in zip(letters, recipients, strict=True))
    )
    secrets = {one.fingerprint: reader.secret(one) for one in (cv25519, rsa3072)}
    for letter, to, one in zip(letters, recipients, sealed, strict=True):
        assert [packet.fingerprint for packet in one.key_packets] == [to.fingerprint]
        assert await engine.open(one.key_packets[0].packet + one.body, secrets[to.fingerprint]) == letter
