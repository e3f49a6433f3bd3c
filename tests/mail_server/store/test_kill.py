"""Kill -9 in the middle of a batch: whatever was acknowledged is there, whole, once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.check import check_store
from mail_server.store.settings import StoreSettings
from mail_server.store.store import LocalStore

ROUNDS = 4
ROOT = Path(__file__).parents[3]

# Files messages from twenty tasks and names each one, on a pipe, after its commit was acknowledged.
WRITER = """
import asyncio, hashlib, os, sys
from pathlib import Path
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.model import *
from mail_server.store.settings import StoreSettings
from mail_server.store.store import LocalStore

async def main():
    settings = StoreSettings.model_validate_json(sys.argv[1])
    store = LocalStore(settings, Path(sys.argv[2]), AesKeyWrapper(b"k" * 32))
    await store.start()
    account = AccountId("a" * 20)
    await store.write(lambda tx: tx.open_account(account))
    rendered = Rendered(b"h", b"e", b"s", b"b")

    async def sender(number):
        while True:
            data = os.urandom((300, 3000, 30000)[number % 3])
            blob = await store.stage(account, data, compress=True)
            new = NewMessage(account, SpecialUse.INBOX, VerbatimContent(blob), rendered, len(data), 0, State.CUSTODY)
            filed = await store.write(lambda tx: tx.file(new))
            os.write(1, b"%d %s\\n" % (filed.uid, hashlib.sha256(data).hexdigest().encode()))

    await asyncio.gather(*map(sender, range(20)))

asyncio.run(main())
"""


@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_nothing_acknowledged_is_lost_or_torn(database, tmp_path, round_):
    home = tmp_path / "home"
    settings = StoreSettings(
        database=database, free_space_floor=0, inline_limit=1024, segment_bytes=256 * 1024
    )
    acknowledged: dict[int, str] = {}
    for _ in range(2):  # the second writer goes on where the first was killed
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, settings.model_dump_json(), str(home)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert writer.stdout is not None
        begun = [
            writer.stdout.readline() for _ in range(12)
        ]  # more than a batch's, with those of the other writer
        time.sleep(random.Random(round_).uniform(0.01, 0.3))
        writer.send_signal(signal.SIGKILL)
        for line in [*begun, *writer.stdout.read().split(b"\n")[:-1]]:
            uid, digest = line.split()
            acknowledged[int(uid)] = digest.decode()
        writer.stdout.close()
        writer.wait()
    import hashlib

    keys = AesKeyWrapper(b"k" * 32)
    assert [one for one in check_store(settings, home, keys) if not one.harmless] == []
    store = LocalStore(settings, home, keys)
    await store.start()
    rows = await store.read(
        lambda reader: [
            (member.uid, hashlib.sha256(reader.content(member.message)).hexdigest())
            for member in reader.memberships(1)
        ]
    )
    await store.stop()
    found = dict(rows)
    assert len(found) == len(rows)
    assert len(acknowledged) > 20
    assert acknowledged.items() <= found.items()
