"""No way to a letter's text that the trace does not know, no act without a class, no detail that could be content."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.node import console as console_module
from deploy.node.administrators import this_user
from deploy.node.console import Console
from deploy.node.control import CommandFailed
from mail_server.accounts.interface import Role
from mail_server.store.interface import StoreError
from policies.audit.classes import ACTIONS, Retention, retention_of
from policies.audit.entry import DETAIL_KEYS, Entry
from policies.audit.query import Filter, find
from tests.webmail.spaces.test_past import given, person, shared
from tests.webmail.spaces.test_reseal import Swapping, Ward, plain, template, waiting_patient, ward

__all__ = ["template", "ward"]  # fixtures

ROOT = Path(__file__).parents[3]
PACKAGES = ("mail_server", "webmail", "deploy", "directory", "policies")

# Who takes text or keys of letters out of the store, and the act that tells it. A new one belongs here with its act,
# and with a test that shows the entry.
WAYS = {
    "mail_server/imap/fetching.py": "read",  # tests/mail_server/imap/test_reads_are_told.py
    "mail_server/imap/searching.py": "search",
    "mail_server/jmap/emails.py": "read",  # tests/mail_server/jmap/test_reads_are_told.py
    "mail_server/jmap/blobs.py": "download",
    "mail_server/jmap/submission_set.py": "deliver",  # one's own draft, on its way out
    "mail_server/jmap/submission_queue.py": "deliver",
    "mail_server/delivery/reseal.py": "reseal",
    "mail_server/delivery/swap.py": "reseal",  # key packets for the holder's browser, a reader's past
    "mail_server/delivery/past.py": "past-begin",
}
_TAKES = frozenset({"content", "stored_body", "key_packets"})


def sources() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def test_every_module_that_takes_text_out_of_the_store_is_known_with_its_act() -> None:
    found: set[str] = set()
    for name, tree in sources():
        if name.startswith("mail_server/store/"):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = node.func.value
            if node.func.attr in _TAKES and isinstance(owner, ast.Name) and owner.id in _READERS:
                found.add(name)
    assert found <= set(WAYS), "tell it in the trace, test that it is, and name it here"
    assert set(WAYS.values()) <= set(ACTIONS)


_READERS = frozenset({"reader", "transaction", "tx", "store"})


def named_acts() -> Iterator[tuple[str, str]]:
    """Every act that is named where its event is made."""
    for name, tree in sources():
        if name.startswith(("mail_server/smtp/", "mail_server/payloads/agenda/")):
            continue  # SessionEvents are for the log, those of an appointment for its own page
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node) in ("Event", "AuditEvent", "event", "_event"):
                given = (
                    node.args[0]
                    if node.args
                    else next((k.value for k in node.keywords if k.arg == "action"), None)
                )
                for one in (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,):
                    if isinstance(one, ast.Constant) and isinstance(one.value, str):
                        yield one.value, name


def _called(node: ast.Call) -> str:
    function = node.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def test_every_act_has_a_class_of_its_own_choice() -> None:
    unknown = {(act, where) for act, where in named_acts() if act not in ACTIONS}
    assert unknown == set(), "name it in policies/audit/classes.py"


@pytest.mark.parametrize(
    ("act", "retention"),
    [
        ("login", Retention.TECHNICAL),
        ("login-failed", Retention.TECHNICAL),
        ("refuse", Retention.TECHNICAL),
        ("token-refused", Retention.TECHNICAL),
        ("deliver", Retention.FUNCTIONAL),
        ("read", Retention.FUNCTIONAL),
        ("download", Retention.FUNCTIONAL),
        ("reader-add", Retention.FUNCTIONAL),
        ("key-publish", Retention.FUNCTIONAL),
        ("conversation-close", Retention.FUNCTIONAL),
        ("policies-reload", Retention.FUNCTIONAL),
        ("something nobody thought of", Retention.FUNCTIONAL),
    ],
)
def test_acts_and_their_classes(act: str, retention: Retention) -> None:
    assert retention_of(act) is retention


# What a detail may never be called: each would be a place for content, a name, or a whole identifier.
FORBIDDEN = ("subject", "body", "text", "filename", "file", "name", "title", "content", "ins", "matricule", "birth",
             "message-id", "password", "secret", "token", "search", "query", "word", "traits")  # fmt: skip


@pytest.mark.parametrize("key", sorted(DETAIL_KEYS))
def test_no_detail_is_a_place_for_content(key: str) -> None:
    assert key not in FORBIDDEN
    assert not any(part in FORBIDDEN for part in key.replace("_", "-").split("-"))


def test_details_that_are_given_in_the_product_are_on_the_list() -> None:
    unknown: set[tuple[str, str]] = set()
    for where, tree in sources():
        if where.startswith("mail_server/smtp/"):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or _called(node) not in ("Event", "AuditEvent"):
                continue
            for keyword in node.keywords:
                if keyword.arg == "detail" and isinstance(keyword.value, ast.Dict):
                    keys = [key.value for key in keyword.value.keys if isinstance(key, ast.Constant)]
                    unknown |= {(str(key), where) for key in keys if key not in DETAIL_KEYS}
    assert unknown == set()


# -- what takes letters out of the store beside the doors: an administrator's check and backup, the page's re-seal and
#    the past it gives to a reader. Each leaves its entry, with who did it.


async def told(ward: Ward, *actions: str) -> list[Entry]:
    await ward.node.trace.stop()  # what was noted is written
    found = await ward.store.read(lambda reader: find(reader.sql, Filter(last=1000)))
    return sorted((each for each in found if each.action in actions), key=lambda each: each.seq)


def arguments(act: str, place: Path) -> dict[str, Any]:
    return {"to": str(place / "copy"), "keystore_to": None} if act == "backup" else {}


@pytest.mark.parametrize("act", ["check", "backup"])
async def test_who_reads_all_that_is_stored_is_told_before_and_after(
    ward: Ward, tmp_path: Path, act: str
) -> None:
    await Console(ward.node, this_user()).handle(act, arguments(act, tmp_path))
    found = await told(ward, act)
    assert [(each.actor, each.outcome) for each in found] == [
        (this_user().by, "begun"),
        (this_user().by, "done"),
    ]


@pytest.mark.parametrize("act", ["check", "backup"])
async def test_what_is_cut_short_was_told_when_it_began(
    ward: Ward, tmp_path: Path, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(node: Any, *_: Any) -> None:
        committed = await node.store.read(lambda reader: find(reader.sql, Filter(action=act, last=10)))
        assert [each.outcome for each in committed] == ["begun"], "it stands there before a letter is read"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(console_module, f"{act}_node", cut)
    with pytest.raises(CommandFailed, match="No space"):
        await Console(ward.node, this_user()).handle(act, arguments(act, tmp_path))
    assert [each.outcome for each in await told(ward, act)] == ["begun"]


async def test_a_store_that_takes_nothing_is_checked_and_told_of_later(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_: Any) -> None:
        raise StoreError

    with monkeypatch.context() as disk:
        disk.setattr(ward.node.store, "write", full)
        assert (await Console(ward.node, this_user()).handle("check", {}))["faults"] == []
    assert [each.outcome for each in await told(ward, "check")] == ["begun", "done"]


async def test_each_letter_that_the_holder_s_browser_re_seals_is_told(ward: Ward) -> None:
    account = await waiting_patient(ward, 3)
    await Swapping(await ward.enrolled(account)).all()
    found = await told(ward, "reseal")
    assert {(each.actor, each.subject) for each in found} == {(account.id, account.id)}
    assert len({each.reference for each in found}) == len(found) == 3


async def test_a_past_that_is_given_is_told_with_giver_account_reader_and_number(ward: Ward) -> None:
    marie, luc = await person(ward, "marie"), await person(ward, "luc")
    account = await shared(ward, marie)
    for number in range(3):
        await ward.send(plain(number), account.address)
    await ward.accounts.grant_set(account.id, luc.account.id, Role.MEMBER, "lr", None, "console:test")
    assert len(await given(marie, account, luc)) == 3
    found = await told(ward, "past-begin", "past-end")
    assert [each.action for each in found] == ["past-begin", "past-end"]
    for each in found:
        assert (each.actor, each.subject) == (marie.account.id, account.id)
        assert (each.details["member"], each.details["count"]) == (luc.account.id, "3")
