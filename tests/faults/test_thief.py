"""What someone who carries the disk away can open, with our own code: nothing without the key-encryption key; with
it, exactly what the product says (custody, waiting, kept by a program); and nothing that waited, once it is sealed.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest

from deploy.demo import clients, letters, people, thief, world
from deploy.node import config as configuration
from deploy.node.control import CommandFailed
from mail_server import mime
from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.keys.kek import load_kek
from mail_server.keys.operator_keys import GnuPgOperatorKeys
from mail_server.keys.settings import KeysSettings
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.sealing.authority import Authority
from mail_server.sealing.engine import OpenPgpEngine
from mail_server.sealing.interface import OpeningError
from mail_server.sealing.pool import Pool
from mail_server.sealing.settings import SealingSettings
from mail_server.store.check import check_store
from mail_server.store.interface import Damaged, Reader
from mail_server.store.keyring import Keyring
from mail_server.store.model import MessageId, State
from mail_server.store.reader import Shared, StoreReader
from mail_server.store.row_cache import RowCache
from mail_server.store.segments import SegmentReader
from mail_server.store.settings import StoreSettings
from mail_server.store.space import FreeSpace
from mail_server.store.store import connector_for, open_store, segments_folder

pytestmark = pytest.mark.faults

T = TypeVar("T")
LATE = f"marc.retard@{world.DOMAIN}"  # whose certificate expires: his letters wait
NEW = f"lea.nouvelle@{world.DOMAIN}"  # who has no key yet: her letters lie in custody
PHRASE = "phrase de passe"
EXPIRES_AFTER = (6, 30, 120)  # seconds; more where a busy machine brings the key too late


@dataclass(frozen=True)
class Letters:
    """Which word stands in which letter; the state it must lie in."""

    words: dict[str, State] = field(default_factory=dict)

    def word(self, state: State) -> str:
        made = f"secret-{secrets.token_hex(10)}"
        self.words[made] = state
        return made

    def of(self, *states: State) -> set[str]:
        return {word for word, state in self.words.items() if state in states}


@dataclass(frozen=True)
class Loot:
    """What is carried away."""

    home: Path  # DIR/node
    backup: Path
    keystore: Path  # its copy, kept apart from the backup
    kek: Path  # only when he has it too
    letters: Letters

    @property
    def stores(self) -> list[Path]:
        return [self.home, self.backup / "store"]


@dataclass(frozen=True)
class Found:
    """A stored letter and what lies beside it."""

    message: MessageId
    state: State
    content: bytes = field(repr=False)
    beside: bytes = field(repr=False)  # header, envelope, structure, sealed summary

    @property
    def ciphertext(self) -> bytes | None:
        tree = mime.parse(self.content)
        sealed = mime.ciphertext(self.content, tree) if mime.is_encrypted(tree) else None
        return sealed.data if sealed else None


# -------------------------------------------------------------------------------------------- the demo's world


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="vm-thief-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def running(place: Path) -> Iterator[tuple[world.World, world.NodeProcess]]:
    built, process = world.build(place / "demo", world.free_port_base(), lambda _: None)
    try:
        yield built, process
    finally:
        process.stop()


def publish(made: world.World, key: people.PersonKey) -> None:
    data = base64.b64encode(key.public.read_bytes()).decode()
    made.command("key_publish", address=key.address, certificate=data)


def mode(made: world.World, address: str) -> str:
    return next(row["mode"] for row in made.command("account_list") if row["address"] == address)


def until(true: Callable[[], bool], what: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def report(said: Letters, state: State, sender: str, recipient: str) -> bytes:
    return letters.report(
        sender,
        recipient,
        pdf_bytes=3_000,
        patient=said.word(state),
        closing=said.word(state),
        title=said.word(state),
    ).data


@pytest.fixture(scope="module")
def passwords(running: tuple[world.World, world.NodeProcess]) -> dict[str, str]:
    """Two more people; Marc's certificate is good for some seconds."""
    made, _ = running
    given = {
        address: made.command("account_add", address=address, kind="PER", password=True, certificate=None)[
            "password"
        ]
        for address in (LATE, NEW)
    }
    assert any(sealed_for(made, seconds) for seconds in EXPIRES_AFTER)
    until(lambda: mode(made, LATE) == "waiting", "the certificate does not expire")
    return given


