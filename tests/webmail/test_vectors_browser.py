"""What of the page's library needs a real browser: the worker under the page's policy, this device's storage, HTML
letters in their frame, PDF, photographs. Chromium, with the headers that the server sends; nothing leaves the machine.
"""

from __future__ import annotations

import base64
import mimetypes
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, Route, sync_playwright

from webmail import built_page
from webmail.ui import build

UI = Path(build.__file__).parent
CHROMIUM = "/usr/bin/chromium"
ORIGIN = "http://localhost:9"  # answered by the routes below, never by the network


@pytest.fixture(scope="module")
def files() -> Iterator[Path]:
    found = build.node_here()
    if found is None or not (UI / "node_modules" / "vite").exists():
        pytest.skip("Node.js 20.19 or later, with the page's packages, is not installed")
    folder = Path(tempfile.mkdtemp(prefix="vm-harness-"))
    vite = [
        str(found.node),
        "node_modules/vite/bin/vite.js",
        "build",
        "--config",
        "tests/harness/vite.config.ts",
    ]
    done = subprocess.run(
        [*vite, "--outDir", str(folder)], cwd=UI, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@dataclass
class Tab:
    page: Page
    elsewhere: list[str] = field(default_factory=list[str])  # what was asked of other hosts

    def run(self, code: str, given: object = None) -> Any:
        """The result, or the slug of what was refused."""
        tried = f"try {{ return await (async () => {{ {code} }})(); }} catch (e) {{ return String(e.slug ?? e); }}"
        return self.page.evaluate(f"async (given) => {{ {tried} }}", given)

    def ask(self, operation: str, given: object = None) -> Any:
        return self.run("return await ask(given[0], given[1])", [operation, given])

    def open(self) -> None:
        self.page.goto(ORIGIN + "/")
        self.page.get_by_title("frame").wait_for(state="attached")
        for _ in range(100):
            if self.page.title() == "ready":
                return
            self.page.wait_for_timeout(50)
        raise AssertionError("the harness did not start")


@pytest.fixture
def tab(browser: Browser, files: Path) -> Iterator[Tab]:
    context = browser.new_context()
    made = Tab(context.new_page())
    policy = built_page.asset_headers()["content-security-policy"]
    styles = f"style-src 'self' '{built_page.LETTER_SHEET}'"
    for_page = policy.replace("style-src 'self'", styles)

    def answer(route: Route) -> None:
        url = route.request.url
        if not url.startswith(ORIGIN + "/"):
            made.elsewhere.append(url)
            route.abort()
            return
        name = url.removeprefix(ORIGIN + "/").partition("?")[0]
        file = files / (name or "index.html")
        headers = {"content-security-policy": policy if name else for_page}
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        route.fulfill(body=file.read_bytes(), content_type=kind, headers=headers)

    context.route("**/*", answer)
    made.open()
    yield made
    context.close()


# ------------------------------------------------------------------------------------------- worker and device


def test_the_worker_runs_under_the_page_s_policy_argon2_included(tab: Tab) -> None:
    tab.ask("beginAccount", {"account": "A1"})
    made = tab.ask("passwordSlot", {"password": "un mot de passe"})
    assert len(base64.b64decode(made["login"])) == 32
    key = tab.ask("makeKey", {"address": "a@mss.example", "years": 0})
    assert base64.b64decode(key["certificate"])[:1] == b"\xc6"


def test_no_other_worker_can_be_started(tab: Tab) -> None:
    assert "TypeError" in tab.run("return startWorker('autre')")
    assert "Error" in tab.run("new Worker('/assets/x.js'); return 'started'")


def _enrolled(tab: Tab, *, persist: bool) -> dict[str, Any]:
    tab.ask("beginAccount", {"account": "A1"})
    made = tab.ask("makeKey", {"address": "a@mss.example", "years": 0})
    key = made | {"fingerprint": "0" * 40, "current": True}
    tab.ask("accountMade", {"keys": [key], "persist": persist})
    return key


def test_a_reload_opens_on_one_s_own_device_and_not_on_a_shared_one(tab: Tab) -> None:
    for persist in (True, False):
        key = _enrolled(tab, persist=persist)
        tab.open()
        assert tab.ask("unlockDevice", {"account": "A1", "keys": [key]})["unlocked"] is persist
        tab.ask("forget")


def test_what_the_device_keeps_is_encrypted_and_gone_at_logout(tab: Tab) -> None:
    _enrolled(tab, persist=True)
    tab.ask("remember", {"name": "memo", "value": "un secret de santé"})
    count = """const answer = (asked) => new Promise((done) => { asked.onsuccess = () => done(asked.result); });
        const db = await answer(indexedDB.open('vaguemestre'));
        const all = [];
        for (const name of db.objectStoreNames) {
          all.push(...await answer(db.transaction(name).objectStore(name).getAll()));
        }
        db.close();
        const words = (one) => one instanceof Uint8Array ? new TextDecoder().decode(one) : Object.keys(one).join();
        return all.map(words);"""
    kept = tab.run(count)
    assert len(kept) == 2
    assert not any("secret" in one for one in kept)
    tab.ask("forget")
    assert tab.run(count) == []


def test_storage_that_was_wiped_from_outside_does_not_stop_who_logs_in_again(tab: Tab) -> None:
    _enrolled(tab, persist=True)
    tab.run("await new Promise((done) => { indexedDB.deleteDatabase('vaguemestre').onsuccess = done; })")
    key = _enrolled(tab, persist=True)
    tab.open()
    assert tab.ask("unlockDevice", {"account": "A1", "keys": [key]})["unlocked"] is True


def test_a_device_of_before_the_record_gets_room_for_its_items_and_keeps_them_over_a_visit(tab: Tab) -> None:
    tab.run("""await new Promise((done) => {
        const asked = indexedDB.open('vaguemestre', 1);
        asked.onupgradeneeded = () => ['slot', 'lines', 'index'].forEach((one) => asked.result.createObjectStore(one));
        asked.onsuccess = () => done(asked.result.close());
    });""")
    key = _enrolled(tab, persist=True)
    tab.ask("record", {"ask": "reached", "given": {"state": "7", "complete": True}})
    tab.open()
    assert tab.ask("record", {"ask": "begin", "given": None}) == "locked"
    tab.ask("unlockDevice", {"account": "A1", "keys": [key]})
    assert tab.ask("record", {"ask": "begin", "given": None})["state"] == "7"


# ----------------------------------------------------------------------------------------------- HTML letters


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SHOW = """const part = { name: 'x.png', type: 'image/png', size: 1, inline: true, contentId: 'logo@chu',
      blob: async () => new Blob([fromBase64(given[1])], { type: 'image/png' }) };
    const frame = document.getElementById('frame');
    await (await html()).showHtml(frame, given[0], [part]);
    return frame.srcdoc.replace(/^[^]*<body>/, '');"""

ATTACKS = [
    "<script>fetch('//evil.example/a')</script>",
    "<img src=x onerror=\"fetch('//evil.example/b')\">",
    "<img src='//evil.example/c'><img srcset='//evil.example/d 1x'><picture><source srcset=//evil.example></picture>",
    "<svg><image href='//evil.example/f'/><feImage href='//evil.example/g'/><script>1</script></svg>",
    "<math><mtext><style><img src onerror=alert(1)></style></mtext></math>",
    "<style>@import '//evil.example/h';p{background:url(//evil.example/i)}</style>",
    "<p style=\"background:url(//evil.example/j)\" background='//evil.example/k'>x</p>",
    "<link rel=stylesheet href=//evil.example/l><base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example/m'>",
    "<iframe src=//evil.example/n></iframe><object data=//evil.example/o></object><embed src=//evil.example/p>",
    "<form action=//evil.example/q><input name=code autofocus><button>Envoyer</button></form>",
    "<video src=//evil.example/r poster=//evil.example/s autoplay></video><audio src=//evil.example/t></audio>",
    "<a href='javascript:alert(1)' ping='//evil.example/u'>x</a><a href='data:text/html,<script>1</script>'>y</a>",
    "<template><img src=//evil.example/v></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<img src='data:image/svg+xml,<svg onload=alert(1)>'><img src='blob:http://localhost:9/x'>",
]


@pytest.mark.parametrize("attack", ATTACKS, ids=[str(at) for at in range(len(ATTACKS))])
def test_nothing_in_an_html_letter_runs_or_asks_the_network(tab: Tab, attack: str) -> None:
    shown: str = tab.run(SHOW, [f"<p>avant</p>{attack}<p>après</p>", PIXEL])
    tab.page.wait_for_timeout(200)
    assert tab.elsewhere == []
    assert "avant" in shown
    assert "evil" not in shown
    assert not re.search(
        r"<(?!/?(?:p|img|a|body|html)\b)|\son\w+=|javascript:|style=|svg", shown, re.IGNORECASE
    )


def test_the_letter_s_own_picture_shows_and_links_open_apart(tab: Tab) -> None:
    shown: str = tab.run(
        SHOW, ["<p>Bonjour</p><img src='cid:logo@chu'><a href='https://chu.example/x'>ici</a>", PIXEL]
    )
    assert 'src="data:image/png;base64,' in shown
    assert 'rel="noopener noreferrer"' in shown
    assert 'target="_blank"' in shown
    frame = tab.page.frames[1]
    tab.page.wait_for_timeout(200)
    told = frame.evaluate(
        "[document.images[0].naturalWidth, getComputedStyle(document.body).fontFamily, origin]"
    )
    assert told[0] == 1
    assert told[1].startswith("system-ui")  # the one sheet that the page's policy names
    assert told[2] == "null"


def test_a_frame_without_its_sandbox_shows_nothing(tab: Tab) -> None:
    code = "await (await html()).showHtml(document.getElementById('open'), '<p>x</p>', []); return 'shown'"
    assert "sandbox" in tab.run(code)


def test_only_washed_html_passes_the_policy(tab: Tab) -> None:
    with pytest.raises(Error, match="TrustedHTML"):
        tab.page.evaluate("() => { document.getElementById('frame').srcdoc = '<p>x</p>'; }")


# ------------------------------------------------------------------------------------------------------ files


PREPARE = """const made = await ask('prepare', { name: given[0], data: fromBase64(given[1]).buffer, limit: 1000000 });
    return [made.name, made.type, base64(new Uint8Array(made.data))];"""

PHOTO = """const canvas = new OffscreenCanvas(given[0], given[1]); const context = canvas.getContext('2d');
    context.fillStyle = '#a33'; context.fillRect(0, 0, given[0], given[1]);
    const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: given[2] })).arrayBuffer());
    return base64(bytes);"""

SIZE = """const image = await createImageBitmap(new Blob([fromBase64(given)]));
    return [image.width, image.height];"""


def test_a_photograph_loses_the_place_where_it_was_taken_and_is_no_larger_than_needed(tab: Tab) -> None:
    photo = base64.b64decode(tab.run(PHOTO, [3000, 1500, "image/jpeg"]))
    hidden = b"Exif\0\0MM\0*\0\0\0\x08\0\0GPS 48.1173N 1.6778W"
    marked = photo[:2] + b"\xff\xe1" + (len(hidden) + 2).to_bytes(2, "big") + hidden + photo[2:]
    name, kind, data = tab.run(PREPARE, ["../IMG 0001.JPEG", base64.b64encode(marked).decode("ascii")])
    made = base64.b64decode(data)
    assert (name, kind) == ("IMG 0001.jpg", "image/jpeg")
    assert b"GPS" not in made
    assert b"Exif" not in made
    assert tab.run(SIZE, data) == [2000, 1000]


def test_a_picture_with_words_hidden_in_it_loses_them(tab: Tab) -> None:
    picture = base64.b64decode(tab.run(PHOTO, [40, 30, "image/png"]))
    words = b"tEXtComment\0chez moi"
    chunk = (len(words) - 4).to_bytes(4, "big") + words + zlib.crc32(words).to_bytes(4, "big")
    marked = picture[:33] + chunk + picture[33:]
    name, kind, data = tab.run(PREPARE, ["capture.png", base64.b64encode(marked).decode("ascii")])
    assert (name, kind) == ("capture.jpg", "image/jpeg")
    assert b"chez moi" not in base64.b64decode(data)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "file-empty"),
        (b"MZ\x90\0\3\0", "file-type"),
        (b"PK\3\4rest", "file-type"),
        (b"GIF89a", "file-type"),
        (b"\xff\xd8\xff\xe0 not a photograph", "file-type"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0", "file-too-large"),
        (b"%PDF-1.4" + b" " * 1_000_001, "file-too-large"),
    ],
    ids=["empty", "program", "archive", "gif", "damaged", "enormous", "heavy"],
)
def test_a_file_is_what_its_bytes_say_and_others_are_refused(tab: Tab, content: bytes, wanted: str) -> None:
    assert tab.run(PREPARE, ["photo.jpg", base64.b64encode(content).decode("ascii")]) == wanted


