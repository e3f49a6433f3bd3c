"""The egress gate: one process holds the key, opens at the last moment, and keeps nothing."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pysequoia
import pytest

from directory.openpgp.certificate import Certificate
from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.kek import load_kek
from mail_server.keys.settings import KeysSettings
from mail_server.outbound.egress import gate as gate_module
from mail_server.outbound.interface import Form, NotOpened
from mail_server.store.armor import armor
from tests.mail_server.outbound.egress.conftest import ADDRESS, World

Seal = Callable[[bytes, Sequence[Certificate]], bytes]
WIRE = b"Received: from a by b\r\nFrom: a@mss.example\r\nSubject: CANARY-Martin\r\n\r\nCANARY-text\r\n"
ENTITY = (
    b'Content-Type: text/plain; charset=utf-8; hp="cipher"; protected-headers="v1"\r\n'
    b"HP-Outer: Subject: [...] abcd\r\n"
    b"From: Somebody Else <A@mss.example>\r\nTo: Dr B <b@other.example>\r\nBcc: secret@other.example\r\n"
    b"Subject: Compte rendu\r\nX-MSS-NIL: 000000000\r\nMessage-ID: <forged@x>\r\nVaguemestre-State: custody\r\n"
    b"\r\nBonjour\r\n"
)
OUTER = (
    b"Received: from page by node\r\nX-MSS-NIL: 123456789\r\nFrom: a@mss.example\r\nTo: b@other.example\r\n"
    b"Bcc: c@other.example\r\nVaguemestre-Class: message\r\nMessage-ID: <1@mss.example>\r\nSubject: [...] abcd\r\n"
    b"MIME-Version: 1.0\r\n"
)


def by_author(sealed: bytes) -> bytes:
    return (
        OUTER
        + b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\n\r\n'
        + b"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
        + b"--b\r\nContent-Type: application/octet-stream\r\n\r\n"
        + armor(b"", sealed)
        + b"\r\n--b--\r\n"
    )


def fields_of(wire: bytes) -> list[bytes]:
    return wire.partition(b"\r\n\r\n")[0].split(b"\r\n")


async def test_a_letter_sealed_to_the_gate_is_opened_as_it_was(world: World, seal: Seal) -> None:
    gate = await world.started()
    certificate = gate.certificate
    assert certificate.address == ADDRESS
    assert certificate.operator_held
    for clear in (WIRE, WIRE + b"x" * 3_000_000):
        opened = await gate.open(certificate.fingerprint, Form.GATED, seal(clear, [certificate]))
        assert opened == clear


async def test_an_armored_letter_is_opened_too(world: World, seal: Seal) -> None:
    gate = await world.started()
    queued = armor(b"", seal(WIRE, [gate.certificate]))
    assert await gate.open(gate.certificate.fingerprint, Form.GATED, queued) == WIRE


async def test_the_key_is_made_once_and_is_the_same_after_a_restart(world: World, seal: Seal) -> None:
    first = await world.started()
    queued = seal(WIRE, [first.certificate])
    await first.close()
    again = await world.started()
    assert again.certificate == first.keys[-1].certificate
    assert await again.open(again.certificate.fingerprint, Form.GATED, queued) == WIRE
    assert [event.detail["state"] for event in world.events] == ["made"]


async def test_a_letter_that_its_author_sealed_leaves_as_an_ordinary_one(world: World, seal: Seal) -> None:
    gate = await world.started()
    queued = by_author(seal(ENTITY, [gate.certificate]))
    wire = await gate.open(gate.certificate.fingerprint, Form.GATED_BY_AUTHOR, queued)
    assert fields_of(wire) == [
        b"Received: from page by node",
        b"X-MSS-NIL: 123456789",
        b"From: a@mss.example",
        b"Message-ID: <1@mss.example>",
        b"MIME-Version: 1.0",
        b"Content-Type: text/plain; charset=utf-8",
        b"To: Dr B <b@other.example>",
        b"Subject: Compte rendu",
    ]
    assert wire.endswith(b"\r\n\r\nBonjour\r\n")


async def test_what_waits_for_the_gate_is_not_opened_in_a_letter_of_who_copied_it(
    world: World, seal: Seal
) -> None:
    """The gate opens what names its key: but not somebody else's letter for whoever has its bytes and an account."""
    gate = await world.started()
    certificate = gate.certificate
    stolen = seal(WIRE.replace(b"a@mss.example", b"victim@mss.example"), [certificate])
    assert await gate.open(certificate.fingerprint, Form.GATED, stolen)
    with pytest.raises(NotOpened) as refused:
        await gate.open(certificate.fingerprint, Form.GATED_BY_AUTHOR, by_author(stolen))
    assert (refused.value.slug, refused.value.lasting) == ("not-a-letter", True)


async def test_line_ends_are_closed_before_the_wire(world: World, seal: Seal) -> None:
    gate = await world.started()
    queued = by_author(
        seal(b"Content-Type: text/plain\nSubject: a\n\nun\rdeux\r\ntrois\n", [gate.certificate])
    )
    wire = await gate.open(gate.certificate.fingerprint, Form.GATED_BY_AUTHOR, queued)
    assert wire.endswith(b"\r\n\r\nun\r\ndeux\r\ntrois\r\n")


