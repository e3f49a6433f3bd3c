"""Letters of other operators verified: what passes, what fails, what nobody can tell now."""

from __future__ import annotations

import asyncio
import base64
import os
import signal

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mail_server import mime
from mail_server.signatures.results import Result
from mail_server.signatures.settings import SignaturesSettings
from mail_server.signatures.verifier import Verifier
from mail_server.signatures.zone import NoKey, Zone
from tests.mail_server.signatures.desk import AUTHOR, FORWARDER, LETTER, Desk

# RFC 8463 §A.3: an Ed25519 and an RSA signature of one letter, and their keys (§A.2, and RFC 6376 §C).
STANDARD = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")
STANDARD_KEYS = {
    "brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519;"
    " p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test._domainkey.football.example.com": "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTz"
    "WRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM"
    "KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
}


def results(verified) -> list[Result]:
    return [one.result for one in verified.signatures]


def first_record(desk: Desk) -> tuple[str, str]:
    """Name and record of the RSA key in use."""
    key = desk.ring.pairs(AUTHOR)[0].public[0]
    return f"{key.selector}._domainkey.{AUTHOR}", key.record


def rsa_alone(letter: bytes) -> bytes:
    """Without the first field, the Ed25519 signature."""
    [first, *_] = mime.fields(letter)
    return letter[len(first.raw) :]


def signed_by_dkimpy(desk: Desk, bits: int, letter: bytes = LETTER, **more) -> bytes:
    key = generate_private_key(65537, bits)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    desk.dns.text(f"autre._domainkey.{AUTHOR}", f"v=DKIM1; p={base64.b64encode(public).decode()}")
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return dkim.sign(letter, b"autre", AUTHOR.encode(), secret, **more) + letter


async def test_our_own_signatures_pass(desk: Desk) -> None:
    assert results(await desk.verify(desk.signed())) == [Result.PASS, Result.PASS]


async def test_the_standards_own_letter_passes(desk: Desk) -> None:
    desk.dns.texts(STANDARD_KEYS)
    verified = await desk.verify(STANDARD, "football.example.com")
    assert [(one.result, one.bits) for one in verified.signatures] == [
        (Result.PASS, 256),
        (Result.PASS, 1024),
    ]


@pytest.mark.parametrize(
    "written", [(b"relaxed", b"relaxed"), (b"simple", b"simple"), (b"simple", b"relaxed")]
)
async def test_what_dkimpy_signs_passes_however_it_is_written(desk: Desk, written) -> None:
    verified = await desk.verify(signed_by_dkimpy(desk, 2048, canonicalize=written))
    assert results(verified) == [Result.PASS]


async def test_a_letter_without_signatures_starts_nothing_and_asks_nobody(desk: Desk) -> None:
    verified = await desk.verify(LETTER)
    assert (verified.signatures, verified.arc, desk.verifier.pids, desk.dns.asked) == (
        (),
        Result.NONE,
        [],
        [],
    )


async def test_the_worker_is_another_process_and_starts_with_the_first_signature(desk: Desk) -> None:
    await desk.verify(desk.signed())
    [pid] = desk.verifier.pids
    assert pid != os.getpid()


async def test_a_changed_body_fails(desk: Desk) -> None:
    assert results(await desk.verify(desk.signed() + b"ajout\r\n")) == [Result.FAIL, Result.FAIL]


async def test_a_changed_field_fails(desk: Desk) -> None:
    letter = desk.signed().replace(b"From: Marie", b"From: Paul")
    assert results(await desk.verify(letter)) == [Result.FAIL, Result.FAIL]


async def test_a_domain_without_keys_is_a_lasting_error(desk: Desk) -> None:
    letter = desk.signed().replace(f"d={AUTHOR}".encode(), b"d=sans.cle.test")
    assert results(await desk.verify(letter)) == [Result.PERMERROR, Result.PERMERROR]


