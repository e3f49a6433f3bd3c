"""A letter handed over to a server that behaves: what is said, in which order, with which parameters."""

from __future__ import annotations

import asyncio

import pytest

from mail_server.outbound.interface import Notify, NotOpened, Phase, Verdict
from tests.mail_server.outbound.client.scripted import (
    DOMAIN,
    EHLO,
    LETTER,
    Contents,
    Pki,
    Start,
    asked,
    letter,
)

pytestmark = pytest.mark.timeout(30)
A, B, C = f"a@{DOMAIN}", f"b@{DOMAIN}", f"c@{DOMAIN}"


def without(*words: str) -> tuple[str, ...]:
    return tuple(offer for offer in EHLO if offer.split(" ")[0] not in words)


async def test_a_letter_goes_in_one_group_of_commands_inside_tls(start: Start, pki: Pki) -> None:
    side = await start()
    outcome = await side.send_one()
    assert outcome.verdict is Verdict.DELIVERED
    assert (outcome.code, outcome.enhanced, outcome.said) == (250, "2.0.0", "Ok: queued as 4711")
    assert side.peer.said == [
        "EHLO mx.ici.example",
        "STARTTLS",
        "EHLO mx.ici.example",
        f"MAIL FROM:<a@ici.mssante.example> SIZE={len(LETTER)} RET=HDRS",
        f"RCPT TO:<{B}>",
        "DATA",
    ]
    assert side.peer.letters == [LETTER]
    assert side.peer.groups == [3]
    assert side.peer.client_certificates == [pki.certificates["we"]]
    ((chain, domain),) = side.trust.asked
    assert (chain[0], len(chain), domain) == (pki.certificates["peer"], 3, DOMAIN)


async def test_without_pipelining_each_command_waits_for_its_reply(start: Start) -> None:
    side = await start(offers=without("PIPELINING"))
    outcomes = await side.send(letter(A, B))
    assert [outcome.verdict for outcome in outcomes] == [Verdict.DELIVERED] * 2
    assert side.peer.groups == [1, 1, 1, 1]
    assert side.peer.letters == [LETTER]


async def test_what_is_asked_of_reports_goes_along_where_dsn_is_offered(start: Start) -> None:
    side = await start()
    outcomes = await side.send(
        letter(
            asked(A, Notify.SUCCESS | Notify.DELAY, "rfc822;first+2Eone@x.example"),
            asked(B, Notify.NEVER),
            asked(C, orcpt="utf-8;h\\x{E9}l@x.example"),
            envid="QQ314159",
        )
    )
    assert all(outcome.dsn for outcome in outcomes)
    assert side.peer.inside[:4] == [
        f"MAIL FROM:<a@ici.mssante.example> SIZE={len(LETTER)} RET=HDRS ENVID=QQ314159",
        f"RCPT TO:<{A}> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first+2Eone@x.example",
        f"RCPT TO:<{B}> NOTIFY=NEVER",
        f"RCPT TO:<{C}> ORCPT=utf-8;h\\x{{E9}}l@x.example",
    ]


async def test_a_server_without_dsn_gets_none_of_it_and_the_outcome_says_so(start: Start) -> None:
    side = await start(offers=without("DSN", "SIZE"))
    outcome = await side.send_one(letter(asked(B, Notify.SUCCESS, "rfc822;x@x.example"), envid="QQ"))
    assert (outcome.verdict, outcome.dsn) == (Verdict.DELIVERED, False)
    assert side.peer.inside[:2] == ["MAIL FROM:<a@ici.mssante.example>", f"RCPT TO:<{B}>"]


async def test_parameters_that_are_no_xtext_are_left_out(start: Start) -> None:
    side = await start()
    await side.send(letter(asked(B, orcpt="rfc822;x y=z"), envid="a\r\nRSET"))
    assert side.peer.inside[:2] == [
        f"MAIL FROM:<a@ici.mssante.example> SIZE={len(LETTER)} RET=HDRS",
        f"RCPT TO:<{B}>",
    ]


async def test_the_null_sender_asks_for_nothing_to_come_back(start: Start) -> None:
    side = await start()
    await side.send(letter(mail_from=""))
    assert side.peer.inside[0] == f"MAIL FROM:<> SIZE={len(LETTER)}"


