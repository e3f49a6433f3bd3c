"""Servers that cut, refuse, stall or talk nonsense at every step: each recipient has its outcome, soon."""

from __future__ import annotations

import asyncio
import logging

import pytest

from mail_server.outbound.interface import Phase, Verdict
from tests.mail_server.outbound.client.scripted import (
    DOMAIN,
    EHLO,
    LETTER,
    Answer,
    Contents,
    Cut,
    Endless,
    Last,
    Raw,
    Silence,
    Start,
    letter,
)

A, B = f"a@{DOMAIN}", f"b@{DOMAIN}"
NO_PIPELINING = tuple(offer for offer in EHLO if offer != "PIPELINING")

BEFORE = [
    ("greeting", Phase.GREETING),
    ("clear EHLO", Phase.HELLO),
    ("STARTTLS", Phase.TLS),
    ("EHLO", Phase.HELLO),
]
LETTER_STEPS = [("MAIL", Phase.MAIL), ("RCPT", Phase.RCPT), ("DATA", Phase.DATA), (".", Phase.CONTENT)]
HASTY: dict[str, object] = {"reply_seconds": 4, "connect_seconds": 4, "content_seconds": 4}
STEPS = BEFORE + LETTER_STEPS
KINDS = {"pipelining": EHLO, "one by one": NO_PIPELINING}


@pytest.fixture(params=KINDS)
def offers(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return KINDS[str(request.param)]


@pytest.mark.parametrize(("step", "phase"), STEPS)
async def test_a_connection_cut_at_any_reply_keeps_the_letter(
    start: Start, offers: tuple[str, ...], step: str, phase: Phase
) -> None:
    side = await start({step: Cut()}, offers=offers)
    outcomes = await side.send(letter(A, B))
    assert [(one.verdict, one.phase) for one in outcomes] == [(Verdict.LATER, phase)] * 2
    assert [one.unsure for one in outcomes] == [step == "."] * 2
    assert side.contents.opened == (step == ".")


async def test_a_server_that_stalls_at_any_reply_is_left_in_time(
    start: Start, offers: tuple[str, ...]
) -> None:
    sides = [await start({step: Silence()}, offers=offers, settings=HASTY) for step, _ in STEPS]
    found = await asyncio.gather(*(side.send(letter(A, B)) for side in sides))
    for (step, phase), outcomes in zip(STEPS, found, strict=True):
        ended = [(one.verdict, one.phase, one.reason, one.unsure) for one in outcomes]
        assert ended == [(Verdict.LATER, phase, "timeout", step == ".")] * 2


@pytest.mark.parametrize(("step", "phase"), STEPS)
async def test_4yz_at_any_step_keeps_the_letter(
    start: Start, offers: tuple[str, ...], step: str, phase: Phase
) -> None:
    side = await start({step: "451 4.7.1 Not now"}, offers=offers)
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase, outcome.reason) == (Verdict.LATER, phase, "peer-4yz")
    assert (outcome.code, outcome.enhanced, outcome.said) == (451, "4.7.1", "Not now")
    assert not outcome.unsure


@pytest.mark.parametrize(("step", "phase"), STEPS)
async def test_5yz_fails_the_letter_from_mail_on_and_keeps_it_before(
    start: Start, offers: tuple[str, ...], step: str, phase: Phase
) -> None:
    side = await start({step: "554 5.7.1 No"}, offers=offers)
    outcome = await side.send_one()
    failed = (step, phase) in LETTER_STEPS
    assert outcome.verdict is (Verdict.FAILED if failed else Verdict.LATER)
    assert (outcome.phase, outcome.reason, outcome.code) == (phase, "peer-5yz", 554)
    assert outcome.enhanced == ("5.7.1" if failed else "4.7.1")
    assert side.contents.opened == (step == ".")


@pytest.mark.parametrize(("step", "phase"), STEPS)
@pytest.mark.parametrize("hangs_up", [True, False])
async def test_421_at_any_step_keeps_the_letter_and_ends_the_connection(
    start: Start, offers: tuple[str, ...], step: str, phase: Phase, hangs_up: bool
) -> None:
    bye = "421 4.3.2 Closing"
    side = await start({step: Last(bye) if hangs_up else bye}, offers=offers)
    outcomes = await side.send(letter(A, B))
    assert [(one.verdict, one.phase, one.code) for one in outcomes] == [(Verdict.LATER, phase, 421)] * 2
    side.peer.answers.clear()
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert side.peer.connections == 2


