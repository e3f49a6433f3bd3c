"""ORG to APP: structured letters of an organisation sent on, here or to another operator of the trust space."""

from __future__ import annotations

import json
from typing import Any

import dkim
import pytest

from mail_server import mime
from mail_server.accounts.interface import Kind
from mail_server.delivery.forwarding import HOP_FIELD, MOST_HOPS, RuleRefused
from mail_server.outbound.interface import Form, NotOpened, Readable
from mail_server.signatures.results import Result
from mail_server.store.model import State
from policies.audit.query import Filter, find
from policies.interface import PeerStanding
from policies.refusal import Refusal
from tests.mail_server.delivery.others import (
    AUTHOR,
    MARIE,
    NEIGHBOUR,
    Others,
    document,
    milliseconds,
)
from tests.mail_server.delivery.others import keys as keys
from tests.mail_server.delivery.others import others as others

ELSEWHERE = f"logiciel@{NEIGHBOUR}"


async def ward(desk) -> Any:
    return await desk.ward(await desk.sealed("nurse"))


async def rule(desk, account: Any, target: str | None) -> None:
    await desk.node.forwarding.rules.put(account, target, "console:test", means="console", network="")


async def trace(desk, action: str) -> list[Any]:
    return await desk.node.store.read(lambda reader: find(reader.sql, Filter(action=action)))


def detail(entry: Any) -> dict[str, str]:
    return json.loads(entry.detail)


def outcomes(entries: list[Any]) -> list[str]:
    return [one.outcome for one in entries]


async def from_elsewhere(others: Others, letter: bytes, *to: str) -> None:
    await others.hand_over(letter, *to, mail_from=f"marie@{NEIGHBOUR}")


def written(to: str, more: str = "", subject: str = "XDM/1.0/DDM+Bilan") -> bytes:
    return document(f"marie@{NEIGHBOUR}", to, more, subject)


# -- the rule ----------------------------------------------------------------------------------------------------


async def test_an_organisations_account_alone_sends_on(desk) -> None:
    gp, app = await desk.account("gp"), await desk.account("logiciel", Kind.APP)
    with pytest.raises(RuleRefused, match="organisations alone"):
        await rule(desk, gp, app.address)


async def test_on_this_server_a_program_alone_is_sent_to(desk) -> None:
    accueil, gp = await ward(desk), await desk.account("gp")
    for address in (gp.address, f"personne@{gp.address.partition('@')[2]}"):
        with pytest.raises(RuleRefused, match="kind APP"):
            await rule(desk, accueil, address)


@pytest.mark.parametrize("address", ["x@gmail.test", f"x@sous.{NEIGHBOUR}"])
async def test_nothing_is_sent_on_outside_the_trust_space(desk, way, address: str) -> None:
    with pytest.raises(RuleRefused, match="not in the trust space"):
        await rule(desk, await ward(desk), address)


@pytest.mark.parametrize(
    "address", ["", "logiciel", "@voisin.test", "a b@voisin.test\r\n", "285051305500185@patient.voisin.test"]
)
async def test_what_is_no_programs_address_is_refused(desk, way, address: str) -> None:
    with pytest.raises(RuleRefused):
        await rule(desk, await ward(desk), address)


async def test_a_change_of_the_rule_is_in_the_trace_with_who_made_it(desk, way) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)
    await rule(desk, accueil, None)
    found = await trace(desk, "forward-set")
    assert sorted(outcomes(found)) == ["none", "set"]
    assert {one.actor for one in found} == {"console:test"}
    assert {detail(one).get("domain") for one in found} == {NEIGHBOUR, None}
    assert await desk.node.forwarding.rules.rules() == []


# -- to a program of ours ----------------------------------------------------------------------------------------


async def test_a_program_of_ours_gets_a_copy_beside_the_organisation(desk, others: Others) -> None:
    accueil, app = await ward(desk), await others.program()
    await rule(desk, accueil, app.address)
    await from_elsewhere(others, written(accueil.address), accueil.address)
    [(kept, _)], [(copy, stored)] = await desk.inbox(accueil), await desk.inbox(app)
    assert (kept.state, copy.state) == (State.SEALED, State.CUSTODY)
    assert stored.endswith(written(accueil.address))
    assert [detail(one)["account"] for one in await trace(desk, "software-copy")] == [app.id]


async def test_a_letter_without_documents_stays_where_it_is(desk, others: Others) -> None:
    accueil, app = await ward(desk), await others.program()
    await rule(desk, accueil, app.address)
    await from_elsewhere(others, written(accueil.address, subject="Avis"), accueil.address)
    assert (len(await desk.inbox(accueil)), len(await desk.inbox(app))) == (1, 0)


