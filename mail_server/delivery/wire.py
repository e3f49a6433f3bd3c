"""The bytes of a letter as it goes to another operator: what is added above it, what is taken out of it.

Invariants: nobody's Bcc leaves, nor a field that is ours; a letter that leaves has a Message-ID and a Date (RFC 6409
§8.2, §8.3), the same in every copy; what the header says of its documents is what its archive holds
(reference/mssante.md §4.1); the body keeps its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mail_server import mime
from mail_server.delivery import outer
from mail_server.delivery.examine import Letter
from mail_server.mime import Field
from mail_server.outbound.egress.wire import lines_closed

SEAL_FIELD = "Vaguemestre-Seal"  # `only`: sealed to its addressees, or not at all
PRODUCT, CDA, INS = "X-MSS-NIL", "X-MSS-CODECDA", "X-MSS-INS"
_OF_DOCUMENTS = frozenset({CDA.lower(), INS.lower()})
_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Wire:
    """What goes over the wire, not signed yet."""

    data: bytes = field(repr=False)
    header_end: int

    @property
    def international(self) -> bool:
        """A header field that is not ASCII (RFC 6531, RFC 6532)."""
        return not self.data[: self.header_end].isascii()

    @property
    def eight_bit(self) -> bool:
        return not self.data[self.header_end :].isascii()


def asks_sealed_only(fields: Sequence[Field]) -> bool:
    """`Vaguemestre-Seal: only`; also with another value: who asks for a seal and mistypes it is not sent readable."""
    return any(one.name == SEAL_FIELD.lower() for one in fields)


def completed(letter: Letter, domain: str, at: int) -> bytes:
    """The letter with what its author's program left to the server: Message-ID and Date. The same bytes else."""
    names = [one for one in letter.fields if one.name == "message-id"]
    made, data = b"", letter.data
    if len(names) != 1 or not mime.message_ids(names[0].value):
        # One that names nothing, or several, would be answered by nobody: in its place comes one that does.
        data = outer.without(data, letter.fields, frozenset({"message-id"}))
        made += mime.header_field("Message-ID", mime.new_message_id(domain))
    if not any(one.name == "date" for one in letter.fields):
        made += mime.header_field("Date", mime.date_text(at))
    return made + data if made else data


def departing(letter: Letter, product: str) -> bytes:
    """The letter without what leaves for nobody, and with what its header must say of it; lines end in CRLF."""
    unwanted, added = _told(letter, product)
    names = outer.never_delivered(letter.fields) | unwanted
    return lines_closed(added + outer.without(letter.data, letter.fields, names))


def whole(above: bytes, data: bytes) -> Wire:
    """`above`: our own fields, each with its CRLF."""
    if above and data[:1] in (b" ", b"\t"):
        above += b"\r\n"  # a first line that would continue our last field is the body's
    made = above + data
    return Wire(made, len(mime.header_block(made)))


def received(trace: bytes, domain: str, reference: str, at: int) -> bytes:
    """The door's own field; for a letter that came by none (the page, the node itself) one that says so little."""
    if trace:
        return trace
    return mime.header_field("Received", f"by {domain} id {reference}; {mime.date_text(at).decode()}")


def product_field(fields: Sequence[Field], product: str) -> bytes:
    """ECO.2.4.3: in every letter, also outside of one that is sealed: the author's program tells its own, else ours."""
    told = product_told(fields) or product
    return mime.header_field(PRODUCT, told) if told else b""


def product_told(fields: Sequence[Field]) -> str:
    """By the author's program; "" for none."""
    found = next((one.value for one in fields if one.name == PRODUCT.lower() and one.value.strip()), b"")
    return found.decode("ascii", "replace")[:200].strip()


def _told(letter: Letter, product: str) -> tuple[frozenset[str], bytes]:
    """Which `X-MSS-*` fields go, and which come. Of a letter that came sealed nobody here knows what it carries."""
    added = b"" if product_told(letter.fields) else product_field(letter.fields, product)
    if letter.ciphertext is not None:
        return frozenset(), added
    given = {one.name: one.value.strip() for one in letter.fields if one.name in _OF_DOCUMENTS}
    codes = [code for code in letter.cda if _CODE.fullmatch(code)]
    if not codes:
        return frozenset(given), added  # ECO.2.4.1, ECO.2.4.2: only where there is a CDA
    unwanted: set[str] = set()
    said = given.get(CDA.lower())
    if said is None or {one.strip() for one in said.decode("latin-1").split(",")} != set(codes):
        unwanted.add(CDA.lower())
        added += mime.header_field(CDA, ",".join(codes))
    sure = given.get(INS.lower(), b"O" if letter.identified else b"N").upper() == b"O" and letter.identified
    if given.get(INS.lower()) != (b"O" if sure else b"N"):
        unwanted.add(INS.lower())
        added += mime.header_field(INS, "O" if sure else "N")
    return frozenset(unwanted), added