@pytest.mark.parametrize(("step", "phase"), STEPS)
@pytest.mark.parametrize(
    "noise", [b"Hello?\r\n", b"\xff\xfe\x00\r\n", b"9\r\n", b"250-a\r\n550 b\r\n", b"250" + b"x" * 5000]
)
async def test_garbage_at_any_step_keeps_the_letter_and_ends_the_connection(
    start: Start, step: str, phase: Phase, noise: bytes
) -> None:
    side = await start({step: Raw(noise)})
    outcome = await side.send_one()
    assert outcome.verdict is Verdict.LATER
    # A context of TLS that the peer never started is where nonsense after STARTTLS shows up.
    assert outcome.phase is phase
    assert outcome.reason in ("garbage", "endless-reply")
    assert outcome.unsure == (step == ".")


@pytest.mark.parametrize(("step", "phase"), STEPS)
@pytest.mark.parametrize("line", [b"250-more\r\n", b"250 ok"])
async def test_an_endless_reply_at_any_step_is_cut_off(
    start: Start, step: str, phase: Phase, line: bytes
) -> None:
    side = await start({step: Endless(line)})
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase, outcome.reason) == (Verdict.LATER, phase, "endless-reply")


@pytest.mark.parametrize(
    ("step", "phase", "answer"),
    [
        *((step, phase, "334 dGVsbA==") for step, phase in LETTER_STEPS),
        *((step, phase, "354 Go on") for step, phase in LETTER_STEPS if step != "DATA"),
        ("DATA", Phase.DATA, "250 2.0.0 Ok"),
    ],
)
async def test_an_answer_to_another_question_is_not_believed(
    start: Start, step: str, phase: Phase, answer: str
) -> None:
    side = await start({step: answer})
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase, outcome.reason) == (Verdict.LATER, phase, "garbage")


async def test_replies_that_nobody_asked_for_end_the_connection(start: Start) -> None:
    two: dict[str, Answer | list[Answer]] = {".": Raw(b"250 2.0.0 Ok\r\n250 2.0.0 And again\r\n")}
    side = await start(two)
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert side.peer.connections == 2


async def test_a_flood_of_replies_keeps_the_letter(start: Start) -> None:
    side = await start({"MAIL": Raw(b"250 2.1.0 Ok\r\n" * 50_000)})
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.reason) == (Verdict.LATER, "garbage")
    assert side.contents.opened == 0


async def test_421_after_some_recipients_were_accepted_opens_nothing(start: Start) -> None:
    side = await start({f"RCPT TO:<{B}": Last("421 4.3.2 Closing")})
    outcomes = await side.send(letter(A, B))
    assert [(one.verdict, one.code) for one in outcomes] == [(Verdict.LATER, 421)] * 2
    assert side.contents.opened == 0


async def test_421_in_a_second_transaction_leaves_the_first_delivered(start: Start) -> None:
    side = await start({"MAIL": ["250 2.1.0 Ok", Last("421 4.3.2 Enough")]}, most_recipients=1)
    first, second, third = await side.send(letter(A, B, f"c@{DOMAIN}"))
    assert first.verdict is Verdict.DELIVERED
    assert [(one.verdict, one.code) for one in (second, third)] == [(Verdict.LATER, 421)] * 2


@pytest.mark.parametrize("words", ["552 5.2.2 Mailbox full", "452 4.2.2 Mailbox full"])
async def test_a_full_mailbox_is_not_taken_for_too_many_recipients(start: Start, words: str) -> None:
    side = await start({f"RCPT TO:<{B}": words})
    _, full = await side.send(letter(A, B))
    assert full.code == int(words[:3])
    assert len(side.peer.letters) == 1


async def test_552_of_old_servers_for_too_many_recipients_is_read_as_452(start: Start) -> None:
    side = await start({f"RCPT TO:<{B}": ["552 Too many recipients", "250 2.1.5 Ok"]})
    outcomes = await side.send(letter(A, B))
    assert [one.verdict for one in outcomes] == [Verdict.DELIVERED] * 2


async def test_words_of_a_server_are_reduced_to_printable_ascii(start: Start) -> None:
    said = b"550-5.1.1 \x1b[31mU\xc3\xa9known\x07\r\n550 5.1.1 " + b"y" * 400 + b"\r\n"
    side = await start({"RCPT": Raw(said)})
    outcome = await side.send_one()
    assert outcome.enhanced == "5.1.1"
    assert outcome.said.startswith("[31mU??known 5.1.1 yyy")
    assert len(outcome.said) == 200
    assert outcome.said.isprintable()


