"""Ways back in: a second browser by the recovery sheet, a device that knows its owner, and all lost.

The patients here first activated in another browser, written in Python on the same contract.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from deploy.demo import clients, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient, PageRefused
from tests.browser.conftest import visitors_own
from tests.browser.secrets_of import branch, stretched, written
from tests.browser.served import Served
from tests.browser.wiretap import heard

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.visitor import RECEIVED, UNLOCK, Visitor, loose, plain

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FIRST, SECOND, THIRD = (
    "premier tulipe wagon 11",
    "second citron lundi 22",
    "troisième rivage cheval 33",
)
TOPIC = "Résultats de votre prise de sang"
LOCKED = "Ce message est fermé"


def phone(browser: Browser, served: Served) -> Visitor:
    context = visitors_own(browser)
    return Visitor(context.new_page(), served.origin)


def enrolled(served: Served, space: world.Space, password: str) -> tuple[PageClient, str]:
    """A space opened in a first browser, with two letters that waited for it; its sheet."""
    served.hospital_writes(space, "glycine-5520")
    served.person_writes(world.GP, space.shown, TOPIC, "Tout va bien : le potassium est revenu à 4,1.\n")
    sheet = derivations.new_recovery_code()
    page = served.another_browser()
    page.enrol(
        space.code, password, sheet, birth_date=space.person.birth_date, last_five=space.person.last_five
    )
    assert page.reseal() == 2
    return page, sheet


# --------------------------------------------------------------------------------------------- the recovery sheet


@dataclass
class Recovered:
    space: world.Space
    first: PageClient  # where the account was opened
    first_sheet: str = field(repr=False)
    visitor: Visitor
    elsewhere: str  # where the page led who would not renew
    subjects: list[str]


@pytest.fixture(scope="module")
def recovered(served: Served, browser: Browser) -> Recovered:
    space = served.made.patient
    first, sheet = enrolled(served, space, FIRST)
    visitor = phone(browser, served)
    elsewhere: list[str] = []

    def try_another_way() -> None:
        other = Visitor(visitor.page.context.new_page(), served.origin)
        other.page.goto(f"{served.origin}/messages")
        other.await_title("Un nouveau mot de passe")
        elsewhere.append(other.page.url.removeprefix(served.origin))
        other.page.close()

    visitor.recover_by_sheet(space.shown, sheet, SECOND, before_renewing=try_another_way)
    return Recovered(space, first, sheet, visitor, elsewhere[0], visitor.subjects())


def test_the_sheet_opens_all_letters_in_a_second_browser(recovered: Recovered) -> None:
    assert recovered.subjects[0] == plain(TOPIC)
    assert "glycine-5520" in recovered.subjects[1]


def test_who_came_by_the_sheet_must_renew_password_and_sheet_first(recovered: Recovered) -> None:
    assert recovered.elsewhere == "/secours"
    assert recovered.visitor.titles == [
        "Un nouveau mot de passe",
        "Votre feuille de secours",
        RECEIVED,
    ]


def test_the_first_browser_is_logged_out(recovered: Recovered) -> None:
    with pytest.raises(PageRefused) as refused:
        recovered.first.get("/api/session")
    assert refused.value.status == 401


def test_the_new_password_opens_and_the_old_one_is_refused(served: Served, recovered: Recovered) -> None:
    page = served.another_browser()
    with pytest.raises(PageRefused):
        page.log_in(recovered.space.shown, FIRST)
    page.log_in(recovered.space.shown, SECOND)
    assert page.open(page.letters()[0]).subject == TOPIC


def test_the_new_sheet_opens_and_the_old_one_is_refused(served: Served, recovered: Recovered) -> None:
    page = served.another_browser()
    with pytest.raises(PageRefused):
        page.log_in_by_sheet(recovered.space.shown, recovered.first_sheet)
    page.log_in_by_sheet(recovered.space.shown, recovered.visitor.sheet)
    assert page.session["mustRenew"]


# ---------------------------------------------------------------------------------- a device that knows its owner


@dataclass
class Device:
    """A browser on a device with an authenticator of its own."""

    visitor: Visitor
    said: str  # when the device was added
    kept: list[str]  # by the browser for this origin while logged in
    left_behind: list[str]  # the same after logging out
    after_login: str  # the title it led to


def device(browser: Browser, served: Served, password: str, *, prf: bool) -> Device:
    visitor = phone(browser, served)
    page = visitor.page
    debugger: Any = page.context.new_cdp_session(page)
    debugger.send("WebAuthn.enable")
    debugger.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "ctap2Version": "ctap2_1",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "hasPrf": prf,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    visitor.log_in(served.made.you.shown, password)
    visitor.await_title(RECEIVED)
    said = visitor.add_passkey("Tablette" if prf else "Vieux téléphone")
    kept = page.evaluate(_KEPT)
    visitor.log_out()
    left = page.evaluate(_KEPT)
    for _ in range(600):
        if not left:
            break
        page.wait_for_timeout(100)  # databases are closed and taken away behind the title
        left = page.evaluate(_KEPT)
    visitor.log_in_with_passkey()
    titled = page.locator("h1").filter(has_text=loose(RECEIVED if prf else UNLOCK))
    expect(titled).to_be_visible()
    return Device(visitor, said, kept, left, titled.inner_text())


_KEPT = """async () => {
  const found = [...Object.keys(localStorage), ...Object.keys(sessionStorage), ...await caches.keys()];
  for (const { name } of await indexedDB.databases()) {
    const database = await new Promise((resolve, reject) => {
      const request = indexedDB.open(name);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    for (const store of database.objectStoreNames) {
      const asked = database.transaction(store).objectStore(store).getAllKeys();
      const keys = await new Promise((resolve) => (asked.onsuccess = () => resolve(asked.result)));
      found.push(...keys.map((key) => `${store}/${key}`));
    }
    database.close();
  }
  return found;
}"""


@pytest.fixture(scope="module")
def owner(served: Served) -> PageClient:
    return enrolled(served, served.made.you, FIRST)[0]


@pytest.fixture(scope="module")
def knowing(served: Served, browser: Browser, owner: PageClient) -> Device:
    return device(browser, served, FIRST, prf=True)


@pytest.fixture(scope="module")
def half(served: Served, browser: Browser, owner: PageClient) -> Device:
    return device(browser, served, FIRST, prf=False)


def test_a_device_that_can_is_told_to_open_letters(knowing: Device) -> None:
    assert "Cet appareil vous fait entrer et ouvre vos lettres" in plain(knowing.said)


def test_logging_out_leaves_nothing_on_the_device(knowing: Device) -> None:
    assert "slot/device" in knowing.kept
    assert knowing.left_behind == []


def test_with_the_device_alone_one_is_in_and_letters_open(knowing: Device) -> None:
    assert plain(knowing.after_login) == RECEIVED
    assert "potassium" in knowing.visitor.open_letter(TOPIC).inner_text()


def test_a_device_without_the_extension_says_its_limit_when_added(half: Device) -> None:
    assert "connexion oui, mais cet appareil ne sait pas ouvrir vos lettres" in plain(half.said)


def test_it_lets_in_and_then_the_password_opens(half: Device) -> None:
    assert plain(half.after_login).startswith(UNLOCK)
    page = half.visitor.page
    expect(page.get_by_text("il ne sait pas ouvrir vos lettres")).to_be_visible()
    half.visitor.unlock(FIRST)
    half.visitor.await_title(RECEIVED)
    assert "potassium" in half.visitor.open_letter(TOPIC).inner_text()


def test_no_request_held_what_the_device_gave_the_page(served: Served, knowing: Device) -> None:
    """The extension's output for this page, asked for once more, and the unlock secret made of it."""
    output = bytes(knowing.visitor.page.evaluate(_PRF, list(derivations.PASSKEY_INPUT)))
    assert len(output) == 32
    assert heard(served.tap.sent, [output, branch(output, "kek")]) == []
    assert any("prf" in str(slot) for slot in served_slots(served))


_PRF = """async (input) => {
  const made = await navigator.credentials.get({ publicKey: {
    challenge: crypto.getRandomValues(new Uint8Array(32)), userVerification: "required",
    extensions: { prf: { eval: { first: new Uint8Array(input) } } },
  } });
  return Array.from(new Uint8Array(made.getClientExtensionResults().prf.results.first));
}"""


def served_slots(served: Served) -> list[dict[str, Any]]:
    page = served.another_browser()
    page.log_in(served.made.you.shown, FIRST)
    return [slot for slot in page.session["slots"] if slot["kind"] == "passkey"]


# ------------------------------------------------------------------------------------------------------ all lost


@dataclass
class Begun:
    """Begun again with a new code, the old key lost."""

    visitor: Visitor
    warned: str
    listed: list[str]
    told: str  # after one tap
    asked: dict[str, bytes] = field(repr=False)  # by whom, what came to them


@pytest.fixture(scope="module")
def begun(served: Served, browser: Browser, recovered: Recovered) -> Begun:
    space = recovered.space
    code = served.new_code(space.address)
    visitor = phone(browser, served)
    visitor.prove(space.person, code)
    warned = visitor.page.locator("section.lost").inner_text()
    visitor.choose_password(THIRD)
    visitor.keep_the_sheet()
    visitor.await_title(RECEIVED)
    listed = visitor.subjects()
    visitor.press("Demander aux expéditeurs de les renvoyer")
    told = visitor.page.get_by_role("status").filter(has_text=loose("demandes envoyées"))
    expect(told).to_be_visible()
    asked = {address: served.newest_from(space.shown, address) for address in (world.GP,)}
    return Begun(visitor, warned, listed, told.inner_text(), asked)


def test_before_anything_is_done_she_is_told_what_stays_locked(begun: Begun) -> None:
    assert "vos anciennes lettres ne s’ouvriront qu’avec votre ancienne feuille" in plain(begun.warned)


def test_with_a_new_key_the_old_letters_are_listed_as_locked(begun: Begun) -> None:
    assert begun.listed == [LOCKED, LOCKED]


def test_one_tap_asks_each_sender_again(served: Served, begun: Begun) -> None:
    assert plain(begun.told).startswith("2 demandes envoyées")
    gp = served.made.persons[world.GP]
    assert gp.secret_key is not None
    opened = clients.open_with_gpg(begun.asked[world.GP], gp.secret_key, gp.passphrase, None)
    assert plain(opened.subject) == "Pouvez-vous m’envoyer de nouveau votre lettre ?"
    assert "Je ne peux plus ouvrir ce que vous m’avez envoyé" in opened.message.get_content()


def test_what_is_sent_again_is_read_with_the_new_key(served: Served, begun: Begun) -> None:
    space = served.made.patient
    served.person_writes(world.GP, space.shown, TOPIC, "Je vous le renvoie : 4,1.\n")
    expect(begun.visitor.lines.filter(has_text=TOPIC)).to_have_count(1)
    assert "Je vous le renvoie" in begun.visitor.open_letter(TOPIC).inner_text()


def test_later_the_old_sheet_opens_the_old_letters_here_and_everywhere(
    served: Served, recovered: Recovered, begun: Begun
) -> None:
    page = begun.visitor.page
    page.goto(f"{served.origin}/messages")
    page.get_by_text("messages sont fermés").click()
    page.get_by_role("link", name="J’ai l’ancienne feuille").click()
    begun.visitor.fill("Code de la feuille de secours", recovered.visitor.sheet)
    begun.visitor.press("Ouvrir mes anciennes lettres")
    expect(page.get_by_text("les lettres d’avant s’ouvrent de nouveau")).to_be_visible()
    page.get_by_role("link", name="Messages").click()
    expect(begun.visitor.lines.filter(has_text="glycine-5520")).to_have_count(1)
    assert LOCKED not in begun.visitor.subjects()
    other = served.another_browser()
    other.log_in(recovered.space.shown, THIRD)
    assert {other.open(each).subject for each in other.letters()} >= {TOPIC}
    assert len(other.letters()) == 3


# ----------------------------------------------------------------------------------- what the server was sent


@pytest.mark.parametrize("password", [FIRST, SECOND, THIRD])
def test_no_request_held_a_password(served: Served, begun: Begun, password: str) -> None:
    assert heard(served.tap.sent, [password.encode()]) == []


def test_no_request_held_a_recovery_code_or_what_it_opens(
    served: Served, recovered: Recovered, begun: Begun
) -> None:
    for sheet in (recovered.first_sheet, recovered.visitor.sheet, begun.visitor.sheet):
        assert heard(served.tap.sent, [*written(sheet), derivations.from_recovery(sheet).kek]) == []


def test_no_request_held_the_secrets_of_the_new_beginning(served: Served, begun: Begun) -> None:
    space = served.made.patient
    known = stretched(served.tap, space.shown, THIRD, begun.visitor.sheet, served.account(space.address))
    for what, forms in known.secrets.items():
        assert heard(served.tap.sent, forms) == [], what


def test_no_request_held_words_of_what_was_asked(served: Served, begun: Begun) -> None:
    assert heard(served.tap.sent, [b"Je ne peux plus ouvrir", b"Pouvez-vous"]) == []
