"""What is masked or not announced yet reaches nobody whom it must not: over letters, senders and readers at random.

A letter that may not be carried leaves nothing in the database but what tells its own sender so. One that may lies with
whom it is addressed to; nothing changed for anybody else, and no word of it lies open anywhere.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail_server.accounts.interface import HELD, Identity, Kind, Peer, Role
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.store.model import EmailQuery
from policies.refusal import Refusal
from tests.mail_server.delivery.test_structured import with_software
from tests.webmail.vectors import record_letters as made

INVISIBLE, MASKED = "INVISIBLE_PATIENT", "MASQUE_PS"
CODES = st.lists(
    st.sampled_from(
        [INVISIBLE, MASKED, "INVISIBLE_REPRESENTANTS_LEGAUX", "masque_ps", " Invisible_Patient "]
    ),
    max_size=2,
)
FORMS = ["archive", "named otherwise", "second", "cda alone knows", "fhir", "inside a letter"]
PEOPLE = ["gp", "doctor", "ward", "waiting", "patient"]
PATIENTS = {"waiting", "patient"}
# Which tables may tell of a refusal, and whose rows.
OF_REFUSALS = {
    "audit_entry",
    "audit_party",
    "audit_head",
    "report_ledger",
    "sqlite_sequence",
    "operator_head",
}


class Town:
    """Everybody who might be told by mistake: readers, members, software, patients of both kinds."""

    def __init__(self, desk) -> None:
        self.desk, self.node = desk, desk.node
        self.accounts: dict[str, Any] = {}
        self.sent = 0

    async def settle(self) -> None:
        desk = self.desk
        gp, software = await with_software(desk)
        robot = await desk.account("robot", Kind.APP)
        doctor, nurse = await desk.sealed("doctor"), await desk.sealed("nurse")
        ward = await desk.ward(doctor, nurse)
        until = self.node.accounts.clock() + 9 * 86_400_000
        await self.node.accounts.grant_set(gp.id, nurse.id, Role.DELEGATE, "lrs", until, gp.id)
        await self.node.correspondence.feedback.wish(robot.id, True, "test")
        self.accounts = {
            "robot": robot, "gp": gp, "doctor": doctor, "nurse": nurse, "ward": ward, "software": software,
            "waiting": await desk.patient(), "patient": await desk.patient("1690769123456", activated=True),
        }  # fmt: skip
        for name in (
            "doctor",
            "gp",
            "patient",
            "waiting",
        ):  # keys that are made behind the first letter are made
            plain = made.letter(made.mime.text_part("x\r\n"), sender=robot.address, to=self.shown(name))
            await desk.send(robot, plain, self.shown(name))
        for author in ("doctor", "ward"):  # who first writes to a patient has a folder made
            plain = made.letter(made.mime.text_part("x\r\n"), sender=self.accounts[author].address)
            await self.hand_over("doctor", author, ["patient", "waiting"], plain)

    def shown(self, name: str) -> str:
        return self.accounts[name].shown

    async def hand_over(self, sender: str, author: str, recipients: Iterable[str], message: bytes) -> None:
        person, named = self.accounts[sender], self.accounts[author]
        speaker = Identity(person.id, person.address, person.kind, HELD, "submission-1")
        if sender == "robot":
            told = await self.desk.envelope(person, *[self.shown(one) for one in recipients])
            return await self._counted(told, message)
        peer = Peer("127.0.0.1", 4000, "submission", "s1", tls=True)
        admitted = await self.node.delivery.admit_sender(
            Road.CLIENT, named.address, MailParameters(), peer, speaker
        )
        envelope = Envelope(admitted)
        for one in recipients:
            found = await self.node.delivery.admit_recipient(envelope, self.shown(one))
            envelope.recipients.append(found)
        return await self._counted(envelope, message)

    async def _counted(self, envelope: Envelope, message: bytes) -> None:
        await asyncio.gather(
            *self.node.delivery._certificates._makers.values()
        )  # keys made behind earlier letters
        self.before = await self.tables()
        self.views_before = await self.views()
        ids = [one.id for one in self.accounts.values()]
        self.watch = self.node.store.watch(ids)
        await self.node.delivery.deliver(envelope, message)

    async def tables(self) -> dict[str, Counter[tuple[Any, ...]]]:
        """Every row of the database."""

        def query(reader) -> dict[str, Counter[tuple[Any, ...]]]:
            names = reader.sql.all("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {name: Counter(reader.sql.all(f'SELECT * FROM "{name}"')) for (name,) in names}

        await self.node.trace.stop()
        return await self.node.store.read(query)

    async def views(self) -> dict[str, tuple[Any, ...]]:
        """What each account's own programs are told without opening anything: state, totals, threads, octets."""

        def query(reader) -> dict[str, tuple[Any, ...]]:
            return {
                name: (
                    reader.modseq(account.id),
                    reader.count_emails(account.id, EmailQuery()),
                    reader.count_emails(account.id, EmailQuery(collapse_threads=True)),
                    tuple(
                        (box.name, reader.counts(box.id), reader.thread_counts(box.id))
                        for box in reader.mailboxes(account.id)
                    ),
                )
                for name, account in self.accounts.items()
            }

        told = await self.node.store.read(query)
        ids = {name: account.id for name, account in self.accounts.items()}
        used, quota = self.node.store.used, self.node.delivery.quota_of
        return {name: (*view, used(ids[name]), quota(ids[name])) for name, view in told.items()}

    async def added(self) -> dict[str, list[tuple[Any, ...]]]:
        after = await self.tables()
        gone = {name: rows - after[name] for name, rows in self.before.items()}
        assert set(gone["message"]) == set(), "no letter that lay there is touched"
        return {
            name: found
            for name, rows in after.items()
            if (found := list((rows - self.before[name]).elements()) + list(gone[name].elements()))
        }


