"""What reading a message costs: `python tests/mail_server/mime/timing.py` from the project's root. Not a test."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable

from mail_server import mime
from mail_server.payloads import find

HEADER = (
    b"".join(
        b"Received: from mx%d.example.org (mx%d.example.org [192.0.2.%d])\r\n\tby mail.example.net with ESMTP id %d\r\n"
        b"\tfor <x@example.net>; Sat, 21 Nov 2026 10:11:1%d +0100\r\n" % (n, n, n, n, n)
        for n in range(3)
    )
    + b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s; h=From:To:Subject;\r\n b="
    + b"A" * 340
    + b"\r\nFrom: =?utf-8?q?H=C3=B4pital?= <cr@chu.example>\r\nTo: Dr Jean Dupont <jd@example.net>, a@example.net\r\n"
    b"Subject: =?utf-8?q?Compte_rendu_d=27hospitalisation?=\r\nDate: Sat, 21 Nov 2026 10:11:12 +0100\r\n"
    b"Message-ID: <abc@chu.example>\r\nMIME-Version: 1.0\r\n"
)


def letter(size: int) -> bytes:
    attached = base64.encodebytes(random.Random(1).randbytes(max(size - 2600, 100) * 3 // 4)).replace(
        b"\n", b"\r\n"
    )
    return (
        HEADER + b"Content-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n"
        b"Content-Type: multipart/alternative; boundary=inner\r\n\r\n--inner\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + b"Bonjour, voici le compte rendu=20\r\n"
        * 10
        + b"\r\n--inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Bonjour</p>\r\n--inner--\r\n--outer\r\n"
        b'Content-Type: application/pdf; name="cr.pdf"\r\nContent-Disposition: attachment; filename="cr.pdf"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n" + attached + b"--outer--\r\n"
    )


def microseconds(work: Callable[[], object], size: int) -> float:
    """CPU time of one call: the best of five rounds."""
    times = max(1, min(2000, 2_000_000 // size))
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - start) / times)
    return best * 1e6


def main() -> None:
    print(f"{'size':>10} {'parse':>9} {'+render':>9} {'find':>9} {'fields':>9} {'protect':>9}  µs of CPU")
    for size in (4_000, 50_000, 1_000_000, 20_000_000):
        message = letter(size)
        tree = mime.parse(message)
        works: list[Callable[[], object]] = [
            lambda m=message: mime.parse(m),
            lambda m=message: mime.render(m),
            lambda m=message, t=tree: find(m, t),
            lambda m=message: mime.fields(m),
            lambda m=message: mime.protect(m, [("Subject", b"[...] abcd")]),
        ]
        print(f"{size:>10}", *(f"{microseconds(work, size):>9.1f}" for work in works))
    head, tail = mime.wrap(HEADER, "b")
    print(f"render_encrypted {microseconds(lambda: mime.render_encrypted(head, 5000, 70, tail), 4000):.1f}")


if __name__ == "__main__":
    main()
