"""From bytes in some charset to text, whatever the label says.

Invariants: never raises; only codecs named here are used, because some of Python's text codecs are not for
mail (punycode, unicode_escape: quadratic, or able to say what the bytes do not).
"""

from __future__ import annotations

_CODECS: dict[str, str] = {
    "utf8": "utf-8",
    "unicode11utf8": "utf-8",
    "utf7": "utf-7",
    "unicode11utf7": "utf-7",
    "utf16": "utf-16",
    "utf16le": "utf-16-le",
    "utf16be": "utf-16-be",
    "utf32": "utf-32",
    "utf32le": "utf-32-le",
    "utf32be": "utf-32-be",
    "macintosh": "mac_roman",
    "mac": "mac_roman",
    "koi8r": "koi8_r",
    "koi8u": "koi8_u",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "xgbk": "gb18030",
    "cp936": "gb18030",
    "gb18030": "gb18030",
    "hzgb2312": "hz",
    "big5": "big5hkscs",
    "big5hkscs": "big5hkscs",
    "cp950": "cp950",
    "shiftjis": "cp932",
    "sjis": "cp932",
    "xsjis": "cp932",
    "windows31j": "cp932",
    "cp932": "cp932",
    "eucjp": "euc_jp",
    "xeucjp": "euc_jp",
    "iso2022jp": "iso2022_jp_2",
    "iso2022jp1": "iso2022_jp_1",
    "iso2022jp2": "iso2022_jp_2",
    "iso2022kr": "iso2022_kr",
    "euckr": "cp949",
    "ksc56011987": "cp949",
    "ksc5601": "cp949",
    "ks56011987": "cp949",
    "cp949": "cp949",
    "tis620": "cp874",
    "windows874": "cp874",
    # Labelled Latin-1, written by Windows: bytes 0x80 to 0x9F are cp1252's.
    "latin1": "cp1252",
    "l1": "cp1252",
    "iso88591": "cp1252",
    "iso885911": "cp874",
    "latin9": "iso8859-15",
    "cp1252": "cp1252",
    "ansi": "cp1252",
    **{f"iso8859{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    **{f"iso8859{n}{order}": f"iso8859-{n}" for n in (6, 8) for order in ("i", "e")},
    **{f"{maker}125{n}": f"cp125{n}" for n in range(9) for maker in ("windows", "cp")},
    **{
        f"{maker}{n}": f"cp{n}"
        for n in (437, 850, 852, 855, 857, 858, 862, 865, 866)
        for maker in ("cp", "ibm")
    },
}

_NOISE = str.maketrans("", "", "-_ .:()'\"")


def codec_of(charset: str) -> str | None:
    """Python's name for a charset label, None when it is unknown (or plain ASCII, which lies too often)."""
    return _CODECS.get(charset.lower().translate(_NOISE)) if len(charset) < 64 else None


def decode_text(data: bytes, charset: str | None = None) -> str:
    """Text of `data`; an unknown or ASCII label means UTF-8 when it fits, else what Windows wrote."""
    codec = codec_of(charset) if charset else None
    if codec is not None:
        try:
            text = data.decode(codec, "replace")
            # UTF-7 can spell half a character, which no one could encode again.
            return text.encode("utf-8", "replace").decode("utf-8") if codec == "utf-7" else text
        except (ValueError, LookupError):
            pass
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
