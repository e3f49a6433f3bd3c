"""Reports as a mail program and a person read them (RFC 3464, RFC 6522, RFC 6533)."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server import mime
from mail_server.outbound.interface import Notify, Outcome, Phase, Readable, Verdict
from mail_server.outbound.reports import words
from mail_server.outbound.reports.dsn import Composed, Report, compose, returned_fields
from mail_server.outbound.reports.interface import Fate, Kept, Settled
from mail_server.outbound.reports.words import NEXT, WHY, Cause, Line, cause
from tests.mail_server.outbound.reports.conftest import (
    DOMAIN,
    HEAD,
    START,
    TAKEN,
    outcome,
    settled,
    told,
)

PARIS = ZoneInfo("Europe/Paris")


def made(*lines: Settled, readable: Readable = Readable.SEALED, **changes: object) -> Composed:
    named = [Line(one, readable) for one in lines]
    return compose(
        Report("ab" * 16, DOMAIN, f"alice@{DOMAIN}", told(**changes), named, START + 60_000, PARIS)
    )


def read(composed: Composed) -> EmailMessage:
    found = email.message_from_bytes(composed.data, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def groups(report: EmailMessage) -> list[EmailMessage]:
    """The machine's part, as Python's parser has it: one message for each group."""
    return list(report.get_payload()[1].get_payload())  # type: ignore[union-attr, arg-type]


def machine_lines(composed: Composed) -> list[list[tuple[str, str]]]:
    """A second reader, by the grammar of RFC 3464 §2.1: groups of fields with empty lines between."""
    _, _, after = composed.data.partition(b"Content-Type: message/delivery-status\r\n")
    body = after.partition(b"\r\n--=_")[0].decode("ascii")
    found: list[list[tuple[str, str]]] = []
    for group in re.split(r"\r\n\r\n", body.strip("\r\n")):
        fields = []
        for line in group.split("\r\n"):
            match = re.fullmatch(r"([A-Za-z-]+): ([ -~]+)", line)
            assert match is not None, line
            fields.append((match[1], match[2]))
        found.append(fields)
    return found


def text(report: EmailMessage) -> str:
    return report.get_payload()[0].get_content()  # type: ignore[union-attr, index]


def test_a_report_has_three_parts_and_answers_nothing():
    report = read(made(settled()))
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in report.iter_parts()] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["From"] == f"Vaguemestre <postmaster@{DOMAIN}>"
    assert report["To"] == f"alice@{DOMAIN}"
    assert report["In-Reply-To"] == report["References"] == "<un@mss.essai.test>"
    assert report["Subject"] == "Message non distribué / Message not delivered"
    assert not report.defects
    assert "Disposition-Notification-To" not in report


def test_each_field_of_the_machine_s_part_ends_with_its_own_line_end():
    """RFC 3464 §2.1; the line end before a delimiter is the delimiter's (RFC 2046 §5.1.1)."""
    data = made(settled()).data
    tree = mime.parse(data)
    assert all(part.body(data).endswith(b"\r\n") for part in tree.children[1:])


def test_the_machine_reads_what_was_asked_and_what_was_answered():
    composed = made(
        settled(orcpt="rfc822;Robert+2BB@voisin.test"),
        settled(Fate.RELAYED, "carol@voisin.test"),
        envid="Lettre+201",
    )
    letter, bob, carol = machine_lines(composed)
    assert letter == [
        ("Original-Envelope-Id", "Lettre 1"),
        ("Reporting-MTA", f"dns; {DOMAIN}"),
        ("Arrival-Date", "Fri, 15 Jan 2027 08:00:00 +0000"),
    ]
    assert bob == [
        ("Original-Recipient", "rfc822; Robert+B@voisin.test"),
        ("Final-Recipient", "rfc822; bob@voisin.test"),
        ("Action", "failed"),
        ("Status", "5.1.1"),
        ("Remote-MTA", "dns; mx.voisin.test"),
        ("Diagnostic-Code", "smtp; 550 5.1.1 No such mailbox here"),
        ("Last-Attempt-Date", "Fri, 15 Jan 2027 08:01:00 +0000"),
    ]
    assert dict(carol)["Action"] == "relayed"
    assert dict(carol)["Status"] == "2.0.0"
    parsed = groups(read(composed))
    assert [group["Action"] for group in parsed[1:]] == ["failed", "relayed"]
    assert parsed[0]["Original-Envelope-Id"] == "Lettre 1"


