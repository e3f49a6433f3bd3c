"""A professional of one operator writes to a patient of another, sealed to the patient's own certificate.

That certificate is in no public directory: the operators tell each other, over mutual TLS, on a port of its own.
"""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
from typing import Any, cast

import pytest

from deploy.demo import letters, pki, world
from deploy.demo.federation_bad import client_context
from mail_server.outbound.peers.restricted import KEYWORD, PATH
from tests.peers import intruder
from tests.peers.federation import HERE, THERE, Federation, wait
from tests.peers.test_wkd import over_https, published

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def aurore(two: Federation) -> intruder.Someone:
    """A patient of the other operator, with a space that is open."""
    return intruder.activated(cast(world.World, two.there), "Aurore", "DELMAS", 611)


@pytest.fixture(scope="module")
def waiting(two: Federation) -> str:
    """A patient there who has not opened their space."""
    told = intruder.space(cast(world.World, two.there), intruder.patient("Lucie", "MERLE", 612))
    return str(told["shown"])


def ask(two: Federation, address: str, context: ssl.SSLContext) -> tuple[int, dict[str, str], bytes]:
    """As an operator's server does."""
    link = http.client.HTTPSConnection("localhost", two.there.ports["peers"], context=context, timeout=60)
    try:
        body = json.dumps({"address": address}).encode()
        link.request("POST", PATH, body, {"Content-Type": "application/json"})
        answer = link.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders() if k != "date"}, answer.read()
    finally:
        link.close()


def as_here(two: Federation) -> ssl.SSLContext:
    return client_context(two.commons.ca, two.here.leaf)


def lookups(two: Federation) -> list[dict[str, Any]]:
    rows = two.there.command(
        "audit_show", limit=50, action="certificate-lookup", address=None, reference=None
    )
    return cast("list[dict[str, Any]]", rows)


def test_the_policy_file_tells_listed_operators_where_to_ask(two: Federation) -> None:
    host = f"openpgpkey.patient.{THERE}"
    path = f"/.well-known/openpgpkey/patient.{THERE}/policy"
    answer = over_https(two.commons.ca, two.there.ports["https"], path, host)
    assert answer.status == 200
    assert answer.body.decode() == f"{KEYWORD}: localhost:{two.there.ports['peers']}\n"


def test_a_letter_that_may_only_leave_sealed_reaches_the_patient(
    two: Federation, aurore: intruder.Someone
) -> None:
    word = f"patiente{secrets.token_hex(8)}"
    local, _, domain = aurore.shown.partition("@")
    letter = letters.report(
        two.claire.address, aurore.shown, pdf_bytes=5_000, patient=word, closing=word, title=word
    )
    two.here.send(two.claire, [f"{local}+sealed@{domain}"], letter.data)
    email = wait(lambda: next(iter(aurore.page.letters()), None))
    assert email["guard"] == "sealed"
    assert word in aurore.page.open(email).subject
    logs = (two.here.folder / "node.log").read_text() + (two.there.folder / "node.log").read_text()
    assert local not in logs


def test_what_was_asked_is_in_the_trace_of_who_gave_it_without_the_number(
    two: Federation, aurore: intruder.Someone
) -> None:
    status, _, body = ask(two, aurore.shown, as_here(two))
    assert status == 200
    told = json.loads(body)
    assert told["address"] == aurore.address
    found = wait(lambda: lookups(two) or None)
    assert all(row["actor"].startswith("operator:") for row in found)
    assert all(HERE in row["detail"]["domain"].split() for row in found)
    assert aurore.shown.partition("@")[0] not in json.dumps(found)


def test_unknown_and_not_activated_are_answered_alike(
    two: Federation, waiting: str, aurore: intruder.Someone
) -> None:
    nobody = intruder.body_of_15_digits(613)
    answers = [ask(two, who, as_here(two)) for who in (f"{nobody}@patient.{THERE}", waiting, f"x@{THERE}")]
    assert {status for status, _, _ in answers} == {404}
    assert answers[0] == answers[1] == answers[2]


def test_who_shows_no_listed_certificate_is_told_nothing(two: Federation, aurore: intruder.Someone) -> None:
    assert ask(two, aurore.shown, client_context(two.commons.ca, None))[0] == 403
    organisation = pki.Organisation.with_finess("OPERATEUR INCONNU TEST", 77, "Ain (01)")
    stranger = two.commons.authority.issue_operator("smtp.mss.inconnu.test", organisation)
    status, _, body = ask(two, aurore.shown, client_context(two.commons.ca, stranger))
    assert (status, b"not in the trust list" in body) == (403, True)
    foreign = pki.TestAuthority.create().issue_operator("smtp.mss.faux.test", organisation)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        ask(two, aurore.shown, client_context(two.commons.ca, foreign))


def test_a_patient_is_in_no_public_directory(two: Federation, aurore: intruder.Someone) -> None:
    ca, port, host = two.commons.ca, two.there.ports["https"], f"openpgpkey.{THERE}"
    for address in (aurore.shown, aurore.address):
        assert published(ca, port, address, host).status == 404
        assert over_https(ca, port, f"/pks/lookup?op=get&search={address}", host).status == 404
        assert over_https(ca, port, f"/vks/v1/by-email/{address}", host).status == 404
        path = f"/.well-known/vaguemestre/capability?address={address}"
        assert over_https(ca, port, path, host).status == 404
    rows = [row for row in two.there.command("key_list") if row["address"] == aurore.address]
    assert rows
    for row in rows:
        fingerprint = row["fingerprint"]
        assert over_https(ca, port, f"/pks/lookup?op=get&search=0x{fingerprint}", host).status == 404
        assert over_https(ca, port, f"/vks/v1/by-fingerprint/{fingerprint}", host).status == 404


def test_who_is_on_the_red_list_is_shown_to_operators_alone(two: Federation) -> None:
    address = two.yves.address

    def red(wanted: str) -> None:
        two.there.command("account_profile", address=address, fields={"red_list": wanted})

    red("yes")
    try:
        assert (
            published(two.commons.ca, two.there.ports["https"], address, f"openpgpkey.{THERE}").status == 404
        )
        found = two.here.command("key_peer", address=address, refresh=True)
        assert (found["state"], found["held_by"]) == ("valid", "holder")
    finally:
        red("no")
    assert published(two.commons.ca, two.there.ports["https"], address, f"openpgpkey.{THERE}").status == 200


def test_a_revocation_there_is_heard_of_here_when_it_is_asked_for(
    two: Federation, aurore: intruder.Someone
) -> None:
    before = two.here.command("key_peer", address=aurore.shown, refresh=True)
    assert (before["state"], before["held_by"]) == ("valid", "holder")
    two.there.command("key_revoke", address=aurore.address, fingerprint=None)
    after = two.here.command("key_peer", address=aurore.shown, refresh=True)
    assert after["state"] == "none"
