"""What lies on the disk: opaque without the KEK, and refused when it was altered."""

from __future__ import annotations

import pytest

from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.interface import Damaged, HomeBusy, StoreUnavailable
from mail_server.store.model import Rendered
from mail_server.store.settings import StoreSettings
from mail_server.store.store import LocalStore

MARK = b"CANARYMARK"


async def alter(desk, statement, *parameters):
    await desk.store.write(lambda tx: tx.sql.run(statement, parameters))


async def test_no_content_lies_in_clear_under_the_home(desk):
    body = b"Subject: " + MARK + b"\r\n\r\n" + MARK * 300
    rendered = Rendered(MARK, MARK, MARK, MARK)
    filed = await desk.file(
        await desk.verbatim(body, rendered=rendered, keywords=frozenset({MARK.decode()}), message_ids=(MARK,))
    )
    await desk.file(await desk.verbatim(MARK + b"x" * 500, rendered=rendered))
    await desk.store.write(lambda tx: tx.create_mailbox(desk.account, MARK.decode()))
    await desk.store.read(lambda r: r.rows(filed.mailbox, [1, 2]))
    await desk.store.stop()
    for path in desk.home.rglob("*"):
        assert not path.is_file() or MARK not in path.read_bytes(), path
    await desk.restart()
    if desk.settings.is_postgresql():
        for table in ("message", "blob", "membership", "mailbox", "thread_reference"):
            rows = await desk.store.read(lambda r, table=table: r.sql.all(f"SELECT * FROM {table}"))
            assert all(MARK not in bytes(value) for row in rows for value in row if isinstance(value, bytes))


@pytest.mark.parametrize("column", ["rendered", "outer_part"])
async def test_an_altered_row_is_refused(desk, column):
    filed = await desk.file(await desk.split(b"x"))
    row = await desk.store.read(lambda r: r.sql.one(f"SELECT {column} FROM message"))
    flipped = bytes(row[0][:-1]) + bytes([row[0][-1] ^ 1])
    await alter(desk, f"UPDATE message SET {column} = ?", flipped)
    queries = {
        "rendered": lambda reader: reader.rows(filed.mailbox, [1]),
        "outer_part": lambda reader: reader.content(filed.message),
    }
    with pytest.raises(Damaged):
        await desk.store.read(queries[column])


async def test_rows_swapped_between_messages_are_refused(desk):
    one = await desk.file(await desk.verbatim(b"one" * 10))
    two = await desk.file(await desk.verbatim(b"two" * 10))
    rows = await desk.store.read(lambda r: r.sql.all("SELECT id, rendered FROM message ORDER BY id"))
    await alter(desk, "UPDATE message SET rendered = ? WHERE id = ?", bytes(rows[1][1]), one.message)
    with pytest.raises(Damaged):
        await desk.store.read(lambda r: r.rows(one.mailbox, [1]))
    blobs = await desk.store.read(lambda r: r.sql.all("SELECT blob_id, data FROM blob"))
    await alter(desk, "UPDATE blob SET data = ? WHERE blob_id = ?", bytes(blobs[0][1]), bytes(blobs[1][0]))
    contents = []
    for filed in (one, two):
        try:
            contents.append(await desk.store.read(lambda r, filed=filed: r.content(filed.message)))
        except Damaged:
            contents.append(None)
    assert contents.count(None) == 1


async def test_a_flipped_bit_in_a_segment_is_refused(desk, big):
    filed = await desk.file(await desk.verbatim(big))
    (path,) = (desk.home / "segments").iterdir()
    content = bytearray(path.read_bytes())
    content[-50] ^= 4
    path.write_bytes(content)
    with pytest.raises(Damaged):
        await desk.store.read(lambda r: r.content(filed.message))


async def test_another_kek_opens_nothing_and_the_store_does_not_start(desk):
    await desk.file(await desk.verbatim())
    await desk.store.stop()
    wrong = LocalStore(desk.settings, desk.home, AesKeyWrapper(b"w" * 32))
    with pytest.raises(KeyUnavailable, match="wrapped under key-encryption key"):
        await wrong.start()
    await desk.restart()  # the lock was let go


async def test_one_process_writes_in_a_home(desk):
    second = LocalStore(desk.settings, desk.home, desk.keys)
    with pytest.raises(HomeBusy):
        await second.start()


async def test_a_database_without_the_schema_is_refused(tmp_path):
    store = LocalStore(StoreSettings(), tmp_path, AesKeyWrapper(b"k" * 32))
    with pytest.raises(StoreUnavailable):
        await store.start()


async def test_two_equal_messages_do_not_look_equal(desk):
    for _ in range(2):
        await desk.file(await desk.verbatim(b"the same text", message_ids=(b"<same@x>",)))
    rows = await desk.store.read(lambda r: r.sql.all("SELECT blob_id, data FROM blob"))
    assert rows[0][0] != rows[1][0]
    assert rows[0][1] != rows[1][1]
