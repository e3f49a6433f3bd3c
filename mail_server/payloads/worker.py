"""A worker that reads what strangers put into letters: archives, XML, calendars. One process, one letter at a time.

Started as `python -m mail_server.payloads.worker` by the pool of `mail_server.sealing`, with nothing in its environment
and no secret ever: whoever breaks a parser here finds one letter, and what they make it say is a manifest that is read
as a stranger's. Invariants: no letter costs more processor time than `CPU_SECONDS` (the kernel ends the process then),
nor more memory than the entry allows; it writes no file; an answer is JSON of ours, never an exception's text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from mail_server import mime
from mail_server.payloads import manifest
from mail_server.payloads.drawing import draw
from mail_server.payloads.record.refusal import RecordRefused
from mail_server.sealing.frames import Ask, Slug
from mail_server.sealing.serving import Failed, limit_processor, run

CPU_SECONDS = 4
_TYPES = 100  # of documents, told


class Worker:
    def answer(self, ask: int, fields: list[bytes], payload: bytes) -> tuple[list[bytes], bytes]:
        if ask == Ask.LOAD:
            return [], b""  # there is nothing that it should know
        if ask != Ask.READ:
            raise Failed(Slug.BAD_FRAME)
        limit_processor(CPU_SECONDS)
        return [], json.dumps(_drawn(payload), ensure_ascii=False).encode("utf-8", "replace")


def _drawn(message: bytes) -> dict[str, object]:
    try:
        drawn = draw(message, mime.parse(message))
    except RecordRefused as refused:
        return {"refused": [int(refused.code), refused.slug, refused.sentence]}
    return {
        "manifest": json.loads(manifest.written(drawn.manifest)) if drawn.manifest else None,
        "confidentiality": sorted(drawn.confidentiality | drawn.handed_on),
        "cda": list(drawn.cda[:_TYPES]),
        "identified": drawn.identified,
    }


def main(arguments: Sequence[str]) -> int:
    return run(arguments, Worker())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
