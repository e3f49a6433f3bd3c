"""A patient's national number (matricule INS) where an address would be a professional's.

Invariant: what has its form is taken for one, also where its key is wrong: mistyped, it is somebody's all the same.
"""

from __future__ import annotations

import re

_FORM = re.compile(r"[0-9]{5}(?:[0-9]{2}|2[AaBb])[0-9]{8}")  # those born in Corsica have a letter


def is_patients(address: str) -> bool:
    """Whether an address has a matricule for its name, or lies in a domain for patients."""
    local, _, domain = address.rpartition("@")
    return domain.lower().startswith("patient.") or _FORM.fullmatch(local.partition("+")[0]) is not None
