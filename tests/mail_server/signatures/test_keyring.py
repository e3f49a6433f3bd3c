"""Keys that sign: made when needed, wrapped, announced before they are used, forgotten when they are not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.signatures.keyring import KeyRing
from mail_server.signatures.signer import Signer
from mail_server.signatures.zone import zone_line
from tests.mail_server.signatures.desk import AUTHOR, LETTER, Clock, new_ring


def test_a_domains_first_keys_are_made_when_it_first_signs(tmp_path: Path, clock: Clock) -> None:
    ring = new_ring(tmp_path / "k")
    assert ring.pairs("nouveau.test") == []
    assert ring.current_if_ready("nouveau.test", clock()) is None
    made = ring.current("nouveau.test", clock())
    assert ring.current_if_ready("nouveau.test", clock()) is made
    assert new_ring(tmp_path / "k").current("nouveau.test", clock()).rsa_selector == made.rsa_selector


def test_selectors_are_named_by_their_date(ring: KeyRing) -> None:
    [pair] = ring.pairs(AUTHOR)
    assert [key.selector for key in pair.public] == [f"{pair.name}-r", f"{pair.name}-e"]
    assert pair.name.startswith(f"vm{datetime.now(UTC):%Y%m}")


def test_no_secret_lies_in_the_file_in_clear(ring: KeyRing, tmp_path: Path, clock: Clock) -> None:
    pair = ring.current(AUTHOR, clock())
    stored = (tmp_path / "signatures.keystore").read_bytes()
    for key in (pair.rsa, pair.ed25519):
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).splitlines()[1]
        assert secret not in stored
    assert "PrivateKey" not in repr(pair)


def test_another_kek_opens_nothing(ring: KeyRing, tmp_path: Path, clock: Clock) -> None:
    other = KeyRing(
        tmp_path / "signatures.keystore", AesKeyWrapper(b"x" * 32), announce_hours=48, keep_days=14
    )
    with pytest.raises(KeyUnavailable):
        other.current(AUTHOR, clock())


def test_a_damaged_file_is_refused_and_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(b'{"format": 1, "wraps": {"a/b": {}}}')
    with pytest.raises(KeyUnavailable):
        new_ring(tmp_path / "k")


def test_new_keys_are_announced_first_and_used_after_the_delay(ring: KeyRing, clock: Clock) -> None:
    before = ring.current(AUTHOR, clock())
    made = ring.rotate(AUTHOR, clock())
    assert ring.standing(made, clock()) == "announced"
    assert ring.current(AUTHOR, clock()) is before
    assert len(ring.shown(AUTHOR, clock())) == 2
    clock.days(2.1)
    assert ring.current(AUTHOR, clock()).rsa_selector == made.public[0].selector
    assert [ring.standing(one, clock()) for one in ring.pairs(AUTHOR)] == ["former", "used"]


def test_former_keys_are_shown_while_letters_are_on_their_way_but_sign_no_more(
    ring: KeyRing, clock: Clock, tmp_path: Path
) -> None:
    ring.current(AUTHOR, clock())
    made = ring.rotate(AUTHOR, clock())
    clock.days(3)
    ring.tidy(clock())
    former, used = ring.shown(AUTHOR, clock())
    assert (former.wrapped, used.name) == (b"", made.name)
    clock.days(14)
    ring.tidy(clock())
    assert [one.name for one in new_ring(tmp_path / "signatures.keystore").pairs(AUTHOR)] == [made.name]


def test_keys_announced_twice_leave_the_second(ring: KeyRing, clock: Clock) -> None:
    ring.current(AUTHOR, clock())
    first, second = ring.rotate(AUTHOR, clock()), ring.rotate(AUTHOR, clock())
    assert first.name not in {one.name for one in ring.pairs(AUTHOR)}
    assert [ring.standing(one, clock()) for one in ring.pairs(AUTHOR)] == ["used", "announced"]
    assert second.name != ring.pairs(AUTHOR)[0].name


def test_another_process_has_rotated(ring: KeyRing, clock: Clock, tmp_path: Path) -> None:
    ring.current(AUTHOR, clock())
    made = new_ring(tmp_path / "signatures.keystore").rotate(AUTHOR, clock())
    ring.reload()
    clock.days(3)
    assert ring.current(AUTHOR, clock()).rsa_selector == made.public[0].selector


def test_a_zone_line_has_strings_of_255_octets_at_most(ring: KeyRing) -> None:
    [pair] = ring.pairs(AUTHOR)
    rsa = pair.public[0]
    line = zone_line(rsa.selector, AUTHOR, rsa.record)
    strings = line.split('"')[1::2]
    assert "".join(strings) == rsa.record
    assert max(map(len, strings)) == 255
    assert line.startswith(f"{rsa.selector}._domainkey.{AUTHOR}. 3600 IN TXT (")


async def test_ten_letters_at_once_make_a_domains_first_keys_once(tmp_path: Path, clock: Clock) -> None:
    signer = Signer(new_ring(tmp_path / "k"), ("nouveau.test",), clock)
    signed = await asyncio.gather(*(signer.signed(LETTER, "nouveau.test") for _ in range(10)))
    assert len(signer.ring.pairs("nouveau.test")) == 1
    assert {b"s=" + signer.pair("nouveau.test").rsa_selector.encode() in one for one in signed} == {True}