@pytest.mark.parametrize(
    ("form", "queued", "slug"),
    [
        (Form.GATED, b"", "cannot-open"),
        (Form.GATED, b"nothing sealed", "cannot-open"),
        (Form.GATED_BY_AUTHOR, b"Subject: a\r\n\r\nclear\r\n", "not-a-letter"),
    ],
)
async def test_what_cannot_ever_be_opened_is_said_so(
    world: World, form: Form, queued: bytes, slug: str
) -> None:
    gate = await world.started()
    with pytest.raises(NotOpened) as refused:
        await gate.open(gate.certificate.fingerprint, form, queued)
    assert (refused.value.slug, refused.value.lasting) == (slug, True)


async def test_a_damaged_letter_gives_nothing(world: World, seal: Seal) -> None:
    gate = await world.started()
    sealed = bytearray(seal(WIRE, [gate.certificate]))
    sealed[-10] ^= 1
    with pytest.raises(NotOpened, match="cannot-open"):
        await gate.open(gate.certificate.fingerprint, Form.GATED, bytes(sealed))


async def test_a_key_that_is_not_there_is_gone_for_good(world: World) -> None:
    gate = await world.started()
    with pytest.raises(NotOpened) as refused:
        await gate.open("0" * 40, Form.GATED, b"x")
    assert (refused.value.slug, refused.value.lasting) == ("key-gone", True)


async def test_beside_other_nodes_a_letter_of_another_key_waits_for_the_node_that_holds_it(
    world: World,
) -> None:
    gate = world.gate(alone=False)
    await gate.start()
    with pytest.raises(NotOpened) as refused:
        await gate.open("0" * 40, Form.GATED, b"x")
    assert (refused.value.slug, refused.value.lasting) == ("key-gone", False)


async def test_a_decompression_bomb_stops_at_the_limit(world: World) -> None:
    gate = await world.started(largest_opened_mib=1)
    # Sequoia seals without compression: what is simply too large meets the same limit.
    certificate = pysequoia.Cert.from_bytes(gate.certificate.minimised)
    queued = pysequoia.encrypt(bytes(2 << 20), [certificate], armor=False)
    with pytest.raises(NotOpened) as refused:
        await gate.open(gate.certificate.fingerprint, Form.GATED, queued)
    assert (refused.value.slug, refused.value.lasting) == ("too-large", True)


async def test_a_process_that_dies_is_replaced_and_loads_its_key_itself(world: World, seal: Seal) -> None:
    gate = await world.started()
    before = gate.pids
    os.kill(before[0], signal.SIGKILL)
    async with asyncio.timeout(60):
        while not gate.pids or gate.pids == before:
            await asyncio.sleep(0.01)
    queued = seal(WIRE, [gate.certificate])
    assert await gate.open(gate.certificate.fingerprint, Form.GATED, queued) == WIRE


async def test_a_letter_in_the_hands_of_a_process_that_dies_waits_for_another_attempt(
    world: World, seal: Seal
) -> None:
    gate = await world.started()
    os.kill(gate.pids[0], signal.SIGSTOP)
    opening = asyncio.create_task(
        gate.open(gate.certificate.fingerprint, Form.GATED, seal(WIRE, [gate.certificate]))
    )
    await asyncio.sleep(0.05)
    os.kill(gate.pids[0], signal.SIGKILL)
    with pytest.raises(NotOpened) as refused:
        await opening
    assert (refused.value.slug, refused.value.lasting) == ("worker-lost", False)


async def test_the_secret_is_in_no_file_and_in_no_other_process(world: World, seal: Seal) -> None:
    gate = await world.started()
    await gate.open(gate.certificate.fingerprint, Form.GATED, seal(WIRE, [gate.certificate]))
    assert [path.name for path in world.home.iterdir()] == ["egress.keystore"]
    stored = world.keystore.read_bytes()
    assert b"CANARY" not in stored
    assert stat_mode(world.keystore) == 0o600
    process = Path(f"/proc/{gate.pids[0]}")
    told = process.joinpath("cmdline").read_bytes()
    assert b"egress.keystore" not in told
    assert b"kek" not in told
    limits = process.joinpath("limits").read_text()
    assert next(line.split()[4:6] for line in limits.splitlines() if "core file" in line) == ["0", "0"]
    # Not dumpable: the kernel gives its files to root (proc(5)).
    assert process.joinpath("environ").stat().st_uid == 0


def stat_mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_without_the_kek_nothing_starts_and_no_certificate_is_given(world: World) -> None:
    world.kek.unlink()
    gate = world.gate()
    with pytest.raises(NotOpened) as refused:
        await gate.start()
    assert not refused.value.lasting
    with pytest.raises(NotOpened, match="gate-closed"):
        _ = gate.certificate
    with pytest.raises(NotOpened, match="gate-closed"):
        await gate.open("0" * 40, Form.GATED, b"x")


