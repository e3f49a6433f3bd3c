"""Makes the corpus of `cda/`: documents of people who do not exist, written with our own writer.

    python tests/webmail/vectors/make_cda.py

writes the documents and, read by Python, what `expected.json` says of them: look at its change before it is kept. The
documents of foreign producers, by hand, are in `cda_foreign.py`; those of FHIR in `cda_fhir.py`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CDA = HERE / "cda"
sys.path.insert(0, str(HERE.parents[2]))
sys.path.insert(0, str(HERE))

import cda_fhir  # noqa: E402
import cda_foreign  # noqa: E402
import cda_other  # noqa: E402
import cda_stay  # noqa: E402

from mail_server.payloads.record import fhir  # noqa: E402
from mail_server.payloads.record.cda import reading  # noqa: E402
from mail_server.payloads.record.cda.model import Document  # noqa: E402
from mail_server.payloads.record.refusal import RecordRefused  # noqa: E402


def told(value: Any) -> Any:
    """A value as the page writes it: camelCase, and a wrapped file by its hash."""
    if dataclasses.is_dataclass(value):
        made = {}
        for one in dataclasses.fields(value):
            first, *more = one.name.split("_")
            held = getattr(value, one.name)
            made[first + "".join(word.title() for word in more)] = (
                hashlib.sha256(held).hexdigest() if isinstance(held, bytes) and held else told(held)
            )
        return made
    if isinstance(value, tuple):
        return [told(one) for one in value]
    return None if value == b"" else value


def verdict(name: str, data: bytes) -> Any:
    try:
        found: Document = fhir.read(data) if name.endswith(".json") else reading.read(data)
    except RecordRefused as refused:
        return {"refused": refused.slug, "code": int(refused.code)}
    return told(found)


def main() -> None:
    CDA.mkdir(exist_ok=True)
    documents = {
        f"{name}.xml": data
        for name, data in (*cda_stay.written(), *cda_other.written(), *cda_foreign.documents())
    }
    documents |= {f"{name}.json": data for name, data in cda_fhir.documents()}
    for old in CDA.iterdir():
        if old.name != "expected.json" and old.name not in documents:
            old.unlink()
    for name, data in documents.items():
        (CDA / name).write_bytes(data)
    expected = {name: verdict(name, data) for name, data in sorted(documents.items())}
    lines = [f"{json.dumps(name)}: {json.dumps(told, ensure_ascii=False)}" for name, told in expected.items()]
    (CDA / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