def sealed_for(made: world.World, seconds: int) -> bool:
    """Publish a certificate of Marc's that is good for so long; whether it was seen in force."""
    key = people.make_key("Marc Retard", LATE, PHRASE, made.folder / "people", expire=f"seconds={seconds}")
    try:
        publish(made, key)
    except CommandFailed:  # it expired before it came; any other reason is met again with the next
        return False
    return mode(made, LATE) == "sealed"


@pytest.fixture(scope="module")
def loot(running: tuple[world.World, world.NodeProcess], passwords: dict[str, str], place: Path) -> Loot:
    """Letters in every state, a backup, then the whole disk of the stopped node."""
    made, process = running
    said = Letters()
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    for recipient, state in {
        world.GP: State.SEALED,
        world.WARD: State.SEALED,
        world.LABORATORY: State.CUSTODY,
        NEW: State.CUSTODY,
        LATE: State.WAITING,
    }.items():
        data = report(said, state, world.HOSPITAL, recipient)
        clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [recipient], data)
    gp = made.persons[world.GP]
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), gp.address, gp.password) as imap:
        imap.append("Drafts", "(\\Draft)", "", report(said, State.KEPT, world.GP, world.WARD))
    until(lambda: {LATE, NEW} <= held(made), "no operator-held certificate was made")
    keystore = place / "apart" / "keystore.json"
    made.command("backup", to=str(place / "backup"), keystore_to=str(keystore))
    process.stop()
    shutil.copytree(made.node, place / "carried", ignore=shutil.ignore_patterns("S.*", "*.sock"))
    shutil.copy2(keystore, place / "keystore-of-then.json")
    return Loot(
        place / "carried",
        place / "backup",
        place / "keystore-of-then.json",
        made.folder / "kek" / "node.kek",
        said,
    )


def held(made: world.World) -> set[str]:
    """Who has an operator-held certificate."""
    return {row["address"] for row in made.command("key_list") if row["held_by"] == "operator"}


# ------------------------------------------------------------------------------------------- the thief's tools


def settings_of(loot: Loot) -> StoreSettings:
    return configuration.load(loot.home / "vaguemestre.toml").store


def any_key() -> KeyWrapper:
    """A key-encryption key of his own making."""
    return AesKeyWrapper(os.urandom(32))


def with_kek(loot: Loot) -> KeyWrapper:
    return load_kek(KeysSettings(kek=loot.kek), loot.home)


def messages(reader: Reader) -> list[MessageId]:
    return [MessageId(row[0]) for row in reader.sql.all("SELECT id FROM message ORDER BY id")]


def everything(reader: Reader) -> list[Found]:
    found: list[Found] = []
    rows = {
        row.message: row
        for (mailbox,) in reader.sql.all("SELECT id FROM mailbox")
        for row in reader.rows(mailbox, [one.uid for one in reader.memberships(mailbox)])
    }
    for message in messages(reader):
        shown, origin = rows[message].rendered, reader.message_origin(message)
        beside = (shown.header, shown.envelope, shown.bodystructure, origin.findings.summary or b"")
        found.append(Found(message, origin.state, reader.content(message), b"".join(beside)))
    return found


def read_store(home: Path, settings: StoreSettings, keys: KeyWrapper, copy: Path) -> list[Found]:
    """All letters of a store (a copy: opening writes), by our own code."""
    copy.mkdir()
    for name in ("mail.db", "mail.db-wal"):
        if (home / name).exists():
            shutil.copy2(home / name, copy)
    shutil.copytree(home / "segments", copy / "segments")

    async def read() -> list[Found]:
        store = open_store(settings, copy, keys)
        await store.start()
        try:
            return await store.read(everything)
        finally:
            await store.stop()

    return asyncio.run(read())


