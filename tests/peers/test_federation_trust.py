"""The list and the lists of revocation, fetched from their servers, in each state in which they have been met.

What a refusal of the list is worth is looked at where it counts: whether an operator is let in at port 25 right after.
Numbers are the rows of the requirements of MSSanté that a test shows. Ages are made short by configuration: hours are
fractions of seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from deploy.demo import letters, pki
from deploy.demo.federation_bad import Reply, attempt, connected
from deploy.demo.federation_servers import ListState, RevocationState
from deploy.demo.federation_world import Operator
from policies.trust_list import listing
from tests.peers.federation import THERE, Federation, federation, refusals, wait

pytestmark = [pytest.mark.peers, pytest.mark.timeout(900)]

HOUR = 3600.0
SECOND = "mss.second.test"
CASE = "mss.casse.test"
NEW = "mss.nouveau.test"


@pytest.fixture(scope="module")
def two() -> Iterator[Federation]:
    """New names of known domains count at once; nothing is fetched but when it is asked for."""
    at_once = {
        "trust_list_delay_hours": 0,
        "trust_list_every_minutes": 1440,
        "revocation_every_minutes": 1440,
    }
    with federation({"policies": at_once}, bad={}, alone=True) as made:
        yield made


@pytest.fixture(autouse=True)
def mended(two: Federation) -> Iterator[None]:
    """After each test, all servers are well and what they say is known."""
    rows = list(two.commons.lists.rows)
    yield
    two.commons.revocations.forgive()
    two.commons.revocations.switch(RevocationState.GOOD)
    two.commons.lists.publish(rows)
    fetched(two)


def fetched(two: Federation, **asked: Any) -> dict[str, Any]:
    """`trust-list fetch`: list and lists of revocation, now."""
    return dict(two.here.command("trust_list_fetch", **asked))


def standing(operator: Operator) -> dict[str, Any]:
    return dict(operator.command("trust_list_show"))


def handed(two: Federation, leaf: pki.Leaf, domain: str) -> Reply:
    sender = f"quelquun@{domain}"
    data = letters.note(sender, two.claire.address, "Essai", "x\n").data.rstrip(b"\r\n")
    return attempt(two.here.ports["smtp"], two.context(leaf), sender, two.claire.address, data)


def let_in(two: Federation) -> bool:
    return handed(two, two.there.leaf, THERE).code == 250


# -- the list in force (1, 9) -----------------------------------------------------------------------------------


def test_either_of_two_certificates_of_a_domain_is_taken(two: Federation) -> None:
    first, second = two.commons.operator(SECOND, 71), two.commons.operator(SECOND, 72)
    assert first.dn != second.dn
    two.commons.admit(first.dn, SECOND)
    two.commons.admit(second.dn, SECOND)
    assert fetched(two)["applied"]
    assert handed(two, first, SECOND).code == 250
    assert handed(two, second, SECOND).code == 250


def test_one_certificate_may_speak_for_several_domains_and_for_no_other(two: Federation) -> None:
    leaf = two.commons.operator(SECOND, 71)
    two.commons.admit(leaf.dn, SECOND, CASE)
    assert fetched(two)["applied"]
    assert (handed(two, leaf, SECOND).code, handed(two, leaf, CASE).code) == (250, 250)
    assert handed(two, leaf, THERE).code == 550


def test_domains_and_names_are_the_same_however_they_are_spelled(two: Federation) -> None:
    two.commons.lists.switch(ListState.MIXED_CASE)
    told = fetched(two)
    assert told["applied"]
    assert let_in(two)
    assert handed(two, two.there.leaf, THERE.title()).code == 250


def test_a_name_is_the_same_spaced_escaped_and_begun_at_its_other_end(two: Federation) -> None:
    name = "CLINIQUE DUPONT, DURAND (TEST)"
    organisation = pki.Organisation.with_finess(name, 73, "Ain (01)")
    leaf = two.commons.authority.issue_operator(f"smtp.{CASE}", organisation, local=True)
    for spelled in (
        rf"cn = SMTP.{CASE},ou={organisation.structure} , o=Clinique  Dupont\2c Durand (Test),st=AIN (01),c=fr",
        rf"C=FR, ST=Ain (01), O=CLINIQUE DUPONT\, DURAND (TEST), OU={organisation.structure}, CN=smtp.{CASE}",
    ):
        two.commons.lists.publish([*two.commons.lists.rows, listing.Row(CASE, spelled)])
        assert fetched(two)["applied"]
        assert handed(two, leaf, CASE).code == 250, spelled
        two.commons.lists.publish([row for row in two.commons.lists.rows if row.domain != CASE])
        assert fetched(two)["applied"]
        assert handed(two, leaf, CASE).code == 550


# -- lists that must not be taken (2) ---------------------------------------------------------------------------

REFUSED = {
    ListState.ILL_FORMED: "ill-formed",
    ListState.EMPTY: "empty",
    ListState.OLDER: "older",
    ListState.HALVED: "shrunken",
}


@pytest.mark.parametrize("state", REFUSED)
def test_a_bad_list_is_refused_and_the_last_good_one_stays(two: Federation, state: ListState) -> None:
    before = standing(two.here)
    two.commons.lists.switch(state)
    told = fetched(two)
    assert (told["applied"], told["reason"]) == (False, REFUSED[state])
    after = standing(two.here)
    assert (after["rows"], after["generated"]) == (before["rows"], before["generated"])
    assert after["last_refusal"] == REFUSED[state]
    assert let_in(two)
    assert f"trust list refused ({REFUSED[state]})" in (two.here.folder / "node.log").read_text()


def test_a_list_that_a_person_knows_to_be_smaller_is_taken_at_their_word(two: Federation) -> None:
    kept = [row for row in two.commons.lists.rows if row.domain in (THERE, two.here.domain)]
    two.commons.lists.publish(kept)
    assert fetched(two)["reason"] == "shrunken"
    assert fetched(two, smaller=True)["applied"]
    assert standing(two.here)["rows"] == len(kept)


@pytest.mark.parametrize("state", [ListState.DOWN, ListState.REFUSED])
def test_when_the_lists_server_does_not_answer_the_last_list_stays(two: Federation, state: ListState) -> None:
    two.commons.lists.switch(state)
    assert not fetched(two)["applied"]
    assert let_in(two)


# -- whose list it is (3) ---------------------------------------------------------------------------------------


def test_a_list_from_a_server_under_another_name_is_not_taken(two: Federation) -> None:
    """Of the same health authority: the name of the certificate is what makes the list genuine."""
    lists = two.commons.lists
    genuine, organisation = lists.certificate, pki.Organisation.with_finess("AUTRE TEST", 74, "Ain (01)")
    lists.publish([row for row in lists.rows if row.domain != THERE])
    lists.show(two.commons.authority.issue_server("espacedeconfiance.test", organisation))
    try:
        told = fetched(two)
    finally:
        lists.show(genuine)
    assert not told["applied"]
    assert let_in(two)


def test_a_list_from_a_server_of_another_authority_is_not_taken(two: Federation) -> None:
    lists = two.commons.lists
    genuine, organisation = lists.certificate, pki.Organisation.with_finess("AUTRE TEST", 74, "Ain (01)")
    foreign = pki.TestAuthority.create(label="ETRANGERE")
    lists.show(foreign.issue_server("espacedeconfiance.test", organisation))
    try:
        assert not fetched(two)["applied"]
    finally:
        lists.show(genuine)
    assert let_in(two)


def test_an_operator_that_leaves_the_list_is_refused_at_once(two: Federation) -> None:
    assert let_in(two)
    lists = two.commons.lists
    lists.publish([row for row in lists.rows if row.domain != THERE])
    assert fetched(two)["applied"]
    reply = handed(two, two.there.leaf, THERE)
    assert str(reply) == "550 5.7.1 Your certificate does not speak for the domain of this sender"


# -- revocation (10) --------------------------------------------------------------------------------------------


def test_a_revoked_certificate_is_refused_at_once_in_an_open_connection_too(two: Federation) -> None:
    with connected(two.here.ports["smtp"], two.context()) as client:
        assert client.ask(f"MAIL FROM:<{two.yves.address}>").code == 250
        client.ask("RSET")
        two.commons.revocations.revoke(two.there.leaf)
        fetched(two)
        reply = client.ask(f"MAIL FROM:<{two.yves.address}>")
    assert str(reply) == "550 5.7.1 Your certificate is revoked"
    assert str(handed(two, two.there.leaf, THERE)) == "550 5.7.1 Your certificate is revoked"
    wait(lambda: refusals(two.here, "certificate-revoked") or None)


def test_another_certificate_of_the_same_name_holds(two: Federation) -> None:
    two.commons.revocations.revoke(two.there.leaf)
    fetched(two)
    assert handed(two, two.commons.operator(THERE, 12), THERE).code == 250


def test_an_intermediate_that_is_revoked_takes_its_certificates_with_it(two: Federation) -> None:
    two.commons.revocations.intermediate_revoked = True
    fetched(two)
    assert str(handed(two, two.there.leaf, THERE)) == "550 5.7.1 Your certificate is revoked"


STATES = [
    RevocationState.DOWN,
    RevocationState.REFUSED,
    RevocationState.RUBBISH,
    RevocationState.FOREIGN,
    RevocationState.EXPIRED,
]


@pytest.mark.parametrize("state", STATES)
def test_while_no_newer_list_of_revocation_can_be_had_the_last_one_serves(
    two: Federation, state: RevocationState
) -> None:
    two.commons.revocations.switch(state)
    fetched(two)
    assert let_in(two)


def test_the_last_list_of_revocation_serves_no_longer_than_it_says_itself(two: Federation) -> None:
    """It says a week; here, some seconds."""
    revocations = two.commons.revocations
    try:
        for seconds in (3, 12, 60, 200):
            revocations.switch(RevocationState.GOOD)
            revocations.valid, begun = timedelta(seconds=seconds), time.monotonic()
            fetched(two)
            if let_in(two):
                break
            # Its dates have whole seconds.
            assert time.monotonic() - begun > seconds - 1, "it was refused before its time"
        else:
            pytest.fail("nobody came in while it served")
        revocations.switch(RevocationState.DOWN)
        reply = wait(lambda: refused(two))
    finally:
        revocations.valid = 7 * pki.DAY
    assert "cannot be known" in reply.words
    assert time.monotonic() - begun > seconds - 1


# -- time -------------------------------------------------------------------------------------------------------


def test_a_new_name_of_a_known_domain_is_held_until_a_person_or_the_delay_says_otherwise() -> None:
    with federation(bad={}, alone=True) as two:
        taking_over = two.commons.operator(THERE, 75)
        two.commons.admit(taking_over.dn, THERE)
        told = fetched(two)
        assert (told["applied"], told["held"]) == (True, 1)
        reply = handed(two, taking_over, THERE)
        assert reply.code == 451
        assert "counts in a while" in reply.words
        assert let_in(two)
        assert "held" in (two.here.folder / "node.log").read_text()
        two.here.command("trust_list_apply", what=THERE)
        assert handed(two, taking_over, THERE).code == 250


# Hours are made seconds; where the machine is so busy that they pass before anybody comes to the door, more of them.
PACES = (1, 4, 16, 60)


def test_a_list_that_grows_old_lets_in_nobody_new_and_then_nobody() -> None:
    """72 hours and 7 days, made 2 and 6 seconds."""
    for pace in PACES:
        ages = {"trust_list_new_peers_hours": 2 * pace / HOUR, "trust_list_all_peers_hours": 6 * pace / HOUR}
        still = {"trust_list_every_minutes": 1440}
        with federation({"policies": ages | still}, bad={}, alone=True) as two:
            if grows_old(two, pace):
                return
    pytest.fail("nobody came to the door in time")


def grows_old(two: Federation, pace: float) -> bool:
    """Whether each came in time to see what there is to be seen then."""
    newcomer = two.commons.operator(NEW, 76)
    two.commons.admit(newcomer.dn, NEW)
    begun = time.monotonic()
    assert fetched(two)["applied"]
    known = time.monotonic()
    if not let_in(two):
        return late(begun, 2 * pace)
    two.commons.lists.switch(ListState.DOWN)
    time.sleep(max(0.0, known + 2 * pace + 0.1 - time.monotonic()))
    if not let_in(two):  # it was met before
        return late(begun, 6 * pace)
    reply = handed(two, newcomer, NEW)
    assert (reply.code, "too old" in reply.words) == (451, True)
    assert standing(two.here)["age"] != "young"
    wait(lambda: refused(two))
    assert time.monotonic() - begun > 6 * pace
    two.commons.lists.switch(ListState.GOOD)
    begun = time.monotonic()
    assert fetched(two)["applied"]
    return let_in(two) or late(begun, 6 * pace)


def late(begun: float, seconds: float) -> bool:
    """Not in time to see anything, and not otherwise."""
    assert time.monotonic() - begun > seconds, "it was refused before its time"
    return False


def refused(two: Federation) -> Reply | None:
    """What the other operator is told once it is let in no longer."""
    reply = handed(two, two.there.leaf, THERE)
    assert reply.code in (250, 451), reply
    return reply if reply.code == 451 else None


def test_after_the_grace_nobody_comes_in_whose_certificate_cannot_be_checked() -> None:
    """24 hours, made 1.5 seconds; it heals by itself when the lists of revocation come again."""
    for pace in PACES:
        grace = {"revocation_grace_hours": 1.5 * pace / HOUR, "revocation_every_minutes": 1440}
        with federation({"policies": grace}, bad={}, alone=True) as two:
            if grace_ends(two, 1.5 * pace):
                return
    pytest.fail("nobody came to the door in time")


def grace_ends(two: Federation, seconds: float) -> bool:
    """Whether each came in time to see what there is to be seen then."""
    begun = time.monotonic()
    fetched(two)
    if not let_in(two):
        return late(begun, seconds)
    two.commons.revocations.switch(RevocationState.DOWN)
    reply = wait(lambda: refused(two))
    assert "cannot be known" in reply.words
    assert time.monotonic() - begun > seconds
    two.commons.revocations.switch(RevocationState.GOOD)
    begun = time.monotonic()
    fetched(two)
    return let_in(two) or late(begun, seconds)


def test_a_node_that_never_had_a_list_of_revocation_that_holds_lets_nobody_in() -> None:
    def expired(commons: Any) -> None:
        commons.revocations.switch(RevocationState.EXPIRED)

    with federation(bad={}, alone=True, rows=expired) as two:
        assert handed(two, two.there.leaf, THERE).code == 451
        two.commons.revocations.switch(RevocationState.GOOD)
        fetched(two)
        assert let_in(two)
