"""Why a structured letter is refused, in the words and codes of the ANS ("volet LPS CDA par courriel MSS", §4.5 of
reference/mssante.md).

Invariants: a sentence names no value of the document; a code is one of those that receiving software knows.
"""

from __future__ import annotations

import enum


class AnsCode(enum.IntEnum):
    """Codes of a failed integration."""

    WRONG_VERSION = 900
    AUTHOR_NOT_ALLOWED = 901
    UNKNOWN_PATIENT = 902
    INS_ABSENT = 903
    INS_MISMATCH = 904
    INS_INCOMPLETE = 905
    OTHER = 906


class RecordRefused(Exception):
    """An archive or document that is not taken. `slug` is for the trace, `sentence` (ASCII) for a person."""

    def __init__(self, code: AnsCode, slug: str, sentence: str) -> None:
        super().__init__(slug)
        self.code = code
        self.slug = slug
        self.sentence = sentence
