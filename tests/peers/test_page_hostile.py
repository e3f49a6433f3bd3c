"""Other sites, planted cookies, lying headers: what reaches `/api/` and `/jmap/` without being the page gets nothing.

Against a real node over its plain port, as a browser's requests arrive there; each header is what a browser would
send for that attack, or what no browser would.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.demo import world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient
from tests.peers import intruder
from tests.peers.intruder import Someone, as_page, ask, jmap, post

pytestmark = pytest.mark.peers

EVIL = "https://evil.example"


@pytest.fixture(scope="module")
def besieged() -> Iterator[world.World]:
    with intruder.siege() as (made, _):
        yield made


@pytest.fixture(scope="module")
def port(besieged: world.World) -> int:
    return besieged.ports["http"]


@pytest.fixture(scope="module")
def alice(besieged: world.World) -> Someone:
    return intruder.activated(besieged, "Alix", "MIRECOURT", 1)


# ------------------------------------------------------------------------------------------- other sites

# What a browser sends for a request that another site made, whatever the means.
FOREIGN: dict[str, dict[str, str | None]] = {
    "a form of another site": {
        "Origin": EVIL, "Sec-Fetch-Site": "cross-site", "X-Vaguemestre": None,
        "Content-Type": "application/x-www-form-urlencoded",
    },
    "a form that says text/plain": {
        "Origin": EVIL, "Sec-Fetch-Site": "cross-site", "X-Vaguemestre": None, "Content-Type": "text/plain",
    },
    "a form from a sandboxed frame": {
        "Origin": "null", "Sec-Fetch-Site": "cross-site", "X-Vaguemestre": None, "Content-Type": "text/plain",
    },
    "multipart": {
        "Origin": EVIL, "Sec-Fetch-Site": "cross-site", "X-Vaguemestre": None,
        "Content-Type": "multipart/form-data; boundary=x",
    },
    "fetch with credentials, as if CORS had let it": {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
    "a sibling of the same site": {
        "Origin": "http://localhost:1", "Sec-Fetch-Site": "same-site"
    },
    "another port, told as same-origin": {"Origin": "http://localhost:1"},
    "a null Origin": {"Origin": "null"},
    "an Origin that ends as ours": {"Origin": "http://evil-localhost"},
    "an Origin with our name before it": {"Origin": "http://localhost.evil.example"},
    "https instead of http": {"Origin": "https://localhost"},
    "two origins": {"Origin": "http://localhost http://evil.example"},
    "an empty Origin": {"Origin": ""},
    "without the page's own header": {"X-Vaguemestre": None},
    "with another value of it": {"X-Vaguemestre": "0"},
    "neither Origin nor Sec-Fetch-Site": {"Origin": None, "Sec-Fetch-Site": None},
    "no Origin, cross-site": {"Origin": None, "Sec-Fetch-Site": "cross-site"},
    "no Origin, same-site": {"Origin": None, "Sec-Fetch-Site": "same-site"},
    "no Origin, typed in the address bar": {"Origin": None, "Sec-Fetch-Site": "none"},
}  # fmt: skip

# Everything that changes something: method, path.
CHANGING = [
    ("POST", "/api/enrolment/start"), ("POST", "/api/enrolment/complete"), ("POST", "/api/keys/challenge"),
    ("POST", "/api/login/parameters"), ("POST", "/api/login"), ("POST", "/api/login/recovery"),
    ("POST", "/api/login/passkey/start"), ("POST", "/api/login/passkey"), ("POST", "/api/logout"),
    ("DELETE", "/api/sessions/abc"), ("DELETE", "/api/sessions"), ("PUT", "/api/password"),
    ("PUT", "/api/recovery"), ("POST", "/api/passkeys/start"), ("POST", "/api/passkeys"),
    ("DELETE", "/api/slots/abc"), ("POST", "/api/totp/start"), ("POST", "/api/totp"), ("DELETE", "/api/totp"),
    ("POST", "/api/app-passwords"), ("DELETE", "/api/app-passwords/abc"), ("PUT", "/api/key"),
    ("PUT", "/api/keys/ABC"), ("POST", "/api/reseal/letters"), ("POST", "/api/certificates"),
    ("POST", "/jmap/api"), ("POST", "/jmap/upload/{account}/"),
]  # fmt: skip
READING = [
    "/api/operator", "/api/session", "/api/sessions", "/api/app-passwords", "/api/keys/old", "/api/reseal",
    "/api/reseal/letters", "/api/correspondents", "/jmap/session", "/.well-known/jmap",
    "/jmap/download/{account}/Bx/a.eml", "/jmap/events?types=*&closeafter=state&ping=0",
]  # fmt: skip


def altered(port: int, cookie: str, changes: dict[str, str | None]) -> dict[str, str]:
    """The page's headers, with changes; None takes one away; "localhost" means ours with its port."""
    headers: dict[str, str | None] = {**as_page(port, cookie), **changes}
    return {name: value for name, value in headers.items() if value is not None}


