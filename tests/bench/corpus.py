"""The three letters of the benchmark: 4 kB of text, 50 kB and 1 MB reports with CDA-like XML and a PDF.

Invariants: the same bytes for the same sender on every machine (a seeded generator, no clock); CRLF line
ends, no line starts with a dot, no line above 998 octets; `From` is the sender given, because the product refuses a
letter whose From is not who logged in; the marker that the load generator numbers stands in Message-ID.
"""

from __future__ import annotations

import base64
import quopri
import random
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

MARKER = "@@SEQ0000000@@"  # 14 characters, as in load/mload.c

_WORDS = re.split(
    r"\s+",
    """le la patient consultation compte rendu hospitalisation bilan biologique traitement
    ordonnance résultat examen clinique tension artérielle glycémie créatinine cardiologie
    pneumologie suivi médecin confrère cordialement bonjour antécédents allergie vaccination
    imagerie scanner échographie biopsie posologie jour matin soir semaine rendez-vous
    prochain contrôle""",
)

_MIXED = "----=_Part_7f3a9c_0001.1763629872"
_ALTERNATIVE = "----=_Alt_0002"


class _Maker:
    """One letter: its own random generator, so that letters do not depend on the order they are made in."""

    def __init__(self, sender: str, seed: int) -> None:
        self._sender = sender
        self._random = random.Random(seed)

    def text(self, size: int) -> bytes:
        """A plain letter, quoted-printable, of exactly `size` octets or a line's end less."""
        head = self._headers(
            "=?utf-8?q?Compte_rendu_de_consultation_pr=C3=A9op?=",
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n",
        )
        letter = (head + "\r\n" + _quoted_printable(self._prose(size))).encode()
        return letter[: size - 2].rstrip(b"\r\n=") + b"\r\n"

    def report(self, size: int) -> bytes:
        """A discharge report: text and HTML, a structured document, a PDF that fills up to `size` octets."""
        head = self._headers(
            "=?utf-8?q?XDM/1.0/DDM_lettre_de_liaison?=",
            f'Content-Type: multipart/mixed;\r\n boundary="{_MIXED}"\r\n',
        )
        html = "<html><body><p>" + self._prose(2500).replace("\n\n", "</p><p>") + "</p></body></html>"
        start = (
            f"{head}\r\nThis is a multi-part message in MIME format.\r\n"
            f'--{_MIXED}\r\nContent-Type: multipart/alternative; boundary="{_ALTERNATIVE}"\r\n\r\n'
            f"--{_ALTERNATIVE}\r\n{_text_part('plain', self._prose(1500))}"
            f"\r\n--{_ALTERNATIVE}\r\n{_text_part('html', html)}\r\n--{_ALTERNATIVE}--\r\n"
            f"\r\n--{_MIXED}\r\n{_attachment('application/xml', 'cda.xml', self._structured(size))}\r\n"
        )
        room = size - len(start.encode()) - 400
        pdf = self._random.randbytes(max(300, room * 57 // 78))  # 57 octets make one base64 line of 78
        end = f"--{_MIXED}\r\n{_attachment('application/pdf', 'lettre.pdf', pdf)}\r\n--{_MIXED}--\r\n"
        return (start + end).encode()

    def _headers(self, subject: str, content: str) -> str:
        signature = base64.b64encode(self._random.randbytes(256)).decode()
        folded = "\r\n\t ".join(textwrap.wrap(signature, 72))
        return (
            "Received: from mx.hopital.example (mx.hopital.example [192.0.2.17])\r\n"
            f"\tby mss.example (Postfix) with ESMTPS id 4XyZ12{MARKER} for <u@mss.example>;\r\n"
            "\tThu, 20 Nov 2025 10:11:12 +0100 (CET)\r\n"
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=hopital.example; s=s1; t=1763629872;\r\n"
            "\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; h=From:To:Subject:Date:Message-ID;\r\n"
            f"\tb={folded}\r\n"
            f"From: =?utf-8?q?Dr_Aur=C3=A9lie_Lefebvre?= <{self._sender}>\r\n"
            'To: "Martin, Paul" <paul.martin@medecin.example>, secretariat@cabinet.example\r\n'
            "Cc: Jeanne Dupont <jeanne.dupont@infirmier.example>\r\n"
            f"Subject: {_with_number(subject)}\r\n"
            "Date: Thu, 20 Nov 2025 10:11:12 +0100\r\n"
            f"Message-ID: <{MARKER}.1763629872@hopital.example>\r\n"
            "References: <abc@hopital.example>\r\n\t<def@hopital.example>\r\n"
            f"User-Agent: LPS/4.2\r\nMIME-Version: 1.0\r\n{content}"
        )

    def _prose(self, octets: int) -> str:
        out = ""
        while len(out.encode()) < octets:
            sentence = " ".join(self._random.choice(_WORDS) for _ in range(80))
            out += "\n".join(textwrap.wrap(sentence, 72)) + "\n\n"
        return out

    def _structured(self, size: int) -> bytes:
        pick = self._random
        entries = "".join(
            f'<entry><observation classCode="OBS"><code code="{pick.randrange(10**5)}-{pick.randrange(10)}" '
            f'codeSystem="2.16.840.1.113883.6.1"/><value xsi:type="PQ" value="{pick.random():.3f}" '
            'unit="g/L"/></observation></entry>'
            for _ in range(max(10, int(size * 0.35 / 170)))
        )
        declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
        return f'{declaration}<ClinicalDocument xmlns="urn:hl7-org:v3">{entries}</ClinicalDocument>'.encode()


def _with_number(subject: str) -> str:
    """Each letter's subject differs too, as in life: equal subjects would flatter any cache."""
    return f"{subject} {MARKER}"


def _quoted_printable(text: str) -> str:
    return quopri.encodestring(text.encode()).decode().replace("\n", "\r\n")


def _text_part(subtype: str, text: str) -> str:
    return (
        f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + _quoted_printable(text)
    )


def _attachment(kind: str, name: str, content: bytes) -> str:
    return (
        f'Content-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(content).decode().replace("\n", "\r\n")
    )


LETTERS: dict[str, Callable[[str], bytes]] = {
    "4k": lambda sender: _Maker(sender, 42).text(4096),
    "50k": lambda sender: _Maker(sender, 43).report(50 * 1024),
    "1M": lambda sender: _Maker(sender, 44).report(1 << 20),
}


def write(folder: Path, sender: str) -> dict[str, Path]:
    """Write the letters of `sender` into `folder`; return each size's path."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[str, Path] = {}
    for size, make in LETTERS.items():
        letter = make(sender)
        assert max(map(len, letter.split(b"\r\n"))) <= 998, size
        assert b"\r\n." not in letter, "the load generator does not stuff dots"
        paths[size] = folder / f"{size}.eml"
        paths[size].write_bytes(letter)
    return paths
