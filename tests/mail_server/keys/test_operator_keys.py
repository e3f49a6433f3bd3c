"""Operator-held keys: GnuPG makes them in memory, in the profile every program reads."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import subprocess
import time
from pathlib import Path

import pytest

from mail_server.keys import memory_home as memory_home_module
from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.memory_home import gnupg_home, is_in_memory, memory_folder
from mail_server.keys.operator_keys import NOTATION, GnuPgOperatorKeys
from mail_server.keys.settings import KeysSettings
from mail_server.keys.wrapper import AesKeyWrapper

pytestmark = pytest.mark.skipif(not is_in_memory(Path("/dev/shm")), reason="no memory file system here")


@pytest.fixture
def settings():
    return KeysSettings(gnupg_folder=Path("/dev/shm"))


@pytest.fixture
async def keys(tmp_path, settings):
    made = GnuPgOperatorKeys(settings, tmp_path / "keystore.json", AesKeyWrapper(b"k" * 32))
    yield made
    await made.close()


def packets(data):
    return subprocess.run(
        ["gpg", "--list-packets"], input=data, capture_output=True, check=True
    ).stdout.decode()


async def test_the_certificate_has_the_universal_profile(keys):
    held = await keys.certificate_for("acc", "dr.é@cabinet.example")
    listed = packets(held.certificate)
    assert listed.count("user ID packet") == 1
    assert 'user ID packet: "dr.\\xc3\\xa9@cabinet.example"' in listed
    assert "ed25519" in listed
    assert "cv25519" in listed
    assert "features: 01" in listed
    assert f"notation: {NOTATION}=1" in listed
    assert listed.count("expires 0") == 2
    assert listed.count("public sub key packet") == 1
    assert held.fingerprint.lower() in listed.lower()
    assert "secret" not in listed


async def test_the_secret_opens_what_was_sealed_to_the_certificate(keys, tmp_path):
    held = await keys.certificate_for("acc", "a@x.example")
    secret = keys.secret("acc")
    home = tmp_path / "g"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--trust-model", "always"]
    try:
        subprocess.run([*gpg, "--import"], input=secret, check=True, capture_output=True)
        sealed = subprocess.run(
            [*gpg, "-e", "-r", held.fingerprint], input=b"x", check=True, capture_output=True
        )
        opened = subprocess.run([*gpg, "-d"], input=sealed.stdout, check=True, capture_output=True)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    assert opened.stdout == b"x"


async def test_one_account_has_one_key_however_many_ask(keys):
    held = await asyncio.gather(*(keys.certificate_for("acc", "a@x.example") for _ in range(5)))
    assert len({one.fingerprint for one in held}) == 1
    assert keys.existing("acc") == held[0]
    assert keys.accounts() == ["acc"]
    assert await keys.certificate_for("acc", "a@x.example") == held[0]


async def test_a_caller_that_gives_up_does_not_stop_the_making(keys):
    first = asyncio.create_task(keys.certificate_for("acc", "a@x.example"))
    second = asyncio.create_task(keys.certificate_for("acc", "a@x.example"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).account == "acc"


async def test_a_key_survives_a_restart_and_needs_the_kek(keys, tmp_path, settings):
    held = await keys.certificate_for("acc", "a@x.example")
    again = GnuPgOperatorKeys(settings, tmp_path / "keystore.json", AesKeyWrapper(b"k" * 32))
    assert again.existing("acc") == held
    assert again.secret("acc") == keys.secret("acc")
    other = GnuPgOperatorKeys(settings, tmp_path / "keystore.json", AesKeyWrapper(b"w" * 32))
    with pytest.raises(KeyUnavailable):
        other.secret("acc")


async def test_the_secret_is_not_in_the_keystore_file(keys, tmp_path):
    await keys.certificate_for("acc", "a@x.example")
    secret = keys.secret("acc")
    (entry,) = json.loads((tmp_path / "keystore.json").read_bytes())["wraps"].values()
    wrapped = base64.b64decode(entry["wrapped"])
    assert len(wrapped) > len(secret)
    for at in range(len(secret) - 8):
        assert secret[at : at + 8] not in wrapped


async def test_a_destroyed_key_is_gone_and_another_may_be_made(keys, tmp_path):
    account = "account-that-went"  # three letters may stand in any base64
    held = await keys.certificate_for(account, "a@x.example")
    keys.destroy(account)
    assert keys.existing(account) is None
    with pytest.raises(KeyUnavailable):
        keys.secret(account)
    assert account.encode() not in (tmp_path / "keystore.json").read_bytes()
    assert (await keys.certificate_for(account, "a@x.example")).fingerprint != held.fingerprint


@pytest.mark.parametrize(
    "address", ["", "a", "a b@x", "a@x\n%pubring /tmp/x", "a@x\nName-Real: y", "<a@x>", "a@x\x00"]
)
async def test_what_is_no_address_reaches_no_parameter_file(keys, address):
    with pytest.raises(KeyUnavailable):
        await keys.certificate_for("acc", address)
    assert keys.existing("acc") is None


async def test_no_home_and_no_agent_stay_behind(keys, monkeypatch):
    homes = []
    real = memory_home_module.tempfile.mkdtemp
    monkeypatch.setattr(
        memory_home_module.tempfile, "mkdtemp", lambda **k: (homes.append(real(**k)), homes[-1])[1]
    )
    await keys.certificate_for("acc", "a@x.example")
    (home,) = homes
    assert home.startswith("/dev/shm/vm-")
    assert not Path(home).exists()
    until = time.monotonic() + 60
    while left := processes_of(home):  # an agent answers that it ends before it has
        assert time.monotonic() < until, left
        await asyncio.sleep(0.05)


def processes_of(home: str) -> list[bytes]:
    found: list[bytes] = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if home.encode() in (words := process.read_bytes()):
                found.append(words)
    return found


def test_the_home_goes_also_when_making_fails(settings):
    homes = []

    def fails():
        with gnupg_home(settings) as home:
            homes.append(home)
            (home / "x").write_text("x")
            raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert not homes[0].exists()


def test_a_folder_on_a_disk_is_refused_unless_allowed():
    on_disk = Path(__file__).parent  # temporary files may lie in memory
    if is_in_memory(on_disk):
        pytest.skip("this machine runs from memory")
    with pytest.raises(KeyUnavailable, match="tmpfs"):
        memory_folder(KeysSettings(gnupg_folder=on_disk))
    assert memory_folder(KeysSettings(gnupg_folder=on_disk, gnupg_on_disk=True)) == on_disk


def test_the_library_s_logger_stays_quiet():
    assert logging.getLogger("gnupg").level == logging.WARNING


async def test_who_asks_for_the_certificate_of_a_retiring_key_gets_the_next_one(keys):
    held = await keys.certificate_for("acc", "a@x.example")
    before = keys.changes("acc")
    with keys.retiring("acc"):
        assert keys.existing("acc") is None
        assert keys.secret("acc")
        asked = asyncio.create_task(keys.certificate_for("acc", "a@x.example"))
        await asyncio.sleep(0.01)
        assert not asked.done()
        keys.destroy("acc")
    assert (await asked).fingerprint != held.fingerprint
    assert keys.changes("acc") != before


async def test_a_key_that_is_still_needed_retires_no_more(keys):
    held = await keys.certificate_for("acc", "a@x.example")
    with keys.retiring("acc"):
        asked = asyncio.create_task(keys.certificate_for("acc", "a@x.example"))
        await asyncio.sleep(0)
    assert await asked == held
    assert keys.existing("acc") == held


async def test_closing_drops_the_keys_whose_turn_has_not_come(tmp_path, settings):
    keys = GnuPgOperatorKeys(settings, tmp_path / "k.json", AesKeyWrapper(b"k" * 32))
    asked = [asyncio.create_task(keys.certificate_for(f"acc{n}", "a@x.example")) for n in range(30)]
    await asyncio.sleep(0.01)
    await keys.close()
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert 0 < sum(isinstance(one, asyncio.CancelledError) for one in done) < 30
