"""What is revoked: lists of every kind, their ends and their grace, and the path above a certificate."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.pki import DAY, Leaf, TestAuthority, self_signed
from deploy.demo.revocation import ListOf, revocation_list
from policies.interface import Event
from policies.trust_list.revocation import chain, crl
from policies.trust_list.revocation.chain import Authorities, NotAuthorities, issued_by
from policies.trust_list.revocation.checker import RevocationCheck, Wanted
from policies.trust_list.revocation.crl import ListUnusable
from policies.trust_list.revocation.interface import Finding
from policies.trust_list.standing import HOUR_MS

from .conftest import OPERATOR

LEAVES, ROOT = "https://crl.test/organisations.crl", "https://crl.test/racine.crl"


@dataclass
class Office:
    """The authorities' server without a wire, and a node that asks it."""

    authority: TestAuthority
    folder: Path
    lists: dict[str, bytes] = field(default_factory=dict[str, bytes])
    now: int = field(default_factory=lambda: int(dt.datetime.now(dt.UTC).timestamp() * 1000))
    events: list[Event] = field(default_factory=list[Event])

    def clock(self) -> int:
        return self.now

    def pass_hours(self, hours: float) -> None:
        self.now += int(hours * HOUR_MS)

    @property
    def moment(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.now / 1000, dt.UTC)

    async def fetch(self, url: str) -> bytes:
        if url not in self.lists:
            raise ListUnusable("unreachable", "Nobody answers.")
        return self.lists[url]

    def note(self, events: Sequence[Event]) -> None:
        self.events += events

    def publish(self, wanted: ListOf | None = None, *, url: str = LEAVES, of_root: bool = False) -> None:
        dated = replace(wanted or ListOf(), published=self.moment)
        self.lists[url] = revocation_list(self.authority, dated, of_root=of_root)

    def authorities(self) -> Authorities:
        return Authorities([self.authority.root], [self.authority.intermediate])

    async def node(self, *sources: str, grace: float = 24) -> RevocationCheck:
        check = RevocationCheck(
            Wanted(sources, int(grace * HOUR_MS), 3600),
            self.authorities,
            self.folder,
            fetch=self.fetch,
            responders=None,
            audit=self.note,
            clock=self.clock,
        )
        await check.open()
        return check


@pytest.fixture
def office(authority: TestAuthority, tmp_path: Path) -> Office:
    return Office(authority, tmp_path)


async def test_a_node_without_lists_checks_nothing_and_says_so(office: Office, leaf: Leaf) -> None:
    check = await office.node()
    assert not check.checks
    assert await check.look([leaf.der]) is Finding.UNCHECKED


async def test_what_the_list_names_is_revoked_and_the_rest_is_good(office: Office, leaf: Leaf) -> None:
    other = office.authority.issue_operator("mx.autre.test", OPERATOR)
    office.publish(ListOf((leaf.certificate.serial_number,)))
    check = await office.node(LEAVES)
    assert await check.refresh() == []
    assert await check.look([leaf.der]) is Finding.REVOKED
    assert await check.look([other.der]) is Finding.GOOD
    assert (check.counters.found_revoked, check.counters.lists_read) == (1, 1)


async def test_a_certificate_is_revoked_from_the_next_list_on(office: Office, leaf: Leaf) -> None:
    office.publish(ListOf(number=1))
    check = await office.node(LEAVES)
    await check.refresh()
    assert await check.look([leaf.der]) is Finding.GOOD
    office.publish(ListOf((leaf.certificate.serial_number,), number=2))
    await check.refresh()
    assert await check.look([leaf.der]) is Finding.REVOKED


async def test_the_intermediate_is_asked_about_too(office: Office, leaf: Leaf) -> None:
    office.publish()
    office.publish(url=ROOT, of_root=True)
    check = await office.node(LEAVES, ROOT)
    await check.refresh()
    assert await check.look([leaf.der]) is Finding.GOOD
    serial = office.authority.intermediate.serial_number
    office.publish(ListOf((serial,), number=2), url=ROOT, of_root=True)
    await check.refresh()
    assert await check.look([leaf.der]) is Finding.REVOKED


async def test_nobody_is_let_in_before_the_first_list_came(office: Office, leaf: Leaf) -> None:
    check = await office.node(LEAVES)
    assert (await check.refresh()) == [f"{LEAVES}: Nobody answers."]
    assert await check.look([leaf.der]) is Finding.UNKNOWN


async def test_nor_while_the_list_about_its_authority_never_came(office: Office, leaf: Leaf) -> None:
    office.publish()
    check = await office.node(LEAVES, ROOT)
    await check.refresh()
    assert await check.look([leaf.der]) is Finding.UNKNOWN


async def test_a_leaf_of_an_authority_without_a_list_is_not_known(office: Office, leaf: Leaf) -> None:
    office.publish(url=ROOT, of_root=True)
    check = await office.node(ROOT)
    await check.refresh()
    assert await check.look([leaf.der]) is Finding.UNKNOWN