async def test_8_bit_content_and_addresses_beyond_ascii_are_announced(start: Start) -> None:
    body = "Objet: santé\r\n".encode()
    side = await start(contents=Contents(body))
    outcome = await side.send_one(letter(f"hélène@{DOMAIN}", eight_bit=True, smtputf8=True))
    assert outcome.verdict is Verdict.DELIVERED
    assert side.peer.inside[:2] == [
        f"MAIL FROM:<a@ici.mssante.example> SIZE={len(LETTER)} BODY=8BITMIME SMTPUTF8 RET=HDRS",
        f"RCPT TO:<hélène@{DOMAIN}>",
    ]
    assert side.peer.letters == [body]


@pytest.mark.parametrize(
    ("missing", "change", "enhanced", "reason"),
    [
        ("SMTPUTF8", {"smtputf8": True}, "5.6.7", "smtputf8-not-offered"),
        ("SMTPUTF8", {"mail_from": "hélène@ici.example"}, "5.6.7", "smtputf8-not-offered"),
        ("8BITMIME", {"eight_bit": True}, "5.6.3", "eight-bit-not-offered"),
        ("", {"size": 30_000_000}, "5.3.4", "larger-than-offered"),
        ("", {"mail_from": "a@ici.example> SIZE=1\r\nRSET"}, "5.1.7", "bad-sender"),
    ],
)
async def test_what_the_server_does_not_take_fails_before_anything_is_said(
    start: Start, missing: str, change: dict[str, object], enhanced: str, reason: str
) -> None:
    side = await start(offers=without(missing))
    outcome = await side.send_one(letter(**change))
    assert (outcome.verdict, outcome.phase) == (Verdict.FAILED, Phase.MAIL)
    assert (outcome.enhanced, outcome.reason) == (enhanced, reason)
    assert outcome.said.isascii()
    assert side.peer.inside == []
    assert side.contents.opened == 0


async def test_8_bit_content_that_nobody_announced_does_not_go_to_a_7_bit_server(start: Start) -> None:
    side = await start(offers=without("8BITMIME"), contents=Contents("é\r\n".encode()))
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.enhanced) == (Verdict.FAILED, "5.6.3")
    assert side.peer.letters == []


@pytest.mark.parametrize("octets", [b"a\nb\r\n", b"a\rb\r\n", b"a\0b\r\n", b"a\r\n.\n\r\n", b"a\r", b"\n"])
async def test_a_letter_with_bare_line_ends_does_not_go(start: Start, octets: bytes) -> None:
    side = await start(contents=Contents(octets))
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.enhanced, outcome.reason) == (Verdict.FAILED, "5.6.0", "bare-line-end")
    assert side.peer.letters == []


@pytest.mark.parametrize(
    "address", [f"b> NOTIFY=NEVER@{DOMAIN}", f"b\r\nRSET@{DOMAIN}", f"a b@{DOMAIN}", "b"]
)
async def test_an_address_that_cannot_be_said_fails_alone(start: Start, address: str) -> None:
    side = await start()
    bad, good = await side.send(letter(address, B))
    assert (bad.verdict, bad.enhanced, bad.reason) == (Verdict.FAILED, "5.1.3", "bad-address")
    assert good.verdict is Verdict.DELIVERED
    assert side.peer.inside[1:] == [f"RCPT TO:<{B}>", "DATA"]


async def test_dots_are_doubled_and_an_end_is_put_where_there_is_none(start: Start) -> None:
    side = await start(contents=Contents(b".\r\n..x\r\nlast."))
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert side.peer.raw == [b"..\r\n...x\r\nlast.\r\n.\r\n"]


async def test_25_mb_go_whole_and_the_loop_is_not_held(start: Start) -> None:
    whole = (b".%06d " % 7 + b"x" * 68 + b"\r\n") * 40_000
    side = await start(contents=Contents(whole), settings={"content_seconds": 20, "reply_seconds": 20})
    assert (await side.send_one(letter(size=len(whole)))).verdict is Verdict.DELIVERED
    assert side.peer.letters == [whole]


async def test_content_is_opened_once_and_only_after_354(start: Start) -> None:
    side = await start({"RCPT": "550 5.1.1 Unknown"})
    await side.send(letter(A, B))
    assert side.contents.opened == 0
    side.peer.answers.clear()
    side.peer.most_recipients = 1
    await side.send(letter(A, B, C))
    assert side.contents.opened == 1
    assert side.peer.letters == [LETTER] * 3


