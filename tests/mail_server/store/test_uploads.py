"""Bytes left for a while: durable, under the account's key, dropped when their time is over."""

from __future__ import annotations

import asyncio

import pytest

from mail_server.store.check import check_store
from mail_server.store.filing import now_ms
from mail_server.store.identifiers import new_id
from mail_server.store.interface import NoSuchMessage, StoreError


@pytest.fixture
def keep(desk):
    async def keeping(data, account=None, expires=None, media_type="application/pdf"):
        blob = await desk.store.stage(account or desk.account, data, compress=True)
        later = now_ms() + 60_000 if expires is None else expires
        return await desk.store.write(lambda tx: tx.keep_upload(blob, media_type, later))

    return keeping


@pytest.mark.parametrize("length", [0, 100, 5000])
async def test_an_upload_is_read_back_by_its_account_after_a_restart(desk, keep, length):
    data = b"%PDF" + bytes(range(256)) * 20
    kept = await keep(data[:length])
    await desk.restart()
    upload, content = await desk.store.read(lambda r: r.upload(desk.account, kept.id))
    assert (upload, content) == (kept, data[:length])
    assert (upload.media_type, upload.size, upload.account) == ("application/pdf", length, desk.account)
    assert check_store(desk.settings, desk.home, desk.keys) == []


async def test_unknown_foreign_and_expired_ones_read_alike(desk, keep):
    kept, old = await keep(b"x"), await keep(b"y", expires=now_ms() - 1)
    for account, asked in (
        (desk.other, kept.id),
        (desk.account, old.id),
        (desk.account, new_id("U")),
        (desk.account, "U\0"),
    ):
        with pytest.raises(NoSuchMessage):
            await desk.store.read(lambda r, account=account, asked=asked: r.upload(account, asked))


async def test_neither_bytes_nor_media_type_lie_in_clear(desk, keep):
    await keep(b"Compte rendu " * 30, media_type="application/x-secret")
    rows = await desk.store.read(lambda r: r.sql.all("SELECT data FROM blob"))
    kinds = await desk.store.read(lambda r: r.sql.all("SELECT media_type FROM upload"))
    assert len(rows) == len(kinds) == 1
    assert b"Compte" not in bytes(rows[0][0])
    assert b"secret" not in bytes(kinds[0][0])


async def test_what_expired_is_dropped_with_its_body(desk, keep, big):
    old = [await keep(big, expires=1000), await keep(b"small", expires=2000)]
    kept = await keep(big + b"other")
    assert await desk.store.write(lambda tx: tx.drop_uploads(now_ms())) == len(old)
    assert await desk.store.write(lambda tx: tx.drop_uploads(now_ms())) == 0
    assert await desk.count("SELECT count(*) FROM blob") == 1
    assert await desk.count("SELECT sum(garbage) FROM segment") > len(big)
    assert (await desk.store.read(lambda r: r.upload(desk.account, kept.id)))[1] == big + b"other"


async def test_the_oldest_make_room_for_the_newest(desk, keep):
    await desk.restart(upload_bytes=1000)
    foreign = await keep(b"f" * 900, account=desk.other)
    kept = []
    for mark in (b"1", b"2", b"3"):
        await asyncio.sleep(0.002)  # their order is that of the clock's milliseconds
        kept.append(await keep(mark * 400))
    one, two, three = kept
    with pytest.raises(NoSuchMessage):
        await desk.store.read(lambda r: r.upload(desk.account, one.id))
    for account, kept in ((desk.account, two), (desk.account, three), (desk.other, foreign)):
        await desk.store.read(lambda r, account=account, kept=kept: r.upload(account, kept.id))
    # A single one beyond the limit is for its door to refuse: it drops what came before, not itself.
    large = await keep(b"4" * 2000)
    assert await desk.count("SELECT count(*) FROM upload WHERE account_id = ?", desk.account) == 1
    await desk.store.read(lambda r: r.upload(desk.account, large.id))


async def test_an_upload_is_no_change_of_the_account_s_messages(desk, keep):
    before = await desk.store.read(lambda r: r.modseq(desk.account))
    await keep(b"x" * 3000)
    assert await desk.store.read(lambda r: r.modseq(desk.account)) == before
    assert desk.store.used(desk.account) == 0


async def test_a_blob_under_the_shared_key_is_not_taken(desk):
    blob = await desk.store.stage(None, b"x", compress=False)
    with pytest.raises(StoreError):
        await desk.store.write(lambda tx: tx.keep_upload(blob, "text/plain", now_ms() + 1000))
