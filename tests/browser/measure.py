"""How quick the page is: `python -m tests.browser.measure [--json FILE]`. Medians of five, on a slowed processor.

A mailbox of 10,000 letters shown warm, a letter with a 2 MB PDF opened, letters unlocked by password; and what comes
over the network until a first letter is read. The clock is the page's own: from the act to the frame that shows it.

Two ways to be slow. "script": Chromium's own throttle (CDP), which slows the page's thread and not its workers, where
the cryptography is. "all": each renderer runs a quarter of the time (stopped and continued by signals), workers too:
what a telephone four times slower would live.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import smtplib
import statistics
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from deploy.demo import clients, letters, world
from deploy.demo.browser import derivations
from tests.browser.served import Served, served_operator

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

PASSWORD = "un mot de passe pour mesurer"
REPORT = "mesure-rapport"
SLOWER = 4
Way = Literal["none", "script", "all"]
WAYS: tuple[Way, ...] = ("none", "script", "all")

# Milliseconds from the start of the page, or of the act, to the frame in which `there` holds.
_SHOWN = """(there) => new Promise((resolve) => {
  const look = () => there() ? requestAnimationFrame(() => resolve(performance.now())) : requestAnimationFrame(look);
  look();
})"""
_FIFTY = """() => {
  const lines = document.querySelectorAll("ul.letters .subject");
  return lines.length >= 50 && [...lines].every((one) => /lettre|mesure/u.test(one.textContent));
}"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured, in milliseconds."""

    name: str
    way: Way
    wanted: float | None  # at four times slower
    times: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    def __str__(self) -> str:
        verdict = (
            ""
            if self.wanted is None or self.way == "none"
            else "ok"
            if self.median < self.wanted
            else "MISSED"
        )
        wanted = "" if self.wanted is None or self.way == "none" else f"wanted {self.wanted:.0f}"
        spread = f"{min(self.times):.0f} to {max(self.times):.0f}"
        return f"{self.name:44} {self.way:7} {self.median:7.0f} ms   ({spread})  {wanted} {verdict}".rstrip()


@dataclass(slots=True)
class Bench:
    served: Served
    space: world.Space
    browser: Browser
    rounds: int
    letters: int

    def visit(self) -> tuple[BrowserContext, Page]:
        context = self.browser.new_context(locale="fr-FR", viewport={"width": 390, "height": 844})
        context.set_default_timeout(120_000)
        return context, context.new_page()

    def five(self, name: str, way: Way, wanted: float, once: Callable[[], float]) -> Figure:
        once()  # files and code caches: what is measured is a second visit
        found = Figure(name, way, wanted, [once() for _ in range(self.rounds)])
        print(found, flush=True)
        return found


_BUSY = """() => {
  const began = performance.now();
  let sum = 0;
  for (let turn = 0; turn < 200_000_000; turn += 1) sum = (sum * 31 + turn) | 0;
  return [performance.now() - began, sum];
}"""


@contextlib.contextmanager
def slowed(bench: Bench, page: Page, way: Way) -> Generator[None]:
    """Tells, too, how much slower a busy loop of the page has become."""
    quick = min(float(page.evaluate(_BUSY)[0]) for _ in range(4))
    debugger: Any = page.context.new_cdp_session(page)
    if way == "script":
        debugger.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    stop = threading.Event()
    thread = threading.Thread(target=_duty, args=(renderers(bench.browser), stop), daemon=True)
    if way == "all":
        thread.start()
    try:
        if way != "none":
            print(f"{'':44} {way:7} {float(page.evaluate(_BUSY)[0]) / quick:7.1f} times slower", flush=True)
        yield
    finally:
        stop.set()
        if way == "all":
            thread.join()
        debugger.detach()


def renderers(browser: Browser) -> list[int]:
    debugger: Any = browser.new_browser_cdp_session()
    processes = debugger.send("SystemInfo.getProcessInfo")["processInfo"]
    debugger.detach()
    return [int(each["id"]) for each in processes if each["type"] == "renderer"]


def _duty(processes: Sequence[int], stop: threading.Event) -> None:
    """A quarter of the time each: stopped three times as long as they could run before."""
    try:
        while not stop.is_set():
            began = time.monotonic()
            time.sleep(0.004)
            _tell(processes, signal.SIGSTOP)
            time.sleep((time.monotonic() - began) * (SLOWER - 1))
            _tell(processes, signal.SIGCONT)
    finally:
        _tell(processes, signal.SIGCONT)


def _tell(processes: Sequence[int], what: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, what)


# ------------------------------------------------------------------------------------------------- what is measured


def inbox(bench: Bench, way: Way) -> Figure:
    """Coming back to a device that knows the mailbox: from the start of the page to 50 lines with their subjects."""
    context, page = bench.visit()
    log_in(bench, page)
    page.evaluate(f"({_SHOWN})({_FIFTY})")
    with slowed(bench, page, way):

        def once() -> float:
            page.goto(f"{bench.served.origin}/messages", wait_until="commit")
            return float(page.evaluate(f"({_SHOWN})({_FIFTY})"))

        figure = bench.five(f"inbox of {bench.letters:,}, warm", way, 1000, once)
    context.close()
    return figure