@pytest.mark.parametrize(
    ("fate", "action", "status"),
    [
        (Fate.RELAYED, "relayed", "2.0.0"),
        (Fate.DELIVERED, "delivered", "2.0.0"),
        (Fate.FAILED, "failed", "5.1.1"),
        (Fate.EXPIRED, "failed", "4.4.7"),
        (Fate.CANCELLED, "failed", "5.7.1"),
    ],
)
def test_action_and_status_agree(fate: Fate, action: str, status: str):
    fields = dict(machine_lines(made(settled(fate)))[1])
    assert (fields["Action"], fields["Status"]) == (action, status)


def test_a_delay_says_until_when_it_is_tried():
    late = outcome(Verdict.LATER, Phase.CONNECT, "refused", 0, "4.4.1", "", "mx.voisin.test")
    composed = made(settled(Fate.DELAYED, last=late, until=START + 5 * 86_400_000))
    fields = dict(machine_lines(composed)[1])
    assert fields["Action"] == "delayed"
    assert fields["Status"] == "4.4.1"
    assert fields["Will-Retry-Until"] == "Wed, 20 Jan 2027 08:00:00 +0000"
    assert fields["Diagnostic-Code"] == "X-Vaguemestre; refused"
    report = read(composed)
    assert report["Subject"] == "Message retardé / Message delayed"
    assert "continue d’essayer, jusqu’au 20/01/2027 à 09:00" in text(report)
    assert "ne renvoyez rien" in text(report)


@pytest.mark.parametrize(
    ("readable", "fr", "en"),
    [
        (Readable.SEALED, "personne d’autre que le destinataire", "nobody but the addressee"),
        (Readable.SEALED_TO_OPERATOR, "scellé jusqu’à lui", "sealed up to it"),
        (Readable.GATED, "mais lisible par lui", "but readable by it"),
    ],
)
def test_a_success_says_who_can_read(readable: Readable, fr: str, en: str):
    report = read(made(settled(Fate.RELAYED), readable=readable))
    assert fr in text(report)
    assert en in text(report)
    assert report["Subject"] == "Message remis / Message delivered"


@pytest.mark.parametrize(
    ("notify", "confirms", "words"),
    [
        (Notify.SUCCESS, True, "s’est engagé à vous confirmer"),
        (Notify.SUCCESS | Notify.FAILURE, False, "ne recevrez pas d’autre avis"),
    ],
)
def test_who_asked_to_hear_of_success_learns_whether_the_other_operator_will_confirm(
    notify: Notify, confirms: bool, words: str
):
    taken = outcome(Verdict.DELIVERED, Phase.CONTENT, "delivered", 250, "2.0.0", "ok", dsn=confirms)
    assert words in text(read(made(settled(Fate.RELAYED, last=taken, notify=notify))))


@pytest.mark.parametrize("confirms", [True, False])
def test_who_did_not_ask_is_promised_no_confirmation(confirms: bool):
    """The other operator was not asked for one either: it would be waited for in vain."""
    taken = outcome(Verdict.DELIVERED, Phase.CONTENT, "delivered", 250, "2.0.0", "ok", dsn=confirms)
    said = text(read(made(settled(Fate.RELAYED, last=taken))))
    assert "confirme" not in said
    assert "autre avis" not in said