async def test_who_is_addressed_as_well_gets_one_copy(desk, others: Others) -> None:
    accueil, app = await ward(desk), await others.program()
    await rule(desk, accueil, app.address)
    await from_elsewhere(others, written(accueil.address), accueil.address, app.address)
    assert len(await desk.inbox(app)) == 1


# -- to another operator -----------------------------------------------------------------------------------------


async def test_the_letter_leaves_by_the_queue_byte_for_byte_under_our_seal(desk, way, others: Others) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)
    letter = others.signed(written(accueil.address), NEIGHBOUR)
    await from_elsewhere(others, letter, accueil.address)
    [laid] = way.laid
    assert (laid.mail_from, laid.domain, laid.form, laid.readable) == (
        accueil.address,
        NEIGHBOUR,
        Form.GATED,
        Readable.GATED,
    )
    assert [one.address for one in laid.recipients] == [ELSEWHERE]
    [queued] = await way.queued()
    wire = way.opened_by_the_gate(queued)
    assert len(wire) == laid.size
    assert wire.endswith(letter)
    names = [one.name for one in mime.fields(wire[: -len(letter)] + b"\r\n")]
    assert names == [
        "received",
        HOP_FIELD.lower(),
        "arc-seal",
        "arc-message-signature",
        "arc-authentication-results",
    ]
    assert len(await desk.inbox(accueil)) == 1


async def test_at_the_other_side_both_the_author_and_we_can_be_believed(desk, way, others: Others) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)
    await from_elsewhere(others, others.signed(written(accueil.address), NEIGHBOUR), accueil.address)
    wire = way.opened_by_the_gate((await way.queued())[0])
    ours = accueil.address.partition("@")[2]
    for pair in desk.node.signer.ring.shown(ours, milliseconds()):
        others.dns.texts({f"{key.selector}._domainkey.{ours}": key.record for key in pair.public})
    verified = await desk.node.verifier.verify(wire, mime.fields(wire), NEIGHBOUR)
    assert (verified.arc, verified.sealed_by) == (Result.PASS, ours)
    assert verified.passed(NEIGHBOUR) is not None


async def test_what_was_written_here_is_signed_before_it_is_sent_on(desk, way, others: Others) -> None:
    accueil, gp = await ward(desk), await desk.account("gp")
    await rule(desk, accueil, ELSEWHERE)
    await desk.send(gp, document(gp.address, accueil.address), accueil.address)
    wire = way.opened_by_the_gate((await way.queued())[0])
    ours = accueil.address.partition("@")[2]
    records = {
        f"{key.selector}._domainkey.{ours}.".encode(): key.record.encode()
        for pair in desk.node.signer.ring.shown(ours, milliseconds())
        for key in pair.public
    }
    assert dkim.DKIM(wire).verify(1, dnsfunc=lambda name, timeout=5: records.get(name)) is True
    assert dkim.ARC(wire).verify(dnsfunc=lambda name, timeout=5: records.get(name))[0] == b"pass"


async def test_nobodys_bcc_leaves(desk, way, others: Others) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)
    letter = written(accueil.address, more="Bcc: <secret@voisin.test>\r\n")
    await from_elsewhere(others, letter, accueil.address)
    assert b"secret@" not in way.opened_by_the_gate((await way.queued())[0])


async def test_each_letter_that_goes_on_is_in_the_trace_without_its_address(
    desk, way, others: Others
) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)
    await from_elsewhere(others, written(accueil.address), accueil.address)
    [entry] = await trace(desk, "forward")
    assert (entry.outcome, entry.subject, detail(entry)) == (
        "sent-on",
        accueil.id,
        {"domain": NEIGHBOUR},
    )
    assert entry.reference == way.laid[0].reference


async def test_the_letter_lies_in_the_queue_with_its_copies_or_not_at_all(desk, way, others: Others) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)
    letter = written(accueil.address)
    await from_elsewhere(others, letter, accueil.address)
    await from_elsewhere(others, letter, accueil.address)  # sent again after a crash
    assert (len(await desk.inbox(accueil)), len(await way.queued())) == (1, 1)


async def test_while_the_gate_is_shut_the_letter_is_put_off(desk, way, others: Others) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)

    def shut() -> None:
        raise NotOpened("gate-closed")

    desk.node.forwarding._gate = shut
    with pytest.raises(Refusal, match="forward-not-now"):
        await from_elsewhere(others, written(accueil.address), accueil.address)
    assert await desk.inbox(accueil) == []


