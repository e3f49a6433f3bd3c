"""What the server gives of the page: the built bytes, the headers with them, and words when there is no page."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from webmail.built_page import LETTER_SHEET, import_map, sri
from webmail.page import ADDRESSES, accepted_codings

Ask = Callable[..., Awaitable[httpx.Response]]
ROUTER = Path(__file__).parents[2] / "webmail" / "ui" / "src" / "router.ts"


def directives(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (part.split() for part in policy.split(";"))}


# --------------------------------------------------------------------------------------------- index.html


def test_the_server_knows_the_addresses_that_the_page_knows() -> None:
    patterns = re.findall(r'pattern: "([^"]+)"', ROUTER.read_text())
    assert [re.sub(r":(\w+)", r"{\1}", pattern) for pattern in patterns] == list(ADDRESSES)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/messages",
        "/messages/sent",
        "/conversation/T12",
        "/reglages/acces",
        "/dossier/document/1.2.250",
        "/agenda/rappels",
    ],
)
async def test_each_address_of_the_page_gives_the_same_bytes(ask: Ask, built: Path, path: str) -> None:
    answer = await ask(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == (built / "index.html").read_bytes()
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/message", "/messages/a/b", "/assets/", "/assets/nothing.js", "/index.html"]
)
async def test_any_other_address_is_not_found(ask: Ask, path: str) -> None:
    assert (await ask(path)).status_code == 404


async def test_the_policy_allows_our_scripts_and_the_import_map_alone(ask: Ask) -> None:
    answer = await ask("/")
    policy = directives(answer.headers["content-security-policy"])
    mapped = import_map(answer.text)
    assert mapped is not None
    assert policy["script-src"] == ["'self'", "'wasm-unsafe-eval'", f"'{sri(mapped.encode())}'"]
    assert policy["default-src"] == ["'none'"]
    assert policy["style-src"] == ["'self'", f"'{LETTER_SHEET}'"]
    assert policy["connect-src"] == ["'self'"]
    for closed in ("base-uri", "form-action", "frame-ancestors"):
        assert policy[closed] == ["'none'"]
    assert policy["require-trusted-types-for"] == ["'script'"]
    assert policy["trusted-types"] == ["svelte-trusted-html", "dompurify", "app-workers", "mail-body"]


async def test_no_policy_names_another_host_or_lets_inline_code_in(ask: Ask) -> None:
    for path in ("/", "/assets/index-a1.js", "/assets/style-c3.css", "/manifest.sha256.json"):
        policy = (await ask(path)).headers["content-security-policy"]
        assert "unsafe-inline" not in policy
        assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
        assert not re.search(r"https?:|\*", policy)


async def test_the_page_keeps_to_itself(ask: Ask) -> None:
    headers = (await ask("/")).headers
    assert headers["integrity-policy"] == "blocked-destinations=(script)"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "publickey-credentials-get=(self)" in headers["permissions-policy"]
    assert "geolocation=()" in headers["permissions-policy"]


# -------------------------------------------------------------------------------------------------- files


async def test_files_named_by_their_content_are_kept_for_good(ask: Ask) -> None:
    script = await ask("/assets/index-a1.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (await ask("/assets/style-c3.css")).headers["content-type"] == "text/css; charset=utf-8"


async def test_a_file_with_a_plain_name_is_asked_again(ask: Ask) -> None:
    answer = await ask("/assets/licences.txt")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.text == "whose code this is"


async def test_a_worker_finds_its_own_policy_on_the_file_it_starts_from(ask: Ask) -> None:
    policy = directives((await ask("/assets/index-a1.js")).headers["content-security-policy"])
    assert policy["script-src"] == ["'self'", "'wasm-unsafe-eval'"]
    assert policy["connect-src"] == ["'self'"]


async def test_the_manifest_names_every_file_by_its_hash(ask: Ask) -> None:
    manifest = (await ask("/manifest.sha256.json")).json()
    assert manifest["sources"] == "5" * 64
    for path, digest in manifest["files"].items():
        assert hashlib.sha256((await ask(path)).content).hexdigest() == digest
    assert set(manifest["files"]) == {
        "/",
        "/assets/frame-b2.js",
        "/assets/index-a1.js",
        "/assets/licences.txt",
        "/assets/screen-d4.js",
        "/assets/style-c3.css",
        "/assets/worker-e5.js",
    }


async def test_who_accepts_a_smaller_form_gets_it(ask: Ask, built: Path) -> None:
    plain = (built / "assets" / "index-a1.js").read_bytes()
    zipped = await ask("/assets/index-a1.js", accept_encoding="gzip, deflate")
    assert zipped.headers["content-encoding"] == "gzip"
    assert int(zipped.headers["content-length"]) < len(plain)
    assert zipped.content == plain  # unpacked by the client
    smallest = await ask("/assets/index-a1.js", accept_encoding="gzip, br", method="HEAD")
    assert smallest.headers["content-encoding"] == "br"
    as_is = await ask("/assets/index-a1.js")
    assert "content-encoding" not in as_is.headers
    assert {zipped.headers["vary"], smallest.headers["vary"], as_is.headers["vary"]} == {"accept-encoding"}
    assert len({answer.headers["etag"] for answer in (zipped, smallest, as_is)}) == 3


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", set[str]()),
        ("gzip", {"gzip"}),
        ("GZIP;q=0.5, br", {"gzip", "br"}),
        ("gzip;q=0, br;q=0.0", set[str]()),
        ("br;q=what", set[str]()),
    ],
)
def test_a_coding_refused_is_not_sent(header: str, accepted: set[str]) -> None:
    assert accepted_codings(header) - {""} == accepted


async def test_an_unchanged_file_is_not_sent_again(ask: Ask) -> None:
    first = await ask("/")
    again = await ask("/", if_none_match=first.headers["etag"])
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]


async def test_head_gives_headers_alone(ask: Ask, built: Path) -> None:
    answer = await ask("/", method="HEAD")
    assert answer.headers["content-length"] == str(len((built / "index.html").read_bytes()))
    assert "content-security-policy" in answer.headers


# ----------------------------------------------------------------------------------------- without a page


async def test_without_a_built_page_words_say_so_and_help_is_there(ask: Ask, tmp_path: Path) -> None:
    for path in ("/", "/messages", "/reglages/acces"):
        answer = await ask(path, static=tmp_path / "none")
        assert answer.status_code == 503
        assert "La page n’est pas installée ici" in answer.text
        assert 'href="/aide"' in answer.text
        assert "<script" not in answer.text
    assert (await ask("/aide", static=tmp_path / "none")).status_code == 200


async def test_a_built_page_with_a_changed_file_is_not_served(ask: Ask, built: Path) -> None:
    with (built / "assets" / "frame-b2.js").open("a") as script:
        script.write("fetch('https://thief.example')")
    assert (await ask("/")).status_code == 503


async def test_a_built_page_with_a_missing_file_is_not_served(ask: Ask, built: Path) -> None:
    (built / "assets" / "screen-d4.js").unlink()
    assert (await ask("/")).status_code == 503


async def test_what_follows_the_packed_bytes_is_what_was_built(built: Path) -> None:
    assets = built / "assets"
    assert gzip.decompress((assets / "index-a1.js.gz").read_bytes()) == (assets / "index-a1.js").read_bytes()


async def test_without_javascript_the_page_points_to_help_and_a_telephone(ask: Ask) -> None:
    assert '<noscript><a href="/aide">' in (await ask("/")).text
    assert "04 00 00 00 00" in (await ask("/aide")).text


@pytest.mark.parametrize(("former", "now"), [("/en", "/help")])
async def test_the_former_address_of_help_leads_to_the_new_one(ask: Ask, former: str, now: str) -> None:
    answer = await ask(former)
    assert (answer.status_code, answer.headers["location"]) == (308, now)
