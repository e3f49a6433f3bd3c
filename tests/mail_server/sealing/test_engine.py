"""The engine fails closed: nothing clear on failure, nothing said but slugs, nothing opened that was touched."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from directory.openpgp.certificate import Certificate
from directory.openpgp.packets import Tag, frame
from mail_server.sealing import frames
from mail_server.sealing.authority import Authority
from mail_server.sealing.engine import OpenPgpEngine
from mail_server.sealing.frames import Slug
from mail_server.sealing.interface import KeyPacket, OpeningError, Sealed, SealingEngine, SealingError
from mail_server.sealing.pool import Pool
from mail_server.sealing.settings import SealingSettings
from mail_server.sealing.universal import WrongShape, check, split

CANARY = b"CANARY-Madame-Dupont-oncologie"

Whole = Callable[[Sealed], bytes]


async def test_it_is_a_sealing_engine(engine: OpenPgpEngine, cv25519: Certificate) -> None:
    asked: SealingEngine = engine
    assert (await asked.seal(CANARY, [cv25519])).body


async def test_the_body_holds_nothing_clear_and_no_letter_looks_like_another(
    engine: OpenPgpEngine, cv25519: Certificate
) -> None:
    first, second = await engine.seal(CANARY, [cv25519]), await engine.seal(CANARY, [cv25519])
    assert CANARY not in first.body
    assert first.body != second.body


async def test_nobody_to_seal_to_is_a_failure(engine: OpenPgpEngine) -> None:
    with pytest.raises(SealingError, match="recipients-not-distinct"):
        await engine.seal(CANARY, [])


async def test_the_same_recipient_twice_is_a_failure(engine: OpenPgpEngine, cv25519: Certificate) -> None:
    with pytest.raises(SealingError, match="recipients-not-distinct"):
        await engine.seal(CANARY, [cv25519, cv25519])


async def test_a_certificate_that_does_not_match_its_fingerprint_is_a_failure(
    engine: OpenPgpEngine, cv25519: Certificate, rsa3072: Certificate
) -> None:
    swapped = dataclasses.replace(cv25519, minimised=rsa3072.minimised)
    with pytest.raises(SealingError, match="bad-certificate"):
        await engine.seal(CANARY, [swapped])


async def test_a_key_packet_that_names_another_subkey_is_a_failure(
    engine: OpenPgpEngine, cv25519: Certificate
) -> None:
    wrong = dataclasses.replace(cv25519, encryption_key_id="0123456789ABCDEF")
    with pytest.raises(SealingError, match="wrong-shape"):
        await engine.seal(CANARY, [wrong])


async def test_errors_say_a_slug_and_nothing_of_the_letter(
    engine: OpenPgpEngine, cv25519: Certificate
) -> None:
    broken = dataclasses.replace(cv25519, minimised=CANARY)
    with pytest.raises(SealingError) as caught:
        await engine.seal(CANARY, [broken])
    assert str(caught.value) in set(Slug)
    assert caught.value.__cause__ is None
    with pytest.raises(OpeningError) as unopened:
        await engine.open(CANARY, CANARY)
    assert str(unopened.value) in set(Slug)


async def test_before_the_signing_key_is_there_nothing_is_sealed(cv25519: Certificate) -> None:
    pool = Pool(SealingSettings(workers=1))
    await pool.start()
    try:
        with pytest.raises(SealingError, match="not-loaded"):
            await OpenPgpEngine(pool).seal(CANARY, [cv25519])
    finally:
        await pool.close()


# ------------------------------------------------------------ opening


async def test_what_was_sealed_is_opened_with_the_secret_key(
    engine: OpenPgpEngine, cv25519: Certificate, reader: Any, whole: Whole
) -> None:
    sealed = await engine.seal(CANARY, [cv25519])
    assert await engine.open(whole(sealed), reader.secret(cv25519)) == CANARY


async def test_what_gnupg_encrypted_is_opened(
    engine: OpenPgpEngine, cv25519: Certificate, reader: Any
) -> None:
    message = reader.run(
        "--trust-model", "always", "--encrypt", "-r", cv25519.fingerprint, data=CANARY * 50
    ).stdout
    assert await engine.open(message, reader.secret(cv25519)) == CANARY * 50


async def test_the_key_of_another_does_not_open(
    engine: OpenPgpEngine, cv25519: Certificate, rsa3072: Certificate, reader: Any, whole: Whole
) -> None:
    sealed = await engine.seal(CANARY, [cv25519])
    with pytest.raises(OpeningError, match="cannot-open"):
        await engine.open(whole(sealed), reader.secret(rsa3072))


async def test_tampered_ciphertext_is_never_opened(
    engine: OpenPgpEngine, cv25519: Certificate, reader: Any, whole: Whole
) -> None:
    secret = reader.secret(cv25519)
    message = whole(await engine.seal(CANARY * 20, [cv25519]))
    start = len(message) - 700
    for at in [*range(start, len(message), 23), len(message) - 1]:
        tampered = message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]
        with pytest.raises(OpeningError):
            await engine.open(tampered, secret)
    with pytest.raises(OpeningError):
        await engine.open(message[:-1], secret)


async def test_a_message_without_integrity_protection_is_not_opened(
    engine: OpenPgpEngine, cv25519: Certificate, reader: Any
) -> None:
    old = reader.run(
        "--trust-model", "always", "--rfc2440", "--cipher-algo", "AES256", "--disable-mdc",
        "--encrypt", "-r", cv25519.fingerprint, data=CANARY,
    ).stdout  # fmt: skip
    with pytest.raises(OpeningError):
        await engine.open(old.replace(b"\xd2", b"\xc9", 1), reader.secret(cv25519))


async def test_a_decompression_bomb_is_stopped_and_the_worker_lives(
    authority: Authority, cv25519: Certificate, reader: Any
) -> None:
    pool = Pool(SealingSettings(workers=1, largest_opened_mib=4))
    await pool.start()
    await pool.load(authority.signing_key())
    try:
        engine = OpenPgpEngine(pool)
        bomb = reader.run(
            "--trust-model", "always", "-z", "9", "--encrypt", "-r", cv25519.fingerprint, data=bytes(64 << 20)
        ).stdout
        assert len(bomb) < 1 << 20
        before = pool.pids
        with pytest.raises(OpeningError, match="too-large"):
            await engine.open(bomb, reader.secret(cv25519))
        assert (await engine.seal(CANARY, [cv25519])).body
        assert pool.pids == before
    finally:
        await pool.close()


async def test_a_letter_as_large_as_allowed_is_opened(
    authority: Authority, cv25519: Certificate, reader: Any, whole: Whole
) -> None:
    pool = Pool(SealingSettings(workers=1, largest_opened_mib=4))
    await pool.start()
    await pool.load(authority.signing_key())
    try:
        engine = OpenPgpEngine(pool)
        letter = b"x" * ((4 << 20) - 4096)
        sealed = await engine.seal(letter, [cv25519])
        assert await engine.open(whole(sealed), reader.secret(cv25519)) == letter
    finally:
        await pool.close()


# ------------------------------------------------------------ the shape


def pkesk(key_id: str, version: int = 3) -> bytes:
    return frame(Tag.PKESK, bytes([version]) + bytes.fromhex(key_id) + b"\x12key")


ONE, TWO, AWAY = "1" * 16, "2" * 16, "A" * 16
BODY = frame(Tag.SEIPD, b"\x01ciphertext")
WANTED = {ONE: "F" * 40, TWO: "E" * 40}


def test_the_throw_away_key_packet_is_cut_and_the_others_are_kept() -> None:
    message = pkesk(ONE) + pkesk(AWAY) + pkesk(TWO) + BODY
    found, at = split(message, WANTED, AWAY)
    assert found == [KeyPacket("F" * 40, pkesk(ONE)), KeyPacket("E" * 40, pkesk(TWO))]
    assert message[at:] == BODY


@pytest.mark.parametrize(
    "message",
    [
        pkesk(ONE) + pkesk(AWAY) + BODY,
        pkesk(ONE) + pkesk(TWO) + BODY,
        pkesk(ONE) + pkesk(ONE) + pkesk(TWO) + pkesk(AWAY) + BODY,
        pkesk(ONE) + pkesk(TWO) + pkesk("3" * 16) + pkesk(AWAY) + BODY,
        pkesk(ONE) + pkesk(TWO) + pkesk(AWAY) + pkesk(AWAY) + BODY,
        pkesk(ONE) + pkesk(TWO, version=6) + pkesk(AWAY) + BODY,
        pkesk(ONE) + pkesk(TWO) + pkesk("0" * 16) + pkesk(AWAY) + BODY,
        pkesk(ONE) + pkesk(TWO) + pkesk(AWAY) + frame(Tag.SEIPD, b"\x02newer"),
        pkesk(ONE) + pkesk(TWO) + pkesk(AWAY) + frame(Tag.ENCRYPTED_WITHOUT_MDC, b"older"),
        pkesk(ONE) + pkesk(TWO) + pkesk(AWAY) + frame(Tag.LITERAL, b"clear"),
        pkesk(ONE) + pkesk(TWO) + pkesk(AWAY) + BODY + BODY,
        pkesk(ONE) + pkesk(TWO) + pkesk(AWAY),
        pkesk(ONE) + pkesk(TWO) + pkesk(AWAY) + BODY[:-1],
        b"",
    ],
    ids=[
        "one missing", "throw-away missing", "one twice", "a stranger", "throw-away twice", "version 6",
        "a hidden one", "newer body", "older body", "clear body", "two bodies", "no body", "cut body", "nothing",
    ],
)  # fmt: skip
def test_any_other_shape_is_refused(message: bytes) -> None:
    with pytest.raises(WrongShape):
        split(message, WANTED, AWAY)


@pytest.mark.parametrize(
    ("body", "packets"),
    [
        (BODY, [KeyPacket("F" * 40, pkesk(ONE))]),
        (BODY, [KeyPacket("F" * 40, pkesk(ONE)), KeyPacket("E" * 40, pkesk(ONE))]),
        (BODY, [KeyPacket("F" * 40, pkesk(TWO)), KeyPacket("E" * 40, pkesk(ONE))]),
        (BODY, [KeyPacket("F" * 40, pkesk(ONE)), KeyPacket("E" * 40, pkesk(TWO) + b"x")]),
        (BODY + b"x", [KeyPacket("F" * 40, pkesk(ONE)), KeyPacket("E" * 40, pkesk(TWO))]),
        (b"clear", [KeyPacket("F" * 40, pkesk(ONE)), KeyPacket("E" * 40, pkesk(TWO))]),
    ],
)
def test_what_a_worker_answers_is_checked_again(body: bytes, packets: list[KeyPacket]) -> None:
    with pytest.raises(WrongShape):
        check(body, packets, WANTED)


def test_fields_are_packed_and_unpacked() -> None:
    fields = [b"", b"a", b"b" * 70_000]
    assert frames.unpack(frames.pack(fields)) == fields
    for broken in (frames.pack(fields)[:-1], b"\0", b"\0\0\0\x05abc"):
        with pytest.raises(frames.FrameError):
            frames.unpack(broken)


async def test_no_letter_reaches_a_disk(authority: Authority, cv25519: Certificate, tmp_path: Path) -> None:
    """Every file a worker opens for writing, as the kernel sees it, is memory-backed or none at all."""
    if shutil.which("strace") is None or os.getuid() != 0:
        pytest.skip("needs strace, and root to look into a worker")
    pool = Pool(SealingSettings(workers=1))
    await pool.start()
    await pool.load(authority.signing_key())
    trace = tmp_path / "trace"
    tracer = subprocess.Popen(
        ["strace", "-f", "-e", "trace=openat,open,creat", "-o", str(trace), "-p", str(pool.pids[0])],
        stderr=subprocess.DEVNULL,
    )
    try:
        await asyncio.sleep(0.5)
        key = pysequoia.Tsk.generate("t@mss.example", profile=pysequoia.Profile.RFC4880)
        engine = OpenPgpEngine(pool)
        sealed = await engine.seal(CANARY, [cv25519])
        assert sealed.body
        message = pysequoia.encrypt(CANARY, [key.extract_certificate()], armor=False)
        assert await engine.open(bytes(message), bytes(key)) == CANARY
    finally:
        tracer.terminate()
        tracer.wait()
        await pool.close()
    assert "/proc/self/fd/" in trace.read_text()
    written = [
        line
        for line in trace.read_text().splitlines()
        if ("O_WRONLY" in line or "O_RDWR" in line or "O_CREAT" in line) and "/proc/self/fd/" not in line
    ]
    assert written == []
