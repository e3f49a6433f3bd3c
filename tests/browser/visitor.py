"""What a person does in the page, act by act, as they would: by the words that are shown, never by addresses of parts.

Acts wait for what a person would wait for (a title, a line of the list) and return what a person would have seen.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from deploy.demo.people import Patient

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

RECEIVED, SHEET, UNLOCK = "Messages reçus", "Votre feuille de secours", "Vous êtes connecté"


@dataclass(slots=True)
class Visitor:
    """Somebody before a page of a browser, at the page's origin."""

    page: Page
    origin: str
    sheet: str = field(default="", repr=False)  # the recovery code last printed
    totp_secret: str = field(default="", repr=False)
    titles: list[str] = field(default_factory=list[str])  # of the screens gone through, in order
    typed: list[str] = field(default_factory=list[str], repr=False)  # what each field was given

    # -- the first time -----------------------------------------------------------------------------------

    def activate(self, patient: Patient, code: str, password: str) -> None:
        """From the letter with the code to one's letters."""
        self.prove(patient, code)
        self.choose_password(password)
        self.keep_the_sheet()
        self.await_title(RECEIVED)

    def prove(self, patient: Patient, code: str) -> None:
        page = self.page
        page.goto(f"{self.origin}/activer")
        self.fill("Code reçu par courrier", code)
        self.fill("Votre date de naissance", "/".join(reversed(patient.birth_date.split("-"))))
        self.fill("Les 5 derniers chiffres", patient.last_five)
        self.press("Continuer")
        self.await_title(f"Bonjour {patient.given_names.split()[0]}")

    def choose_password(self, password: str) -> None:
        self.fill("Votre nouveau mot de passe", password)
        self.press("Continuer")

    def keep_the_sheet(self) -> None:
        """Copies the sheet, then answers for the two groups that are asked back."""
        self.await_title(SHEET)
        groups = self.read_the_sheet()
        self.press("Je l’ai sur papier")
        labels = self.page.locator("label").filter(has_text=loose("Groupe n°"))
        expect(labels).to_have_count(2)
        for asked in labels.all_inner_texts():
            self.fill(asked, groups[int(plain(asked).split()[-1]) - 1])
        self.press("Continuer")

    def read_the_sheet(self) -> list[str]:
        shown = self.page.get_by_role("list", name="Votre code de secours").locator(".letters")
        expect(shown.first).to_be_visible()
        groups = [each.strip() for each in shown.all_inner_texts()]
        self.sheet = "-".join(groups)
        return groups

    def enrol_professional(
        self, address: str, code: str, password: str, armored_key: str, passphrase: str
    ) -> None:
        """A professional's first time, with the key of their mail program and a second check."""
        page = self.page
        page.goto(f"{self.origin}/activer")
        page.get_by_role("button", name="Je suis un professionnel de santé").click()
        self.fill("Code remis par votre établissement", code)
        self.fill("Votre adresse de messagerie", address)
        self.press("Continuer")
        self.choose_password(password)
        self.await_title("Votre clé")
        page.get_by_role("radio", name="Apporter la mienne").check()
        self.fill("Texte de la clé", armored_key)
        self.fill("Phrase de passe de cette clé", passphrase)
        self.press("Continuer")
        self.keep_the_sheet()
        self.await_title("Second contrôle")
        told = page.get_by_text("Ou recopiez ce secret dans l’application").locator("code")
        self.totp_secret = told.inner_text().replace(" ", "")
        self.fill("Code à 6 chiffres", totp(self.totp_secret))
        self.press("Vérifier le code")
        self.await_title(RECEIVED)

    # -- coming back --------------------------------------------------------------------------------------

    def log_in(self, user: str, password: str) -> None:
        self.page.goto(f"{self.origin}/connexion")
        self.fill("Identifiant", user)
        self.fill("Mot de passe", password)
        self.press("Me connecter")

    def log_in_with_passkey(self) -> None:
        self.page.goto(f"{self.origin}/connexion")
        self.press("Continuer avec cet appareil")

    def unlock(self, password: str) -> None:
        self.await_title(UNLOCK)
        self.fill("Mot de passe", password)
        self.press("Ouvrir mes lettres")

    def log_out(self) -> None:
        self.page.goto(f"{self.origin}/reglages")
        self.page.get_by_role("button", name="Me déconnecter").click()
        self.await_title("Bonjour")

    def recover_by_sheet(
        self, user: str, sheet: str, password: str, before_renewing: Callable[[], None] = lambda: None
    ) -> None:
        """In again by the sheet; a new password and a new sheet are then asked for."""
        page = self.page
        page.goto(f"{self.origin}/connexion")
        page.get_by_role("link", name="Mot de passe oublié").click()
        page.get_by_role("radio", name="Ma feuille de secours").check()
        self.fill("Identifiant", user)
        self.fill("Code de la feuille de secours", sheet)
        self.press("Continuer avec ma feuille")
        self.await_title("Un nouveau mot de passe")
        before_renewing()
        self.choose_password(password)
        self.keep_the_sheet()
        self.await_title(RECEIVED)

    def add_passkey(self, label: str) -> str:
        """Returns what the page says of it."""
        self.page.goto(f"{self.origin}/reglages/appareils")
        self.fill("Nom de l’appareil", label)
        self.press("Ajouter cet appareil")
        said = self.page.get_by_role("status").filter(has_text="C’est fait")
        expect(said).to_be_visible()
        return said.inner_text()

    # -- letters ------------------------------------------------------------------------------------------

    def subjects(self) -> list[str]:
        """Of the list as it stands."""
        expect(self.lines.first).to_be_visible()
        return [plain(each) for each in self.page.locator("ul.letters .subject").all_inner_texts()]

    @property
    def lines(self) -> Locator:
        return self.page.locator("ul.letters a[data-thread]")

    def open_letter(self, subject: str) -> Locator:
        """From the list to the letter; returns the newest letter's text."""
        self.lines.filter(has_text=loose(subject)).first.click()
        self.await_title(subject)
        return self.page.locator("article.letter").last

    def answer(self, text: str) -> None:
        self.page.get_by_role("button", name="Répondre").click()
        self.fill("Votre réponse", text)
        expect(self.page.get_by_text("Qui pourra lire ce message")).to_be_visible()
        self.press("Envoyer")
        expect(self.page.get_by_text("Envoyé.").first).to_be_visible()

    # -- what acts share ----------------------------------------------------------------------------------

    def press(self, name: str) -> None:
        self.page.locator("main").get_by_role("button", name=name, exact=True).click()

    def fill(self, label: str, text: str) -> None:
        named = self.page.get_by_role("textbox", name=loose(label))
        named.or_(self.page.get_by_role("combobox", name=loose(label))).fill(text)
        self.typed.append(text)

    def await_title(self, title: str) -> None:
        expect(self.page.locator("h1").filter(has_text=loose(title))).to_be_visible()
        self.titles.append(title)


def totp(secret: str, moment: float | None = None) -> str:
    """What an application of codes shows (RFC 6238, six digits, 30 s)."""
    counter = int((time.time() if moment is None else moment) // 30)
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mark = hmac.digest(key, struct.pack(">Q", counter), hashlib.sha1)
    at = mark[-1] & 15
    return f"{(int.from_bytes(mark[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"


def plain(text: str) -> str:
    """With ordinary spaces and no marks of direction."""
    return re.sub(r"[\u00a0\u202f\s]+", " ", re.sub(r"[\u2066-\u2069]", "", text)).strip()


def loose(text: str) -> re.Pattern[str]:
    """The text, whatever kind of space stands between its words."""
    return re.compile(r"[\s\u00a0\u202f]+".join(re.escape(word) for word in text.split()))
