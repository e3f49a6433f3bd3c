"""Letters that must not leave: each server of the trust space that is not as it must be, met on a real hop.

All letters are handed in at once; each must stay in the queue, and nothing of it go over the wire, until its server is
mended. Numbers are the rows of the requirements of MSSanté that a test shows.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from deploy.demo import letters, pki
from deploy.demo.federation_bad import Manners, Starttls
from deploy.demo.federation_world import Commons
from tests.peers.federation import FIRST, Federation, federation, honest, wait

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:ssl.TLSVersion")]

STRANGER = pki.Organisation.with_finess("CLINIQUE TEST", 41, "Ain (01)")
Shown = Callable[[Commons, pki.Leaf], pki.Leaf]


def expired(commons: Commons, listed: pki.Leaf) -> pki.Leaf:
    return commons.operator(_domain_of(listed), 50, dates=pki.Dates.EXPIRED)


def foreign(commons: Commons, listed: pki.Leaf) -> pki.Leaf:
    """Under the listed name, of an authority that nobody trusts."""
    key = pki.TestAuthority.create(label="ETRANGERE")
    return key.issue_operator(f"smtp.{_domain_of(listed)}", STRANGER)


def self_signed(commons: Commons, listed: pki.Leaf) -> pki.Leaf:
    return pki.self_signed(f"smtp.{_domain_of(listed)}", STRANGER)


def unlisted(commons: Commons, listed: pki.Leaf) -> pki.Leaf:
    """Of the health authority, with the right host, of another organisation than the list says."""
    return commons.authority.issue_operator(f"smtp.{_domain_of(listed)}", STRANGER)


def of_another(commons: Commons, listed: pki.Leaf) -> pki.Leaf:
    """Listed, but for another domain."""
    stranger = commons.authority.issue_operator("smtp.mss.tiers.test", STRANGER)
    commons.admit(stranger.dn, "mss.tiers.test")
    return stranger


def revoked(commons: Commons, listed: pki.Leaf) -> pki.Leaf:
    commons.revocations.revoke(listed)
    return listed


def _domain_of(leaf: pki.Leaf) -> str:
    return leaf.dn.partition("CN=smtp.")[2].partition(",")[0]


@dataclass(frozen=True)
class Spoilt:
    manners: Manners
    shown: Shown
    reason: str  # told of the letter in the queue


SPOILT = {
    # 5
    "starttls-absent": Spoilt(Manners(starttls=Starttls.MISSING), honest, "no-starttls"),
    "starttls-stripped": Spoilt(Manners(starttls=Starttls.STRIPPED), honest, "no-starttls"),
    "starttls-refused": Spoilt(Manners(starttls=Starttls.REFUSED), honest, "peer-4yz"),
    # 6
    "expired": Spoilt(Manners(), expired, "certificate-expired"),
    "foreign": Spoilt(Manners(), foreign, "chain-foreign"),
    "self-signed": Spoilt(Manners(), self_signed, "certificate-self-signed"),
    "unlisted": Spoilt(Manners(), unlisted, "certificate-unlisted"),
    "of-another-domain": Spoilt(Manners(), of_another, "certificate-of-another-domain"),
    # 10
    "revoked": Spoilt(Manners(), revoked, "certificate-revoked"),
    # 11
    "tls-1.1": Spoilt(Manners(newest_tls=ssl.TLSVersion.TLSv1_1), honest, "tls-version"),
    "weak-suites": Spoilt(Manners(weak_suites=True), honest, "tls-suites"),
}


TWO_NAMES, SECOND = (
    "deux-noms",
    80,
)  # a domain that the list gives to two certificates, and the second's number


def domain(name: str) -> str:
    return f"mss.{name}.test"


@pytest.fixture(scope="module")
def spoilt() -> Iterator[Federation]:
    """One server for each way of being wrong, and a letter of Claire's on its way to each."""
    shown = {domain(name): each.shown for name, each in SPOILT.items()} | {domain(TWO_NAMES): honest}
    no_reuse = {"outbound": {"idle_seconds": 0}}

    def second_name(commons: Commons) -> None:
        commons.admit(commons.operator(domain(TWO_NAMES), SECOND).dn, domain(TWO_NAMES))

    with federation(no_reuse, bad=shown, rows=second_name, alone=True) as made:
        for name, each in SPOILT.items():
            made.bad[domain(name)].manners = each.manners
            note = letters.note(made.claire.address, f"a@{domain(name)}", f"Pour {name}", f"marque {name}\n")
            made.here.send(made.claire, [f"a@{domain(name)}"], note.data)
        yield made


def queued(made: Federation, name: str) -> dict[str, Any]:
    rows = made.here.command("queue_list", domain=domain(name))["letters"]
    assert len(rows) == 1, rows
    return dict(rows[0])


@pytest.mark.parametrize("name", SPOILT)
def test_nothing_leaves_and_the_reason_is_told(spoilt: Federation, name: str) -> None:
    server = spoilt.bad[domain(name)]
    server.await_connection(2)  # it was tried again, and again
    assert server.taken == []
    assert server.clear == [], "a letter began in clear"
    reasons: list[str] = []  # on a busy machine it may have been too slow for once

    def is_told() -> bool | None:
        reasons.append(queued(spoilt, name)["reason"])
        return reasons[-1] == SPOILT[name].reason or None

    try:
        wait(is_told)
    except AssertionError:
        pytest.fail(f"other reasons are told: {set(reasons)}")


@pytest.mark.parametrize("name", SPOILT)
def test_once_the_server_is_mended_the_letter_arrives(spoilt: Federation, name: str) -> None:
    server = spoilt.bad[domain(name)]
    server.show(spoilt.commons.operator(domain(name), FIRST + list(SPOILT).index(name)))
    server.manners = Manners()
    taken = server.await_letter(f"Pour {name}".encode())
    assert taken.mail_from == spoilt.claire.address
    assert taken.recipients == [f"a@{domain(name)}"]
    assert server.clear == []


# -- a domain of several certificates (1) ----------------------------------------------------------------------------


def test_a_server_may_show_either_certificate_of_its_domain_however_it_is_spelled(
    spoilt: Federation,
) -> None:
    server = spoilt.bad[domain(TWO_NAMES)]
    recipient = f"a@{domain(TWO_NAMES).title()}"
    second = spoilt.commons.operator(domain(TWO_NAMES), SECOND)
    for name, leaf in (("premier", spoilt.leaves[domain(TWO_NAMES)]), ("second", second)):
        server.show(leaf)
        note = letters.note(spoilt.claire.address, recipient, f"Pour {name}", "x\n")
        spoilt.here.send(spoilt.claire, [recipient], note.data)
        server.await_letter(f"Pour {name}".encode())


# -- an address that nobody may write to (4) ------------------------------------------------------------------------


def test_a_domain_that_no_list_names_is_refused_at_once_and_by_its_address(spoilt: Federation) -> None:
    note = letters.note(spoilt.claire.address, "a@mss.inconnu.test", "Essai", "x\n")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        spoilt.here.send(spoilt.claire, ["a@mss.inconnu.test"], note.data)
    ((address, (code, words)),) = refused.value.recipients.items()
    assert (address, code, words[:4]) == ("a@mss.inconnu.test", 550, b"5.7.")
    assert not [row for row in spoilt.here.command("queue_list")["letters"] if "inconnu" in row["domain"]]
