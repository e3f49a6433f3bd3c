"""The trust list as a document: read strictly, written as it is read."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.trust_list import listing
from policies.trust_list.listing import ListRefused, Row

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


def test_what_is_written_is_read_back(path: Path) -> None:
    written = Row("chu.mssante.fr", DN, "CHU & co <Paris>", "a@chu.fr", "b@chu.fr", "2026-10-31")
    listing.write(path, [written], FIRST_DAY)
    assert listing.read(path).rows == (written,)
    assert listing.read(path).generated == FIRST_DAY
    assert [each.name for each in path.parent.iterdir()] == ["list.xml"]


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


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_are_refused(data: bytes) -> None:
    with pytest.raises(ListRefused):
        listing.parse(data)
