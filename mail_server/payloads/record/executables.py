"""Tells what runs, by its name and by its bytes: programs, scripts, office documents with macros.

Invariants: never raises; looks at names and marks alone, opens nothing; what it says no to may still be harmful, what
it says yes to is refused whatever it is called.
"""

from __future__ import annotations

from typing import Final

_NAMED: Final = (
    "exe com scr pif bat cmd msi msp dll cpl sys drv ocx js jse mjs vbs vbe wsf wsh ws hta ps1 psm1 sh bash csh "
    "jar class apk app dmg pkg deb rpm bin run elf so reg inf lnk url scf chm hlp iso img vhd vhdx xll xlam xla "
    "docm dotm xlsm xltm xlsb pptm potm ppsm ppam sldm py pyc pyw pl rb php asp aspx jsp swf gadget msc"
)
_ENDINGS: Final = frozenset(_NAMED.split())
_MARKS: Final = (
    b"MZ",  # Windows
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",  # Java, and programs for several processors
    b"#!",
    b"dex\n",
    b"L\x00\x00\x00\x01\x14\x02\x00",  # a Windows shortcut
)
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP: Final = b"PK\x03\x04"
_OLE_MACROS: Final = ("_VBA_PROJECT".encode("utf-16-le"), "Macros".encode("utf-16-le"))
_ZIP_MACROS: Final = b"vbaProject.bin"


def is_program(name: str, content: bytes) -> bool:
    """Whether a file of this name and content is a program, or a document with macros."""
    bare = name.strip().rstrip(". ").lower()
    if "." in bare and bare.rpartition(".")[2] in _ENDINGS:
        return True
    if content.startswith(_MARKS):
        return True
    if content.startswith(_OLE):
        return any(mark in content for mark in _OLE_MACROS)
    return content.startswith(_ZIP) and _ZIP_MACROS in content
