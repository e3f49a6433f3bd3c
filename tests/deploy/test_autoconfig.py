"""What of a node's configuration mail programs are told, and how doctor compares it with what answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.node.autoconfig import profile_signer, services_of
from deploy.node.config import Config, TlsSettings
from deploy.node.doctor_directory import ports_open, ports_told, publication_findings, published
from directory.autoconfig import mozilla

DOMAINS = ("cabinet.mss.example", "hopital.mss.example")


def config(**sections: dict[str, Any]) -> Config:
    given: dict[str, Any] = {"accounts": {"domains": DOMAINS}, "smtp": {"hostname": "Mail.mss.example"}}
    return Config.model_validate({**given, **sections})


def test_everything_is_told_of_a_node_as_init_makes_it() -> None:
    told = services_of(config())
    assert told.domains == DOMAINS
    assert told.host == "mail.mss.example"
    assert (told.imaps, told.imap, told.submissions, told.submission) == (993, 143, 465, 587)
    assert (told.ldaps, told.ldap, told.ldap_base) == (636, 389, "dc=mssante,dc=fr")
    assert (told.page, told.page_host, told.page_port) == (
        "https://Mail.mss.example",
        "mail.mss.example",
        443,
    )


@pytest.mark.parametrize("shut", [None, 0], ids=["closed", "any free one"])
def test_a_port_that_people_cannot_know_is_none(shut: int | None) -> None:
    told = services_of(config(imap={"port": shut}, ldap={"port": shut, "tls_port": shut}))
    assert (told.imap, told.ldap, told.ldaps) == (None, None, None)
    assert told.imaps == 993


def test_programs_are_sent_to_the_name_that_people_are_told() -> None:
    told = services_of(
        config(web={"mail_host": "imap.mss.example"}, page={"public_url": "https://page.mss.example:8443"})
    )
    assert told.host == "imap.mss.example"
    assert (told.page_host, told.page_port) == ("page.mss.example", 8443)


def test_a_page_without_tls_is_no_service_of_https() -> None:
    told = services_of(config(web={"port": None, "plain_port": 8080}))
    assert (told.page, told.page_port) == ("http://localhost:8080", None)


def test_a_certificate_that_is_not_there_leaves_profiles_unsigned(tmp_path: Path) -> None:
    assert profile_signer(TlsSettings())() is None
    assert profile_signer(TlsSettings(certificate=tmp_path / "none", key=tmp_path / "none"))() is None


def test_doctor_reads_what_programs_read() -> None:
    services = services_of(config(imap={"port": None}))
    told = ports_told(mozilla.client_config(services, DOMAINS[0]))
    assert told == ports_open(services) == {("imap SSL", 993), ("smtp SSL", 465), ("smtp STARTTLS", 587)}


@pytest.mark.parametrize("body", [b"", b"<html>", b"<a><incomingServer><port>x</port></incomingServer></a>"])
def test_what_is_no_answer_tells_no_port(body: bytes) -> None:
    assert ports_told(body) == set()


def test_doctor_names_the_hosts_that_the_certificate_lacks(tmp_path: Path) -> None:
    from deploy.demo import pki

    authority = pki.TestAuthority.create()
    here = pki.Organisation.with_finess("ESSAI", 1, "Rhône (69)")

    def said(*names: str) -> str:
        leaf = authority.issue_operator("mail.mss.example", here, names=names).write(tmp_path, "server")
        settings = config(tls={"certificate": leaf.certificate, "key": leaf.key})
        return next(one.sentence for one in publication_findings(settings) if one.subject == "mail programs")

    assert "does not name autoconfig.cabinet.mss.example, autoconfig.hopital.mss.example" in said()
    assert "does not name autoconfig.hopital.mss.example:" in said("autoconfig.cabinet.mss.example")
    assert said(*(f"autoconfig.{domain}" for domain in DOMAINS)).startswith("The certificate names")


def test_doctor_says_who_waits_and_why() -> None:
    waiting = {
        "address": "a@b",
        "state": "pending",
        "tries": 3,
        "words": "It is out of order.",
        "reason": "x",
    }
    found = published({"key_refused": "", "mailboxes": [waiting]})
    assert (found.verdict, found.sentence) == (
        "warning",
        "1 of ours wait to be published: It is out of order.",
    )
    fresh = {**waiting, "tries": 0}
    assert published({"key_refused": "", "mailboxes": [fresh]}).verdict == "good"
