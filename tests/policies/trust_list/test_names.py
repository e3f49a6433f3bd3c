"""When two spellings are the same operator, and when they are not."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from policies.trust_list import names

WRITTEN = "CN=mx.chu.fr,OU=1750000001,O=CHU,ST=Paris (75),C=FR"
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(*attributes: tuple[x509.ObjectIdentifier, str]) -> bytes:
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, now, now + dt.timedelta(days=1))
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


C = (NameOID.COUNTRY_NAME, "FR")
ST = (NameOID.STATE_OR_PROVINCE_NAME, "Paris (75)")
O = (NameOID.ORGANIZATION_NAME, "CHU")  # noqa: E741
OU = (NameOID.ORGANIZATIONAL_UNIT_NAME, "1750000001")
CN = (NameOID.COMMON_NAME, "mx.chu.fr")


def test_a_certificate_is_named_as_the_trust_list_names_it() -> None:
    assert names.subject_dn(certificate(C, ST, O, OU, CN)) == WRITTEN


def test_a_certificate_whose_subject_runs_the_other_way_has_the_same_name() -> None:
    assert names.subject_dn(certificate(CN, OU, O, ST, C)) == WRITTEN


@pytest.mark.parametrize(
    "spelling",
    [
        WRITTEN.lower(),
        "cn = MX.CHU.FR , ou=1750000001,o=chu;st=Paris  (75), c=fr",
        "C=FR,ST=Paris (75),O=CHU,OU=1750000001,CN=mx.chu.fr",
        "2.5.4.3=mx.chu.fr,OU=1750000001,OID.2.5.4.10=CHU,S=Paris \\28 75\\29,C=FR".replace(" 75", "75"),
        'CN="mx.chu.fr",OU=1750000001,O="CHU",ST=Paris (75),C=FR',
        "CN=mx\\2Echu.fr,OU=1750000001,O=C\\48U,ST=\\50aris\\ (75),C=FR",
        "CN=ｍｘ.chu.fr,OU=1750000001,O=CHU,ST=Paris\u00a0(75),C=FR",
    ],
)
def test_case_spaces_escapes_and_direction_do_not_make_another_name(spelling: str) -> None:
    assert names.key(spelling) == names.key(WRITTEN)


@pytest.mark.parametrize(
    "other",
    [
        "CN=mx.chu.fr,OU=1750000002,O=CHU,ST=Paris (75),C=FR",
        "CN=mx.chu.fr,O=CHU,OU=1750000001,ST=Paris (75),C=FR",
        "CN=mx.chu.fr,OU=1750000001,O=CHU,C=FR",
        "CN=mx.chu.fr,OU=1750000001+O=CHU,ST=Paris (75),C=FR",
        "CN=mx.chu.fr\\,OU=1750000001,O=CHU,ST=Paris (75),C=FR",
        "CN=mx.chu.fr,CN=mx.chu.fr,OU=1750000001,O=CHU,ST=Paris (75),C=FR",
        "CN=mx chu.fr,OU=1750000001,O=CHU,ST=Paris (75),C=FR",
    ],
)
def test_another_value_order_or_structure_is_another_name(other: str) -> None:
    assert names.key(other) != names.key(WRITTEN)


def test_accents_may_be_escaped_byte_by_byte() -> None:
    assert names.canonical("CN=h\\C3\\B4pital,C=FR") == "CN=hôpital,C=FR"


def test_a_comma_inside_a_value_stays_inside() -> None:
    dn = names.subject_dn(certificate(C, (NameOID.ORGANIZATION_NAME, "CHU, OU=x"), CN))
    assert dn == "CN=mx.chu.fr,O=CHU\\, OU\\=x,C=FR"
    assert names.canonical(dn) == dn


@pytest.mark.parametrize(
    "text",
    ["", "mx.chu.fr", "CN=", "CN= ,C=FR", "CN=a,", "CN=#0402", 'CN="a', 'CN="a"b', "CN=a\\", "CN=a\\zz", "CN=\\FF",
     "CN=a<b", "X-Y=a", "CN=a\x00b", "CN=a\u202eb", "CN=" + "a" * 5000],
)  # fmt: skip
def test_what_is_not_a_name_is_refused(text: str) -> None:
    with pytest.raises(names.NameRefused):
        names.canonical(text)


def test_bytes_that_are_no_certificate_are_refused() -> None:
    with pytest.raises(names.NameRefused):
        names.subject_dn(b"not a certificate")


def test_a_certificate_with_a_nul_in_its_name_has_none() -> None:
    with pytest.raises(names.NameRefused):
        names.subject_dn(certificate(C, (NameOID.COMMON_NAME, "mx.chu.fr\0.evil.fr")))


TYPES = st.sampled_from(["CN", "OU", "O", "ST", "C", "L", "1.2.3.4"])
VALUES = st.text(min_size=1, max_size=12).filter(lambda value: _usable(value))


def _usable(value: str) -> bool:
    try:
        names._checked("CN", value)
    except names.NameRefused:
        return False
    return True


NAMES = st.lists(st.lists(st.tuples(TYPES, VALUES), min_size=1, max_size=2), min_size=1, max_size=5)


def _spelled(parts: list[list[tuple[str, str]]]) -> str:
    """The same name with every byte of every value escaped."""
    return ",".join(
        "+".join(f"{kind}=" + "".join(f"\\{byte:02x}" for byte in value.encode()) for kind, value in several)
        for several in parts
    )


@given(NAMES)
def test_the_canonical_spelling_is_stable_and_keeps_the_key(parts: list[list[tuple[str, str]]]) -> None:
    spelled = _spelled(parts)
    canonical = names.canonical(spelled)
    assert names.canonical(canonical) == canonical
    assert names.key(canonical) == names.key(spelled)
    assert names.key(names.key(spelled)) == names.key(spelled)


@given(NAMES, NAMES)
def test_names_that_differ_have_keys_that_differ(
    one: list[list[tuple[str, str]]], two: list[list[tuple[str, str]]]
) -> None:
    def prepared(parts: list[list[tuple[str, str]]]) -> list[list[tuple[str, str]]]:
        return [sorted((kind, names._fold(value)) for kind, value in several) for several in parts]

    if names.key(_spelled(one)) == names.key(_spelled(two)):
        assert sorted(map(sorted, prepared(one))) == sorted(map(sorted, prepared(two)))


@given(st.text())
def test_any_text_is_a_name_or_is_refused(text: str) -> None:
    try:
        names.key(text)
    except names.NameRefused:
        return


@given(st.binary(max_size=200))
def test_any_bytes_are_a_certificate_or_are_refused(data: bytes) -> None:
    with pytest.raises(names.NameRefused):
        names.subject_dn(data)
