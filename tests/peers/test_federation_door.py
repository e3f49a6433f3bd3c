"""Another operator at port 25: each refusal of the trust space, met on a real hop with mutual TLS.

Numbers are the rows of the requirements of MSSanté that a test shows.
"""

from __future__ import annotations

import ssl

import pytest

from deploy.demo import letters, pki
from deploy.demo.federation_bad import Reply, attempt, connected
from tests.peers.federation import BAD, HERE, LARGEST, THERE, Federation, lying, refusals, wait

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:ssl.TLSVersion")]

STRANGER = pki.Organisation.with_finess("CLINIQUE TEST", 41, "Ain (01)")


def handed(two: Federation, leaf: pki.Leaf | None, mail_from: str, recipient: str = "") -> Reply:
    """A small letter for Claire, from whoever shows this certificate."""
    data = letters.note(mail_from or f"postmaster@{THERE}", two.claire.address, "Essai", "x\n").data
    context = two.context(leaf) if leaf else None
    return attempt(
        two.here.ports["smtp"], context, mail_from, recipient or two.claire.address, data.rstrip(b"\r\n")
    )


def shut_out(two: Federation, context: ssl.SSLContext) -> bool:
    """Whether nothing is said to them; TLS 1.3 tells the client only when it reads."""
    try:
        with connected(two.here.ports["smtp"], context):
            return False
    except (ssl.SSLError, ConnectionError):
        return True


# -- who may hand over (7, 1, 9) ------------------------------------------------------------------------------


def test_a_listed_operator_hands_a_letter_over(two: Federation) -> None:
    assert handed(two, two.there.leaf, two.yves.address).code == 250


def test_the_case_of_a_domain_does_not_matter(two: Federation) -> None:
    assert handed(two, two.there.leaf, f"yves@{THERE.upper()}").code == 250


def test_in_clear_nothing_is_taken(two: Federation) -> None:
    """5, on our side of the hop."""
    assert str(handed(two, None, two.yves.address)) == "530 5.7.0 Must issue a STARTTLS command first"


def test_without_a_certificate(two: Federation) -> None:
    with connected(two.here.ports["smtp"], two.anonymous()) as client:
        reply = client.ask(f"MAIL FROM:<{two.yves.address}>")
    assert str(reply) == "550 5.7.1 A client certificate listed in the trust list is required"


def test_a_certificate_of_the_health_authority_that_no_list_names(two: Federation) -> None:
    leaf = two.commons.authority.issue_operator("smtp.mss.inconnu.test", STRANGER)
    reply = handed(two, leaf, two.yves.address)
    assert str(reply) == "550 5.7.1 Your certificate is not in the trust list"
    wait(lambda: refusals(two.here, "certificate-unlisted") or None)


def test_a_listed_operator_under_the_domain_of_another(two: Federation) -> None:
    """A forged MAIL FROM."""
    reply = handed(two, two.leaves[BAD], two.yves.address)
    assert str(reply) == "550 5.7.1 Your certificate does not speak for the domain of this sender"


def test_a_listed_operator_under_a_domain_of_ours(two: Federation) -> None:
    reply = handed(two, two.there.leaf, two.claire.address)
    assert str(reply) == "550 5.7.1 Your certificate does not speak for the domain of this sender"


def test_a_domain_below_a_listed_one_is_another_domain(two: Federation) -> None:
    assert handed(two, two.there.leaf, f"yves@sous.{THERE}").code == 550


def test_from_cannot_name_another_than_the_sender(two: Federation) -> None:
    data = letters.note(two.claire.address, two.claire.address, "Essai", "x\n").data.rstrip(b"\r\n")
    reply = attempt(two.here.ports["smtp"], two.context(), two.yves.address, two.claire.address, data)
    assert reply.code == 550


# -- certificates that no longer, or never, held ---------------------------------------------------------------


def test_an_expired_certificate_ends_the_handshake(two: Federation) -> None:
    leaf = two.commons.operator(THERE, 12, dates=pki.Dates.EXPIRED)
    assert shut_out(two, two.context(leaf))
    wait(lambda: refusals(two.here, "handshake-failed") or None)


def test_a_certificate_of_tomorrow_ends_the_handshake(two: Federation) -> None:
    assert shut_out(two, two.context(two.commons.operator(THERE, 12, dates=pki.Dates.NOT_YET)))


def test_a_certificate_of_another_chain_ends_the_handshake_whatever_name_it_bears(two: Federation) -> None:
    foreign = pki.TestAuthority.create(label="ETRANGERE").issue_operator(f"smtp.{THERE}", STRANGER)
    assert shut_out(two, two.context(foreign))


def test_a_certificate_that_nobody_signed_ends_the_handshake(two: Federation) -> None:
    assert shut_out(two, two.context(pki.self_signed(f"smtp.{THERE}", STRANGER)))


# -- TLS (11) ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_tls_older_than_1_2_is_refused(two: Federation, version: ssl.TLSVersion) -> None:
    context = two.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    assert shut_out(two, context)


