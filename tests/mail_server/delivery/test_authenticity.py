"""Letters of other operators: what came of their signatures is told to the reader alone; and a From that is not
MAIL FROM is taken only with its own domain's word and the chain of who sends it on."""

from __future__ import annotations

import pytest

from directory.openpgp.gate import gate
from mail_server import mime
from mail_server.accounts.interface import Kind
from mail_server.delivery.authenticity import covers
from mail_server.delivery.examine import Letter
from mail_server.signatures.zone import Zone
from mail_server.store.armor import armor
from policies.refusal import Refusal
from tests.mail_server.delivery.others import (
    AUTHOR,
    MARIE,
    NEIGHBOUR,
    PASSES,
    WARD,
    Others,
    document,
    milliseconds,
    results_of,
)
from tests.mail_server.delivery.others import keys as keys
from tests.mail_server.delivery.others import others as others


async def refused(others: Others, letter: bytes, *recipients: str, mail_from: str = WARD) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await others.hand_over(letter, *recipients, mail_from=mail_from)
    return caught.value


# -- told to the reader ---------------------------------------------------------------------------------------


async def test_what_came_of_the_signatures_lies_above_a_letter_in_custody(desk, others: Others) -> None:
    app = await others.program()
    letter = others.signed(document(f"dr@{NEIGHBOUR}", app.address), NEIGHBOUR)
    await others.hand_over(letter, app.address, mail_from=f"dr@{NEIGHBOUR}")
    [(_, stored)] = await desk.inbox(app)
    told = results_of(stored)
    assert told.startswith(f"localhost; dkim=pass header.d={NEIGHBOUR} ")
    assert "; arc=none; x-tls=pass policy.dn=" in told
    assert told.endswith(f"x-mss=pass policy.domain={NEIGHBOUR}")
    assert stored.endswith(letter)


async def test_it_lies_inside_the_seal_of_a_sealed_letter(desk, others: Others) -> None:
    gp = await desk.sealed("gp")
    letter = others.signed(document(f"dr@{NEIGHBOUR}", gp.address, subject="Avis"), NEIGHBOUR)
    await others.hand_over(letter, gp.address, mail_from=f"dr@{NEIGHBOUR}")
    [(_, stored)] = await desk.inbox(gp)
    assert b"uthentication-Results" not in stored
    assert b"dkim=pass" not in stored
    assert results_of(desk.open("gp", stored).inner).startswith("localhost; dkim=pass")


async def test_it_lies_with_a_letter_that_was_opened_for_custody_too(desk, others: Others) -> None:
    gp = await desk.account("gp")
    held = await desk.node.operator_keys.certificate_for(gp.id, gp.address)
    certificate = gate(held.certificate, gp.address, milliseconds())
    entity = b"Subject: dedans\r\nContent-Type: text/plain\r\n\r\nLisez.\r\n"
    sealed = await desk.node.delivery._composer._engine.seal(entity, [certificate])
    author = f"dr@{NEIGHBOUR}"
    head, tail = mime.wrap(f"From: <{author}>\r\nTo: {gp.address}\r\nSubject: ...\r\n".encode(), "limite")
    letter = head + armor(sealed.key_packets[0].packet, sealed.body) + tail
    await others.hand_over(others.signed(letter, NEIGHBOUR), gp.address, mail_from=author)
    [(_, stored)] = await desk.inbox(gp)
    assert b"Lisez." in stored
    assert results_of(stored).startswith(f"localhost; dkim=pass header.d={NEIGHBOUR}")


async def test_a_letter_without_signatures_starts_no_worker(desk, others: Others) -> None:
    app = await others.program()
    await others.hand_over(document(f"dr@{NEIGHBOUR}"), app.address, mail_from=f"dr@{NEIGHBOUR}")
    [(_, stored)] = await desk.inbox(app)
    assert results_of(stored).startswith("localhost; dkim=none; arc=none; x-tls=pass")
    assert (desk.node.verifier.pids, others.dns.asked) == ([], [])


async def test_a_failing_signature_refuses_nothing_by_itself(desk, others: Others) -> None:
    app = await others.program()
    letter = others.signed(document(f"dr@{NEIGHBOUR}"), NEIGHBOUR) + b"ajout\r\n"
    await others.hand_over(letter, app.address, mail_from=f"dr@{NEIGHBOUR}")
    [(_, stored)] = await desk.inbox(app)
    assert "dkim=fail" in results_of(stored)


async def test_a_dns_server_that_is_down_refuses_nothing_by_itself(desk, others: Others) -> None:
    app = await others.program()
    others.dns.failing = True
    letter = others.signed(document(f"dr@{NEIGHBOUR}"), NEIGHBOUR)
    await others.hand_over(letter, app.address, mail_from=f"dr@{NEIGHBOUR}")
    [(_, stored)] = await desk.inbox(app)
    assert "dkim=temperror" in results_of(stored)


