"""The access log in the words of the page's History screen, for what is handed out as a file: French, then English.

Invariant: what the page calls by a name is called the same here (a test compares both).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    language: str
    title: str
    account: str
    period: str
    cut: str
    times: str
    page: str
    headings: tuple[str, ...]
    refused: str
    who: Mapping[str, str]
    actions: Mapping[str, str]
    file: str

    def action(self, action: str) -> str:
        return self.actions.get(action, self.actions["other"])


_HEADINGS_FR = ("Quand", "Quoi", "Qui", "Résultat", "Appareil ou logiciel", "Réseau", "Numéro")
_HEADINGS_EN = ("When", "What", "Who", "Result", "Device or program", "Network", "Number")

FRENCH = Words(
    language="fr",
    title="Qui a fait quoi",
    account="Adresse\u00a0: {address}.",
    period="Du {since} au {until}. {count} lignes.",
    cut="Il y a plus de lignes que cela\u00a0: voici les plus récentes. Choisissez une période plus courte.",
    times="Les heures sont celles de {zone}.",
    page="Page",
    headings=_HEADINGS_FR,
    refused="refusé",
    who={
        "you": "Vous",
        "operator": "L’opérateur",
        "unknown": "Une personne inconnue",
        "correspondent": "Un correspondant",
        "reader": "Une personne qui lit cette boîte",
    },
    file="qui-a-fait-quoi",
    actions={
        "login": "Connexion",
        "login-failed": "Connexion refusée",
        "logout": "Déconnexion",
        "session-end": "Un appareil a été déconnecté",
        "letter-arrived": "Lettre reçue",
        "letter-sent": "Lettre envoyée",
        "letter-read": "Lettre ouverte",
        "letter-kept": "Lettre rangée",
        "letter-deleted": "Lettre effacée",
        "letter-downloaded": "Pièce jointe ouverte",
        "letters-searched": "Recherche dans le texte des lettres",
        "letter-taken": "Lettre reprise dans une autre boîte",
        "reseal": "Lettres en attente refermées pour vous seul",
        "operator-key-destroyed": (
            "L’opérateur a détruit la serrure d’attente\u00a0: vous seul ouvrez vos lettres"
        ),
        "key-publish": "Clé mise en service",
        "key-revoke": "Clé retirée",
        "activate": "Espace activé",
        "code-issue": "Code d’activation créé",
        "code-refused": "Code d’activation refusé",
        "password-change": "Mot de passe changé",
        "recovery-change": "Nouvelle feuille de secours",
        "passkey-add": "Appareil ajouté",
        "passkey-remove": "Appareil retiré",
        "totp-on": "Second contrôle mis en place",
        "totp-off": "Second contrôle retiré",
        "app-password-add": "Mot de passe de logiciel créé",
        "app-password-revoke": "Mot de passe de logiciel retiré",
        "account-add": "Espace créé",
        "account-suspend": "Espace suspendu",
        "account-reinstate": "Espace rouvert",
        "member-add": "Un membre a été ajouté à la boîte partagée",
        "member-remove": "Un membre a été retiré de la boîte partagée",
        "reader-add": "Une personne peut désormais lire cette boîte",
        "reader-remove": "Une personne ne peut plus lire cette boîte",
        "reader-change": "Les droits de quelqu’un qui lit cette boîte ont changé",
        "seen-set": "Choix de ce qui compte comme lu",
        "software-copy": "Copie d’un document déposée pour votre logiciel",
        "software-set": "Logiciel du cabinet désigné pour cette boîte",
        "software-copies": "Copies pour le logiciel du cabinet\u00a0: choix changé",
        "step-up": "Identité prouvée à nouveau",
        "national-id-bind": "Identifiant national lié à cette boîte",
        "national-id-unbind": "Identifiant national retiré de cette boîte",
        "practice-lost": "Droit d’exercer retiré",
        "practice-regained": "Droit d’exercer rétabli",
        "account-close": "Boîte fermée",
        "receipt": "Accusé de lecture envoyé",
        "past-begin": "Les anciennes lettres sont ouvertes à un nouveau lecteur",
        "past-end": "Les anciennes lettres ont été ouvertes à un nouveau lecteur",
        "conversation-close": "Échange terminé",
        "block": "Correspondant bloqué",
        "unblock": "Correspondant débloqué",
        "contact": "Choix de qui peut vous écrire",
        "access-log-export": "Cet historique a été téléchargé",
        "audit-export": "Un auditeur a demandé cet historique",
        "policies-explain": "Un administrateur a demandé qui peut vous écrire, ou à qui vous pouvez écrire",
        "left-sent": "Lettre partie vers un autre opérateur",
        "left-delivered": "Lettre remise à un autre opérateur",
        "left-failed": "Lettre non remise à un autre opérateur",
        "leaving-set": "Lettres vers d’autres opérateurs\u00a0: choix changé",
        "listing-set": "Annuaire\u00a0: ce qu’il dit de la boîte a changé",
        "notice": "Avis envoyé à votre adresse e-mail",
        "notice-address-asked": "Code envoyé à une adresse e-mail",
        "notice-address": "Adresse e-mail pour les avis enregistrée",
        "notice-address-forgotten": "Adresse e-mail pour les avis effacée",
        "other": "Autre opération",
    },
)
ENGLISH = Words(
    language="en",
    title="Who did what",
    account="Address: {address}.",
    period="From {since} to {until}. {count} lines.",
    cut="There are more lines than these: here are the latest. Choose a shorter period.",
    times="Times are those of {zone}.",
    page="Page",
    headings=_HEADINGS_EN,
    refused="refused",
    who={
        "you": "You",
        "operator": "The operator",
        "unknown": "Someone unknown",
        "correspondent": "A correspondent",
        "reader": "Someone who reads this mailbox",
    },
    file="who-did-what",
    actions={
        "login": "Login",
        "login-failed": "Login refused",
        "logout": "Logout",
        "session-end": "A device was logged out",
        "letter-arrived": "Letter received",
        "letter-sent": "Letter sent",
        "letter-read": "Letter opened",
        "letter-kept": "Letter filed",
        "letter-deleted": "Letter deleted",
        "letter-downloaded": "Attachment opened",
        "letters-searched": "Text of letters searched",
        "letter-taken": "Letter taken into another mailbox",
        "reseal": "Waiting letters closed again for you alone",
        "operator-key-destroyed": "The operator destroyed the waiting lock: you alone open your letters",
        "key-publish": "Key put to use",
        "key-revoke": "Key withdrawn",
        "activate": "Space opened",
        "code-issue": "Activation code made",
        "code-refused": "Activation code refused",
        "password-change": "Password changed",
        "recovery-change": "New recovery sheet",
        "passkey-add": "Device added",
        "passkey-remove": "Device removed",
        "totp-on": "Second check set up",
        "totp-off": "Second check removed",
        "app-password-add": "Program password made",
        "app-password-revoke": "Program password removed",
        "account-add": "Space created",
        "account-suspend": "Space suspended",
        "account-reinstate": "Space opened again",
        "member-add": "A member was added to the shared mailbox",
        "member-remove": "A member was removed from the shared mailbox",
        "reader-add": "Someone may now read this mailbox",
        "reader-remove": "Someone may no longer read this mailbox",
        "reader-change": "The rights of someone who reads this mailbox changed",
        "seen-set": "Choice of what counts as read",
        "software-copy": "Copy of a document laid down for your software",
        "software-set": "Practice software named for this mailbox",
        "software-copies": "Copies for the practice software: choice changed",
        "step-up": "Identity proved again",
        "national-id-bind": "National identifier bound to this mailbox",
        "national-id-unbind": "National identifier taken from this mailbox",
        "practice-lost": "Right to practise withdrawn",
        "practice-regained": "Right to practise restored",
        "account-close": "Mailbox closed",
        "receipt": "Read receipt sent",
        "past-begin": "Earlier letters are being opened to a new reader",
        "past-end": "Earlier letters were opened to a new reader",
        "conversation-close": "Exchange ended",
        "block": "Correspondent blocked",
        "unblock": "Correspondent unblocked",
        "contact": "Choice of who may write to you",
        "access-log-export": "This history was downloaded",
        "audit-export": "An auditor asked for this history",
        "policies-explain": "An administrator asked who may write to you, or to whom you may write",
        "left-sent": "Letter on its way to another operator",
        "left-delivered": "Letter handed to another operator",
        "left-failed": "Letter not handed to another operator",
        "leaving-set": "Letters to other operators: choice changed",
        "listing-set": "Directory: what it tells of the mailbox changed",
        "notice": "Notice sent to your e-mail address",
        "notice-address-asked": "Code sent to an e-mail address",
        "notice-address": "E-mail address for notices set",
        "notice-address-forgotten": "E-mail address for notices erased",
        "other": "Another operation",
    },
)


def words_of(language: str) -> Words:
    return ENGLISH if language == "en" else FRENCH
