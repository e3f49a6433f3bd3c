"""The help page: what it says, that it says it safely, and that everyone can read it."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from webmail.help import HelpInfo, help_pages

INFO = HelpInfo(operator="GRADES des Trois Vallées", host="mail.vallees.example", contact="04 00 00 00 00")
STATES = ("waiting", "custody", "kept by your program", "at the gate", "subject outside")
ELSEWHERE = ("/", "/accessibilite", "/accessibility")  # served by webmail/page.py
LANGUAGES = [("/aide", "fr"), ("/help", "en")]


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body
        self.text = body.decode()


async def get(path: str, info: HelpInfo = INFO, headers: dict[str, str] | None = None) -> Answer:
    """Ask the routes without a socket."""
    app = FastAPI(openapi_url=None)
    app.include_router(help_pages(info))
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, body)


class Outline(HTMLParser):
    """Tags with their attributes, and whether every one that opens also closes."""

    VOID = frozenset({"meta", "link", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.mark.parametrize(("path", "language"), LANGUAGES)
async def test_the_page_tells_how_to_set_a_mail_program(path: str, language: str) -> None:
    answer = await get(path)
    words = " ".join(Outline(answer.text).words.split())
    assert answer.status == 200
    assert answer.headers["content-language"] == language
    assert "GRADES des Trois Vallées" in words
    for said in ("mail.vallees.example", "993", "143", "465", "587", "04 00 00 00 00"):
        assert said in words


@pytest.mark.parametrize("path", ["/aide", "/help"])
async def test_the_five_states_stand_in_the_words_of_the_header(path: str) -> None:
    terms = re.findall(r"<dt>(.*?)</dt>", (await get(path)).text, re.DOTALL)
    shown = [re.sub(r"<[^>]+>", " ", term) for term in terms]
    for state in STATES:
        assert sum(state in term for term in shown) == 1


@pytest.mark.parametrize("path", ["/aide", "/help"])
async def test_urgent_care_comes_before_everything_else(path: str) -> None:
    text = (await get(path)).text
    for number in ("15", "112", "114"):
        assert text.index(f'href="tel:{number}"') < text.index("<h1>")


@pytest.mark.parametrize("path", ["/aide", "/help"])
async def test_what_the_configuration_says_is_escaped(path: str) -> None:
    hostile = HelpInfo(operator='<script>"&', host="<img src=x>", contact="</p><b>")
    text = (await get(path, hostile)).text
    assert "<script" not in text
    assert "<img src=x>" not in text
    assert "&lt;script&gt;&quot;&amp;" in text
    assert "&lt;/p&gt;&lt;b&gt;" in text


async def test_closed_ports_are_not_shown() -> None:
    info = HelpInfo(operator="O", host="h", imaps=None, imap=10143, submissions=0, submission=None)
    text = (await get("/aide", info)).text
    assert "10143" in text
    assert "993" not in text
    assert "Ce service n’est pas ouvert ici." in text
    assert "Votre interlocuteur" not in text


@pytest.mark.parametrize("path", ["/aide", "/help"])
async def test_the_address_book_is_told_like_the_other_services(path: str) -> None:
    text = (
        await get(path, HelpInfo("O", "annuaire.example", ldaps=10636, ldap=10389, base="dc=x,dc=<y>"))
    ).text
    assert "10636" in text
    assert "10389" in text
    assert "dc=x,dc=&lt;y&gt;" in text


async def test_an_unchanged_page_is_not_sent_again() -> None:
    etag = (await get("/aide")).headers["etag"]
    again = await get("/aide", headers={"if-none-match": etag})
    assert again.status == 304
    assert again.body == b""
    assert (await get("/aide", HelpInfo("Autre", "h"))).headers["etag"] != etag


@pytest.mark.parametrize(("path", "language"), LANGUAGES)
async def test_structure_is_what_a_screen_reader_wants(path: str, language: str) -> None:
    page = Outline((await get(path)).text)
    assert page.open == []
    assert page.all("html") == [{"lang": language}]
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
    assert all(page.all(landmark) for landmark in ("header", "nav", "main", "footer"))
    assert all("alt" in image for image in page.all("img"))
    assert all("aria-label" in part for part in page.all("nav") + page.all("aside"))
    levels = [int(tag[1]) for tag, _ in page.found if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("path", ["/aide", "/help"])
async def test_every_link_inside_the_page_leads_somewhere(path: str) -> None:
    page = Outline((await get(path)).text)
    identities = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(identities) == len(set(identities))
    for link in page.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in identities
    for section in page.all("section"):
        assert section["aria-labelledby"] in identities
    assert page.all("a")[0]["href"] == f"#{page.all('main')[0]['id']}"  # the skip link comes first


@pytest.mark.parametrize("path", ["/aide", "/help"])
async def test_nothing_needs_a_script_an_inline_style_or_another_host(path: str) -> None:
    page = Outline((await get(path)).text)
    assert page.all("script") == page.all("style") == page.all("iframe") == []
    for _, attributes in page.found:
        assert not any(name == "style" or name.startswith("on") for name in attributes)
        for name in ("href", "src"):
            assert attributes.get(name, "/").startswith(("/", "#", "tel:"))
            assert not attributes.get(name, "").startswith("//")
    for name in ("href", "src"):
        for _, attributes in page.found:
            if attributes.get(name, "").startswith("/") and attributes[name] not in ELSEWHERE:
                assert (await get(attributes[name])).status == 200
    assert "url(" not in (await get("/aide.css")).text


# --- what eyes need


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def palettes() -> list[dict[str, str]]:
    css = resources.files("webmail").joinpath("pages", "aide.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    return [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in blocks]


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark"])
def test_text_stands_out_from_its_ground(palette: dict[str, str]) -> None:
    for ground in ("ground", "paper"):
        for ink in ("ink", "quiet", "accent"):
            assert contrast(palette[ink], palette[ground]) >= 4.5
    assert contrast(palette["seal"], palette["seal-ground"]) >= 4.5
    assert contrast(palette["ink"], palette["seal-ground"]) >= 4.5
    assert contrast(palette["accent"], palette["accent-ground"]) >= 4.5


FRAMES = """<!DOCTYPE html><title>frames</title><pre id="out"></pre><script>
let left = 0;
for (const width of [320, 390, 1100]) for (const file of ["fr.html", "en.html"]) {
  left++;
  const frame = document.createElement("iframe");
  frame.width = width; frame.height = 900;
  frame.onload = () => {
    const page = frame.contentDocument;
    const small = [...page.querySelectorAll("nav a, .language a")]
      .filter(a => a.getBoundingClientRect().height < 40).length;
    const wide = page.documentElement.scrollWidth - frame.clientWidth;
    out.textContent += `[${file} ${width}: overflow ${Math.max(0, wide)} small ${small}]`;
  };
  frame.src = file;
  document.body.append(frame);
}
</script>"""


async def test_no_width_scrolls_sideways_and_every_target_is_large_enough(tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    assert chromium, "Debian's chromium is needed (make test installs it)"
    for path, name in (("/aide", "fr.html"), ("/help", "en.html")):
        text = (await get(path)).text
        (tmp_path / name).write_text(
            text.replace('"/aide.css"', '"aide.css"').replace("/sceau.svg", "sceau.svg")
        )
    for name in ("aide.css", "sceau.svg"):
        (tmp_path / name).write_bytes((await get(f"/{name}")).body)
    (tmp_path / "frames.html").write_text(FRAMES)
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --allow-file-access-from-files --virtual-time-budget=4000"
    )
    done = subprocess.run(
        [
            chromium,
            *flags.split(),
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            (tmp_path / "frames.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    measured = re.findall(r"\[(\w+)\.html (\d+): overflow (\d+) small (\d+)\]", done.stdout)
    assert sorted(measured) == sorted(
        (language, width, "0", "0") for language in ("fr", "en") for width in ("320", "390", "1100")
    )
