"""Writes the one local rule that many operators need: software that has no certificate yet, let in by password.

Invariants: a rule names each account by its address, and says who answers for it; a password of any other
software opens nothing (login.cedar).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

FILE = "software.cedar"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")


def password_rule(addresses: Iterable[str], accepted: str, *, rule: str = "log-in-named-software") -> str:
    """The text of a rule that lets these software accounts (APP) log in by app password.

    `accepted`: why, who and when, for who reads the rule later. Raises ValueError without addresses or reason.
    """
    named = sorted({address.lower() for address in addresses})
    if not named or not accepted.strip():
        raise ValueError("a rule names its accounts, and who accepted it")
    return f"""@id("{rule}")
@caller("accounts.log_in")
@accepted({_text(accepted)})
@fr("Un logiciel nommé par l'opérateur se connecte par un mot de passe d'application.")
@en("Software that the operator named logs in by an app password.")
permit (principal is Account, action == Action::"log_in", resource)
when {{
  principal.kind == "APP" &&
  [{", ".join(map(_text, named))}].contains(principal.address) &&
  [{", ".join(map(_text, MECHANISMS))}].contains(context.mechanism)
}};
"""


def write_password_rule(folder: Path, addresses: Iterable[str], accepted: str) -> Path:
    """Write it as the folder's `software.cedar`, in place of the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    file.write_text(password_rule(addresses, accepted), "utf-8")
    return file


def _text(value: str) -> str:
    """A Cedar string: its escapes are those of JSON, for printable text."""
    if not value.isprintable():
        raise ValueError("printable text is expected")
    return json.dumps(value, ensure_ascii=False)