def with_engine(work: Callable[[OpenPgpEngine], Awaitable[T]]) -> T:
    """Our own sealing workers, to open with."""

    async def run() -> T:
        pool = Pool(SealingSettings(workers=1))
        await pool.start()
        try:
            return await work(OpenPgpEngine(pool))
        finally:
            await pool.close()

    return asyncio.run(run())


async def opens(engine: OpenPgpEngine, sealed: bytes, secret: bytes) -> bytes | None:
    try:
        return await engine.open(sealed, secret)
    except OpeningError:
        return None


def secrets_in(keystore: Path, keys: KeyWrapper) -> dict[str, bytes]:
    """Every operator-held secret of a keystore, by account. Raises KeyUnavailable."""
    operator_keys = GnuPgOperatorKeys(KeysSettings(), keystore, keys)
    return {account: operator_keys.secret(account) for account in operator_keys.accounts()}


# ---------------------------------------------------------------------------------- without the key-encryption key


@pytest.mark.parametrize("which", ["home", "backup"])
def test_without_the_kek_our_own_code_opens_no_store(loot: Loot, which: str, tmp_path: Path) -> None:
    store = loot.home if which == "home" else loot.backup / "store"
    with pytest.raises(KeyUnavailable):
        read_store(store, settings_of(loot), any_key(), tmp_path / "copy")
    with pytest.raises(KeyUnavailable):
        check_store(settings_of(loot), store, any_key())


@pytest.mark.parametrize("which", ["home", "backup"])
def test_without_the_kek_no_content_opens_even_past_the_stores_own_check(loot: Loot, which: str) -> None:
    """He writes his own start-up: the reader alone, with a key and a node secret he made up."""
    store = loot.home if which == "home" else loot.backup / "store"
    settings = settings_of(loot)
    with closing(SegmentReader(segments_folder(store))) as segments:
        driver = connector_for(settings, store, read_only=True).connect()
        keyring = Keyring(any_key(), os.urandom(32))
        reader = StoreReader(driver, Shared(settings, keyring, segments, RowCache(0), FreeSpace(store, 0)))
        try:
            tried = messages(reader)
            assert len(tried) == 6
            for message in tried:
                with pytest.raises((KeyUnavailable, Damaged)):
                    reader.content(message)
            for (mailbox,) in reader.sql.all("SELECT id FROM mailbox WHERE uidnext > 1"):
                with pytest.raises((KeyUnavailable, Damaged)):
                    reader.rows(mailbox, [1])
        finally:
            driver.close()


def test_without_the_kek_no_secret_leaves_the_keystore_nor_the_authority(loot: Loot) -> None:
    for keystore in (loot.home / "keystore.json", loot.keystore):
        with pytest.raises(KeyUnavailable):
            secrets_in(keystore, any_key())
    for folder in (loot.home / "authority", loot.backup / "authority"):
        with pytest.raises(KeyUnavailable):
            Authority(folder, any_key(), world.DOMAIN).signing_key()


def test_the_kek_and_the_keystore_are_not_in_the_backup_nor_the_kek_in_the_home(loot: Loot) -> None:
    key = loot.kek.read_text().strip()
    spelled = [key.encode(), key.upper().encode(), bytes.fromhex(key), base64.b64encode(bytes.fromhex(key))]
    for file in [*loot.home.rglob("*"), *loot.backup.rglob("*")]:
        if file.is_file():
            data = file.read_bytes()
            assert not any(one in data for one in spelled), file
    wraps = secrets_in(loot.keystore, with_kek(loot))
    assert wraps
    assert not list(loot.backup.rglob("keystore*"))


# ------------------------------------------------------------------------------------- with the key-encryption key