def attachment(bench: Bench, way: Way) -> list[Figure]:
    """A letter with a 2 MB PDF: from the line to its text; then from "open" to the first page drawn."""
    context, page = bench.visit()
    log_in(bench, page)
    texts: list[float] = []

    def once() -> float:
        page.goto(f"{bench.served.origin}/messages")
        page.locator("ul.letters a").filter(has_text=REPORT).wait_for()
        page.wait_for_timeout(500)
        texts.append(act(page, _LINE, f"() => {_BUTTON}"))
        return act(page, _BUTTON, _DRAWN)

    with slowed(bench, page, way):
        drawn = bench.five('2 MB PDF: from "open" to the page drawn', way, 1500, once)
    context.close()
    text = Figure("its letter: from the line to the text", way, None, texts[1:])
    both = Figure("both together", way, None, [a + b for a, b in zip(texts[1:], drawn.times, strict=True)])
    print(text, both, sep="\n", flush=True)
    return [drawn, text, both]


_LINE = f'[...document.querySelectorAll("ul.letters a")].find((one) => one.textContent.includes("{REPORT}"))'
_BUTTON = 'document.querySelector("article.letter .files button")'
_DRAWN = """() => {
  const canvas = document.querySelector("canvas");
  if (!canvas || canvas.width < 100) return false;
  const dots = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height / 4).data;
  return dots.some((value, at) => at % 4 === 0 && value < 100 && dots[at + 3] > 0);
}"""


def unlock(bench: Bench, way: Way) -> Figure:
    """A shared device: the session lives, the password opens. From the button to the letters' own screen."""
    context, page = bench.visit()
    log_in(bench, page, shared=True)
    page.locator("ul.letters a").first.wait_for()

    def once() -> float:
        page.goto(f"{bench.served.origin}/messages")
        page.get_by_role("textbox", name="Mot de passe").fill(PASSWORD)
        page.wait_for_timeout(300)
        return act(page, "document.querySelector('form button[type=submit]')",
                   '() => location.pathname === "/messages" && document.querySelector("h1")')  # fmt: skip

    with slowed(bench, page, way):
        figure = bench.five("unlock by password", way, 3000, once)
    context.close()
    return figure


def act(page: Page, target: str, there: str) -> float:
    script = f"""() => {{ const began = performance.now(); ({target}).click();
      return ({_SHOWN})({there}).then((end) => end - began); }}"""
    return float(page.evaluate(script))


def log_in(bench: Bench, page: Page, *, shared: bool = False) -> None:
    page.goto(f"{bench.served.origin}/connexion")
    page.get_by_label("Identifiant").fill(bench.space.shown)
    page.get_by_role("textbox", name="Mot de passe").fill(PASSWORD)
    if shared:
        page.get_by_label("C’est un appareil partagé").check()
    page.get_by_role("button", name="Me connecter").click()
    page.locator("h1").filter(has_text="Messages").wait_for()


def weight(bench: Bench) -> dict[str, int]:
    """Octets that came over the wire to an empty browser, answers and headers too, packed as the node packs them."""
    tap = bench.served.tap
    context, page = bench.visit()
    before = tap.received
    page.goto(f"{bench.served.origin}/connexion")
    page.get_by_label("Identifiant").wait_for()
    page.wait_for_load_state("networkidle")
    first = tap.received - before
    log_in(bench, page)
    page.locator("ul.letters a").filter(has_text="lettre").first.click()
    page.locator("article.letter .body").wait_for()
    page.wait_for_timeout(500)
    context.close()
    return {"until the log-in screen": first, "until a first letter is read": tap.received - before}


# ------------------------------------------------------------------------------------------------------- the mailbox


def fill(served: Served, space: world.Space, count: int) -> None:
    """Letters of a few lines, over several connections; then the one with 2 MB."""
    page = served.another_browser()
    person = space.person
    sheet = derivations.new_recovery_code()
    page.enrol(space.code, PASSWORD, sheet, birth_date=person.birth_date, last_five=person.last_five)
    made = served.made
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)

    def send(numbers: range) -> None:
        with smtplib.SMTP_SSL("localhost", made.ports["submissions"], context=context, timeout=120) as smtp:
            smtp.ehlo("hopital.demo.test")
            smtp.docmd("AUTH", "EXTERNAL =")
            for number in numbers:
                note = letters.note(
                    world.HOSPITAL, space.shown, f"lettre {number}", f"Quelques mots, {number}.\n"
                )
                smtp.sendmail(world.HOSPITAL, [space.shown], note.data)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, [range(start, count, 8) for start in range(8)]))
    served.hospital_writes(space, REPORT, pdf_bytes=2 * 1024 * 1024)


def measured(count: int, rounds: int, ways: Sequence[Way]) -> dict[str, Any]:
    from tests.browser.conftest import browsing

    with served_operator() as served:
        space = served.made.patient
        began = time.monotonic()
        fill(served, space, count)
        print(f"{count:,} letters laid down in {time.monotonic() - began:.0f} s", flush=True)
        with browsing() as browser:
            bench = Bench(served, space, browser, rounds, count)
            weights = weight(bench)
            for name, octets in weights.items():
                print(f"{name:60} {octets / 1000:7.1f} kB", flush=True)
            figures: list[Figure] = []
            for way in ways:
                figures += [inbox(bench, way), *attachment(bench, way), unlock(bench, way)]
    return {
        "letters": count,
        "weights": weights,
        "figures": [{**asdict(each), "median": each.median} for each in figures],
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.measure", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--letters", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    given = parser.parse_args(arguments)
    if not shutil.which("chromium"):
        print("chromium is not installed", file=sys.stderr)
        return 1
    found = measured(given.letters, given.rounds, given.ways)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
