"""The record in the page: its rules, its way to the server, and what it exports, opened by other programs.

The page's modules run in Node (`record_rules.test.ts`, `record.test.ts`); the archive that they export is then read by
Python and looked at in Chromium, from a disk and without a network.
"""

from __future__ import annotations

import io
import json
import mailbox
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from playwright.sync_api import Browser, Page, sync_playwright

from mail_server.payloads.record import xdm

VECTORS = Path(__file__).parent / "vectors"
CHROMIUM = "/usr/bin/chromium"


def played(programs: tuple[Path, Path], name: str, *told: str) -> str:
    node, folder = programs
    command = [str(node), str(folder / f"{name}.test.mjs"), *told]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "\n# tests 0\n" not in done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def exported(programs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of the record that `record.test.ts` played, unpacked."""
    folder = tmp_path_factory.mktemp("export")
    played(programs, "record", f"{VECTORS},{folder}")
    with zipfile.ZipFile(folder / "export.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(folder / "there")
    return folder / "there"


def test_what_is_kept_back_reaches_nobody_it_must_not_over_many_records(programs: tuple[Path, Path]) -> None:
    played(programs, "record_rules")


def test_results_told_by_text_and_by_data_are_read_once(programs: tuple[Path, Path]) -> None:
    played(programs, "record_twice", str(VECTORS))


def test_documents_leave_the_export_as_they_came_in(exported: Path) -> None:
    [archive] = (exported / "documents").rglob("IHE_XDM.zip")
    read = xdm.read(archive.read_bytes())
    [cda] = read.documents.values()
    assert (archive.parent / "Bilan sanguin du 19 novembre.xml").read_bytes() == cda
    assert (exported / "documents" / "2026-01-02 Mes volontés" / "Mes volontés.pdf").exists()


def test_letters_are_an_mbox_that_python_reads(exported: Path) -> None:
    found = mailbox.mbox(exported / "letters.mbox")
    letters = list(found)
    assert len(letters) > 60
    assert sum("Bonjour" in str(one["subject"]) for one in letters) == 1
    archives = [
        part for one in letters for part in one.walk() if part.get_content_type() == "application/zip"
    ]
    contents = [part.get_payload(decode=True) for part in archives]
    assert contents
    for content in contents:
        assert isinstance(content, bytes)
        assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None


def test_the_profile_is_a_fhir_document(exported: Path) -> None:
    told: dict[str, Any] = json.loads((exported / "profile.fhir.json").read_text("utf-8"))
    bundle = Bundle.model_validate(told)
    kinds = [entry["resource"]["resourceType"] for entry in told["entry"]]
    assert bundle.type == "document"
    assert kinds[:2] == ["Composition", "Patient"]
    assert {"AllergyIntolerance", "Observation", "MedicationStatement"} <= set(kinds)


def test_it_says_in_both_languages_what_it_is(exported: Path) -> None:
    assert "n’est plus protégée" in (exported / "LISEZMOI.txt").read_text("utf-8")
    assert "no longer protected" in (exported / "README.txt").read_text("utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="module")
def reader(browser: Browser, exported: Path) -> Page:
    """The reader as it opens from a disk, with every request and every complaint noted."""
    page = browser.new_context(offline=True, viewport={"width": 360, "height": 740}).new_page()
    noted: list[str] = []
    page.on("request", lambda request: noted.append(request.url))
    page.on("console", lambda message: noted.append(f"console: {message.text}"))
    page.on("pageerror", lambda failure: noted.append(f"error: {failure}"))
    page.goto((exported / "index.html").as_uri())
    assert noted == [(exported / "index.html").as_uri()], noted
    return page


def test_the_reader_shows_searches_and_opens_without_a_network(reader: Page) -> None:
    assert reader.locator("li").count() > 60
    reader.locator("input").fill("volontes")
    assert reader.locator("li h3").all_text_contents() == ["Mes volontés"]
    reader.locator("input").fill("bilan sanguin")
    link = reader.locator("li a", has_text=".xml")
    href = link.evaluate("one => one.href")
    assert Path(reader.evaluate("href => decodeURIComponent(new URL(href).pathname)", href)).exists()
    reader.locator("input").fill("")
    reader.get_by_role("button", name="Profil médical").click()
    assert "Noix de cajou" in reader.locator("ul").inner_text()
    reader.get_by_role("button", name="Lettres").click()
    reader.locator("input").fill("bonjour")
    assert reader.locator("li").count() >= 1
    assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nothing_in_the_reader_can_be_run_or_fetched_but_what_it_is_made_of(reader: Page) -> None:
    ran = reader.evaluate(
        """async () => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          const fetched = await fetch("letters.mbox").then(() => true, () => false);
          return [window.ran === true, fetched];
        }"""
    )
    assert ran == [False, False]
