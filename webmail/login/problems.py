"""A request of the page that is refused: a status, a slug, a French sentence, an id that the audit knows.

Invariants: sentences are fixed; no byte of the request, no library text, stands in one; `reference` is drawn anew.
"""

from __future__ import annotations

import secrets

_WORDS: dict[str, tuple[int, str]] = {
    "bad-request": (400, "La demande n’a pas été comprise. Rechargez la page, puis réessayez."),
    "too-large": (413, "C’est trop grand pour ce service."),
    "foreign-request": (403, "La demande ne venait pas de cette page. Rechargez-la, puis réessayez."),
    "no-session": (401, "Votre connexion est terminée. Connectez-vous de nouveau."),
    "forbidden": (403, "Cela n’est pas permis ici."),
    "suspended": (403, "Cet espace est suspendu. Appelez votre interlocuteur."),
    "closed": (403, "Cet espace est fermé. Appelez votre interlocuteur."),
    "not-practising": (
        403,
        "Votre fournisseur d’identité ou votre établissement dit que vous n’exercez plus. Appelez-le.",
    ),
    "step-up-needed": (403, "Par sécurité, prouvez de nouveau que c’est bien vous."),
    "strong-login-needed": (
        403,
        "Il faut une connexion forte : clé d’accès, code à 6 chiffres ou fournisseur d’identité.",
    ),
    "too-slow": (408, "La demande a mis trop de temps à arriver. Réessayez."),
    "unknown-provider": (404, "Ce fournisseur d’identité n’est pas connu ici."),
    "provider-refused": (401, "Le fournisseur d’identité n’a pas confirmé qui vous êtes. Recommencez."),
    "provider-unreachable": (
        503,
        "Le fournisseur d’identité ne répond pas. Réessayez dans un moment, ou entrez autrement.",
    ),
    "other-browser": (
        401,
        "Cette connexion n’a pas été commencée ici, ou a attendu trop longtemps. Recommencez.",
    ),
    "no-account-here": (403, "Vous êtes bien reconnu, mais aucun compte ici n’est à votre nom."),
    "not-activated": (403, "Activez d’abord votre espace avec le code de votre lettre."),
    "other-person": (403, "Le fournisseur d’identité a reconnu une autre personne que vous."),
    "level-too-low": (403, "Votre moyen de connexion n’est pas d’un niveau suffisant pour entrer ici."),
    "too-many": (429, "Trop d’essais. Par sécurité, il faut attendre."),
    "busy": (503, "Le service est très demandé. Réessayez dans un moment."),
    "failure": (
        500,
        "Quelque chose n’a pas marché, et ce n’est pas de votre fait. Réessayez dans un moment.",
    ),
    "code-refused": (
        403,
        "Ces réponses ne vont pas ensemble. Comparez-les avec votre lettre et votre carte.",
    ),
    "code-dead": (410, "Ce code ne sert plus : il a déjà servi, ou il est trop ancien."),
    "key-refused": (400, "Cette clé ne peut pas servir ici."),
    "challenge-refused": (400, "Cette demande a attendu trop longtemps. Recommencez."),
    "login-refused": (401, "L’identifiant ou le mot de passe n’est pas le bon."),
    "totp-needed": (401, "Il manque le code à 6 chiffres."),
    "totp-refused": (401, "Ce code à 6 chiffres n’est pas le bon. Attendez le suivant et réessayez."),
    "totp-required": (403, "Votre établissement demande un second contrôle."),
    "renew-first": (403, "Choisissez d’abord un nouveau mot de passe et imprimez une nouvelle feuille."),
    "password-needed": (403, "Saisissez d’abord votre mot de passe."),
    "password-refused": (403, "Ce n’est pas votre mot de passe actuel."),
    "passkey-refused": (401, "Cet appareil n’a pas été reconnu."),
    "slot-needed": (409, "C’est le dernier moyen d’ouvrir vos lettres : il ne peut pas être retiré."),
    "unknown-slot": (404, "Ce moyen d’accès n’existe plus."),
    "unknown-session": (404, "Cet appareil est déjà déconnecté."),
    "unknown-letter": (404, "Ce message n’est plus là."),
    "unknown-key": (404, "Cette clé n’est pas connue ici."),
    "unknown-credential": (404, "Ce mot de passe n’existe plus."),
}


class Problem(Exception):
    """Refused. `reason` is a slug of the list above; a second French sentence may say why (a gate's, say)."""

    def __init__(
        self,
        reason: str,
        *,
        sentence: str = "",
        tries_left: int | None = None,
        retry_after: int | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status, words = _WORDS[reason]
        self.sentence = sentence or words
        self.reference = secrets.token_hex(5)
        self.tries_left = tries_left
        self.retry_after = retry_after
        self.detail = detail

    def as_json(self) -> dict[str, str | int]:
        answer: dict[str, str | int] = {
            "error": self.reason,
            "message": self.sentence,
            "reference": self.reference,
        }
        if self.tries_left is not None:
            answer["triesLeft"] = self.tries_left
        if self.retry_after is not None:
            answer["retryAfter"] = self.retry_after
        if self.detail:
            answer["reason"] = self.detail
        return answer