def test_a_pdf_and_a_text_go_as_they_are_under_a_true_name(tab: Tab) -> None:
    for given, content, wanted in (
        ("lettre", b"%PDF-1.7 x", ["lettre.pdf", "application/pdf"]),
        ("page.html", b"<html>", ["page.html.txt", "text/plain"]),
    ):
        told = tab.run(PREPARE, [given, base64.b64encode(content).decode("ascii")])
        assert told[:2] == wanted
        assert base64.b64decode(told[2]) == content


# -------------------------------------------------------------------------------------------------------- PDF


def _pdf() -> bytes:
    fonts = b"/Resources << /Font << /F1 5 0 R >> >>"
    stream = b"BT /F1 40 Tf 20 100 Td (Compte rendu) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R %b >>" % fonts,
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    made, places = b"%PDF-1.4\n", list[int]()
    for number, one in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    return made + head + table + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(made)


def test_a_pdf_is_drawn_and_its_text_told_in_a_worker_of_ours(tab: Tab) -> None:
    code = """const file = new Blob([fromBase64(given)]);
        const document_ = await (await pdf()).openPdf(file);
        const canvas = document.getElementById('canvas');
        await document_.draw(1, canvas, 1);
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let dark = 0; for (let at = 0; at < data.length; at += 4) if (data[at] < 128 && data[at + 3] > 0) dark++;
        const made = [document_.pages, await document_.size(1), await document_.text(1), dark > 100];
        document_.close(); return made;"""
    told = tab.run(code, base64.b64encode(_pdf()).decode("ascii"))
    assert told == [1, {"width": 300, "height": 200}, "Compte rendu", True]
    assert tab.elsewhere == []


def test_what_is_no_pdf_is_refused_and_the_next_one_opens(tab: Tab) -> None:
    code = "const d = await (await pdf()).openPdf(new Blob([fromBase64(given)])); d.close(); return d.pages"
    assert "Invalid" in tab.run(code, base64.b64encode(b"%PDF-1.4 nothing").decode("ascii"))
    assert tab.run(code, base64.b64encode(_pdf()).decode("ascii")) == 1
