"""XML that reaches outside, grows, hides or breaks."""

from __future__ import annotations

from collections.abc import Iterator

from tests.mail_server.payloads.record.hostile import Case

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_LOL = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_LAUGHS = f'<!DOCTYPE a [<!ENTITY l0 "ha">{_LOL}]><a>&l9;</a>'

TEXTS: dict[str, str] = {
    "a DOCTYPE": "<!DOCTYPE a><a/>",
    "a DOCTYPE with an internal subset": "<!DOCTYPE a [<!ELEMENT a ANY>]><a/>",
    "an entity that reads a file": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "an entity that asks the network": '<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:9/">]><a>&x;</a>',
    "an external subset": '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
    "a public subset": '<!DOCTYPE a PUBLIC "-//X//Y" "http://127.0.0.1:9/a.dtd"><a/>',
    "a parameter entity": '<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]><a/>',
    "a billion laughs": _LAUGHS,
    "a quadratic entity": f'<!DOCTYPE a [<!ENTITY x "{"y" * 5000}">]><a>{"&x;" * 5000}</a>',
    "laughs in an attribute": _LAUGHS.replace("<a>&l9;</a>", '<a b="&l9;"/>'),
    "an entity that eats itself": '<!DOCTYPE a [<!ENTITY x "&x;">]><a>&x;</a>',
    "an attribute by default": '<!DOCTYPE a [<!ATTLIST a b CDATA "c">]><a/>',
    "a DOCTYPE after a comment": "<!-- x --><!DOCTYPE a><a/>",
    "a DOCTYPE after an instruction": "<?x y?>\n<!DOCTYPE a><a/>",
    "a DOCTYPE after many comments": "<!-- x -->" * 200 + "<!DOCTYPE a><a/>",
    "a DOCTYPE in small letters": "<!doctype a><a/>",
    "a DOCTYPE behind the root": "<a/><!DOCTYPE a>",
    "a DOCTYPE inside the root": "<a><!DOCTYPE a></a>",
    "an entity that nothing declares": "<a>&unknown;</a>",
    "an entity of HTML": "<a>caf&eacute;</a>",
    "an entity in an attribute": '<a b="&unknown;"/>',
    "an entity without its end": "<a>&amp</a>",
    "a bare ampersand": "<a>Martin & fils</a>",
    "nothing but its declaration": "",
    "text alone": "hello",
    "text before the root": "x<a/>",
    "text behind the root": "<a/>x",
    "two roots": "<a/><b/>",
    "an element left open": "<a><b></a>",
    "an element never opened": "<a></b></a>",
    "an element cut": "<a><b",
    "a comment cut": "<!-- x",
    "an instruction cut": "<?x",
    "a comment inside, cut": "<a><!-- x</a>",
    "two dashes in a comment": "<a><!-- x -- y --></a>",
    "CDATA cut": "<a><![CDATA[x</a>",
    "the end of CDATA in text": "<a>]]></a>",
    "an attribute twice": '<a b="1" b="2"/>',
    "an attribute twice by its namespace": '<a xmlns:x="u" xmlns:y="u" x:b="1" y:b="2"/>',
    "an attribute without quotes": "<a b=1/>",
    "an attribute without a value": "<a b/>",
    "a mark in an attribute": '<a b="<"/>',
    "a prefix that nothing declares": "<x:a/>",
    "a prefix of an attribute that nothing declares": '<a x:b="1"/>',
    "a prefix declared as nothing": '<a xmlns:x=""/>',
    "the prefix xml declared as another": '<a xmlns:xml="u"/>',
    "a name with two colons": '<a:b:c xmlns:a="u"/>',
    "a name that begins with a digit": "<1a/>",
    "a zero octet": "<a>\0</a>",
    "a control character": "<a>\x08</a>",
    "a control character by its number": "<a>&#8;</a>",
    "the character zero by its number": "<a>&#0;</a>",
    "half a pair by its number": "<a>&#xD800;</a>",
    "a character beyond Unicode": "<a>&#x110000;</a>",
    "a character that is none": "<a>\ufffe</a>",
    "an XML declaration inside": "<a><?xml version='1.0'?></a>",
    "nested too deep": "<a>" * 101 + "</a>" * 101,
    "nested without end": "<a>" * 20_000,
    "too many attributes": f"<a {' '.join(f'b{n}={chr(34)}{chr(34)}' for n in range(101))}/>",
    "too many elements": "<a>" + "<b/>" * 250_001 + "</a>",
    "too many quotes": '<a b="1"/>' + '"' * 1_000_001,
}


def cases() -> Iterator[Case]:
    for name, text in TEXTS.items():
        yield Case(f"xml: {name}", "xml", (_HEAD + text).encode("utf-8"))
    bomb = "<!DOCTYPE a><a/>"
    yield Case("xml: a DOCTYPE in UTF-16", "xml", bomb.encode("utf-16"))
    yield Case("xml: a DOCTYPE in UTF-16 without its mark", "xml", bomb.encode("utf-16-be"))
    yield Case("xml: a DOCTYPE after the mark of UTF-8", "xml", b"\xef\xbb\xbf" + bomb.encode())
    yield Case(
        "xml: a DOCTYPE in Latin-1", "xml", b'<?xml version="1.0" encoding="ISO-8859-1"?>' + bomb.encode()
    )
    for encoding in ("utf-7", "ebcdic-cp-be", "utf-32", "hz-gb-2312", "shift_jis", "x-user-defined"):
        told = f'<?xml version="1.0" encoding="{encoding}"?><a/>'
        yield Case(f"xml: written in {encoding}", "xml", told.encode())
    yield Case("xml: half a character of UTF-16", "xml", "<a/>".encode("utf-16") + b"\x00")
    yield Case(
        "xml: half a pair of UTF-16", "xml", b"\xff\xfe" + "<a>".encode("utf-16-le") + b"\x00\xd8" + b"<\x00"
    )
    yield Case("xml: an empty file", "xml", b"")
    yield Case("xml: larger than any", "xml", b" " * ((32 << 20) + 1))