@pytest.fixture
async def town(desk) -> Town:
    found = Town(desk)
    await found.settle()
    return found


def letter(form: str, codes: list[str], word: str, sender: str, to: str) -> bytes:
    """A document of which every telling word is `word`; the codes stand where the form has them."""
    unique = f"1.2.250.1.999.80.{secrets.randbelow(10**12)}"
    told = tuple(made.confidential(code) for code in codes)
    entry = made.entry(unique, title=word, confidentiality=(made.NORMAL, *told))
    document = made.cda(unique, title=word)
    archive = made.zip_part(made.archive((entry, document)), f"{word}.zip")
    match form:
        case "named otherwise":
            parts = [made.zip_part(made.archive((entry, document)), f"{word}.pdf", "application/pdf")]
        case "second":
            parts = [made.zip_part(made.one_document()), archive]
        case "cda alone knows" if codes:
            marked = document.replace(
                b'<confidentialityCode code="N"', f'<confidentialityCode code="{codes[0]}"'.encode(), 1
            )
            plain = made.entry(unique, title=word, confidentiality=(made.NORMAL, *told[1:]))
            parts = [made.zip_part(made.archive((plain, marked)))]
        case "fhir":
            labels = ",".join(
                f'{{"system":"urn:oid:1.2.250.1.213.1.1.4.13","code":"{code}"}}' for code in codes
            )
            body = (
                f'{{"resourceType":"Bundle","type":"document","meta":{{"security":[{labels}]}},"entry":[{{"resource":'
                f'{{"resourceType":"Composition","status":"final","title":"{word}","date":"2026-01-01"}}}}]}}'
            )
            parts = [made.zip_part(body.encode(), "d.json", "application/fhir+json")]
        case "inside a letter":
            inner = made.letter(archive, subject=word, sender=sender, to=to)
            parts = [
                b"Content-Type: message/rfc822\r\n\r\n" + inner,
                made.zip_part(made.PDF, "a.pdf", "application/pdf"),
            ]
        case _:
            parts = [archive]
    return made.letter(
        *parts, made.mime.text_part(word + "\r\n"), subject=f"XDM/1.0/DDM+{word}", sender=sender, to=to
    ).replace(b"Message-ID: <", f"Message-ID: <{secrets.token_hex(6)}.".encode(), 1)  # fmt: skip


def may_not(codes: Iterable[str], recipients: Iterable[str]) -> bool:
    plain = {code.strip().upper() for code in codes}
    patients = [one in PATIENTS for one in recipients]
    return (
        {INVISIBLE, MASKED} <= plain
        or (INVISIBLE in plain and any(patients))
        or (MASKED in plain and not all(patients))
    )


async def test_what_is_kept_from_somebody_reaches_nobody_whom_it_must_not_by_any_way(town: Town) -> None:
    loop = asyncio.get_running_loop()
    outcomes: Counter[str] = Counter()

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        CODES, st.sampled_from(FORMS), st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=3, unique=True),
        st.sampled_from([("robot", "robot"), ("doctor", "doctor"), ("doctor", "ward")]),
    )  # fmt: skip
    def holds(codes: list[str], form: str, recipients: list[str], sender: tuple[str, str]) -> None:
        asked = asyncio.run_coroutine_threadsafe(one(town, codes, form, recipients, *sender), loop)
        outcomes[asked.result(60)] += 1

    await asyncio.to_thread(holds)
    assert outcomes["refused"] > 10
    assert outcomes["carried"] > 10


