"""What `doctor` says of the certificate that other operators are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.demo import pki
from deploy.node.config import Config
from deploy.node.doctor_outbound import outbound_findings, reach_findings

ORGANISATION = pki.Organisation.with_finess("OPERATEUR TEST", 1, "Isère (38)")


@pytest.fixture(scope="module")
def authority() -> pki.TestAuthority:
    return pki.TestAuthority.create()


def told(folder: Path, authority: pki.TestAuthority, leaf: pki.Leaf, key: Path | None = None, **more: object):
    authority.write(folder)
    files = leaf.write(folder, "ours")
    settings = Config.model_validate(
        {
            "accounts": {"domains": ["mss.a.test"]},
            "tls": {
                "certificate": files.certificate,
                "key": key or files.key,
                "client_ca": folder / "ca.pem",
            },
            "policies": {"trust_list": folder / "list.xml"},
            "outbound": more,
        }
    )
    return [(each.verdict, each.sentence) for each in outbound_findings(settings)]


def test_a_certificate_that_others_take_is_good(tmp_path: Path, authority: pki.TestAuthority) -> None:
    ((verdict, words),) = told(tmp_path, authority, authority.issue_operator("smtp.mss.a.test", ORGANISATION))
    assert verdict == "good"
    assert "CN=smtp.mss.a.test" in words


def test_one_for_servers_alone_is_refused_by_others(tmp_path: Path, authority: pki.TestAuthority) -> None:
    ((verdict, words),) = told(tmp_path, authority, authority.issue_server("smtp.mss.a.test", ORGANISATION))
    assert verdict == "failed"
    assert "Set certificate and key in [outbound]" in words


def test_one_that_expired_is_told(tmp_path: Path, authority: pki.TestAuthority) -> None:
    leaf = authority.issue_operator("smtp.mss.a.test", ORGANISATION, dates=pki.Dates.EXPIRED)
    ((verdict, words),) = told(tmp_path, authority, leaf)
    assert verdict == "failed"
    assert "expired on" in words


def test_a_key_of_another_certificate_is_told(tmp_path: Path, authority: pki.TestAuthority) -> None:
    other = authority.issue_operator("smtp.mss.b.test", ORGANISATION).write(tmp_path, "other")
    leaf = authority.issue_operator("smtp.mss.a.test", ORGANISATION)
    ((verdict, words),) = told(tmp_path, authority, leaf, key=other.key)
    assert verdict == "failed"
    assert "do not belong together" in words


def test_where_nothing_leaves_nothing_is_said(tmp_path: Path, authority: pki.TestAuthority) -> None:
    leaf = authority.issue_operator("smtp.mss.a.test", ORGANISATION)
    assert told(tmp_path, authority, leaf, enabled=False) == []


@pytest.mark.parametrize(
    ("inside", "verdicts"),
    [
        ([], []),
        (["10.20.0.0/16"], ["warning"]),
        (["127.0.0.0/8"], ["failed"]),
        (["::1/128", "10.0.0.0/8"], ["failed", "warning"]),
        (["0.0.0.0/0"], ["failed"]),
        (["169.254.169.254/32"], ["failed"]),
    ],
)
def test_networks_that_others_may_lead_into_are_told(inside: list[str], verdicts: list[str]) -> None:
    given = {"accounts": {"domains": ["mss.a.test"]}, "outbound": {"inside": inside}}
    assert [one.verdict for one in reach_findings(Config.model_validate(given))] == verdicts


def test_a_port_that_other_operators_do_not_ask_at_is_told() -> None:
    given = {"accounts": {"domains": ["mss.a.test"]}, "web": {"peers_port": 9443}}
    (found,) = reach_findings(Config.model_validate(given))
    assert (found.verdict, "9443" in found.sentence) == ("warning", True)