async def test_another_kek_does_not_open_the_keystore(world: World, seal: Seal) -> None:
    first = await world.started()
    queued = seal(WIRE, [first.certificate])
    await first.close()
    world.kek.write_text("ab" * 32)
    again = await world.started()
    with pytest.raises(NotOpened) as refused:
        await again.open(again.certificate.fingerprint, Form.GATED, queued)
    assert (refused.value.slug, refused.value.lasting) == ("key-unavailable", False)


async def test_a_new_key_is_used_at_once_and_the_old_one_still_opens(world: World, seal: Seal) -> None:
    gate = await world.started()
    old = gate.certificate
    queued = seal(WIRE, [old])
    await gate.rotate("console:root")
    assert gate.certificate.fingerprint != old.fingerprint
    assert await gate.open(old.fingerprint, Form.GATED, queued) == WIRE
    assert [(event.actor, event.detail["state"]) for event in world.events] == [
        ("node", "made"),
        ("console:root", "made"),
    ]


async def test_a_replaced_key_is_taken_for_a_day_and_destroyed_once_no_letter_names_it(
    world: World, seal: Seal
) -> None:
    gate = await world.started()
    old = gate.certificate
    await gate.rotate("console:root")
    new = gate.certificate
    assert gate.taken(old.encryption_key_id) == old
    assert await gate.sweep() == ()

    world.ahead = gate_module.TAKEN_AFTER + 1000
    assert gate.taken(old.encryption_key_id) is None
    assert gate.taken(new.encryption_key_id) == new
    assert await gate.sweep() == ()  # letters may be on their way into the queue

    world.ahead = gate_module.KEPT_AFTER + 1000
    world.named = frozenset({old.fingerprint})
    assert await gate.sweep() == ()
    world.named = frozenset()
    assert await gate.sweep() == (old.fingerprint,)
    assert [key.fingerprint for key in gate.keys] == [new.fingerprint]
    assert old.fingerprint not in world.keystore.read_text()
    with pytest.raises(NotOpened, match="key-gone"):
        await gate.open(old.fingerprint, Form.GATED, seal(WIRE, [old]))
    assert world.events[-1].detail == {"fingerprint": old.fingerprint, "state": "destroyed"}


async def test_the_keystore_holds_the_secret_under_the_kek_alone(world: World) -> None:
    gate = await world.started()
    ((name, entry),) = json.loads(world.keystore.read_text())["wraps"].items()
    assert name == f"egress/{gate.keys[-1].made:013d}/{gate.certificate.fingerprint}"
    kek = load_kek(KeysSettings(kek=world.kek), world.home)
    secret = kek.unwrap(base64.b64decode(entry["wrapped"]), name.encode())
    assert pysequoia.Tsk.from_bytes(secret).decryptor() is not None
    with pytest.raises(KeyUnavailable):  # bound to its own entry
        kek.unwrap(base64.b64decode(entry["wrapped"]), name.replace("egress", "other").encode())


async def test_a_gate_begun_behind_other_work_can_be_waited_for(world: World) -> None:
    gate = world.gate()
    assert await gate.ready(120)
    assert gate.certificate.address == ADDRESS
    assert await gate.ready(0)


async def test_a_gate_that_cannot_start_keeps_nobody_waiting(world: World) -> None:
    world.kek.unlink()
    gate = world.gate()
    async with asyncio.timeout(60):
        assert not await gate.ready(600)


SCAN = """
import base64, json, re, sys
from pathlib import Path
from directory.openpgp.packets import Tag, spans
from mail_server.keys.kek import load_kek
from mail_server.keys.settings import KeysSettings
kek, home, *pids = sys.argv[1:]
keys = load_kek(KeysSettings(kek=Path(kek)), Path(home))
((name, entry),) = json.loads(Path(home, "egress.keystore").read_text())["wraps"].items()
secret = keys.unwrap(base64.b64decode(entry["wrapped"]), name.encode())
(part,) = (one for one in spans(secret) if one.tag == Tag.SECRET_SUBKEY)
scalar = part.body(secret)[-34:-2]  # before the checksum
for pid in pids:
    found = 0
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if place is None:
                continue
            first, last = (int(one, 16) for one in place.groups())
            try:
                memory.seek(first)
                data = memory.read(last - first)
            except (OSError, OverflowError):
                continue
            found += data.count(scalar) + data.count(scalar[::-1])
    print(found)
"""


async def test_the_secret_is_in_the_memory_of_the_gates_process_alone(world: World, seal: Seal) -> None:
    gate = await world.started()
    await gate.open(gate.certificate.fingerprint, Form.GATED, seal(WIRE, [gate.certificate]))
    told = [sys.executable, "-c", SCAN, str(world.kek), str(world.home), str(os.getpid()), str(gate.pids[0])]
    scanning = await asyncio.to_thread(subprocess.run, told, capture_output=True, text=True)
    if "PermissionError" in scanning.stderr:
        pytest.skip("who runs the tests may not look into a process")
    node, process = map(int, scanning.stdout.split())
    assert node == 0
    assert process > 0  # it would have been found