@pytest.mark.parametrize("down", ["silent", "failing"])
async def test_a_dns_server_that_is_down_makes_a_passing_error(desk: Desk, down: str) -> None:
    setattr(desk.dns, down, True)
    desk.verifier._zone = Zone(desk.dns.address, 1.0)
    verified = await desk.verify(desk.signed())
    assert results(verified) == [Result.TEMPERROR, Result.TEMPERROR]
    assert verified.later
    assert desk.verifier.counters.temporary == 1


async def test_a_silent_dns_server_is_not_waited_for_by_each_letter(desk: Desk) -> None:
    desk.dns.silent = True
    desk.verifier._zone = Zone(desk.dns.address, 0.5, lambda: 0.0)
    await desk.verify(desk.signed())
    asked = len(desk.dns.asked)
    assert asked
    assert results(await desk.verify(desk.signed())) == [Result.TEMPERROR, Result.TEMPERROR]
    assert len(desk.dns.asked) == asked


async def test_it_is_asked_again_after_half_a_minute(desk: Desk) -> None:
    passed = [0.0]
    zone = Zone(desk.dns.address, 1.0, lambda: passed[0])
    name, record = first_record(desk)
    desk.dns.silent = True
    assert await zone.key(name) != record
    desk.dns.silent = False
    assert await zone.key(name) != record
    passed[0], zone._seconds = 31.0, 60.0
    assert await zone.key(name) == record


async def test_the_silence_of_one_domain_costs_the_others_nothing(desk: Desk) -> None:
    """Whoever signs a letter chooses a domain whose name servers do not answer."""
    zone = Zone(desk.dns.address, 0.3, lambda: 0.0)
    name, record = first_record(desk)
    desk.dns.silent = True
    assert await zone.key("s._domainkey.muet.test") is NoKey.UNKNOWN
    desk.dns.silent = False
    zone._seconds = 60.0
    assert await zone.key("s._domainkey.muet.test") is NoKey.UNKNOWN  # left alone
    assert await zone.key(name) == record


async def test_an_expired_signature_fails(desk: Desk) -> None:
    desk.signer._expiry = 3600
    letter = desk.signed()
    desk.clock.days(1)
    assert [(one.result, one.comment) for one in (await desk.verify(letter)).signatures] == [
        (Result.FAIL, "expired")
    ] * 2


async def test_a_signature_of_tomorrow_fails(desk: Desk) -> None:
    letter = desk.signed()
    desk.clock.days(-1)
    assert results(await desk.verify(letter)) == [Result.FAIL, Result.FAIL]


async def test_a_signature_over_part_of_the_body_says_nothing(desk: Desk) -> None:
    letter = signed_by_dkimpy(desk, 2048, length=True)
    assert results(await desk.verify(letter)) == [Result.NEUTRAL]
    assert results(await desk.verify(letter + b"tout autre chose\r\n")) == [Result.NEUTRAL]


async def test_a_key_of_1024_bits_passes_and_is_noted(desk: Desk) -> None:
    [one] = (await desk.verify(signed_by_dkimpy(desk, 1024))).signatures
    assert (one.result, one.bits) == (Result.PASS, 1024)


async def test_an_ed25519_key_in_an_rsa_signature_is_no_key(desk: Desk) -> None:
    name, _ = first_record(desk)
    desk.dns.text(name, desk.ring.pairs(AUTHOR)[0].public[1].record)
    assert results(await desk.verify(rsa_alone(desk.signed()))) == [Result.PERMERROR]