@pytest.mark.parametrize(
    "suite", ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256"]
)
def test_weak_suites_are_refused(two: Federation, suite: str) -> None:
    context = two.context()
    context.set_ciphers(f"{suite}:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shut_out(two, context)


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"])
def test_the_suites_of_the_reference_are_taken(two: Federation, suite: str) -> None:
    context = two.context()
    context.set_ciphers(suite)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert not shut_out(two, context)


def test_tls_1_3_is_taken(two: Federation) -> None:
    context = two.context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    assert not shut_out(two, context)


# -- no relay (8) -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("elsewhere", [BAD, THERE, "mss.inconnu.test"])
def test_nobody_relays_through_us_not_even_a_listed_operator_to_a_listed_one(
    two: Federation, elsewhere: str
) -> None:
    reply = handed(two, two.there.leaf, two.yves.address, f"quelquun@{elsewhere}")
    assert str(reply) == "550 5.7.1 This server does not relay to other operators"


def test_an_address_with_a_route_in_it_is_no_way_out(two: Federation) -> None:
    for recipient in (f"quelquun%{BAD}@{HERE}", f"@{HERE}:quelquun@{BAD}", f'"quelquun@{BAD}"@{HERE}'):
        assert handed(two, two.there.leaf, two.yves.address, recipient).code in (550, 553)
    assert not two.bad[BAD].taken


# -- an administrator's word ----------------------------------------------------------------------------------------


def test_an_operator_that_an_administrator_blocks_is_refused_at_once(two: Federation) -> None:
    with connected(two.here.ports["smtp"], two.context()) as client:
        assert client.ask(f"MAIL FROM:<{two.yves.address}>").code == 250
        client.ask("RSET")
        two.here.command("operator_block", dn=two.there.leaf.dn, reason="essai")
        try:
            reply = client.ask(f"MAIL FROM:<{two.yves.address}>")
        finally:
            two.here.command("operator_unblock", dn=two.there.leaf.dn, reason="essai")
        assert client.ask(f"MAIL FROM:<{two.yves.address}>").code == 250
    assert str(reply) == "550 5.7.1 This server has blocked your operator: write to its administrators"


# -- bounces (12) -----------------------------------------------------------------------------------------------


def test_the_null_sender_of_a_listed_operator_is_taken(two: Federation) -> None:
    assert handed(two, two.there.leaf, "").code == 250


def test_the_null_sender_of_an_unlisted_one_is_not(two: Federation) -> None:
    leaf = two.commons.authority.issue_operator("smtp.mss.inconnu.test", STRANGER)
    assert str(handed(two, leaf, "")) == "550 5.7.1 Your certificate is not in the trust list"


def test_a_bounce_is_never_answered(two: Federation) -> None:
    """Neither its delivery, asked for, nor its reading; nor what it was for that does not exist."""

    def queued() -> set[int]:
        return {row["id"] for row in two.here.command("queue_list")["letters"]}

    before = queued()
    heads = f"Disposition-Notification-To: {two.yves.address}\r\n".encode()
    data = heads + letters.note(f"postmaster@{THERE}", two.claire.address, "Retour", "x\n").data.rstrip(
        b"\r\n"
    )
    with connected(two.here.ports["smtp"], two.context()) as client:
        assert client.ask("MAIL FROM:<>").code == 250
        assert client.ask(f"RCPT TO:<{two.claire.address}> NOTIFY=SUCCESS,FAILURE").code == 250
        assert client.ask(f"RCPT TO:<personne@{HERE}>").code == 550
        assert client.data(data).code == 250
    assert lying(two.here, two.claire)
    assert queued() <= before


# -- size (13) --------------------------------------------------------------------------------------------------


def test_the_limit_is_announced(two: Federation) -> None:
    with connected(two.here.ports["smtp"], two.context()) as client:
        assert client.offered["SIZE"] == str(LARGEST)


def test_a_letter_that_says_it_is_too_large_is_refused_before_it_is_sent(two: Federation) -> None:
    with connected(two.here.ports["smtp"], two.context()) as client:
        reply = client.ask(f"MAIL FROM:<{two.yves.address}> SIZE={LARGEST + 1}")
        assert client.ask(f"MAIL FROM:<{two.yves.address}> SIZE={LARGEST}").code == 250
    assert (reply.code, reply.words[:5]) == (552, "5.3.4")


@pytest.mark.parametrize("declared", ["", " SIZE=1000"])
def test_a_letter_that_grows_too_large_is_refused_at_its_end(two: Federation, declared: str) -> None:
    data = b"Subject: x\r\n\r\n" + b"x" * 76 + b"\r\n" * (LARGEST // 2)
    reply = attempt(
        two.here.ports["smtp"], two.context(), two.yves.address, two.claire.address, data, declared
    )
    assert (reply.code, reply.words[:5]) == (552, "5.3.4")