async def one(
    town: Town, codes: list[str], form: str, recipients: list[str], sender: str, author: str
) -> str:
    word = f"canari-{secrets.token_hex(8)}"
    town.sent += 1
    message = letter(form, codes, word, town.accounts[author].address, town.shown(recipients[0]))
    refusal = None
    try:
        await town.hand_over(sender, author, recipients, message)
    except Refusal as found:
        refusal = found
    added = await town.added()
    views = await town.views()
    nobody_reads(word, added)
    if may_not(codes, recipients):
        assert refusal is not None, (codes, form, recipients)
        assert (refusal.code, refusal.enhanced) == (554, "5.7.1")
        assert word not in refusal.sentence
        only_its_sender_is_told(town, added, town.accounts[sender].id)
        assert views == town.views_before, "no state, count, thread or octet of anybody moved"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(town.watch.wait(), 0.005)
        town.watch.close()
        return "refused"
    assert refusal is None, refusal
    town.watch.close()
    with_it = {*recipients} | ({"ward"} if author == "ward" else set())
    if "gp" in recipients:
        with_it.add("software")
    moved = {name for name in views if views[name] != town.views_before[name]}
    assert moved == with_it, [(town.views_before[name], views[name]) for name in moved ^ with_it]
    return "carried"


def only_its_sender_is_told(town: Town, added: dict[str, list[tuple[Any, ...]]], sender: str) -> None:
    assert set(added) <= OF_REFUSALS, set(added)
    others = [
        value
        for one in town.accounts.values()
        if one.id != sender
        for value in (one.id, one.address, one.shown)
    ]
    for row in added.get("audit_entry", []):
        assert not [one for one in others if one in map(str, row)], row
    for row in added.get("audit_party", []):
        assert not [one for one in others if one in map(str, row)], row
    for row in added.get("report_ledger", []):
        assert row[0] == sender, "the line of its morning letter is the sender's own"


def nobody_reads(word: str, added: dict[str, list[tuple[Any, ...]]]) -> None:
    """Neither as it is nor in base64, in any row of any table."""
    forms = [word.encode(), *(base64.b64encode(b" " * shift + word.encode())[4:-4] for shift in range(3))]
    for table, rows in added.items():
        for row in rows:
            content = b"\0".join(each if isinstance(each, bytes) else str(each).encode() for each in row)
            assert not any(form in content for form in forms), table


async def test_what_the_database_tells_of_a_document_is_who_when_how_much_and_its_class(town: Town) -> None:
    """The list of the README: what is not in it is ciphertext, a keyed hash, or a number that counts."""
    word = f"canari-{secrets.token_hex(8)}"
    message = letter("archive", [], word, town.accounts["robot"].address, town.shown("patient"))
    await town.hand_over("robot", "robot", ["patient"], message)
    await town.watch.wait()
    town.watch.close()
    added = await town.added()
    nobody_reads(word, added)
    assert set(added) - {"sqlite_sequence"} == {
        "account_store", "audit_entry", "audit_head", "audit_party", "blob", "conversation", "conversation_letter",
        "mailbox", "membership", "message", "report_ledger", "submission", "thread", "thread_reference", "thread_tag",
    }  # fmt: skip
    columns = {name: await names_of(town, name) for name in ("message", "report_ledger", "wake")}
    [row] = [dict(zip(columns["message"], each, strict=True)) for each in added["message"]]
    assert {name for name, value in row.items() if not isinstance(value, bytes) and value is not None} == {
        "id", "account_id", "email_id", "thread_id", "form", "state", "size", "received_at", "created_modseq", "modseq",
        "coarse_class", "closes_exchange", "has_xdm", "has_calendar", "scan",
    }  # fmt: skip
    assert (row["account_id"], row["coarse_class"], row["has_xdm"]) == (town.accounts["patient"].id, 1, 1)
    [line] = [dict(zip(columns["report_ledger"], each, strict=True)) for each in added["report_ledger"]]
    assert {name: value for name, value in line.items() if not isinstance(value, bytes) and value} == {
        "account": town.accounts["robot"].id,
        "recipient": town.accounts["patient"].id,
        "at": line["at"],
        "outcome": "delivered",
    }
    assert columns["wake"] == ["account", "at"], "times alone"


async def names_of(town: Town, table: str) -> list[str]:
    rows = await town.node.store.read(lambda reader: reader.sql.all(f"PRAGMA table_info({table})"))
    return [row[1] for row in rows]