@pytest.mark.parametrize(
    ("change", "result"),
    [
        (("p=", "p=; x="), Result.PERMERROR),  # revoked
        (("k=rsa;", "k=rsa; t=y;"), Result.NEUTRAL),  # being tried out
        (("k=rsa;", "k=rsa; t=s;"), Result.PASS),
        (("s=email", "s=autre"), Result.PERMERROR),
        (("k=rsa;", "k=rsa; h=sha1;"), Result.PERMERROR),
        (("k=rsa;", "k=rsa; h=sha1:sha256;"), Result.PASS),
        (("v=DKIM1", "v=DKIM2"), Result.PERMERROR),
        (("p=MII", "p=AAA"), Result.PERMERROR),
        (("p=", "p=!!"), Result.PERMERROR),
    ],
)
async def test_a_key_counts_as_its_zone_says(desk: Desk, change: tuple[str, str], result: Result) -> None:
    name, record = first_record(desk)
    desk.dns.text(name, record.replace(*change))
    assert results(await desk.verify(rsa_alone(desk.signed()))) == [result]


async def test_two_keys_under_one_selector_are_none(desk: Desk) -> None:
    name, record = first_record(desk)
    desk.dns.text(name, record, record.replace("k=rsa", "k=rsa; n=deux"))
    assert results(await desk.verify(rsa_alone(desk.signed()))) == [Result.PERMERROR]


async def test_texts_that_are_no_keys_are_passed_over(desk: Desk) -> None:
    name, record = first_record(desk)
    desk.dns.text(name, "une remarque", record)
    assert results(await desk.verify(rsa_alone(desk.signed()))) == [Result.PASS]


async def test_of_many_signatures_five_are_verified_the_authors_first(desk: Desk) -> None:
    letter = LETTER
    for _ in range(4):
        letter = desk.signer.sign(LETTER, FORWARDER) + letter
    letter = letter.replace(b"From: Marie", desk.signer.sign(LETTER, AUTHOR) + b"From: Marie")
    verified = await desk.verify(letter)
    assert [one.mark.domain for one in verified.signatures] == [
        AUTHOR,
        AUTHOR,
        FORWARDER,
        FORWARDER,
        FORWARDER,
    ]
    assert results(verified) == [Result.PASS] * 5


async def test_a_signature_of_another_domain_vouches_for_that_domain_alone(desk: Desk) -> None:
    verified = await desk.verify(desk.signed(domain=FORWARDER))
    assert verified.passed(AUTHOR) is None
    assert verified.passed(FORWARDER) is not None


async def test_what_takes_too_long_is_a_passing_error_and_the_worker_is_replaced(desk: Desk) -> None:
    verifier = Verifier(SignaturesSettings(deadline_seconds=1.0), Zone(desk.dns.address, 60.0), desk.clock)
    good = desk.signed()

    async def look() -> set[Result]:
        found = await verifier.verify(good, mime.fields(good), AUTHOR)
        assert found is not None
        return set(results(found))

    async def passes() -> None:
        while await look() != {Result.PASS}:  # a worker that starts takes its time too
            pass

    try:
        await passes()
        before = verifier.pool_counters.failed
        [slow] = verifier.pids
        os.kill(slow, signal.SIGSTOP)
        assert await look() == {Result.TEMPERROR}
        await passes()
        assert slow not in verifier.pids
    finally:
        await verifier.close()
    assert verifier.pool_counters.failed > before


async def test_a_worker_that_dies_makes_a_passing_error_and_is_replaced(desk: Desk) -> None:
    await desk.verify(desk.signed())
    [pid] = desk.verifier.pids
    os.kill(pid, signal.SIGSTOP)  # so that it has the letter in hand when it dies
    verified = asyncio.create_task(desk.verify(desk.signed()))
    while desk.verifier._pool is None or not any(one.job for one in desk.verifier._pool._workers):
        await asyncio.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    assert results(await verified) == [Result.TEMPERROR] * 2
    while desk.verifier.pids in ([], [pid]):
        await asyncio.sleep(0.01)
    assert results(await desk.verify(desk.signed())) == [Result.PASS] * 2


async def test_switched_off_it_says_nothing(desk: Desk) -> None:
    verifier = Verifier(SignaturesSettings(verify=False), Zone(desk.dns.address, 1.0), desk.clock)
    letter = desk.signed()
    assert await verifier.verify(letter, mime.fields(letter), AUTHOR) is None
    assert desk.dns.asked == []