@pytest.mark.parametrize("kept", list(Kept))
def test_what_was_laid_down_here_has_no_other_server(kept: Kept):
    line = Settled(settled().recipient, Fate.DELIVERED, kept=kept)
    composed = made(line)
    assert [name for name, _ in machine_lines(composed)[1]] == ["Final-Recipient", "Action", "Status"]
    assert ("déposé" in text(read(composed)).lower()) is True


@pytest.mark.parametrize("why", list(Cause))
def test_every_cause_has_words_and_something_to_do_in_both_languages(why: Cause):
    for found in (WHY[why], NEXT[why]):
        assert found.fr.endswith(".")
        assert found.en.endswith(".")
        assert not re.search(r"[^\u00a0] ?[:;!?]", found.fr.replace("\u00a0:", "")), (
            "NBSP before double marks"
        )


@pytest.mark.parametrize(
    ("last", "fate", "why"),
    [
        (outcome(), Fate.FAILED, Cause.UNKNOWN),
        (outcome(enhanced="5.1.10"), Fate.FAILED, Cause.UNKNOWN),
        (outcome(enhanced="5.2.1"), Fate.FAILED, Cause.CLOSED),
        (outcome(code=552, enhanced="5.2.2"), Fate.FAILED, Cause.FULL),
        (outcome(code=452, enhanced="4.2.2"), Fate.EXPIRED, Cause.FULL),
        (outcome(code=552, enhanced="5.3.4"), Fate.FAILED, Cause.TOO_LARGE),
        (outcome(code=552, enhanced="5.0.0"), Fate.FAILED, Cause.TOO_LARGE),
        (outcome(code=550, enhanced="5.7.1"), Fate.FAILED, Cause.POLICY),
        (outcome(code=550, enhanced="5.7.5"), Fate.FAILED, Cause.SEALING),
        (outcome(code=554, enhanced="5.6.0"), Fate.FAILED, Cause.CONTENT),
        (outcome(code=550, enhanced=""), Fate.FAILED, Cause.REFUSED),
        (outcome(code=554, enhanced="5.0.0"), Fate.FAILED, Cause.REFUSED),
        (outcome(reason="larger-than-offered", code=0, enhanced="5.3.4"), Fate.FAILED, Cause.TOO_LARGE),
        (outcome(reason="smtputf8-not-offered", code=0, enhanced="5.6.7"), Fate.FAILED, Cause.TYPES),
        (outcome(reason="eight-bit-not-offered", code=0, enhanced="5.6.3"), Fate.FAILED, Cause.SIGNED),
        (Outcome(Verdict.LATER, Phase.ROUTE, "not-listed", 0, "4.7.0"), Fate.EXPIRED, Cause.NOT_LISTED),
        (Outcome(Verdict.LATER, Phase.TRUST, "certificate-revoked"), Fate.EXPIRED, Cause.CERTIFICATE),
        (Outcome(Verdict.LATER, Phase.TRUST, "certificate-unlisted"), Fate.EXPIRED, Cause.CERTIFICATE),
        (Outcome(Verdict.LATER, Phase.TLS, "handshake"), Fate.EXPIRED, Cause.CERTIFICATE),
        (Outcome(Verdict.LATER, Phase.TRUST, "trust-list-stale"), Fate.EXPIRED, Cause.ASSURANCE),
        (Outcome(Verdict.LATER, Phase.TLS, "our-certificate-refused"), Fate.EXPIRED, Cause.ASSURANCE),
        (Outcome(Verdict.LATER, Phase.TRUST, "operator-blocked"), Fate.EXPIRED, Cause.BLOCKED),
        (Outcome(Verdict.LATER, Phase.CONNECT, "refused"), Fate.EXPIRED, Cause.UNREACHABLE),
        (Outcome(Verdict.FAILED, Phase.OPEN, "key-gone"), Fate.FAILED, Cause.GATE),
        (outcome(), Fate.CANCELLED, Cause.CANCELLED),
    ],
)
def test_a_reason_is_told_in_human_terms(last: Outcome, fate: Fate, why: Cause):
    line = settled(fate, last=last)
    assert cause(line) is why
    told_ = text(read(made(line)))
    assert WHY[why].fr in told_
    assert NEXT[why].en in told_


