"""Random operations on a store beside a plain model of it: what both say must agree, and `check` finds nothing."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from mail_server.store.check import check_store
from mail_server.store.model import Flag, FlagChange, SpecialUse

STEPS = 120


@dataclass
class Place:
    content: int
    flags: Flag
    modseq: int


@dataclass
class Model:
    boxes: dict[int, dict[int, Place]] = field(default_factory=dict)
    gone: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # box: (modseq, uid)
    next_content: int = 0


@pytest.mark.parametrize("seed", range(3))
async def test_store_and_model_agree(desk, seed):
    chance = random.Random(seed)
    model = Model()
    owner: dict[int, str] = {}
    for account in (desk.account, desk.other):
        for use in (SpecialUse.INBOX, SpecialUse.ARCHIVE):
            box = await desk.box(use, account)
            model.boxes[box.id], model.gone[box.id], owner[box.id] = {}, [], account
    boxes = list(model.boxes)
    bodies = [
        await desk.store.stage(None, os.urandom(length), compress=False) for length in (100, 2000, 9000)
    ]

    async def file():
        box = chance.choice(boxes)
        flags = Flag(chance.randrange(32))
        number = model.next_content
        model.next_content += 1
        mark = b"%d" % number
        if chance.random() < 0.5:
            message = await desk.split(
                chance.choice(bodies), key_packets=mark, mailbox=box, account=owner[box], flags=flags
            )
        else:
            data = mark + b":" + os.urandom(chance.choice((10, 3000)))
            message = await desk.verbatim(data, mailbox=box, account=owner[box], flags=flags)
        filed = await desk.file(message)
        model.boxes[box][filed.uid] = Place(number, flags, filed.modseq)

    def some(box):
        known = list(model.boxes[box])
        return sorted(chance.sample(known, min(len(known), chance.randrange(1, 6)))) if known else []

    async def flag():
        box = chance.choice(boxes)
        uids, change, flags = some(box), chance.choice(list(FlagChange)), Flag(chance.randrange(32))
        outcome = await desk.store.write(lambda tx: tx.set_flags(box, uids, change, flags, frozenset()))
        for uid in uids:
            old = model.boxes[box][uid].flags
            model.boxes[box][uid].flags = {
                FlagChange.REPLACE: flags,
                FlagChange.ADD: old | flags,
                FlagChange.REMOVE: old & ~flags,
            }[change]
        for one in outcome.changed:
            model.boxes[box][one.uid].modseq = one.modseq

    async def copy_or_move():
        box, target = chance.sample(boxes, 2)
        uids, moving = some(box), chance.random() < 0.5
        before = await desk.store.read(lambda r: r.mailbox(target))
        assert before.uidnext > max(model.boxes[target], default=0)
        copied = await desk.store.write(lambda tx: (tx.move if moving else tx.copy)(box, uids, target))
        assert list(copied.source_uids) == uids
        for source, uid in zip(copied.source_uids, copied.target_uids, strict=True):
            old = model.boxes[box][source]
            model.boxes[target][uid] = Place(old.content, old.flags, 0)
        if moving and uids:
            await forget(box, uids)

    async def expunge():
        box = chance.choice(boxes)
        uids = some(box)
        assert await desk.store.write(lambda tx: tx.expunge(box, [*uids, 9999])) == uids
        if uids:
            await forget(box, uids)

    async def forget(box, uids):
        highest = (await desk.store.read(lambda r: r.mailbox(box))).highestmodseq
        for uid in uids:
            del model.boxes[box][uid]
            model.gone[box].append((highest, uid))

    for _ in range(STEPS):
        await chance.choice([file, file, file, flag, copy_or_move, expunge])()
    await desk.restart()
    for box, places in model.boxes.items():
        members = await desk.store.read(lambda r, box=box: r.memberships(box))
        assert {one.uid: one.flags for one in members} == {uid: place.flags for uid, place in places.items()}
        for one in members:
            place = places[one.uid]
            assert not place.modseq or place.modseq == one.modseq
            packets = await desk.store.read(lambda r, one=one: r.key_packets(one.message))
            content = await desk.store.read(lambda r, one=one: r.content(one.message))
            assert (packets or content.partition(b":")[0]) == b"%d" % place.content
        since = min((modseq for modseq, _ in model.gone[box]), default=1) - 1
        vanished = await desk.store.read(lambda r, box=box, since=since: r.vanished(box, since))
        assert set(vanished) <= {uid for _, uid in model.gone[box]}
    rows = await desk.store.read(lambda r: r.sql.all("SELECT blob_id, refcount FROM blob"))
    named = await desk.store.read(lambda r: r.sql.all("SELECT blob_id FROM message"))
    assert {bytes(blob): count for blob, count in rows} == Counter(bytes(row[0]) for row in named)
    faults = {one.fault for one in check_store(desk.settings, desk.home, desk.keys)}
    assert faults <= {"size"}  # the test's sizes are not true
