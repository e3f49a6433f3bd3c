"""Requests of `/api/`: from where they may come, how large they may be, and what a fault tells."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.webmail.office import Office, text
from webmail.login import agents, bodies
from webmail.login.problems import Problem
from webmail.login.settings import PageSettings

CHANGING = [
    ("POST", "login"),
    ("POST", "login/parameters"),
    ("POST", "login/recovery"),
    ("POST", "login/passkey/start"),
    ("POST", "login/passkey"),
    ("POST", "enrolment/start"),
    ("POST", "enrolment/complete"),
    ("POST", "keys/challenge"),
    ("POST", "logout"),
    ("DELETE", "sessions/x"),
    ("DELETE", "sessions"),
    ("PUT", "password"),
    ("PUT", "recovery"),
    ("POST", "passkeys/start"),
    ("POST", "passkeys"),
    ("DELETE", "slots/x"),
    ("POST", "totp/start"),
    ("POST", "totp"),
    ("DELETE", "totp"),
    ("POST", "app-passwords"),
    ("DELETE", "app-passwords/x"),
    ("PUT", "key"),
    ("PUT", "keys/AA"),
    ("POST", "reseal/letters"),
    ("POST", "certificates"),
    ("PUT", "wakes"),
    ("POST", "step-up"),
    ("POST", "step-up/passkey/start"),
    ("POST", "step-up/passkey"),
    ("POST", "login/ciba/x/start"),
    ("POST", "login/ciba/x"),
]
# Asked by an identity provider, not by a browser: its token's signature says who asks.
BY_PROVIDERS = [("POST", "oidc/x/backchannel-logout")]


async def test_every_route_that_changes_something_is_in_the_list_below(office: Office) -> None:
    routes = {
        (method, route.path.removeprefix("/api/"))
        for router in office.page.routers
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined]
        if method not in ("GET", "HEAD")
    }
    holes = {"{other}": "x", "{slot}": "x", "{credential}": "x", "{fingerprint}": "AA", "{provider}": "x"}
    filled = set()
    for method, path in routes:
        for hole, value in holes.items():
            path = path.replace(hole, value)
        filled.add((method, path))
    assert filled == {*CHANGING, *BY_PROVIDERS}


async def test_another_site_changes_nothing(office: Office) -> None:
    """CSRF: a browser sends the cookie along; the header and the origin tell who asked."""
    browser = await office.enrolled()
    for method, path in CHANGING:
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost:81"},
            {"X-Vaguemestre": "0"},
        ):
            answer = await browser.raw(method, path, {}, **headers)
            told = (answer.status_code, answer.json()["error"])
            assert told == (403, "foreign-request"), (method, path, headers)
    assert (await browser.get("session"))["account"]["id"] == browser.account.id


async def test_without_origin_the_browser_must_say_same_origin(office: Office) -> None:
    browser = await office.enrolled()
    del browser.client.headers["Origin"]
    for site, status in (("same-origin", 204), ("cross-site", 403), ("same-site", 403), ("none", 403)):
        answer = await browser.raw("DELETE", "sessions", None, **{"Sec-Fetch-Site": site})
        assert answer.status_code == status, site
    assert (await browser.raw("DELETE", "sessions")).status_code == 403


async def test_a_cookie_and_an_authorization_together_are_refused(office: Office) -> None:
    browser = await office.enrolled()
    answer = await browser.raw("DELETE", "sessions", None, Authorization="Bearer x")
    assert answer.json()["reason"] == "two-proofs"


async def test_without_an_address_of_its_own_the_page_is_where_it_was_asked(office: Office) -> None:
    object.__setattr__(office, "settings", PageSettings())
    await office.open_page()
    browser = office.browser()
    assert (await browser.raw("POST", "login/parameters", {"user": "x"})).status_code == 200
    foreign = await browser.raw("POST", "login/parameters", {"user": "x"}, Origin="http://localhost:1")
    assert foreign.status_code == 403


@pytest.mark.parametrize("path", ["operator", "session", "sessions", "nothing-here"])
async def test_every_answer_is_kept_by_nobody(office: Office, path: str) -> None:
    browser = await office.enrolled()
    answer = await browser.raw("GET", path)
    if answer.status_code != 404:
        assert answer.headers["cache-control"] == "no-store"


async def test_refusals_are_kept_by_nobody_either(office: Office) -> None:
    answer = await office.browser().raw("GET", "session")
    assert (answer.status_code, answer.headers["cache-control"]) == (401, "no-store")


async def test_a_refusal_has_a_slug_a_sentence_and_a_reference(office: Office) -> None:
    answer = (await office.browser().raw("GET", "session")).json()
    assert answer["error"] == "no-session"
    assert answer["message"].startswith("Votre connexion")
    assert len(answer["reference"]) == 10


async def test_a_body_over_a_megabyte_is_refused(office: Office) -> None:
    browser = office.browser()
    answer = await browser.raw("POST", "login/parameters", {"user": "x" * (1 << 20)})
    assert (answer.status_code, answer.json()["error"]) == (413, "too-large")


async def test_a_body_that_grows_past_the_limit_is_refused_without_its_length(office: Office) -> None:
    browser = office.browser()

    async def pieces() -> Any:
        for _ in range(20):
            yield b"x" * 100_000

    request = browser.client.build_request("POST", "/api/login/parameters", content=pieces())
    assert (await browser.client.send(request)).status_code == 413


BAD = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"user": 1}',
    b'{"user": ""}',
    b'{"user": "x", "more": 1}',
    b'{"user": "' + b"x" * 321 + b'"}',
    b"\xff\xfe",
    b"[" * 5000,
]


@pytest.mark.parametrize("content", BAD)
async def test_what_is_not_understood_is_one_refusal(office: Office, content: bytes) -> None:
    browser = office.browser()
    request = browser.client.build_request("POST", "/api/login/parameters", content=content)
    answer = await browser.client.send(request)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad-request")


@pytest.mark.parametrize(
    "change",
    [
        {"login": "not base64"},
        {"login": text(bytes(31))},
        {"login": None},
        {"shared": "yes"},
        {"totp": "1" * 17},
        {"totp": 123456},
    ],
)
async def test_a_login_of_another_shape_is_refused(office: Office, change: dict[str, Any]) -> None:
    given = {"user": "x", "login": text(bytes(32)), "shared": False, **change}
    answer = await office.browser().raw("POST", "login", given)
    assert answer.json()["error"] == "bad-request"


async def test_nothing_that_was_sent_stands_in_a_log_an_answer_or_a_repr(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = text(b"a login secret of 32 octets 1234")
    browser = office.browser()
    sent: list[dict[str, Any]] = [
        {"user": "1850513055001", "login": secret},
        {"user": "1850513055001", "login": secret, "what": "is this"},
        {"user": "1850513055001", "login": secret + "="},
    ]

    async def fails(query: Any) -> Any:
        raise RuntimeError(secret)

    answers = [await browser.raw("POST", "login", one) for one in sent]
    kept, office.store.read = office.store.read, fails  # type: ignore[method-assign]
    try:
        answers.append(await browser.raw("POST", "login", sent[0]))
    finally:
        office.store.read = kept  # type: ignore[method-assign]
    assert [answer.status_code for answer in answers] == [401, 400, 400, 500]
    told = caplog.text + "".join(answer.text for answer in answers)
    assert "RuntimeError" in caplog.text
    for hidden in (secret, "1850513055001", "a login secret"):
        assert hidden not in told
    parsed = bodies.PasswordLogin.model_validate_json(
        f'{{"user": "1850513055001", "login": "{secret}", "shared": true}}'
    )
    assert repr(parsed) == "PasswordLogin()"
    assert "1850513055001" not in f"{parsed}"


async def test_every_word_that_is_refused_with_has_a_sentence() -> None:
    with pytest.raises(KeyError):
        Problem("not-a-reason")
    assert Problem("login-refused").as_json().keys() == {"error", "message", "reference"}


async def test_the_operator_is_told_to_everybody(office: Office) -> None:
    told = await office.browser().get("operator")
    assert told["operator"] == "Essai"
    assert told["limits"] == {"attachment": 10 * 1024 * 1024, "message": 1 << 20, "attachments": 20}
    assert (told["undoSeconds"], told["totpForProfessionals"]) == (15, True)


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        ("Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox, Android"),
        (
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
                " Chrome/142.0 Safari/537.36 Edg/142.0"
            ),
            "Edge, Windows",
        ),
        (
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
                " SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36"
            ),
            "Samsung Internet, Android",
        ),
        (
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15"
                " (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
            ),
            "Safari, iPhone",
        ),
        (
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko)"
                " Chrome/142.0.0.0 Safari/537.36"
            ),
            "Chrome, Mac",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/156.0 Safari/537.36", "Chrome, Linux"),
        ("curl/8.0", ""),
        ("", ""),
        ("<script>alert(1)</script>", ""),
        ("x" * 100_000 + "Firefox/1", ""),
    ],
)
def test_a_browser_is_called_by_a_few_words(user_agent: str, label: str) -> None:
    assert agents.label(user_agent) == label


@pytest.mark.parametrize(
    "url",
    [
        "http://page.example",
        "ftp://x",
        "https://",
        "https://a/b",
        "https://a/?q",
        "https://u@a",
        "page.example",
    ],
)
def test_an_address_that_is_no_origin_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="public_url"):
        PageSettings(public_url=url)


@pytest.mark.parametrize("url", ["https://a.example", "https://a.example:8443/", "http://localhost:10080/"])
def test_an_address_of_the_page_is_an_origin(url: str) -> None:
    assert PageSettings(public_url=url).public_url == url.rstrip("/")


async def test_who_is_nobody_yet_is_listened_to_for_a_short_while(office: Office) -> None:
    """Thousands of strangers at once must not fill the memory."""
    large = {"user": "x" * 20_000}
    for path in (
        "login", "login/parameters", "login/recovery", "login/passkey/start", "login/passkey", "enrolment/start",
    ):  # fmt: skip
        answer = await office.browser().raw("POST", path, large)
        assert answer.status_code == 413, path