@pytest.mark.parametrize(
    ("error", "verdict", "reason"),
    [
        (NotOpened("key-gone", lasting=True), Verdict.FAILED, "key-gone"),
        (NotOpened("gate-closed"), Verdict.LATER, "gate-closed"),
        (RuntimeError("Monsieur Durand"), Verdict.LATER, "not-opened"),
    ],
)
async def test_a_letter_that_our_gate_does_not_open_leaves_nothing(
    start: Start, error: Exception, verdict: Verdict, reason: str
) -> None:
    side = await start(contents=Contents(error=error))
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase, outcome.reason) == (verdict, Phase.OPEN, reason)
    assert side.peer.letters == []
    side.contents.error = None
    assert (await side.send_one()).verdict is Verdict.DELIVERED


async def test_each_recipient_has_its_own_outcome(start: Start) -> None:
    side = await start({f"RCPT TO:<{A}": "550 5.1.1 No such user", f"RCPT TO:<{B}": "450 4.2.1 Come back"})
    outcomes = await side.send(letter(A, B, C))
    assert [(one.verdict, one.code, one.enhanced) for one in outcomes] == [
        (Verdict.FAILED, 550, "5.1.1"),
        (Verdict.LATER, 450, "4.2.1"),
        (Verdict.DELIVERED, 250, "2.0.0"),
    ]
    assert outcomes[0].said == "No such user"


async def test_more_recipients_than_the_server_takes_go_in_further_transactions(start: Start) -> None:
    side = await start(most_recipients=2)
    many = [f"r{number}@{DOMAIN}" for number in range(5)]
    outcomes = await side.send(letter(*many))
    assert [one.verdict for one in outcomes] == [Verdict.DELIVERED] * 5
    assert len(side.peer.letters) == 3
    assert side.peer.connections == 1


async def test_no_group_is_longer_than_100_recipients_or_what_limits_say(start: Start) -> None:
    side = await start(offers=(*EHLO, "LIMITS RCPTMAX=3 MAILMAX=1000"))
    outcomes = await side.send(letter(*(f"r{number}@{DOMAIN}" for number in range(7))))
    assert [one.verdict for one in outcomes] == [Verdict.DELIVERED] * 7
    assert side.peer.groups == [5, 5, 3]
    other = await start()
    await other.send(letter(*(f"r{number}@{DOMAIN}" for number in range(150))))
    assert other.peer.groups == [102, 52]


async def test_a_server_that_takes_no_recipient_for_now_is_not_asked_for_ever(start: Start) -> None:
    side = await start(most_recipients=0)
    outcomes = await side.send(letter(A, B))
    assert [(one.verdict, one.code) for one in outcomes] == [(Verdict.LATER, 452)] * 2
    assert len(side.peer.inside) == 4


async def test_354_for_nobody_is_ended_with_a_lone_dot(start: Start) -> None:
    side = await start({"RCPT": "550 5.1.1 Unknown", "DATA": "354 Go"})
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase, outcome.code) == (Verdict.FAILED, Phase.RCPT, 550)
    assert side.peer.raw == [b".\r\n"]
    assert side.contents.opened == 0
    side.peer.answers.clear()
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert side.peer.connections == 1


async def test_after_a_refusal_rset_comes_first_and_in_the_same_group(start: Start) -> None:
    side = await start({"DATA": ["451 4.3.0 Later", "354 Go"]})
    assert (await side.send_one()).verdict is Verdict.LATER
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert side.peer.connections == 1
    assert side.peer.groups == [3, 4]
    assert side.peer.inside[3] == "RSET"


async def test_letters_of_one_domain_go_over_one_connection(start: Start) -> None:
    side = await start(settings={"letters_of_connection": 3})
    for _ in range(4):
        assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert side.peer.connections == 2
    assert side.client.connections.opened == 2
    assert side.client.connections.reused == 2
    assert len(side.trust.asked) == 4


async def test_letters_at_one_time_go_over_connections_of_their_own(start: Start) -> None:
    side = await start()
    done = await asyncio.gather(*(side.send_one() for _ in range(4)))
    assert {one.verdict for one in done} == {Verdict.DELIVERED}
    assert side.peer.connections == 4
    assert len(side.peer.letters) == 4