def test_nothing_tried_is_told_too():
    line = Settled(settled().recipient, Fate.EXPIRED)
    assert cause(line) is Cause.UNREACHABLE
    assert "Diagnostic-Code" not in dict(machine_lines(made(line))[1])


def test_outer_fields_alone_come_back_never_a_subject():
    head = HEAD + (
        b"Subject: Cancer du sein\r\nX-Secret: bilan\r\nBcc: eve@x.test\r\nReferences: <a@b>\r\n <c@d>\r\n"
        b"Comments: non\r\n"
    )
    kept = returned_fields(head)
    assert b"Subject" not in kept
    assert b"Secret" not in kept
    assert b"Bcc" not in kept
    assert b"Comments" not in kept
    assert kept.endswith(b"References: <a@b>\r\n <c@d>\r\n")
    report = made(settled(), head=head)
    assert b"Cancer" not in report.data
    assert b"bilan" not in report.data


def test_what_comes_back_is_bounded_and_whole():
    head = HEAD + b"To: " + b",\r\n ".join(b"someone%d@voisin.test" % n for n in range(2000)) + b"\r\n"
    assert returned_fields(head) == HEAD


def test_an_address_that_is_not_ascii_has_its_own_type():
    # RFC 6533 §4: message/global-delivery-status.
    composed = made(settled(to="hélène@voisin.test", orcpt="utf-8;h\\x{E9}l\\x{E8}ne@voisin.test"))
    parts = [part.get_content_type() for part in read(composed).iter_parts()]
    assert parts == ["text/plain", "message/global-delivery-status", "text/rfc822-headers"]
    assert "Original-Recipient: utf-8; hélène@voisin.test\r\n".encode() in composed.data
    assert "Final-Recipient: utf-8; hélène@voisin.test\r\n".encode() in composed.data
    assert composed.eight_bit
    assert not composed.smtputf8
    composed = made(settled(), head="From: <hélène@mss.essai.test>\r\n".encode())
    assert [part.get_content_type() for part in read(composed).iter_parts()][2] == "message/global-headers"


def test_a_report_is_ascii_where_it_can_be():
    assert not made(settled()).eight_bit


@given(st.text(max_size=300), st.text(max_size=50), st.text(max_size=30))
def test_nothing_a_peer_says_opens_a_field(said: str, host: str, enhanced: str):
    composed = made(settled(last=outcome(said=said, host=host, enhanced=enhanced)))
    data = composed.data.decode("utf-8")
    _, _, after = data.partition("delivery-status\r\n")
    machine = data[data.index("Reporting-MTA") :].partition("\r\n--=_")[0]
    names = [line.partition(":")[0] for line in machine.split("\r\n") if line]
    allowed = {
        "Reporting-MTA", "Arrival-Date", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
        "Last-Attempt-Date",
    }  # fmt: skip
    assert after
    assert set(names) <= allowed


@given(st.binary(max_size=2000))
def test_any_header_comes_back_as_utf8_fields(head: bytes):
    kept = returned_fields(head)
    assert b"\r\n\r\n" not in kept
    kept.decode("utf-8")


def test_a_mixed_report_begins_with_the_worst():
    lines = [Line(settled()), Line(settled(Fate.RELAYED, "carol@voisin.test", TAKEN))]
    assert words.subject(lines).startswith("Message non distribué")
    told_ = words.text(told(), lines, PARIS)
    assert told_.index("bob@voisin.test") < told_.index("carol@voisin.test")
    assert told_.index("votre message du 15/01/2027 à 09:00") < told_.index(
        "your message of 2027-01-15 09:00"
    )