async def test_a_field_forged_in_our_name_is_gone_before_anybody_reads_it(desk, others: Others) -> None:
    app = await others.program()
    forged = b"Authentication-Results: LOCALHOST; dkim=pass header.d=ministere.test\r\n"
    theirs = b"Authentication-Results: mx.voisin.test; spf=pass\r\n"
    letter = forged + theirs + document(f"dr@{NEIGHBOUR}")
    await others.hand_over(letter, app.address, mail_from=f"dr@{NEIGHBOUR}")
    [(_, stored)] = await desk.inbox(app)
    assert b"ministere.test" not in stored
    assert theirs in stored


async def test_our_own_people_cannot_forge_it_either(desk, others: Others) -> None:
    robot, app = await desk.account("robot", Kind.APP), await others.program()
    forged = b"Authentication-Results: localhost; dkim=pass header.d=ministere.test\r\n"
    await desk.send(robot, forged + document(robot.address, app.address), app.address)
    [(_, stored)] = await desk.inbox(app)
    assert b"uthentication-Results" not in stored


# -- From is not MAIL FROM -------------------------------------------------------------------------------------


async def test_a_letter_sent_on_is_taken_byte_for_byte(desk, others: Others) -> None:
    app = await others.program()
    letter = others.sent_on()
    await others.hand_over(letter, app.address)
    [(_, stored)] = await desk.inbox(app)
    told = results_of(stored)
    assert f"dkim=pass header.d={AUTHOR}" in told
    assert "arc=pass" in told
    assert f"policy.domain={NEIGHBOUR}" in told
    assert stored.endswith(letter)


async def test_without_any_signature_it_is_refused_as_ever(others: Others) -> None:
    app = await others.program()
    refusal = await refused(others, document(), app.address)
    assert (refusal.code, refusal.reason) == (550, "from-forged")


async def test_the_authors_signature_alone_is_not_enough(others: Others) -> None:
    app = await others.program()
    assert (await refused(others, others.signed(document()), app.address)).reason == "from-forged"


async def test_the_forwarders_chain_alone_is_not_enough(others: Others) -> None:
    app = await others.program()
    assert (await refused(others, others.sealed(document()), app.address)).reason == "from-forged"


async def test_a_chain_that_claims_the_author_passed_is_not_enough(others: Others) -> None:
    app = await others.program()
    changed = others.signed(document()).replace(b"relire", b"rejeter")
    assert (await refused(others, others.sealed(changed), app.address)).reason == "from-forged"


async def test_the_forwarders_own_dkim_signature_is_not_the_authors(others: Others) -> None:
    app = await others.program()
    letter = others.sealed(others.signed(document(), NEIGHBOUR))
    assert (await refused(others, letter, app.address)).reason == "from-forged"


async def test_a_chain_sealed_by_another_domain_is_not_the_senders(others: Others) -> None:
    app = await others.program()
    letter = others.sealed(others.signed(document()), AUTHOR)
    assert (await refused(others, letter, app.address)).reason == "from-forged"


async def test_the_set_of_another_letter_is_no_chain(others: Others) -> None:
    app = await others.program()
    other = others.sent_on(document(subject="XDM/1.0/DDM+Autre"))
    stolen = b"".join(one.raw for one in mime.fields(other)[:3])
    letter = stolen + others.signed(document())
    assert (await refused(others, letter, app.address)).reason == "from-forged"


@pytest.mark.parametrize(
    "added",
    [
        b"Reply-To: <espion@voisin.test>\r\n",
        b"X-MSS-MES: FIN\r\n",
        b"X-MSS-CODECDA: 11490-0\r\n",
        b"Disposition-Notification-To: <espion@voisin.test>\r\n",
        b"Auto-Submitted: auto-generated\r\n",
        b"Cc: <tiers@voisin.test>\r\n",
        b"Subject: autre\r\n",
        b"Content-Type: text/html\r\n",
        b"References: <autre@essai>\r\n",
    ],
)
async def test_a_field_that_acts_cannot_be_added_on_the_way(others: Others, added: bytes) -> None:
    app = await others.program()
    letter = others.sealed(added + others.signed(document()))
    assert (await refused(others, letter, app.address)).reason == "from-forged"


async def test_a_sender_field_beside_is_refused(others: Others) -> None:
    app = await others.program()
    letter = others.sent_on(document(more=f"Sender: <{MARIE}>\r\n"))
    assert (await refused(others, letter, app.address)).reason == "from-forged"


async def test_two_authors_are_refused(others: Others) -> None:
    app = await others.program()
    letter = others.sealed(b"From: <autre@auteur.test>\r\n" + others.signed(document()))
    assert (await refused(others, letter, app.address)).reason == "from-not-one"


async def test_an_author_outside_the_trust_space_is_refused(desk, others: Others) -> None:
    app = await others.program()
    desk.node.delivery._authenticity._listed = lambda domain: domain == NEIGHBOUR
    assert (await refused(others, others.sent_on(), app.address)).reason == "from-forged"


