"""Guessing and spying: codes, who has an account, packets and proofs that are another's, files that would be pages."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pysequoia
import pytest

from deploy.demo import world
from deploy.demo.browser import derivations
from deploy.demo.browser.key_packets import encryption_key, swapped
from deploy.demo.browser.keys import make_bare_key
from deploy.demo.browser.page import PageClient, PageRefused
from directory.certificates.zbase32 import zbase32
from directory.openpgp import packets
from tests.peers import intruder
from tests.peers.intruder import Someone, as_page, ask, post
from webmail.login import totp

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def made() -> Iterator[world.World]:
    with intruder.siege() as (built, _):
        yield built


@pytest.fixture(scope="module")
def port(made: world.World) -> int:
    return made.ports["http"]


@pytest.fixture(scope="module")
def alice(made: world.World) -> Someone:
    return intruder.activated(made, "Alix", "MIRECOURT", 1)


@pytest.fixture(scope="module")
def doctor(made: world.World) -> Someone:
    return intruder.professional(made, f"mallory.per@{world.DOMAIN}")


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


# ------------------------------------------------------------------------------------------------- codes


def test_a_code_is_dead_after_five_guesses_even_made_at_once_and_for_who_has_it(
    made: world.World, port: int
) -> None:
    person = intruder.patient("Bao", "LANVAUX", 10)
    code = intruder.space(made, person)["code"]
    wrong = {"code": code, "birthDate": "1950-01-01", "lastFive": "00000"}
    with ThreadPoolExecutor(12) as many:
        answers = list(many.map(lambda _: post(port, "/api/enrolment/start", wrong), range(12)))
    assert sorted(each.status for each in answers)[:5] == [403] * 5
    assert {each.slug for each in answers} <= {"code-refused", "code-dead", "too-many"}
    assert sum(each.slug == "code-refused" for each in answers) <= 5
    right = {"code": code, "birthDate": person.birth_date, "lastFive": person.last_five}
    assert post(port, "/api/enrolment/start", right).slug == "code-dead"


def test_a_new_code_kills_the_one_before_and_what_it_began(made: world.World, port: int) -> None:
    person = intruder.patient("Cléo", "MERVENT", 11)
    told = intruder.space(made, person)
    traits = {"birthDate": person.birth_date, "lastFive": person.last_five}
    thief = post(port, "/api/enrolment/start", {"code": told["code"], **traits})
    cookie = (thief.header("set-cookie") or "").partition(";")[0]
    made.command("enrolment_code", address=told["address"])
    assert post(port, "/api/enrolment/start", {"code": told["code"], **traits}).slug == "code-dead"
    answer = post(port, "/api/enrolment/complete", completion(port, cookie, told["address"]), cookie)
    assert answer.slug == "code-dead"
    listed = made.command("space_list")
    assert not next(each for each in listed if each["address"] == told["address"])["activated"]


def completion(port: int, cookie: str, address: str) -> dict[str, Any]:
    """All that a browser would send in the end; the wraps are of no account key in particular."""
    key = make_bare_key(address)
    asked = post(port, "/api/keys/challenge", {"certificate": text(key.certificate)}, cookie).json()
    decryptor = pysequoia.Tsk.from_bytes(key.secret).decryptor()
    nonce = pysequoia.decrypt(base64.b64decode(asked["message"]), decryptor=decryptor).bytes
    wrapped = text(b"\1" + bytes(60))
    params = {"algorithm": "argon2id", "memory": 65536, "passes": 3, "lanes": 1}
    return {
        "password": {"salt": text(bytes(16)), "params": params, "login": text(bytes(32)), "wrapped": wrapped},
        "recovery": {"login": text(bytes(32)), "wrapped": wrapped},
        "key": {
            "certificate": text(key.certificate), "wrappedSecret": wrapped, "challenge": asked["challenge"],
            "nonce": bytes(nonce or b"").decode(),
        },
    }  # fmt: skip


def test_the_answer_to_a_challenge_serves_once_and_for_its_certificate(made: world.World, port: int) -> None:
    person = intruder.patient("Dany", "NOIRLAC", 12)
    told = intruder.space(made, person)
    said = {"code": told["code"], "birthDate": person.birth_date, "lastFive": person.last_five}
    begun = post(port, "/api/enrolment/start", said)
    cookie = (begun.header("set-cookie") or "").partition(";")[0]
    given = completion(port, cookie, told["address"])
    other = make_bare_key(told["address"])
    lying = {**given, "key": {**given["key"], "certificate": text(other.certificate)}}
    assert post(port, "/api/enrolment/complete", lying, cookie).slug == "challenge-refused"
    # It was spent, also for the certificate it was made for.
    assert post(port, "/api/enrolment/complete", given, cookie).slug == "challenge-refused"
    stranger = make_bare_key("somebody.else@" + world.DOMAIN)
    asked = post(port, "/api/keys/challenge", {"certificate": text(stranger.certificate)}, cookie)
    assert asked.slug == "key-refused"


def test_a_code_of_six_digits_serves_once(port: int, doctor: Someone) -> None:
    time.sleep(max(0.0, 30 - time.time() % 30) if time.time() % 30 > 24 else 0)  # not at the turn of a step
    step = int(time.time()) // 30 + 1  # the step now may have been used to set it up
    known = PageClient(port).post("/api/login/parameters", {"user": doctor.address})
    split = derivations.from_password(doctor.password, base64.b64decode(known["salt"]))
    said = {
        "user": doctor.address, "login": text(split.login), "shared": False,
        "totp": totp.code_at(doctor.second_factor, step),
    }  # fmt: skip
    with ThreadPoolExecutor(6) as many:
        answers = list(many.map(lambda _: post(port, "/api/login", said), range(6)))
    assert sorted(each.status for each in answers) == [200, 401, 401, 401, 401, 401]


# ------------------------------------------------------------------------------------------ who has an account


def _timed(port: int, path: str, said: dict[str, Any]) -> tuple[float, intruder.Answer]:
    begun = time.perf_counter()
    answer = post(port, path, said)
    return time.perf_counter() - begun, answer


@pytest.mark.parametrize(
    "path", ["/api/login/parameters", "/api/login", "/api/login/recovery", "/api/enrolment/start"]
)
def test_neither_time_nor_words_tell_who_is_known(
    made: world.World, port: int, alice: Someone, path: str
) -> None:
    """Known and unknown by turns, many times; the medians differ by less than what one of them varies by itself.

    What tells them apart does so each time; what else the machine does, once.
    """
    assert alice.person is not None
    unknown_number = intruder.body_of_15_digits(700)
    known, unknown = (
        {"user": number, "login": text(bytes(32))} if path != "/api/login/parameters" else {"user": number}
        for number in (alice.person.matricule, unknown_number)
    )
    if path == "/api/enrolment/start":
        traits = {"birthDate": alice.person.birth_date, "lastFive": alice.person.last_five}
        known = {"code": alice.code, **traits}  # used: of no use, but it was one
        unknown = {"code": "0000-0000-0000", **traits}
    shapes: dict[str, set[str]] = {"known": set(), "unknown": set(), "again": set()}
    differing: list[dict[str, float]] = []
    for _ in range(3):
        seen: dict[str, list[float]] = {"known": [], "unknown": [], "again": []}
        for number in range(150):
            turns = [("known", known), ("unknown", unknown), ("again", unknown)]
            for who, said in turns[number % 3 :] + turns[: number % 3]:
                taken, answer = _timed(port, path, said)
                seen[who].append(taken)
                told = {**answer.json(), "reference": "", "salt": ""}
                shapes[who].add(f"{answer.status} {json.dumps(told, sort_keys=True)}")
        medians = {who: statistics.median(times) for who, times in seen.items()}
        noise = abs(medians["unknown"] - medians["again"])
        spread = statistics.quantiles(seen["unknown"], n=4)
        if abs(medians["known"] - medians["unknown"]) < max(3 * noise, spread[2] - spread[0], 0.0005):
            break
        differing.append(medians)
    assert len(differing) < 3, differing
    if path != "/api/enrolment/start":  # a code that was one says that it is dead
        assert shapes["known"] == shapes["unknown"]


def test_a_patient_cannot_ask_who_else_is_here(made: world.World, port: int, alice: Someone) -> None:
    """Another patient, one who never was, a professional who never was: the same words."""
    other = intruder.activated(made, "Basile", "QUENTIN", 13)
    asked = [
        other.shown, other.address, f"{intruder.body_of_15_digits(701)}@{world.PATIENT_DOMAIN}",
        f"nobody@{world.DOMAIN}", f"mallory.per@{world.DOMAIN}",
    ]  # fmt: skip
    told = post(port, "/api/certificates", {"addresses": asked}, alice.cookie).json()["addressees"]
    assert len({(each.get("error"), each.get("message")) for each in told}) == 1
    assert all("certificates" not in each for each in told)
    assert alice.page.get("/api/correspondents") == {"correspondents": []}


def test_patients_have_no_certificate_in_public(made: world.World, port: int, alice: Someone) -> None:
    answers = {
        ask(
            port,
            "GET",
            f"/.well-known/openpgpkey/{domain}hu/{zbase32(hashlib.sha1(address.partition('@')[0].encode()).digest())}",
            None,
            headers,
        ).status
        for address in (alice.address, alice.shown)
        for domain in ("", f"{world.PATIENT_DOMAIN}/", f"{world.DOMAIN}/")
        for headers in ({}, {"Host": world.PATIENT_DOMAIN}, {"Host": f"openpgpkey.{world.PATIENT_DOMAIN}"})
    }
    assert answers == {404}


# -------------------------------------------------------------------------------------------- re-sealing


def test_what_is_laid_in_place_of_a_key_packet_is_one_whole_packet_of_ones_own_key(
    made: world.World, port: int, alice: Someone
) -> None:
    person = intruder.patient("Élie", "ORCIVAL", 14)
    told = intruder.space(made, person)
    intruder.write_as_hospital(made, told["shown"], intruder.letter(told["shown"], "attend"))
    page = PageClient(port)
    page.enrol(
        told["code"], "mot de passe", derivations.new_recovery_code(),
        birth_date=person.birth_date, last_five=person.last_five,
    )  # fmt: skip
    cookie = page.cookie_header
    standing = page.get("/api/reseal")
    (letter,) = page.get("/api/reseal/letters?after=0&limit=50")["letters"]
    own = encryption_key(page.own_certificate())
    waiting = encryption_key(page.opened(base64.b64decode(standing["waitingKey"])))
    theirs = encryption_key(alice.page.own_certificate())
    good, summary = (
        swapped(base64.b64decode(letter[name]), waiting, own) for name in ("keyPackets", "summaryKeyPackets")
    )
    foreign = swapped(base64.b64decode(letter["keyPackets"]), waiting, theirs)
    body = next(iter(packets.spans(good))).body(good)
    bad = {
        "for another's certificate": foreign,
        "still for the waiting key": base64.b64decode(letter["keyPackets"]),
        "two packets": good + good,
        "ours and another's": good + foreign,
        "another packet behind": good + packets.frame(packets.Tag.MARKER, b"PGP"),
        "version 6": packets.frame(packets.Tag.PKESK, b"\6" + body[1:]),
        "version 2": packets.frame(packets.Tag.PKESK, b"\2" + body[1:]),
        "cut": good[:-3],
        "longer": packets.frame(packets.Tag.PKESK, body + b"\0"),
        "nothing": b"",
        "rubbish": secrets.token_bytes(60),
        "no key packet": packets.frame(packets.Tag.USER_ID, b"x"),
        "for nobody named": packets.frame(packets.Tag.PKESK, b"\3" + bytes(8) + body[9:]),
        "another algorithm": packets.frame(packets.Tag.PKESK, body[:9] + b"\1" + body[10:]),
        "too large": packets.frame(packets.Tag.PKESK, body + bytes(3000)),
    }
    for name, packet in bad.items():
        for kept, replaced in (("summaryKeyPackets", "keyPackets"), ("keyPackets", "summaryKeyPackets")):
            right = {"keyPackets": good, "summaryKeyPackets": summary}[kept]
            said = {"letters": [{"id": letter["id"], kept: text(right), replaced: text(packet)}]}
            answer = post(port, "/api/reseal/letters", said, cookie)
            assert (answer.status, answer.slug) == (400, "bad-request"), (name, replaced)
    missing = {"letters": [{"id": letter["id"], "keyPackets": text(good), "summaryKeyPackets": None}]}
    assert post(port, "/api/reseal/letters", missing, cookie).slug == "bad-request"
    assert page.get("/api/reseal")["left"] == 1
    assert page.reseal() == 1
    assert "attend" in page.open(page.letters()[0]).subject


# --------------------------------------------------------------------------------------------- downloads

NAMES = [
    'a"; filename="b.html', "a%0d%0aSet-Cookie:%20x=1", "%22%3E%3Cscript%3E.html", "..%2f..%2fetc%2fpasswd",
    "a%00.html",
    "%e2%80%aefdp.exe", "a;b=c.svg", "%F0%9F%92%A9.html", "a" * 2000, "%ff%fe",
]  # fmt: skip


def test_no_file_comes_back_as_a_page(port: int, doctor: Someone) -> None:
    """A page laid down by its owner and fetched by its address: a file, which nothing renders or embeds."""
    evil = (
        b"<!doctype html><script>parent.hacked=1</script><svg xmlns='http://www.w3.org/2000/svg' onload='x'/>"
    )
    for kind in (
        "text/html",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
        "text/javascript",
        "text/css",
    ):
        headers = as_page(port, doctor.cookie) | {"Content-Type": kind}
        laid = ask(port, "POST", f"/jmap/upload/{doctor.account}/", evil, headers)
        assert laid.status == 201
        blob = laid.json()["blobId"]
        for name in NAMES:
            path = f"/jmap/download/{doctor.account}/{blob}/{name}?type={kind}".replace(" ", "%20").replace(
                '"', "%22"
            )
            got = ask(port, "GET", path, None, as_page(port, doctor.cookie))
            if "%0d%0a" in name:
                assert got.status == 404  # no name holds an end of line
                continue
            assert got.status == 200, name
            assert got.header("content-type") == "application/octet-stream", (name, kind)
            disposition = got.header("content-disposition") or ""
            assert disposition.startswith('attachment; filename="'), name
            assert disposition.count('"') == 2
            assert disposition.isascii()
            assert disposition.isprintable()
            assert len(disposition) < 3000
            assert got.header("set-cookie") is None
            assert got.header("x-content-type-options") == "nosniff"
            assert (got.header("content-security-policy") or "").startswith("sandbox")
            assert got.header("cross-origin-resource-policy") == "same-origin"
            # In the address bar, where no header of the page's goes along, it is not given at all.
            top = {
                "Cookie": doctor.cookie, "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Dest": "document",
            }  # fmt: skip
            bare = ask(port, "GET", path, None, top)
            assert bare.status == 403
            assert (bare.header("content-type") or "").startswith("application/problem+json")


def test_refusals_that_wait_are_counted_and_cut_when_too_many_wait(made: world.World) -> None:
    """As it is set by default: the answers to guesses wait longer and longer, and a crowd of them is told to go."""
    with intruder.siege(limits={"failed_login_delay": 0.3, "failed_login_longest_delay": 3.0}) as (slow, _):
        number = intruder.body_of_15_digits(900)
        said = {"user": number, "login": text(bytes(32))}
        taken = [_timed(slow.ports["http"], "/api/login", said)[0] for _ in range(3)]
        assert taken[0] >= 0.29
        assert taken[2] >= 0.9
        with ThreadPoolExecutor(16) as many:
            # Three times over: the first sixteen may all be let in before one of them waits.
            answers = list(many.map(lambda _: post(slow.ports["http"], "/api/login", said), range(48)))
        assert {each.status for each in answers} == {401, 429}
        cut = next(each for each in answers if each.status == 429)
        assert int(cut.header("retry-after") or 0) > 0


def test_a_passkeys_challenge_serves_once(port: int, alice: Someone) -> None:
    begun = post(port, "/api/login/passkey/start", {}).json()
    said = {"id": begun["id"], "credential": {"id": "AAAA", "rawId": "AAAA"}, "shared": False}
    assert post(port, "/api/login/passkey", said).slug == "passkey-refused"
    assert post(port, "/api/login/passkey", said).slug == "challenge-refused"
    with pytest.raises(PageRefused):
        alice.page.post("/api/passkeys", {**said, "label": "x", "wrapped": None})
