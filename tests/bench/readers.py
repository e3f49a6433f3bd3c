"""What reading through a shared account costs against one's own: a mailbox of 10,000, opened and listed.

`python -m tests.bench.readers` prints one line of JSON: milliseconds, the median of several runs, for one's own
account, a shared one, and a shared one where each reader has their own \\Seen (half of the letters are marked).
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from deploy.node.migrations.run import migrate_mail
from mail_server.accounts.access import Access
from mail_server.accounts.interface import Account, Grant, Kind, Role
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.interface import Reader, Store, Transaction
from mail_server.store.model import (
    AccountId,
    Flag,
    FlagChange,
    MailboxId,
    NewMessage,
    Rendered,
    SpecialUse,
    State,
    VerbatimContent,
)
from mail_server.store.settings import StoreSettings
from mail_server.store.store import LocalStore
from policies.decisions import CedarDecisions

LETTERS, PAGE, RUNS = 10_000, 200, 7
PERSON, OWN, WARD = AccountId("p" * 20), AccountId("o" * 20), AccountId("w" * 20)


class _Book:
    def __init__(self) -> None:
        grants = (Grant(PERSON, Role.MEMBER, "eilprstwx", 0),)
        self._known = {
            PERSON: Account(PERSON, "p@bench.test", Kind.PER),
            WARD: Account(WARD, "w@bench.test", Kind.ORG, members=(PERSON,), grants=grants),
        }

    def by_id(self, account: AccountId) -> Account | None:
        return self._known.get(account)


def measured() -> str:
    """One sentence for the report."""
    with tempfile.TemporaryDirectory(prefix="vm-bench-readers-") as place:
        took = asyncio.run(measure(Path(place)))
    own = took["own_ms"]
    return (
        f"{LETTERS:,} letters listed by {PAGE}: one's own account {own} ms, a shared one {took['shared_ms']} ms"
        f" (x{took['shared_ms'] / own:.2f}), shared with \\Seen per reader {took['shared_own_seen_ms']} ms"
        f" (x{took['shared_own_seen_ms'] / own:.2f})"
    )


async def measure(folder: Path) -> dict[str, float]:
    migrate_mail(f"sqlite:///{folder / 'mail.db'}")
    store = LocalStore(StoreSettings(free_space_floor=0, row_cache_bytes=0), folder, AesKeyWrapper(b"k" * 32))
    await store.start()
    try:
        boxes = {account: await _filled(store, account) for account in (OWN, WARD)}
        await _mark_half(store, boxes[WARD])
        access = Access(_Book(), CedarDecisions.load())  # type: ignore[arg-type]
        return {
            "own_ms": await _listed(store, boxes[OWN], None, lambda: True),
            "shared_ms": await _listed(store, boxes[WARD], None, lambda: access.may(PERSON, WARD, "r")),
            "shared_own_seen_ms": await _listed(
                store, boxes[WARD], PERSON, lambda: access.may(PERSON, WARD, "r")
            ),
        }
    finally:
        await store.stop()


async def _filled(store: Store, account: AccountId) -> MailboxId:
    await store.write(lambda tx: tx.open_account(account))
    rendered = Rendered(b"Subject: x\r\n" * 20, b"(envelope)" * 20, b"(structure)" * 20, b"(body)" * 5)
    blob = await store.stage(account, b"Subject: x\r\n\r\nhello\r\n", compress=False)

    def file(tx: Transaction) -> MailboxId:
        box = tx.mailbox_by_use(account, SpecialUse.INBOX).id
        for number in range(1000):
            tx.file(NewMessage(account, box, VerbatimContent(blob), rendered, 21, number, State.CUSTODY))
        return box

    for _ in range(LETTERS // 1000 - 1):
        await store.write(file)
    return await store.write(file)


async def _mark_half(store: Store, box: MailboxId) -> None:
    def mark(tx: Transaction) -> None:
        with tx.as_person(WARD, PERSON):
            tx.set_flags(box, list(range(1, LETTERS, 2)), FlagChange.ADD, Flag.SEEN, frozenset())

    await store.write(mark)


async def _listed(store: Store, box: MailboxId, person: AccountId | None, allowed: object) -> float:
    took: list[float] = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        for start in range(1, LETTERS, PAGE):
            assert allowed()  # type: ignore[operator]  # a door asks before each command

            def read(reader: Reader, start: int = start) -> int:
                with reader.as_person(WARD, person):
                    if start == 1:
                        reader.memberships(box)
                    return len(reader.rows(box, list(range(start, start + PAGE))))

            assert await store.read(read) == PAGE
        took.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(took), 1)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="vm-bench-readers-") as place:
        print(json.dumps({"letters": LETTERS, **asyncio.run(measure(Path(place)))}))