@pytest.fixture(scope="module")
def stored(loot: Loot, place: Path) -> dict[str, list[Found]]:
    """Every letter as the store gives it to who has the KEK: from the home, and from the backup."""
    return {
        store.name: read_store(store, settings_of(loot), with_kek(loot), place / f"read-{number}")
        for number, store in enumerate(loot.stores)
    }


@pytest.mark.parametrize("which", [0, 1], ids=["home", "backup"])
def test_with_the_kek_exactly_custody_waiting_and_kept_letters_open(
    loot: Loot, stored: dict[str, list[Found]], which: int
) -> None:
    found = stored[loot.stores[which].name]
    keys = secrets_in(loot.home / "keystore.json", with_kek(loot))

    async def read(engine: OpenPgpEngine) -> set[str]:
        words: set[str] = set()
        for letter in found:
            sealed = letter.ciphertext
            tries = [await opens(engine, sealed, one) for one in keys.values()] if sealed else []
            clear = next((one for one in tries if one is not None), None)
            words |= thief.told(letter.content + letter.beside + (clear or b""), loot.letters.words)
        return words

    assert with_engine(read) == loot.letters.of(State.CUSTODY, State.WAITING, State.KEPT)
    states = sorted(letter.state.name for letter in found)
    assert states == ["CUSTODY", "CUSTODY", "KEPT", "SEALED", "SEALED", "WAITING"]


def test_no_secret_of_the_operator_opens_a_sealed_letter(
    loot: Loot, stored: dict[str, list[Found]], tmp_path: Path
) -> None:
    """Every secret of the keystore and the gateway's own by our workers; the whole authority home by GnuPG."""
    sealed = [letter for letter in stored[loot.home.name] if letter.state is State.SEALED]
    keys = with_kek(loot)
    authority = Authority(loot.home / "authority", keys, world.DOMAIN)
    signing = authority.signing_key()
    tried = [*secrets_in(loot.home / "keystore.json", keys).values(), signing.secret]

    async def read(engine: OpenPgpEngine) -> list[bytes | None]:
        return [
            await opens(engine, letter.ciphertext or b"", secret) for letter in sealed for secret in tried
        ]

    assert len(sealed) == 2
    assert set(with_engine(read)) == {None}
    home = Path(tempfile.mkdtemp(prefix="vm-gpg-"))
    try:
        shutil.copytree(loot.home / "authority" / "gnupg", home, dirs_exist_ok=True)
        for letter in sealed:
            done = subprocess.run(
                ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0",
                 "--status-fd", "1", "--decrypt", str(_written(tmp_path, letter.ciphertext or b""))],
                input=signing.passphrase + b"\n",
                capture_output=True,
            )  # fmt: skip
            assert b"DECRYPTION_FAILED" in done.stdout
            assert b"NO_SECKEY" in done.stdout
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def _written(folder: Path, data: bytes) -> Path:
    path = folder / "sealed.gpg"
    path.write_bytes(data)
    return path


# --------------------------------------------------------------- once the holders have published a certificate


@dataclass(frozen=True)
class Sealed:
    made: world.World
    keys: dict[str, people.PersonKey]
    accounts: dict[str, str]


@pytest.fixture(scope="module")
def after(
    running: tuple[world.World, world.NodeProcess], loot: Loot, passwords: dict[str, str], place: Path
) -> Sealed:
    """Marc renews and Léa brings her first key; what waited and what lay in custody is sealed to them."""
    made, process = running
    process.restart()
    process.wait_ready(made.ports)
    keys = {
        address: people.make_key(name, address, PHRASE, place / "people")
        for address, name in {LATE: "Marc Retard", NEW: "Léa Nouvelle"}.items()
    }
    for key in keys.values():
        publish(made, key)
    until(lambda: not {LATE, NEW} & held(made), "the operator-held keys are still there")
    # Each backup's copy of the keystore replaces the one before.
    made.command("backup", to=str(place / "backup-2"), keystore_to=str(place / "apart" / "keystore.json"))
    accounts = {row["address"]: row["id"] for row in made.command("account_list")}
    return Sealed(made, keys, accounts)


