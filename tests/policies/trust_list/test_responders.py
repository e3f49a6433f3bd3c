"""Responders (OCSP): believed only when they may be, asked seldom, and what their silence means."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.pki import Leaf, TestAuthority
from deploy.demo.revocation import ListOf, Responder, ResponderState, revocation_list
from policies.trust_list.revocation import ocsp
from policies.trust_list.revocation.chain import Authorities, Link
from policies.trust_list.revocation.checker import RevocationCheck, Wanted
from policies.trust_list.revocation.crl import ListUnusable
from policies.trust_list.revocation.interface import Finding
from policies.trust_list.revocation.ocsp import NotAnswered, Responders
from policies.trust_list.standing import HOUR_MS

from .conftest import OPERATOR

URL = "http://ocsp.test/"
LISTS = "http://crl.test/"


@dataclass
class Office:
    authority: TestAuthority
    responder: Responder
    folder: Path
    crl: bytes = b""
    reached: bool = True
    now: int = field(default_factory=lambda: int(dt.datetime.now(dt.UTC).timestamp() * 1000))

    def clock(self) -> int:
        return self.now

    async def ask(self, url: str, request: bytes) -> bytes:
        assert url == URL
        await asyncio.sleep(0)
        if not self.reached:
            raise NotAnswered("unreachable")
        return self.responder.answer(request)

    async def fetch(self, url: str) -> bytes:
        assert url == LISTS
        if not self.crl:
            raise ListUnusable("unreachable", "Nobody answers.")
        return self.crl

    async def node(
        self, mode: Literal["prefer", "require"], *, url: str = URL, lists: bool = False
    ) -> RevocationCheck:
        responders = Responders(self.ask, url, grace_ms=24 * HOUR_MS, every_ms=HOUR_MS, clock=self.clock)
        check = RevocationCheck(
            Wanted((LISTS,) if lists else (), 24 * HOUR_MS, 3600, mode),
            lambda: Authorities([self.authority.root], [self.authority.intermediate]),
            self.folder,
            fetch=self.fetch,
            responders=responders,
            audit=lambda events: None,
            clock=self.clock,
        )
        await check.open()
        await check.refresh()
        return check


@pytest.fixture
def office(authority: TestAuthority, tmp_path: Path) -> Office:
    return Office(authority, Responder(authority), tmp_path)


@pytest.fixture(scope="module")
def link(authority: TestAuthority, leaf: Leaf) -> Link:
    return Link(leaf.certificate, authority.intermediate)


@pytest.mark.parametrize("mode", ["prefer", "require"])
@pytest.mark.parametrize("delegated", [False, True], ids=["by-the-issuer", "by-its-delegate"])
async def test_a_responder_says_good_and_revoked(
    office: Office, leaf: Leaf, mode: Literal["prefer", "require"], delegated: bool
) -> None:
    office.responder = Responder(office.authority, delegated=delegated)
    other = office.authority.issue_operator("mx.autre.test", OPERATOR)
    office.responder.revoked.add(other.certificate.serial_number)
    check = await office.node(mode)
    assert await check.look([leaf.der]) is Finding.GOOD
    assert await check.look([other.der]) is Finding.REVOKED


BAD = [state for state in ResponderState if state is not ResponderState.ANSWERS]


@pytest.mark.parametrize("state", BAD, ids=lambda state: state.value)
async def test_an_answer_that_cannot_be_believed_is_none(
    office: Office, leaf: Leaf, state: ResponderState
) -> None:
    office.responder.state = state
    assert await (await office.node("require")).look([leaf.der]) is Finding.UNKNOWN
    assert await (await office.node("prefer")).look([leaf.der]) is Finding.UNKNOWN


@pytest.mark.parametrize("revoked", [False, True])
async def test_without_an_answer_the_list_serves_where_responders_are_preferred(
    office: Office, leaf: Leaf, revoked: bool
) -> None:
    office.reached = False
    office.crl = revocation_list(
        office.authority, ListOf((leaf.certificate.serial_number,) if revoked else ())
    )
    found = await (await office.node("prefer", lists=True)).look([leaf.der])
    assert found is (Finding.REVOKED if revoked else Finding.GOOD)
    required = await (await office.node("require", lists=True)).look([leaf.der])
    assert required is (Finding.REVOKED if revoked else Finding.UNKNOWN)


async def test_what_a_list_revokes_no_responder_makes_good(office: Office, leaf: Leaf) -> None:
    office.crl = revocation_list(office.authority, ListOf((leaf.certificate.serial_number,)))
    check = await office.node("prefer", lists=True)
    assert await check.look([leaf.der]) is Finding.REVOKED
    assert office.responder.asked == 0


async def test_a_certificate_that_names_no_responder_is_refused_where_one_is_required(
    office: Office, leaf: Leaf
) -> None:
    office.crl = revocation_list(office.authority, ListOf())
    assert await (await office.node("require", url="", lists=True)).look([leaf.der]) is Finding.UNKNOWN
    assert await (await office.node("prefer", url="", lists=True)).look([leaf.der]) is Finding.GOOD


async def test_an_answer_is_kept_while_it_holds_and_asked_again_behind_the_answers(
    office: Office, leaf: Leaf
) -> None:
    check = await office.node("require")
    for _ in range(50):
        assert await check.look([leaf.der]) is Finding.GOOD
    assert office.responder.asked == 1
    office.now += 2 * HOUR_MS
    office.responder.revoked.add(leaf.certificate.serial_number)
    assert await check.look([leaf.der]) is Finding.GOOD
    await check.refresh()
    assert office.responder.asked == 2
    assert await check.look([leaf.der]) is Finding.REVOKED


async def test_many_who_ask_at_once_ask_the_responder_once(office: Office, leaf: Leaf) -> None:
    check = await office.node("require")
    found = await asyncio.gather(*(check.look([leaf.der]) for _ in range(20)))
    assert set(found) == {Finding.GOOD}
    assert office.responder.asked == 1


async def test_a_responder_that_falls_silent_is_relied_on_for_a_bounded_time(
    office: Office, leaf: Leaf
) -> None:
    check = await office.node("require")
    assert await check.look([leaf.der]) is Finding.GOOD
    office.reached = False
    found: list[Finding] = []
    for hours in (22, 3):
        office.now += hours * HOUR_MS
        await check.refresh()
        found.append(await check.look([leaf.der]))
    assert found == [Finding.GOOD, Finding.UNKNOWN]
    asked = check._responders.counters.asked if check._responders else 0  # pyright: ignore[reportPrivateUsage]
    assert await check.look([leaf.der]) is Finding.UNKNOWN
    assert check._responders is not None  # pyright: ignore[reportPrivateUsage]
    assert check._responders.counters.asked == asked, "silence is not asked again at once"  # pyright: ignore[reportPrivateUsage]
    office.reached = True
    office.now += 60_000
    office.responder.ahead = dt.timedelta(hours=25)
    assert await check.look([leaf.der]) is Finding.GOOD


async def test_whatever_fails_while_it_is_looked_lets_nobody_in(
    office: Office, leaf: Leaf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    check = await office.node("require")

    async def broken(url: str, request: bytes) -> bytes:
        raise RuntimeError(f"{url} {len(request)} what nobody may read in a log")

    monkeypatch.setattr(check._responders, "_ask", broken)  # pyright: ignore[reportPrivateUsage]
    assert await check.look([leaf.der]) is Finding.UNKNOWN
    assert "RuntimeError" in caplog.text
    assert "nobody may read" not in caplog.text


@given(st.binary(max_size=300))
def test_any_bytes_are_no_answer(link: Link, data: bytes) -> None:
    with pytest.raises(NotAnswered):
        ocsp.read(data, link, b"", 0)