async def test_the_last_list_is_relied_on_for_a_grace_when_no_newer_one_comes(
    office: Office, leaf: Leaf
) -> None:
    office.publish()
    check = await office.node(LEAVES)
    await check.refresh()
    office.lists.clear()
    found: list[Finding] = []
    for hours in (23, 2):
        office.pass_hours(hours)
        assert await check.refresh()
        found.append(await check.look([leaf.der]))
    assert found == [Finding.GOOD, Finding.UNKNOWN]
    office.publish(ListOf(number=2))
    await check.refresh()
    assert await check.look([leaf.der]) is Finding.GOOD


async def test_an_expired_list_is_not_relied_on_though_it_was_fetched_now(office: Office, leaf: Leaf) -> None:
    office.publish(ListOf(valid=2 * dt.timedelta(hours=1)))
    check = await office.node(LEAVES)
    await check.refresh()
    office.pass_hours(3)
    assert await check.refresh() == []
    assert await check.look([leaf.der]) is Finding.UNKNOWN


async def test_what_an_expired_list_names_stays_revoked(office: Office, leaf: Leaf) -> None:
    office.publish(ListOf((leaf.certificate.serial_number,), valid=DAY))
    check = await office.node(LEAVES)
    await check.refresh()
    office.pass_hours(48)
    assert await check.look([leaf.der]) is Finding.REVOKED


async def test_a_delta_adds_and_gives_back(office: Office, leaf: Leaf) -> None:
    other = office.authority.issue_operator("mx.autre.test", OPERATOR)
    one, two = leaf.certificate.serial_number, other.certificate.serial_number
    delta = "https://crl.test/delta.crl"
    office.publish(ListOf((one,), number=5))
    office.publish(ListOf((two,), (one,), number=6, base=5), url=delta)
    check = await office.node(LEAVES, delta)
    await check.refresh()
    assert await check.look([leaf.der]) is Finding.GOOD
    assert await check.look([other.der]) is Finding.REVOKED


@pytest.mark.parametrize(("number", "base"), [(6, 6), (4, 3)], ids=["of-a-later-list", "older-than-the-list"])
async def test_a_delta_of_another_list_says_nothing(
    office: Office, leaf: Leaf, number: int, base: int
) -> None:
    delta = "https://crl.test/delta.crl"
    office.publish(ListOf(number=5))
    office.publish(ListOf((leaf.certificate.serial_number,), number=number, base=base), url=delta)
    check = await office.node(LEAVES, delta)
    await check.refresh()
    assert await check.look([leaf.der]) is Finding.GOOD


def part(**about: object) -> x509.IssuingDistributionPoint:
    said: dict[str, object] = {
        "full_name": None, "relative_name": None, "only_contains_user_certs": False, "only_contains_ca_certs": False,
        "only_some_reasons": None, "indirect_crl": False, "only_contains_attribute_certs": False,
    }  # fmt: skip
    return x509.IssuingDistributionPoint(**(said | about))  # pyright: ignore[reportArgumentType]


async def test_a_list_about_authorities_says_nothing_of_leaves(office: Office, leaf: Leaf) -> None:
    office.publish(ListOf((leaf.certificate.serial_number,), part=part(only_contains_ca_certs=True)))
    check = await office.node(LEAVES)
    await check.refresh()
    assert await check.look([leaf.der]) is Finding.UNKNOWN


async def test_a_list_about_a_part_of_the_certificates_says_nothing_of_others(
    office: Office, leaf: Leaf
) -> None:
    where = [x509.UniformResourceIdentifier("http://crl.test/part-2.crl")]
    office.publish(ListOf(part=part(full_name=where)))
    check = await office.node(LEAVES)
    await check.refresh()
    assert await check.look([leaf.der]) is Finding.UNKNOWN


@pytest.mark.parametrize(
    "reason",
    [
        "signature",
        "issuer-unknown",
        "ill-formed",
        "future",
        "older",
        "of-the-root",
        "indirect",
        "critical",
        "some-reasons",
    ],
)
async def test_a_list_that_must_not_be_used_is_refused_and_the_one_before_stays(
    office: Office, leaf: Leaf, reason: str
) -> None:
    office.publish(ListOf(number=5))
    check = await office.node(LEAVES)
    await check.refresh()
    revoked = ListOf((leaf.certificate.serial_number,), number=6, published=office.moment)
    forger = replace(office.authority, intermediate_key=TestAuthority.create().intermediate_key)
    makes = {
        "signature": lambda: revocation_list(forger, revoked),
        "issuer-unknown": lambda: revocation_list(TestAuthority.create("AUTRE"), revoked),
        "ill-formed": lambda: b"<html>maintenance</html>",
        "future": lambda: revocation_list(office.authority, replace(revoked, published=office.moment + DAY)),
        "of-the-root": lambda: revocation_list(office.authority, revoked, of_root=True),
        "older": lambda: revocation_list(office.authority, replace(revoked, number=4)),
        "indirect": lambda: revocation_list(office.authority, replace(revoked, part=part(indirect_crl=True))),
        "some-reasons": lambda: revocation_list(
            office.authority,
            replace(revoked, part=part(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}))),
        ),
        "critical": lambda: revocation_list(
            office.authority,
            replace(revoked, more=x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")),
        ),
    }  # fmt: skip
    office.lists[LEAVES] = makes[reason]()
    assert len(await check.refresh()) == 1
    slug = {
        "of-the-root": "another-issuer",
        "indirect": "not-understood",
        "critical": "not-understood",
        "some-reasons": "not-understood",
    }
    (standing,) = check.standings()
    assert standing.problem == slug.get(reason, reason)
    assert check.counters.lists_refused == 1
    assert [event.outcome for event in office.events] == [standing.problem]
    assert await check.look([leaf.der]) is Finding.GOOD


