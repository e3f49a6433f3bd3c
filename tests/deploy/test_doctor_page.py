"""What doctor says of the page: whole or damaged, its addresses, its certificate, and what stands still."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import pki
from deploy.node.config import Config
from deploy.node.doctor_page import certificate_names, covers, page_findings, standing_findings
from deploy.node.finding import Finding

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHARE = 256 * 2**20
URL = "https://messagerie.clinique.test"


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A built page in small."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    files = {"/": b"<!doctype html>", "/assets/a.js": b"let a = 1;"}
    for path, content in files.items():
        file = folder / (path.lstrip("/") or "index.html")
        file.write_bytes(content)
        file.with_name(file.name + ".gz").write_bytes(gzip.compress(content))
    listed = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    (folder / "manifest.sha256.json").write_text(json.dumps({"sources": "0" * 64, "files": listed}))
    return folder


def configured(**sections: dict[str, Any]) -> Config:
    needed: dict[str, Any] = {
        "accounts": {"domains": ["clinique.test"]},
        "keys": {"kek": "/nowhere/kek"},
        "smtp": {"hostname": "smtp.clinique.test"},
    }
    return Config.model_validate(needed | sections)


def by_subject(config: Config, static: Path) -> dict[str, Finding]:
    return {finding.subject: finding for finding in page_findings(config, static)}


# -- whole, or not --------------------------------------------------------------------------------------------


def test_a_page_as_its_manifest_lists_it_is_whole(static: Path) -> None:
    page = by_subject(configured(), static)["page"]
    assert (page.verdict, page.sentence) == ("good", "Whole: 2 files as its manifest lists them.")


def test_a_page_never_built_is_said_to_be_missing(tmp_path: Path) -> None:
    page = by_subject(configured(), tmp_path)["page"]
    assert page.verdict == "warning"
    assert "No page is built here" in page.sentence


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("assets/a.js", b"let a = 2;", "a.js is not what was built"),
        ("assets/a.js", None, "a.js is missing from the built page"),
        ("assets/a.js.gz", gzip.compress(b"steal()"), "the packed form of /assets/a.js holds something else"),
        ("index.html.gz", b"torn", "the packed form of / holds something else"),
        ("manifest.sha256.json", b"{", "the manifest cannot be read"),
    ],
)
def test_a_damaged_page_fails_and_names_the_file(
    static: Path, name: str, content: bytes | None, words: str
) -> None:
    file = static / name
    file.unlink() if content is None else file.write_bytes(content)
    page = by_subject(configured(), static)["page"]
    assert page.failed
    assert words in page.sentence


def test_with_all_doors_closed_nothing_else_is_looked_at(static: Path) -> None:
    found = by_subject(configured(web={"port": None}), static)
    assert list(found) == ["page"]
    assert "closed by configuration" in found["page"].sentence


# -- its addresses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sections", "subject", "verdict", "words"),
    [
        ({}, "page address", "warning", "page.public_url is not set"),
        ({"page": {"public_url": URL}}, "page address", "good", URL),
        (
            {"page": {"public_url": "http://localhost:8080"}},
            "page address",
            "warning",
            "on this machine only, though the HTTPS door is open",
        ),
        (
            {"page": {"public_url": URL}, "jmap": {"public_url": "https://jmap.clinique.test"}},
            "jmap address",
            "failed",
            "the page's own requests are refused",
        ),
        ({"jmap": {"public_url": URL}}, "jmap address", "warning", "Set page.public_url to the same"),
    ],
)
def test_addresses_that_do_not_fit_are_told(
    static: Path, sections: dict[str, Any], subject: str, verdict: str, words: str
) -> None:
    finding = by_subject(configured(**sections), static)[subject]
    assert finding.verdict == verdict
    assert words in finding.sentence


def test_one_address_for_both_says_nothing(static: Path) -> None:
    sections = {"page": {"public_url": URL}, "jmap": {"public_url": URL}}
    assert "jmap address" not in by_subject(configured(**sections), static)


def test_behind_a_proxy_too_the_page_needs_its_address(static: Path) -> None:
    config = configured(web={"port": None, "plain_port": 8080})
    assert by_subject(config, static)["page address"].verdict == "warning"


# -- its certificate ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "verdict"), [("messagerie.clinique.test", "good"), ("autre.clinique.test", "failed")]
)
def test_the_door_s_certificate_must_name_the_page(
    static: Path, tmp_path: Path, host: str, verdict: str
) -> None:
    authority = pki.TestAuthority.create()
    here = pki.Organisation.with_finess("CLINIQUE TEST", 7, "Ain (01)")
    leaf = authority.issue_server("messagerie.clinique.test", here).write(tmp_path, "server")
    config = configured(
        page={"public_url": f"https://{host}"},
        tls={"certificate": str(leaf.certificate), "key": str(leaf.key)},
    )
    finding = by_subject(config, static)["page certificate"]
    assert finding.verdict == verdict
    assert host in finding.sentence
    if verdict == "failed":
        assert "messagerie.clinique.test" in finding.sentence, "what it does name"


@pytest.mark.parametrize(
    ("name", "host", "fits"),
    [
        ("a.example.org", "A.example.org.", True),
        ("*.example.org", "a.example.org", True),
        ("*.example.org", "a.b.example.org", False),
        ("*.example.org", "example.org", False),
        ("a.example.org", "b.example.org", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("*.0.2.1", "192.0.2.1", False),
    ],
)
def test_names_of_certificates_cover_as_browsers_say(name: str, host: str, fits: bool) -> None:
    assert covers(name, host) is fits


def test_names_and_addresses_of_a_certificate_are_read() -> None:
    authority = pki.TestAuthority.create()
    here = pki.Organisation.with_finess("CLINIQUE TEST", 7, "Ain (01)")
    leaf = authority.issue_server("mail.clinique.test", here)
    assert set(certificate_names(leaf.certificate)) >= {"mail.clinique.test", "localhost", "127.0.0.1"}


# -- what stands still ----------------------------------------------------------------------------------------


def told(**changes: Any) -> dict[str, Any]:
    quiet: dict[str, Any] = {
        "submissions": {"held": 2, "late": 0, "oldest_late": None},
        "codes": {"alive": 4, "expired": 1, "blocked": 0},
        "uploads": {"octets": 5 * 2**20, "fullest": 2**20},
        "unfinished": [],
    }
    return quiet | changes


def at(ago: timedelta) -> int:
    return int((NOW - ago).timestamp() * 1000)


def standing(**changes: Any) -> dict[str, Finding]:
    return {finding.subject: finding for finding in standing_findings(told(**changes), SHARE, NOW)}


def test_a_quiet_node_has_nothing_to_do() -> None:
    found = standing()
    assert {finding.verdict for finding in found.values()} == {"good"}
    assert found["submissions"].sentence == "None is late, 2 wait for their time."


@pytest.mark.parametrize(
    ("subject", "changes", "words"),
    [
        (
            "submissions",
            {"submissions": {"held": 0, "late": 3, "oldest_late": at(timedelta(minutes=40))}},
            "3 letters handed over should have left, the oldest 40 minutes ago.",
        ),
        ("activation codes", {"codes": {"alive": 0, "expired": 25, "blocked": 0}}, "25 codes expired unused"),
        (
            "activation codes",
            {"codes": {"alive": 0, "expired": 0, "blocked": 1}},
            "1 blocked by wrong answers",
        ),
        ("uploads", {"uploads": {"octets": SHARE, "fullest": SHARE}}, "its share of 256 MiB"),
    ],
)
def test_what_stands_still_is_told_with_what_to_do(subject: str, changes: dict[str, Any], words: str) -> None:
    finding = standing(**changes)[subject]
    assert finding.verdict == "warning"
    assert words in finding.sentence


def unfinished(address: str, ago: timedelta | None, *, patient: bool = True) -> dict[str, Any]:
    since = None if ago is None else at(ago)
    return {"address": address, "patient": patient, "left": 12, "since": since}


def test_a_re_seal_begun_an_hour_ago_is_under_way() -> None:
    finding = standing(unfinished=[unfinished("a@p.test", timedelta(hours=1))])["re-seal"]
    assert (finding.verdict, finding.sentence) == ("good", "Nothing stands still, 1 under way.")


def test_a_re_seal_of_days_ago_names_three_spaces_and_counts_the_rest() -> None:
    many = [unfinished(f"{name}@p.test", timedelta(days=4)) for name in "abcde"]
    finding = standing(unfinished=many)["re-seal"]
    assert finding.verdict == "warning"
    assert "a@p.test (12 letters, 4 days), b@p.test" in finding.sentence
    assert "c@p.test (12 letters, 4 days) and 2 more." in finding.sentence


def test_a_professional_s_letters_are_the_node_s_to_seal() -> None:
    finding = standing(unfinished=[unfinished("dr@c.test", None, patient=False)])["re-seal"]
    assert finding.verdict == "warning"
    assert "dr@c.test (12 letters)" in finding.sentence
    assert "at its next start" in finding.sentence


# -- the page's address ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sections", "address"),
    [
        ({"page": {"public_url": f"{URL}/"}}, URL),
        ({}, "https://smtp.clinique.test"),
        ({"web": {"mail_host": "mail.clinique.test"}}, "https://mail.clinique.test"),
        ({"web": {"port": 8443}}, "https://smtp.clinique.test:8443"),
        ({"web": {"port": None, "plain_port": 8080}}, "http://localhost:8080"),
        ({"web": {"port": None}}, ""),
    ],
)
def test_links_that_are_printed_lead_to_the_page(sections: dict[str, Any], address: str) -> None:
    assert configured(**sections).page_address == address