# -- what stops it -----------------------------------------------------------------------------------------------


async def stopped(desk, way, accueil: Any) -> list[str]:
    """The letter is in the account, nothing left, and the trace says why."""
    assert len(await desk.inbox(accueil)) == 1
    assert way.laid == []
    return outcomes(await trace(desk, "forward"))


async def test_a_domain_that_left_the_trust_space_gets_nothing_more(desk, way, others: Others) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)

    class Nobody:
        def standing_of(self, domain: str) -> PeerStanding:
            return PeerStanding(False, reason="recipient-domain-unlisted")

    desk.node.forwarding.rules._domains = Nobody()
    await from_elsewhere(others, written(accueil.address), accueil.address)
    assert await stopped(desk, way, accueil) == ["recipient-domain-unlisted"]


async def test_a_letter_that_was_sent_on_is_not_sent_on_again(desk, way, others: Others) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)
    hop = f"{HOP_FIELD}: {AUTHOR}\r\n"
    await from_elsewhere(others, written(accueil.address, more=hop), accueil.address)
    assert await stopped(desk, way, accueil) == ["sent-on-before"]


async def test_a_report_is_not_sent_on_in_our_name_whatever_its_subject_says(
    desk, way, others: Others
) -> None:
    """The program's operator gives back what was sent on: sent on again, it would be given back again, for ever."""
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)
    given_back = document(f"postmaster@{NEIGHBOUR}", accueil.address, subject="XDM/1.0/DDM+Bilan")
    await others.hand_over(given_back, accueil.address, mail_from="")
    assert await stopped(desk, way, accueil) == ["from-nobody"]


async def test_nor_one_whose_author_is_not_who_handed_it_over(desk, way, others: Others) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)
    await others.hand_over(others.sent_on(document(MARIE, accueil.address)), accueil.address)
    assert await stopped(desk, way, accueil) == ["sent-on-before"]


async def test_a_letter_that_went_through_too_many_hands_stays(desk, way, others: Others) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)
    hops = "Received: by a.test; Sat, 21 Nov 2026 10:00:00 +0100\r\n" * MOST_HOPS
    await from_elsewhere(others, hops.encode() + written(accueil.address), accueil.address)
    assert await stopped(desk, way, accueil) == ["too-many-hops"]


async def test_what_a_patient_wrote_stays(desk, way, others: Others) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)
    number = f"285051305500185@{NEIGHBOUR}"
    letter = document(number, accueil.address)
    await others.hand_over(letter, accueil.address, mail_from=number)
    assert await stopped(desk, way, accueil) == ["from-patient"]


async def test_a_broken_chain_is_not_gone_on_with(desk, way, others: Others) -> None:
    accueil = await ward(desk)
    await rule(desk, accueil, ELSEWHERE)
    broken = others.sealed(written(accueil.address)) + b"ajout\r\n"
    await from_elsewhere(others, broken, accueil.address)
    assert await stopped(desk, way, accueil) == ["chain-broken"]


async def test_two_organisations_that_send_to_one_program_send_one_letter(desk, way, others: Others) -> None:
    accueil = await ward(desk)
    cabinet = await desk.account("cabinet", Kind.CAB)
    await rule(desk, accueil, ELSEWHERE)
    await rule(desk, cabinet, ELSEWHERE)
    await desk.node.accounts.member_add(
        cabinet.id, desk.node.accounts.by_address(f"nurse@{accueil.address.partition('@')[2]}").id
    )
    await from_elsewhere(others, written(accueil.address), accueil.address, cabinet.address)
    assert len(way.laid) == 1


async def test_what_the_author_sealed_stays_where_it_is(desk, way, others: Others) -> None:
    accueil, app = await ward(desk), await others.program()
    await rule(desk, accueil, app.address)
    robot = await desk.account("robot", Kind.APP)
    certificate = desk.node.planner.plan(accueil).sealing_set[0]
    sealed = await desk.node.delivery._composer._engine.seal(
        b"Content-Type: text/plain\r\n\r\nx\r\n", [certificate]
    )
    from mail_server.store.armor import armor

    head, tail = mime.wrap(
        f"From: <{robot.address}>\r\nTo: {accueil.address}\r\nSubject: XDM/1.0/DDM+a\r\n".encode(), "limite"
    )
    letter = head + armor(sealed.key_packets[0].packet, sealed.body) + tail
    await desk.send(robot, letter, accueil.address)
    assert (len(await desk.inbox(accueil)), len(await desk.inbox(app))) == (1, 0)
