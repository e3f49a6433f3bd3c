"""The authority: who steals its home cannot sign, and its signing subkey is renewed in time."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import gnupg
import pysequoia
import pytest

from directory.openpgp.certificate import Certificate
from directory.openpgp.packets import Tag, public_key, spans
from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.sealing.authority import Authority, AuthorityError
from mail_server.sealing.engine import OpenPgpEngine
from mail_server.sealing.pool import Pool
from mail_server.sealing.settings import SealingSettings

DAY = 86_400_000


@pytest.fixture
def place() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="vm-a-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def fresh(place: Path, kek: AesKeyWrapper, authority_home: Path) -> Authority:
    """An authority of one's own: a copy of the one all share."""
    shutil.copytree(authority_home, place / "authority")
    return Authority(place / "authority", kek, "mss.example")


def now() -> int:
    return int(time.time() * 1000)


def agents(place: Path) -> list[str]:
    """Command lines of the processes that work in this home."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(place) in line and "agent" in line:
                found.append(line)
    return found


def files(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file()]


def key_ids(secret: bytes) -> list[str]:
    """Of secret subkeys that do hold a secret (a stub ends in GNU and a 1)."""
    found: list[str] = []
    for part in spans(secret):
        body = part.body(secret)
        if part.tag in (Tag.SECRET_KEY, Tag.SECRET_SUBKEY) and not body.endswith(b"GNU\x01"):
            found.append(public_key(body[:51]).key_id)
    return found


def shown(certificate: bytes, place: Path) -> str:
    """What gpg, in an empty home, says of it."""
    empty = place / "empty"
    empty.mkdir(mode=0o700)
    command = ["gpg", "--homedir", str(empty), "--batch", "--with-colons", "--show-keys"]
    return subprocess.run(command, input=certificate, capture_output=True, check=True).stdout.decode()


def test_the_public_certificate_certifies_and_its_subkey_signs(authority: Authority, place: Path) -> None:
    block = authority.certificate()
    assert block.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----")
    lines = [line.split(":") for line in shown(block, place).splitlines()]
    pub = next(line for line in lines if line[0] == "pub")
    sub = next(line for line in lines if line[0] == "sub")
    uid = next(line for line in lines if line[0] == "uid")
    assert (pub[3], pub[6]) == ("22", "")  # EdDSA, and no end
    assert "c" in pub[11]
    assert "s" not in pub[11]
    assert sub[11] == "s"
    assert 29 * DAY < int(sub[6]) * 1000 - now() <= 30 * DAY
    assert uid[9] == "Vaguemestre gateway <gateway@mss.example>"


def test_workers_get_the_subkey_s_secret_and_not_the_primary_s(authority: Authority) -> None:
    key = authority.signing_key()
    public = pysequoia.Cert.from_bytes(authority.certificate())
    assert len(key_ids(key.secret)) == 1
    assert public.fingerprint.upper()[-16:] not in key_ids(key.secret)
    assert pysequoia.Tsk.from_bytes(key.secret).signer(key.passphrase.decode())
    assert repr(key) == "SigningKey()"


def test_without_the_kek_nothing_signs(fresh: Authority, place: Path) -> None:
    """A thief has every file of the home."""
    key = fresh.signing_key()
    thief = Authority(place / "authority", AesKeyWrapper(b"x" * 32), "mss.example")
    with pytest.raises(KeyUnavailable):
        thief.signing_key()
    for path in files(place):
        data = path.read_bytes()
        assert key.passphrase not in data
        with pytest.raises(RuntimeError):  # nothing there signs without a passphrase
            pysequoia.Tsk.from_bytes(data).signer()
    signed = subprocess.run(
        ["gpg", "--homedir", str(place / "authority" / "gnupg"), "--batch", "--pinentry-mode", "loopback",
         "--passphrase", "", "--detach-sign"],
        input=b"x", capture_output=True, check=False,
    )  # fmt: skip
    subprocess.run(["gpgconf", "--homedir", str(place / "authority" / "gnupg"), "--kill", "all"], check=False)
    assert signed.returncode != 0


def test_the_ready_made_revocation_does_not_lie_about(fresh: Authority, place: Path) -> None:
    assert fresh.made
    assert not list(place.rglob("*.rev"))
    assert (place / "authority" / "revocation.wrapped").exists()


def test_secrets_are_for_the_owner_s_eyes(fresh: Authority, place: Path) -> None:
    assert fresh.made
    for name in ("passphrase.wrapped", "gateway.wrapped", "revocation.wrapped"):
        assert (place / "authority" / name).stat().st_mode & 0o077 == 0
    assert (place / "authority").stat().st_mode & 0o077 == 0


def test_the_same_subkey_serves_until_seven_days_remain(fresh: Authority) -> None:
    before = fresh.signing_key()
    certificate = fresh.certificate()
    assert not fresh.needs_renewal(now() + 22 * DAY)
    assert fresh.signing_key(now() + 22 * DAY) == before
    assert fresh.certificate() == certificate


def test_then_it_is_renewed_and_the_public_certificate_shows_both(fresh: Authority, place: Path) -> None:
    before = fresh.signing_key()
    assert fresh.needs_renewal(now() + 24 * DAY)
    after = fresh.signing_key(now() + 24 * DAY)
    assert key_ids(after.secret) != key_ids(before.secret)
    listed = shown(fresh.certificate(), place)
    subkeys = [line.split(":")[4] for line in listed.splitlines() if line.startswith("sub:")]
    assert set(subkeys) == {*key_ids(before.secret), *key_ids(after.secret)}


def made_with_the_clock_ahead(authority: Authority, home: Path) -> None:
    """As a node leaves it that was started once with its clock forty days in the future."""
    configured = home / "gnupg" / "gpg.conf"
    configured.write_text(f"faked-system-time {now() // 1000 + 40 * 86_400}!\n", encoding="ascii")
    authority.signing_key(now() + 40 * DAY)
    configured.unlink()


async def test_a_key_of_a_clock_in_the_future_gives_way_to_one_that_is_valid_now(
    fresh: Authority, place: Path, cv25519: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    made_with_the_clock_ahead(fresh, place / "authority")
    assert not fresh.needs_renewal(now() + 41 * DAY), "there it is a key like any other"
    assert fresh.needs_renewal(now())
    with caplog.at_level(logging.WARNING, "vaguemestre.sealing"):
        key = fresh.signing_key()
    (told,) = caplog.messages
    assert "after this machine's clock" in told
    assert "See that the clock is right" in told
    assert not fresh.needs_renewal(now())
    assert fresh.signing_key() == key
    pool = Pool(SealingSettings(workers=1))
    await pool.start()
    try:
        await pool.load(key)
        assert await OpenPgpEngine(pool).seal(b"Subject: x\r\n\r\nBonjour\r\n", [cv25519])
    finally:
        await pool.close()


def test_an_authority_dated_after_the_clock_says_what_to_do(fresh: Authority) -> None:
    with pytest.raises(AuthorityError, match=r"it is dated 2\d{3}-.*Set the clock right"):
        fresh.signing_key(now() - 40 * DAY)


def test_no_agent_outlives_a_call(fresh: Authority, place: Path) -> None:
    fresh.signing_key(now() + 24 * DAY)
    ends = time.monotonic() + 60
    while agents(place) and time.monotonic() < ends:
        time.sleep(0.05)
    assert agents(place) == []


def test_an_authority_is_made_once(fresh: Authority) -> None:
    certificate = fresh.certificate()
    with pytest.raises(AuthorityError, match="already"):
        fresh.make()
    assert fresh.certificate() == certificate


def test_a_making_that_was_cut_short_begins_again(place: Path, kek: AesKeyWrapper) -> None:
    home = place / "authority"
    home.mkdir()
    (home / "passphrase.wrapped").write_bytes(b"half")
    made = Authority(home, kek, "mss.example")
    assert not made.made
    made.make()
    assert made.signing_key()


def test_without_an_authority_there_is_a_plain_error(place: Path, kek: AesKeyWrapper) -> None:
    absent = Authority(place / "nowhere", kek, "mss.example")
    for call in (absent.certificate, absent.signing_key):
        with pytest.raises(AuthorityError, match="no authority yet"):
            call()


def test_a_long_path_to_the_home_is_no_hindrance(place: Path, kek: AesKeyWrapper) -> None:
    deep = place / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    made = Authority(deep / "authority", kek, "mss.example")
    made.make()
    assert made.signing_key()


def test_a_domain_with_a_line_break_writes_no_parameter_of_gnupg(place: Path, kek: AesKeyWrapper) -> None:
    made = Authority(place / "authority", kek, "x\n%no-protection")
    with pytest.raises(AuthorityError):
        made.make()


def test_the_library_s_talk_is_held_at_warning() -> None:
    assert logging.getLogger(gnupg.__name__).level >= logging.WARNING
    assert os.environ.get("GNUPGHOME") is None