@pytest.mark.parametrize("address", [LATE, NEW])
def test_what_waited_or_lay_in_custody_is_sealed_to_the_new_certificate(
    loot: Loot, after: Sealed, passwords: dict[str, str], address: str
) -> None:
    made, key = after.made, after.keys[address]
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), address, passwords[address]) as imap:
        letter = clients.newest(imap)
    opened = clients.open_with_gpg(letter, key.secret, PHRASE, made.authority)
    assert opened.good_signature
    assert "secret-" in opened.subject
    assert b"\r\nVaguemestre-State: sealed\r\n" in letter
    assert opened.outer_subject.startswith("[...] ")
    assert mode(made, address) == "sealed"


def test_the_operator_held_keys_are_destroyed_in_the_keystore_and_in_its_copy_and_the_trace_says_so(
    loot: Loot, after: Sealed, place: Path
) -> None:
    gone = {after.accounts[LATE], after.accounts[NEW]}
    before = secrets_in(loot.keystore, with_kek(loot))
    assert gone <= set(before)
    for keystore in (after.made.node / "keystore.json", place / "apart" / "keystore.json"):
        assert not gone & set(secrets_in(keystore, with_kek(loot)))
    rows = after.made.command(
        "audit_show", limit=50, action="operator-key-destroyed", address=None, reference=None
    )
    assert {row["subject"] for row in rows} == gone


def test_the_old_backup_and_the_kek_without_the_old_keystore_open_nothing_that_waited(
    loot: Loot, after: Sealed, stored: dict[str, list[Found]], place: Path
) -> None:
    keys = with_kek(loot)
    waiting = [letter for letter in stored["store"] if letter.state is State.WAITING]
    now = [
        secret
        for keystore in (after.made.node / "keystore.json", place / "apart" / "keystore.json")
        for secret in secrets_in(keystore, keys).values()
    ]
    then = secrets_in(loot.keystore, keys)[after.accounts[LATE]]

    async def read(engine: OpenPgpEngine) -> tuple[list[bytes | None], bytes | None]:
        sealed = waiting[0].ciphertext or b""
        return [await opens(engine, sealed, one) for one in now], await opens(engine, sealed, then)

    assert len(waiting) == 1
    assert now, "the laboratory's robot keeps its operator-held key"
    tried, with_what_was_destroyed = with_engine(read)
    assert set(tried) == {None}
    assert with_what_was_destroyed is not None, "the test opens nothing at all"


def test_the_home_of_now_opens_only_what_is_still_in_custody_or_kept(
    loot: Loot, after: Sealed, running: tuple[world.World, world.NodeProcess], place: Path
) -> None:
    made, process = running
    process.stop()
    shutil.copytree(made.node, place / "carried-later", ignore=shutil.ignore_patterns("S.*", "*.sock"))
    later = replace(loot, home=place / "carried-later")
    found = read_store(later.home, settings_of(later), with_kek(later), place / "read-later")
    keys = secrets_in(later.home / "keystore.json", with_kek(later))

    async def read(engine: OpenPgpEngine) -> set[str]:
        words: set[str] = set()
        for letter in found:
            clear = [await opens(engine, letter.ciphertext or b"", one) for one in keys.values()]
            opened = b"".join(one or b"" for one in clear)
            words |= thief.told(letter.content + letter.beside + opened, loot.letters.words)
        return words

    states = sorted(letter.state.name for letter in found)
    assert states == ["CUSTODY", "KEPT", "SEALED", "SEALED", "SEALED", "SEALED"]
    readable = with_engine(read)
    assert len(readable) == 6
    assert readable <= loot.letters.of(State.CUSTODY, State.KEPT)