@pytest.mark.parametrize("attack", FOREIGN)
def test_what_another_site_makes_a_browser_send_changes_nothing(
    port: int, alice: Someone, attack: str
) -> None:
    headers = altered(port, alice.cookie, FOREIGN[attack])
    for method, path in CHANGING:
        answer = ask(port, method, path.format(account=alice.account), b"{}", headers)
        assert answer.status == 403, (method, path, answer.status)
        assert answer.slug in {"foreign-request", "foreign-origin", "header-missing", "origin-unknown"}
        assert answer.header("set-cookie") is None
    assert alice.page.get("/api/session")["account"]["id"] == alice.account


def test_an_event_source_of_another_site_is_refused(port: int, alice: Someone) -> None:
    path = "/jmap/events?types=*&closeafter=no&ping=0"
    for changes in (
        {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
        {"Origin": None, "Sec-Fetch-Site": "cross-site"},
        {"Origin": None, "Sec-Fetch-Site": "same-site"},
        {"Origin": None, "Sec-Fetch-Site": "none"},
        {"Origin": None, "Sec-Fetch-Site": None},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    ):
        changed: dict[str, str | None] = {"X-Vaguemestre": None, "Content-Type": None, **changes}
        answer = ask(port, "GET", path, None, altered(port, alice.cookie, changed))
        assert answer.status == 403, changes


def test_simple_content_types_are_no_jmap_request_even_from_the_page(port: int, alice: Someone) -> None:
    said = json.dumps({"using": [], "methodCalls": []}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        headers = as_page(port, alice.cookie) | {"Content-Type": kind}
        assert ask(port, "POST", "/jmap/api", said, headers).status == 400, kind


def test_no_preflight_is_ever_answered_in_favour(port: int, alice: Someone) -> None:
    for path in ("/jmap/api", "/api/login", "/api/password", "/jmap/session"):
        headers = {
            "Origin": EVIL,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-vaguemestre,content-type",
        }
        answer = ask(port, "OPTIONS", path, None, headers)
        assert answer.status >= 400
        told = [name.lower() for name, _ in answer.headers]
        assert not [name for name in told if name.startswith("access-control")], path
        got = ask(port, "GET", path, None, {"Origin": EVIL, "Cookie": alice.cookie})
        assert got.header("access-control-allow-origin") is None


def test_cookie_and_authorization_together_are_refused(port: int, alice: Someone) -> None:
    for proof in ("Basic YTpi", "Bearer vm1_abc", "Digest x", ""):
        headers = as_page(port, alice.cookie) | {"Authorization": proof}
        for method, path in [*CHANGING, ("GET", "/jmap/session"), ("GET", "/jmap/events")]:
            answer = ask(port, method, path.format(account=alice.account), b"{}", headers)
            assert answer.status in {400, 403}, (path, answer.status)
            assert "two-proofs" in answer.body.decode(), path


def test_two_session_cookies_do_not_make_two_people(port: int, alice: Someone) -> None:
    """A sibling host may plant a cookie of the same name: whichever counts, it is one of them or nobody."""
    name, _, value = alice.cookie.partition("=")
    for cookie in (f"{name}=planted; {name}={value}", f"{name}={value}; {name}=planted"):
        answer = ask(port, "GET", "/api/session", None, {"Cookie": cookie})
        assert answer.status in {200, 401}
        if answer.status == 200:
            assert answer.json()["account"]["id"] == alice.account


# ----------------------------------------------------------------------------------------- sessions, cookies


def test_a_planted_cookie_is_not_adopted_at_login(port: int, alice: Someone) -> None:
    planted = secrets.token_urlsafe(32)
    page = PageClient(port)
    known = page.post("/api/login/parameters", {"user": alice.shown})
    split = derivations.from_password(alice.password, base64.b64decode(known["salt"]))
    said = {"user": alice.shown, "login": base64.b64encode(split.login).decode(), "shared": False}
    answer = post(port, "/api/login", said, f"vaguemestre={planted}")
    assert answer.status == 200
    cookie = given_cookie(answer)
    assert cookie != planted
    assert post(port, "/jmap/api", {"using": [], "methodCalls": []}, f"vaguemestre={planted}").status == 401


def test_a_planted_cookie_is_not_adopted_at_enrolment(besieged: world.World, port: int) -> None:
    person = intruder.patient("Nils", "PLANCOET", 2)
    told = intruder.space(besieged, person)
    planted = secrets.token_urlsafe(32)
    said = {"code": told["code"], "birthDate": person.birth_date, "lastFive": person.last_five}
    answer = post(port, "/api/enrolment/start", said, f"vaguemestre={planted}")
    assert answer.status == 200
    assert given_cookie(answer) != planted
    assert post(port, "/api/keys/challenge", {"certificate": "AA=="}, f"vaguemestre={planted}").slug == (
        "no-session"
    )


def test_somebody_elses_session_is_not_carried_over_into_a_login(
    besieged: world.World, port: int, alice: Someone
) -> None:
    """Login with another's cookie at hand (a shared computer): a new session, of the one who logged in."""
    other = intruder.activated(besieged, "Basile", "QUENTIN", 3)
    page = PageClient(port)
    known = page.post("/api/login/parameters", {"user": other.shown})
    split = derivations.from_password(other.password, base64.b64decode(known["salt"]))
    said = {"user": other.shown, "login": base64.b64encode(split.login).decode(), "shared": True}
    answer = post(port, "/api/login", said, alice.cookie)
    assert answer.json()["account"]["id"] == other.account
    assert given_cookie(answer) not in alice.cookie
    assert alice.page.get("/api/session")["account"]["id"] == alice.account


def test_the_enrolment_cookie_opens_no_mail_and_no_settings(besieged: world.World, port: int) -> None:
    person = intruder.patient("Noor", "PERIERS", 4)
    told = intruder.space(besieged, person)
    said = {"code": told["code"], "birthDate": person.birth_date, "lastFive": person.last_five}
    answer = post(port, "/api/enrolment/start", said)
    cookie = f"vaguemestre={given_cookie(answer)}"
    account = answer.json()["account"]
    allowed = {"/api/enrolment/start", "/api/enrolment/complete", "/api/keys/challenge", "/api/logout"}
    public = {path for _, path in CHANGING if path.startswith("/api/login")}
    for method, path in CHANGING:
        if path not in allowed | public:
            got = ask(port, method, path.format(account=account), b"{}", as_page(port, cookie))
            assert got.status == 401, (method, path)
    for path in READING[1:]:
        got = ask(port, "GET", path.format(account=account), None, as_page(port, cookie))
        assert got.status == 401, path


def test_a_new_cookie_after_enrolment_and_the_old_one_is_dead(besieged: world.World, port: int) -> None:
    page = PageClient(port)
    person = intruder.patient("Ode", "RIANS", 5)
    told = intruder.space(besieged, person)
    begun = post(
        port,
        "/api/enrolment/start",
        {"code": told["code"], "birthDate": person.birth_date, "lastFive": person.last_five},
    )
    before = f"vaguemestre={given_cookie(begun)}"
    page.enrol(
        told["code"], "un mot de passe", derivations.new_recovery_code(),
        birth_date=person.birth_date, last_five=person.last_five,
    )  # fmt: skip
    assert page.cookie_header != before
    assert post(port, "/api/keys/challenge", {"certificate": "AA=="}, before).slug == "no-session"


def test_the_cookie_is_for_this_host_and_no_script(port: int, alice: Someone) -> None:
    answer = _login(port, alice)
    (cookie,) = [value for name, value in answer.headers if name.lower() == "set-cookie"]
    flags = {each.strip().lower().partition("=")[0] for each in cookie.split(";")[1:]}
    assert {"httponly", "samesite", "path"} <= flags
    assert "samesite=strict" in cookie.lower()
    assert "; path=/;" in f"{cookie.lower()};"
    assert "domain" not in flags


def test_over_https_the_cookie_is_bound_to_host_and_tls(besieged: world.World, alice: Someone) -> None:
    import http.client

    from deploy.demo.clients import tls

    https = besieged.ports["https"]
    said = json.dumps(_login_body(besieged.ports["http"], alice)).encode()
    connection = http.client.HTTPSConnection("localhost", https, context=tls(besieged.ca), timeout=120)
    headers = as_page(https) | {"Origin": f"https://localhost:{https}"}
    connection.request("POST", "/api/login", said, headers)
    answer = connection.getresponse()
    cookie = answer.getheader("set-cookie") or ""
    answer.read()
    assert answer.status == 200
    assert cookie.startswith("__Host-vaguemestre=")
    assert "secure" in cookie.lower()
    value = cookie.partition(";")[0].partition("=")[2]
    # The unprefixed name, which a plain-HTTP neighbour could plant, counts for nothing there.
    for name, status in (("__Host-vaguemestre", 200), ("vaguemestre", 401)):
        connection.request("GET", "/api/session", headers=headers | {"Cookie": f"{name}={value}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status, name
    connection.close()


def test_an_ended_session_is_dead_everywhere_at_once(port: int, alice: Someone) -> None:
    cookie = f"vaguemestre={given_cookie(_login(port, alice))}"
    assert post(port, "/api/logout", {}, cookie).status == 204
    for method, path in CHANGING:
        if not path.startswith(("/api/login", "/api/enrolment/start", "/api/logout")):
            got = ask(port, method, path.format(account=alice.account), b"{}", as_page(port, cookie))
            assert got.status == 401, (method, path)
    for path in READING[1:]:
        got = ask(port, "GET", path.format(account=alice.account), None, as_page(port, cookie))
        assert got.status == 401, path


# ----------------------------------------------------------------------------------------------- headers


def test_every_answer_forbids_framing_sniffing_and_caching(port: int, alice: Someone) -> None:
    paths = [*CHANGING, *(("GET", path) for path in READING[:-1])]
    unknown = [("GET", "/api/nothing"), ("GET", "/jmap/nothing"), ("PATCH", "/api/login"), ("GET", "/api/")]
    for cookie in ("", alice.cookie):
        for method, path in [*paths, *unknown]:
            if path == "/api/logout" or method == "DELETE":
                continue
            answer = ask(port, method, path.format(account=alice.account), b"{}", as_page(port, cookie))
            where = (method, path, answer.status)
            assert "no-store" in (answer.header("cache-control") or ""), where
            assert answer.header("x-content-type-options") == "nosniff", where
            assert answer.header("x-frame-options") == "DENY", where
            policy = answer.header("content-security-policy") or ""
            assert "default-src 'none'" in policy, where
            assert "frame-ancestors 'none'" in policy or "sandbox" in policy, where
            assert answer.header("referrer-policy") == "no-referrer", where
            assert answer.header("server") is None, where


def test_the_page_itself_may_not_be_framed(port: int) -> None:
    for path in ("/", "/connexion", "/activer", "/messages", "/aide"):
        answer = ask(port, "GET", path)
        if answer.status == 404:
            continue
        assert answer.header("x-frame-options") == "DENY", path
        assert "frame-ancestors 'none'" in (answer.header("content-security-policy") or ""), path


HOSTS = [
    "evil.example", "localhost@evil.example", "localhost:80:80", "localhost:99999", "[::1", "a b", "localhost/..",
    "localhost\t", "x" * 300, "localhost:abc", "ÿ", "", "localhost#", "localhost?x", "user:pass@localhost",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_a_lying_host_makes_nothing_ours(port: int, alice: Someone, host: str) -> None:
    """Host decides what is "the page's own": whoever forges both still has no cookie; nothing breaks."""
    headers = as_page(port, alice.cookie) | {"Host": host}
    try:
        answers = [
            ask(port, "POST", "/api/login/parameters", b'{"user":"x"}', headers),
            ask(port, "POST", "/jmap/api", b'{"using":[],"methodCalls":[]}', headers),
            ask(port, "GET", "/jmap/session", None, headers),
            ask(port, "POST", "/api/login/passkey/start", b"{}", headers),
        ]
    except UnicodeEncodeError:
        return
    for answer in answers:
        assert 400 <= answer.status < 500, (host, answer.status)
        assert answer.header("set-cookie") is None


def test_forwarded_headers_are_not_believed(port: int, alice: Someone) -> None:
    """The node looks at the connection: who says https or another address in a header is not followed."""
    lies = {
        "X-Forwarded-Proto": "https", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=10.0.0.1;host=evil.example;proto=https", "X-Real-IP": "10.0.0.1",
    }  # fmt: skip
    said = json.dumps(_login_body(port, alice)).encode()
    answer = ask(port, "POST", "/api/login", said, as_page(port) | lies)
    cookie = f"vaguemestre={given_cookie(answer)}"
    sessions = ask(port, "GET", "/api/sessions", None, as_page(port, cookie)).json()["sessions"]
    assert all("10.0.0" not in each["network"] for each in sessions)
    told = ask(port, "GET", "/jmap/session", None, as_page(port, cookie) | lies).json()
    assert "evil" not in json.dumps(told)


def test_the_page_needs_no_query_string_secret(port: int, alice: Someone) -> None:
    """A cookie's value in the address is no proof."""
    value = alice.cookie.partition("=")[2]
    for path in (f"/api/session?vaguemestre={value}", f"/jmap/session?access_token={value}"):
        assert ask(port, "GET", path, None, as_page(port)).status == 401
    assert jmap(port, alice.cookie, ("Core/echo", {"a": 1}))[0][1] == {"a": 1}


# ----------------------------------------------------------------------------------------------- inside


def given_cookie(answer: intruder.Answer) -> str:
    cookies = [value for name, value in answer.headers if name.lower() == "set-cookie"]
    assert len(cookies) == 1
    return cookies[0].partition(";")[0].partition("=")[2]


def _login_body(port: int, someone: Someone) -> dict[str, Any]:
    known = PageClient(port).post("/api/login/parameters", {"user": someone.shown})
    split = derivations.from_password(someone.password, base64.b64decode(known["salt"]))
    return {"user": someone.shown, "login": base64.b64encode(split.login).decode(), "shared": False}


def _login(port: int, someone: Someone) -> intruder.Answer:
    answer = post(port, "/api/login", _login_body(port, someone))
    assert answer.status == 200
    return answer