@pytest.mark.parametrize("enhanced", ["2.1.5", "4.1.1", "5.1.1.1", "5.1234.1", "x.1.1"])
async def test_an_enhanced_code_that_contradicts_its_reply_is_not_repeated(
    start: Start, enhanced: str
) -> None:
    side = await start({"RCPT": f"550 {enhanced} Unknown"})
    assert (await side.send_one()).enhanced == "5.0.0"


async def test_logs_and_outcomes_shown_hold_no_address_and_no_words_of_a_peer(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "Jeanne-Moreau-250017500099988"
    answers: list[Answer] = [f"554 5.7.1 {secret}", Cut(), Raw(secret.encode() + b"\r\n"), "250 Ok"]
    shown: list[str] = []
    for step, _ in STEPS:
        for answer in answers[: 3 if step in ("greeting", "STARTTLS") else 4]:
            side = await start({step: answer}, contents=Contents(secret.encode() + b"\r\n"))
            leaving = letter(f"{secret}@{DOMAIN}", mail_from=f"{secret}@ici.example")
            shown.append(repr(await side.send(leaving)))
            side.contents.error = RuntimeError(secret)
            shown.append(repr(await side.send(leaving)))
    assert secret not in caplog.text + "".join(shown)


BIG = b"y" * 70 + b"\r\n"


async def test_a_refusal_in_the_middle_of_the_content_counts(start: Start) -> None:
    side = await start(interruption=b"552 5.3.4 Too big\r\n", contents=Contents(BIG * 100_000))
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase, outcome.code) == (Verdict.FAILED, Phase.CONTENT, 552)
    assert not outcome.unsure


async def test_250_in_the_middle_of_the_content_is_not_believed(start: Start) -> None:
    side = await start(interruption=b"250 2.0.0 Fine\r\n", contents=Contents(BIG * 100_000))
    outcome = await side.send_one()
    assert outcome.verdict is Verdict.LATER
    assert not outcome.unsure


async def test_a_server_that_stops_reading_is_left_in_time(start: Start) -> None:
    side = await start(contents=Contents(BIG * 300_000), deaf=True, settings={"reply_seconds": 3})
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.reason, outcome.unsure) == (Verdict.LATER, "timeout", False)


async def test_a_kept_connection_that_was_closed_is_replaced_at_once(start: Start) -> None:
    side = await start({"MAIL": ["250 2.1.0 Ok", Cut(), "250 2.1.0 Ok"]})
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert side.peer.connections == 2
    assert side.peer.letters == [LETTER] * 2


async def test_a_kept_connection_answered_with_421_is_replaced_at_once(start: Start) -> None:
    side = await start({"MAIL": ["250 2.1.0 Ok", Last("421 4.4.2 Idle too long"), "250 2.1.0 Ok"]})
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert side.peer.connections == 2


async def test_a_kept_connection_cut_after_the_content_is_not_replaced(start: Start) -> None:
    side = await start({".": ["250 2.0.0 Ok", Cut(), "250 2.0.0 Ok"]})
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.unsure) == (Verdict.LATER, True)
    assert side.peer.connections == 1


async def test_idle_connections_are_left_with_quit(start: Start) -> None:
    side = await start(settings={"idle_seconds": 0.1})
    await side.send()
    async with asyncio.timeout(60):
        while "QUIT" not in side.peer.said:
            await asyncio.sleep(0.02)


async def test_a_stop_says_quit_on_idle_connections_and_cuts_the_others(start: Start) -> None:
    side = await start({f"RCPT TO:<{B}": Silence()}, settings={"reply_seconds": 120})
    await side.send(letter(A))
    stuck = asyncio.create_task(side.send_one(letter(B)))
    other = await side.send_one(letter(A))
    assert other.verdict is Verdict.DELIVERED
    await side.client.close()
    outcome = await stuck
    assert outcome.verdict is Verdict.LATER
    assert side.peer.said.count("QUIT") == 1
    assert (await side.send_one()).reason == "stopping"


async def test_a_cancelled_hand_over_leaves_no_connection_behind(start: Start) -> None:
    side = await start({"RCPT": Silence()}, settings={"reply_seconds": 120})
    task = asyncio.create_task(side.send_one())
    async with asyncio.timeout(60):
        while not side.peer.inside:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    side.peer.answers.clear()
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert side.peer.connections == 2


async def test_the_whole_hand_over_ends_within_the_lease(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mail_server.outbound.client.client._SHARE_OF_LEASE", 0.03)
    side = await start({"RCPT": Silence()}, settings={"reply_seconds": 600, "lease_seconds": 60})
    assert (await side.send_one()).reason == "timeout"