async def test_after_a_restart_the_last_list_is_in_force_and_its_age_goes_on(
    office: Office, leaf: Leaf
) -> None:
    other = office.authority.issue_operator("mx.autre.test", OPERATOR)
    office.publish(ListOf((leaf.certificate.serial_number,)))
    before = await office.node(LEAVES)
    await before.refresh()
    office.lists.clear()
    office.pass_hours(23)
    check = await office.node(LEAVES)
    assert await check.look([leaf.der]) is Finding.REVOKED
    assert await check.look([other.der]) is Finding.GOOD
    assert check.oldest() == before.oldest()
    office.pass_hours(2)
    assert await check.look([other.der]) is Finding.UNKNOWN


async def test_a_kept_list_that_was_damaged_is_no_list(office: Office, leaf: Leaf) -> None:
    office.publish(ListOf((leaf.certificate.serial_number,)))
    await (await office.node(LEAVES)).refresh()
    (kept,) = office.folder.iterdir()
    kept.write_bytes(kept.read_bytes()[:-3])
    check = await office.node(LEAVES)
    assert await check.look([leaf.der]) is Finding.UNKNOWN


async def test_a_list_may_be_a_file_which_is_relied_on_until_it_expires(office: Office, leaf: Leaf) -> None:
    file = office.folder / "list.pem"
    office.publish(ListOf(valid=10 * DAY))
    file.write_bytes(x509.load_der_x509_crl(office.lists[LEAVES]).public_bytes(Encoding.PEM) * 2)
    check = await office.node(str(file))
    office.pass_hours(24 * 9)
    assert await check.look([leaf.der]) is Finding.GOOD
    office.pass_hours(24 * 2)
    assert await check.look([leaf.der]) is Finding.UNKNOWN
    file.unlink()
    assert len(await check.refresh()) == 1


# -- the path above a certificate


async def test_a_certificate_of_a_foreign_chain_is_not_known(office: Office) -> None:
    office.publish()
    check = await office.node(LEAVES)
    await check.refresh()
    foreign = TestAuthority.create("ETRANGERE").issue_operator("mx.voisin.test", OPERATOR)
    namesake = TestAuthority.create().issue_operator("mx.voisin.test", OPERATOR)
    for stranger in (foreign.der, namesake.der, self_signed("mx.voisin.test", OPERATOR).der, b"rubbish"):
        assert await check.look([stranger]) is Finding.UNKNOWN
    assert await check.look([]) is Finding.UNKNOWN


async def test_an_intermediate_that_the_peer_sent_serves_when_it_leads_to_an_authority(
    office: Office, leaf: Leaf
) -> None:
    authorities = Authorities([office.authority.root])
    between = office.authority.intermediate.public_bytes(Encoding.DER)
    assert authorities.path([leaf.der]) is None
    found = authorities.path([leaf.der, between])
    assert found is not None
    assert [link.is_authority for link in found] == [False, True]
    assert authorities.path([leaf.der]) == found, "it is remembered"


def test_certificates_that_all_sign_each_other_are_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = TestAuthority.create("MAILLE")
    own = [
        x509.CertificateBuilder()
        .subject_name(mesh.root.subject)
        .issuer_name(mesh.root.subject)
        .public_key(mesh.root_key.public_key())
        .serial_number(number)
        .not_valid_before(mesh.root.not_valid_before_utc)
        .not_valid_after(mesh.root.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(mesh.root_key, hashes.SHA256())
        .public_bytes(Encoding.DER)
        for number in range(1, 9)
    ]
    looked_at: list[x509.Certificate] = []

    def counted(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        looked_at.append(issuer)
        return issued_by(certificate, issuer)

    monkeypatch.setattr(chain, "issued_by", counted)
    assert Authorities([]).path(own) is None
    assert 0 < len(looked_at) <= 8 * 8, "not eight to the power of eight signatures"


def test_an_intermediate_may_be_trusted_without_its_root(authority: TestAuthority, leaf: Leaf) -> None:
    found = Authorities([authority.intermediate]).path([leaf.der])
    assert found is not None
    assert [link.issuer for link in found] == [authority.intermediate]


def test_a_file_without_certificates_is_no_authority(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(NotAuthorities):
        Authorities.read([tmp_path / "ca.pem"])


@given(st.binary(max_size=400))
def test_any_bytes_are_a_list_of_revocation_or_are_refused(data: bytes) -> None:
    with pytest.raises(ListUnusable):
        crl.read(data, Authorities([]), 0)
