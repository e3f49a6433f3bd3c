"""What leaves bears two signatures that dkimpy finds good, and that break when anything is changed or added."""

from __future__ import annotations

import re

import dkim
import pytest

from mail_server import mime
from mail_server.signatures import signing
from tests.mail_server.signatures.desk import AUTHOR, LETTER, Desk


def verdicts(desk: Desk, letter: bytes) -> list[bool]:
    """dkimpy's, of the Ed25519 and of the RSA signature."""
    found = []
    for index in range(2):
        try:
            found.append(dkim.DKIM(letter).verify(index, dnsfunc=desk.lookup()))
        except dkim.ValidationError:
            found.append(False)
    return found


async def test_dkimpy_finds_both_signatures_good(desk: Desk) -> None:
    assert verdicts(desk, desk.signed()) == [True, True]


async def test_the_two_share_one_body_hash_and_sign_all_of_it(desk: Desk) -> None:
    above = desk.signer.sign(LETTER, AUTHOR)
    first, second = (signing_tags(one.value) for one in mime.fields(above + CRLF))
    assert first["bh"] == second["bh"]
    assert [one["a"] for one in (first, second)] == ["ed25519-sha256", "rsa-sha256"]
    assert not {"l", "x"} & (set(first) | set(second))
    assert first["c"] == second["c"] == "relaxed/relaxed"
    assert int(first["t"]) == desk.clock() // 1000


CRLF = b"\r\n"


def signing_tags(value: bytes) -> dict[str, str]:
    return dict(part.strip().split("=", 1) for part in value.decode().split(";") if part.strip())


@pytest.mark.parametrize(
    "changed",
    [
        (b"compte rendu.", b"compte rendu!"),
        (b"marie@", b"maria@"),
        (b"X-MSS-NIL: 1234", b"X-MSS-NIL: 9999"),
        (b"Content-Type: text/plain", b"Content-Type: text/html"),
        (b"<autre@", b"<tiers@"),
    ],
)
async def test_what_is_changed_on_the_way_breaks_both(desk: Desk, changed: tuple[bytes, bytes]) -> None:
    assert verdicts(desk, desk.signed().replace(*changed)) == [False, False]


@pytest.mark.parametrize(
    "name",
    [
        "From",
        "To",
        "Cc",
        "Subject",
        "Date",
        "Message-ID",
        "Reply-To",
        "References",
        "In-Reply-To",
        "Sender",
        "Content-Type",
        "Content-Transfer-Encoding",
        "X-MSS-MES",
        "X-MSS-NIL",
        "X-MSS-CODECDA",
        "X-MSS-INS",
    ],
)
async def test_none_of_the_fields_that_matter_can_be_added(desk: Desk, name: str) -> None:
    added = name.encode() + b": <autre@mss.auteur.test>\r\n" + desk.signed()
    assert verdicts(desk, added) == [False, False]


async def test_what_relays_write_above_breaks_nothing(desk: Desk) -> None:
    above = b"Received: by mx.test; Sun, 22 Nov 2026 10:00:01 +0100\r\nReturn-Path: <a@b.test>\r\n"
    assert verdicts(desk, above + desk.signed()) == [True, True]


async def test_blanks_and_folds_that_relays_change_break_nothing(desk: Desk) -> None:
    refolded = desk.signed().replace(b",\r\n\t<autre@", b",  \r\n    <autre@").replace(b"\r\n\r\n\r\n", CRLF)
    assert refolded != desk.signed()
    assert verdicts(desk, refolded) == [True, True]


async def test_no_line_is_longer_than_programs_write_them(desk: Desk) -> None:
    lines = desk.signer.sign(LETTER, AUTHOR).split(b"\r\n")
    assert max(map(len, lines)) <= 78


async def test_a_domain_that_is_not_ours_is_not_signed_for(desk: Desk) -> None:
    assert desk.signer.sign(LETTER, "autre.test") == b""
    assert desk.ring.pairs("autre.test") == []


async def test_a_letter_of_utf8_fields_is_signed(desk: Desk) -> None:
    letter = LETTER.replace(b"Marie", "Marie-Hélène".encode())
    assert verdicts(desk, desk.signed(letter)) == [True, True]


async def test_a_large_letter_is_signed_from_the_loop_as_any_other(desk: Desk) -> None:
    letter = LETTER + b"suite \t de la lettre\r\n" * 20_000
    assert verdicts(desk, await desk.signer.signed(letter, AUTHOR) + letter) == [True, True]


def test_each_name_is_covered_once_more_than_it_occurs() -> None:
    names = signing.covered(mime.fields(LETTER))
    assert names.count("from") == 2
    assert names.count("x-mss-nil") == 2
    assert names.count("reply-to") == 1
    assert "received" not in names


def test_a_header_of_a_thousand_private_fields_is_covered_up_to_a_bound() -> None:
    many = mime.fields(b"".join(b"X-MSS-%d: a\r\n" % at for at in range(1000)) + CRLF)
    assert len(signing.covered(many)) == 400


async def test_a_signature_may_say_when_it_ends(desk: Desk) -> None:
    desk.signer._expiry = 86_400
    tags = signing_tags(mime.fields(desk.signer.sign(LETTER, AUTHOR) + CRLF)[0].value)
    assert int(tags["x"]) - int(tags["t"]) == 86_400
    assert re.fullmatch(r"\d+", tags["x"])
