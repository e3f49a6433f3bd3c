"""The files of an IHE_XDM archive around its documents, and the ZIP itself (IHE ITI-32 §3.32.4.1.2).

README.TXT and INDEX.HTM are for the person who opens the archive without health software: INDEX.HTM is XHTML Basic,
links every file and says what each document is.
Invariants: the same archive gives the same octets, on any day and machine.
"""

from __future__ import annotations

import io
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from mail_server.payloads.record.archive import RATIO, SMALL
from mail_server.payloads.record.model import DocumentEntry, XdmArchive

SUBSET: Final = "IHE_XDM/SUBSET01/"
_LINE: Final = "\r\n"


def readme(archive: XdmArchive) -> bytes:
    """README.TXT: who sent it and what to do with it; plain ASCII lines, so that anything shows it."""
    author = archive.submission.author
    sender = (author.organisation or f"{author.given_name} {author.family_name}".strip()) if author else ""
    lines = [
        "Archive IHE_XDM",
        "",
        f"Emetteur : {_ascii(sender)}" if sender else "Emetteur : voir INDEX.HTM",
        "",
        "Cette archive contient des documents de sante au format IHE XDM.",
        "Un logiciel de sante la lit tout seul : il suffit de la lui donner entiere.",
        "Pour lire les documents sans logiciel de sante, ouvrez INDEX.HTM dans un navigateur,",
        "ou le PDF joint au meme message.",
        "",
        "This archive holds health documents in the IHE XDM format. Health software reads it",
        "as it is. To read the documents without it, open INDEX.HTM in a browser, or the PDF",
        "attached to the same message.",
        "",
        "Contenu / Contents",
        *(f"  {SUBSET}{entry.uri}  {_ascii(entry.type.display)}" for entry in archive.entries),
        "",
    ]
    return _LINE.join(lines).encode("ascii")


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("’", "'"))
    return plain.encode("ascii", "ignore").decode("ascii")


def index(archive: XdmArchive) -> bytes:
    """INDEX.HTM: every document with its title, its type, its author and its date, and a link to its file."""
    author = archive.submission.author
    sender = (author.organisation or f"{author.given_name} {author.family_name}".strip()) if author else ""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML Basic 1.1//EN" "http://www.w3.org/TR/xhtml-basic/xhtml-basic11.dtd">',
        '<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="fr">',
        "<head><title>Documents de santé</title></head>",
        "<body>",
        "<h1>Documents de santé</h1>",
        *([f"<p>Émetteur : {escape(sender)}</p>"] if sender else []),
        *_listed(archive.entries),
        '<p><a href="README.TXT">README.TXT</a>',
        f'<a href="{SUBSET}METADATA.XML">METADATA.XML</a></p>',
        "</body>",
        "</html>",
        "",
    ]
    return _LINE.join(lines).encode("utf-8")


def _listed(entries: Sequence[DocumentEntry]) -> list[str]:
    lines = ["<ul>"]
    for entry in entries:
        author = entry.authors[0] if entry.authors else None
        told = [
            entry.type.display,
            f"{author.given_name} {author.family_name}".strip() if author else "",
            author.organisation if author else "",
            _day(entry.service_start or entry.creation_time),
        ]
        link = f'<a href="{escape(SUBSET + entry.uri)}">{escape(entry.title or entry.uri)}</a>'
        lines.append(f"<li>{link}: {escape(', '.join(one for one in told if one))}</li>")
    return [*lines, "</ul>"]


def _day(time: str) -> str:
    return f"{time[6:8]}/{time[4:6]}/{time[:4]}" if len(time) >= 8 and time[:8].isdigit() else time


def packed(files: Mapping[str, bytes]) -> bytes:
    """The ZIP, in the order given, with one date for all, deflated."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as made:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_STORED if _dull(content) else zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            made.writestr(entry, content)
    return out.getvalue()


def _dull(content: bytes) -> bool:
    """Whether it would pack so well that a reader takes it for a bomb."""
    return len(content) > SMALL and len(zlib.compress(content, 1)) * RATIO // 4 < len(content)