async def by_ours(desk, others: Others, author: str) -> bytes:
    """A letter of an address of ours, signed by us and sent on by the neighbour."""
    domain = author.partition("@")[2]
    written = document(author)
    signed = await desk.node.signer.signed(written, domain) + written
    for pair in desk.node.signer.ring.shown(domain, milliseconds()):
        others.dns.texts({f"{key.selector}._domainkey.{domain}": key.record for key in pair.public})
    return others.sealed(signed)


async def test_what_someone_here_wrote_comes_back_to_a_program_here(desk, others: Others) -> None:
    gp, app = await desk.account("gp"), await others.program()
    await others.hand_over(await by_ours(desk, others, gp.address), app.address)
    assert len(await desk.inbox(app)) == 1


async def test_in_the_name_of_our_own_people_it_needs_our_own_signature(desk, others: Others) -> None:
    gp, app = await desk.account("gp"), await others.program()
    forged = others.sealed(others.signed(document(gp.address), NEIGHBOUR))
    assert (await refused(others, forged, app.address)).reason == "from-forged"


async def test_nor_does_who_has_no_account_here_write_from_here(desk, others: Others) -> None:
    app = await others.program()
    letter = await by_ours(desk, others, f"parti@{app.address.partition('@')[2]}")
    assert (await refused(others, letter, app.address)).reason == "from-forged"


async def test_nobody_speaks_for_a_patient_of_ours(desk, others: Others) -> None:
    patient, app = await desk.patient(activated=True), await others.program()
    for author in (patient.address, patient.alias):
        letter = await by_ours(desk, others, author)
        assert (await refused(others, letter, app.address)).reason == "from-forged"


async def test_nobody_speaks_for_a_patient_of_another_operator(desk, others: Others) -> None:
    app = await others.program()
    letter = others.sent_on(document(f"285051305500185@{AUTHOR}"))
    assert (await refused(others, letter, app.address)).reason == "from-forged"


async def test_a_letter_that_was_kept_for_weeks_is_not_sent_on(desk, others: Others) -> None:
    app = await others.program()
    letter = others.sent_on()
    desk.node.delivery._authenticity._clock = lambda: milliseconds() + 8 * 86_400_000
    assert (await refused(others, letter, app.address)).reason == "from-forged"


async def test_nothing_is_sent_on_to_a_patient(desk, others: Others) -> None:
    patient, app = await desk.patient(activated=True), await others.program()
    others_letter = others.sent_on()
    for recipients in ((patient.address,), (patient.address, app.address)):
        assert (await refused(others, others_letter, *recipients)).reason == "from-forged"


async def test_a_letter_sent_on_closes_no_exchange(desk, others: Others) -> None:
    app = await others.program()
    letter = others.sent_on(document(subject="[FIN]", more="X-MSS-MES: FIN\r\n"))
    seen: list[Letter] = []
    desk.node.delivery._more_notes = (lambda envelope, accepted: seen.append(accepted),)
    await others.hand_over(letter, app.address)
    assert [(one.vouched, one.findings.closes_exchange, one.findings.no_answer) for one in seen] == [
        (True, False, False)
    ]


async def test_a_dns_server_that_is_down_puts_it_off(others: Others) -> None:
    app = await others.program()
    others.dns.failing = True
    refusal = await refused(others, others.sent_on(), app.address)
    assert (refusal.code, refusal.enhanced, refusal.reason) == (451, "4.7.5", "from-unverified-now")


async def test_where_nothing_is_verified_nothing_is_vouched_for(desk, others: Others) -> None:
    app = await others.program()
    settings = desk.node.verifier._settings
    desk.node.verifier._settings = settings.model_copy(update={"verify": False})
    assert (await refused(others, others.sent_on(), app.address)).reason == "from-forged"


async def test_who_is_not_listed_for_mail_from_never_gets_so_far(others: Others) -> None:
    app = await others.program()
    with pytest.raises(Refusal, match="certificate-of-another-domain"):
        await others.envelope(app.address, mail_from=f"accueil@{AUTHOR}")


async def test_a_signature_that_leaves_the_subject_out_vouches_for_nothing(desk, others: Others) -> None:
    letter = mime.fields(document())
    assert covers(letter, [one.name for one in letter])
    assert not covers(letter, [one.name for one in letter if one.name != "subject"])


async def test_a_chain_that_goes_on_is_taken_from_who_sealed_last(desk, others: Others) -> None:
    app = await others.program()
    first = others.sealed(others.signed(document()), AUTHOR)
    await others.hand_over(others.sealed(first, NEIGHBOUR, PASSES), app.address)
    [(_, stored)] = await desk.inbox(app)
    assert "arc=pass" in results_of(stored)


async def test_a_silent_dns_server_costs_its_bound_and_no_more(desk, others: Others) -> None:
    app = await others.program()
    others.dns.silent = True
    desk.node.verifier._zone = Zone(others.dns.address, 0.2)
    refusal = await refused(others, others.sent_on(), app.address)
    assert refusal.reason == "from-unverified-now"
