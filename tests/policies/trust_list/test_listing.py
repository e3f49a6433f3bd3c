"""The trust list: read strictly, replaced only by a better one."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.trust_list import listing
from policies.trust_list.listing import FileTrustList, ListRefused, Row

DN = "CN=mx.chu.fr,OU=1750000001,O=CHU,ST=Paris (75),C=FR"
OTHER = "CN=mx.ars.fr,OU=3130000001,O=ARS,ST=Rhône (69),C=FR"
FIRST_DAY = dt.datetime(2026, 11, 1, 8, tzinfo=dt.UTC)


def xml(rows: str, generated: str = "2026-11-01T08:00:00Z", before: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}'
        '<ListeBlancheMSSante xmlns="https://listeblanche.mssante.fr/schema">'
        f"<DateDeGeneration>{generated}</DateDeGeneration><ListeDomaines>{rows}</ListeDomaines></ListeBlancheMSSante>"
    ).encode()


def row(domain: str, dn: str = DN, more: str = "") -> str:
    return f"<Domaine><Nom>{domain}</Nom><DNCertificatOperateur>{dn}</DNCertificatOperateur>{more}</Domaine>"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "list.xml"


def test_an_operator_speaks_for_the_domains_of_its_rows(path: Path) -> None:
    listing.write(
        path, [Row("CHU.mssante.fr", DN), Row("annexe.mssante.fr", DN), Row("ars.mssante.fr", OTHER)]
    )
    trust_list = FileTrustList.load(path)
    assert trust_list.domains_of(DN) == {"chu.mssante.fr", "annexe.mssante.fr"}
    assert trust_list.domains_of(DN.lower().replace(",", " , ")) == {"chu.mssante.fr", "annexe.mssante.fr"}
    assert trust_list.domains_of("CN=nobody,C=FR") == frozenset()
    assert trust_list.domains_of("no name at all") == frozenset()


def test_a_domain_may_have_several_operators_and_rows_may_repeat(path: Path) -> None:
    path.write_bytes(xml(row("chu.mssante.fr") + row("chu.mssante.fr", OTHER) + row("chu.mssante.fr")))
    trust_list = FileTrustList.load(path)
    assert trust_list.domains_of(DN) == trust_list.domains_of(OTHER) == {"chu.mssante.fr"}


def test_what_is_written_is_read_back(path: Path) -> None:
    written = Row("chu.mssante.fr", DN, "CHU & co <Paris>", "a@chu.fr", "b@chu.fr", "2026-10-31")
    listing.write(path, [written], FIRST_DAY)
    assert listing.read(path).rows == (written,)
    assert listing.read(path).generated == FIRST_DAY
    assert [each.name for each in path.parent.iterdir()] == ["list.xml"]


def test_without_a_list_nobody_is_known() -> None:
    trust_list = FileTrustList.load(None)
    assert trust_list.domains_of(DN) == frozenset()
    assert trust_list.reload().reason == "no-list"


GOOD = row("chu.mssante.fr")
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (xml(GOOD)[:-25], "ill-formed"),
        (b"", "ill-formed"),
        (b"\x00" * 40, "ill-formed"),
        (xml(""), "empty"),
        (xml(row("not a domain")), "empty"),
        (xml(row("chu.mssante.fr", "CN=")), "empty"),
        (xml("<Domaine><Nom>chu.mssante.fr</Nom></Domaine>"), "structure"),
        (xml(row("")), "structure"),
        (xml(row("chu.mssante.fr", more="<Nom>evil.fr</Nom>")), "structure"),
        (xml(row("chu.mssante.fr<b/>.evil.fr")), "structure"),
        (xml("<Autre/>"), "structure"),
        (xml(GOOD).replace(b"listeblanche.mssante.fr", b"example.org"), "structure"),
        (xml(GOOD, generated="yesterday"), "date"),
        (xml(GOOD, before="<!DOCTYPE ListeBlancheMSSante>"), "doctype"),
        (xml(row("&b;.fr"), before=BOMB), "doctype"),
        (xml(row("&f;"), before='<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>'), "doctype"),
    ],
)
def test_a_bad_list_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ListRefused) as refused:
        listing.parse(data)
    assert refused.value.reason == reason


def test_a_comment_does_not_cut_a_name_in_two() -> None:
    assert listing.parse(xml(row("chu<!-- x -->.mssante.fr"))).rows[0].domain == "chu.mssante.fr"


def test_a_row_that_cannot_be_compared_grants_nothing_and_the_others_stand() -> None:
    found = listing.parse(xml(row("autre.mssante.fr", "X-Y=1") + GOOD))
    assert [each.domain for each in found.rows] == ["chu.mssante.fr"]
    assert found.unusable == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (xml(GOOD)[:-25], "ill-formed"),
        (xml(GOOD * 4, generated="2026-10-31T08:00:00Z"), "older"),
        (xml(GOOD, generated="2026-11-02T08:00:00Z"), "shrunken"),
    ],
)
def test_the_last_good_list_stays_when_the_new_one_is_refused(
    path: Path, data: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(xml(GOOD * 3 + row("ars.mssante.fr", OTHER)))
    trust_list = FileTrustList.load(path)
    path.write_bytes(data)
    with caplog.at_level(logging.ERROR, "vaguemestre.policies"):
        outcome = trust_list.reload()
    assert (outcome.applied, outcome.reason) == (False, reason)
    assert reason in caplog.text
    assert trust_list.domains_of(OTHER) == {"ars.mssante.fr"}


def test_a_file_that_disappears_leaves_the_list_in_force(path: Path) -> None:
    listing.write(path, [Row("chu.mssante.fr", DN)])
    trust_list = FileTrustList.load(path)
    path.unlink()
    assert trust_list.reload().reason == "unreadable"
    assert trust_list.domains_of(DN)


def test_a_newer_list_takes_the_place_of_the_old_one(path: Path) -> None:
    listing.write(path, [Row("chu.mssante.fr", DN)], FIRST_DAY)
    trust_list = FileTrustList.load(path)
    listing.write(path, [Row("chu.mssante.fr", OTHER)], FIRST_DAY + dt.timedelta(hours=1))
    assert trust_list.reload().applied
    assert trust_list.domains_of(DN) == frozenset()
    assert trust_list.domains_of(OTHER) == {"chu.mssante.fr"}


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_are_refused(data: bytes) -> None:
    with pytest.raises(ListRefused):
        listing.parse(data)
