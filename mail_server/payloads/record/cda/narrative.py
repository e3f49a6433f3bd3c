"""The words of a section: StrucDoc of CDA, and XHTML of FHIR, into blocks and runs. The page's twin is
`cda_narrative.ts`.

Invariants: nothing of a mark's name, attribute or address reaches a run: links are their words, scripts and styles are
gone; images are PNG, JPEG or GIF by their octets, bounded; what is not known is read for the words in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from mail_server.payloads.record.cda.model import Block, Cell, Run, Section, Style
from mail_server.payloads.record.cda.values import LONGEST, Narrative, plain
from mail_server.payloads.record.xml import Element

IMAGES: Final = 40  # of one document
IMAGE_LIMIT: Final = 4_000_000  # characters of base64
NESTED: Final = (
    4  # tables inside cells; deeper ones are read for their words, or each level would copy them all again
)
_SPACES: Final = re.compile(r"[ \t\r\n]+")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_LISTS: Final = ("list", "ul", "ol")
_ITEMS: Final = ("item", "li")
_PARAGRAPHS: Final = ("paragraph", "p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote")
_GONE: Final = ("script", "style", "head", "title", "object", "iframe")
_MARKS: Final[dict[str, Style]] = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "s": "strike",
    "del": "strike",
    "sub": "sub",
    "sup": "sup",
    "caption": "bold",
    "h1": "bold",
    "h2": "bold",
    "h3": "bold",
    "h4": "bold",
    "h5": "bold",
    "h6": "bold",
}
_CODES: Final[tuple[tuple[str, Style], ...]] = (
    ("bold", "bold"),
    ("emphasis", "italic"),
    ("italics", "italic"),
    ("underline", "underline"),
    ("strike", "strike"),
)
_BEGINNINGS: Final = (("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"))


class Narrator:
    """Reads the sections of one document; counts its images. FHIR has no narrative with IDs to point at."""

    def __init__(self, narrative: Narrative | None) -> None:
        self._narrative = narrative
        self._images = 0
        self._shown: set[str] = set()

    def section(self, section: Element) -> Section:
        text = section.child("text")
        title = section.child("title")
        code = section.child("code")
        blocks = [] if text is None else self.blocks(text)
        blocks += self._left(section)
        return Section(
            code="" if code is None else code.get("code")[:LONGEST],
            title="" if title is None else plain(title),
            blocks=tuple(blocks),
            sections=tuple(
                self.section(inner)
                for component in section.elements("component")
                for inner in component.elements("section")
            ),
        )

    def blocks(self, element: Element, depth: int = 0) -> list[Block]:
        page = _Page(self, depth)
        page.read(element, "")
        return page.finished()

    def image(self, value: Element, caption: str) -> Block | None:
        """An image that stands in the document itself, as base64."""
        return self._image(_SPACES.sub("", value.text()), caption)

    def inline(self, source: str, caption: str) -> Block | None:
        """An image in an address ("data:image/png;base64,...")."""
        head, _, data = source.partition(",")
        return self._image(_SPACES.sub("", data), caption) if head.endswith(";base64") else None

    def media(self, reference: str, caption: str) -> Block | None:
        found = None if self._narrative is None else self._narrative.element(reference)
        value = None if found is None else found.child("value")
        if found is not None and found.name == "regionOfInterest":
            held = next(found.descendants("observationMedia"), None)
            value = None if held is None else held.child("value")
        if value is None:
            return None
        self._shown.add(reference.removeprefix("#"))
        return self.image(value, caption)

    def _image(self, data: str, caption: str) -> Block | None:
        kind = next((kind for beginning, kind in _BEGINNINGS if data.startswith(beginning)), "")
        if not kind or self._images >= IMAGES or len(data) > IMAGE_LIMIT:
            return None
        if len(data) % 4 or not _BASE64.fullmatch(data):
            return None
        self._images += 1
        return Block("image", caption=caption, image=data, image_type=kind)

    def _left(self, section: Element) -> list[Block]:
        """Images of the section's entries that its words do not point at: the code of a prescription, say."""
        found: list[Block] = []
        for entry in section.elements("entry"):
            for media in entry.descendants("observationMedia"):
                value = media.child("value")
                if value is None or (media.get("ID") and media.get("ID") in self._shown):
                    continue
                shown = self.image(value, "")
                if shown is not None:
                    found.append(shown)
        return found


class _Page:
    """Blocks being made: runs gather until a block, or the end, closes their paragraph."""

    def __init__(self, narrator: Narrator, depth: int) -> None:
        self._narrator = narrator
        self._depth = depth  # of tables around
        self._runs: list[Run] = []
        self._blocks: list[Block] = []

    def read(self, element: Element, style: Style) -> None:
        for one in element.children:
            if isinstance(one, str):
                self._runs.append(Run(one, style))
            else:
                self._mark(one, style)

    def finished(self) -> list[Block]:
        self._close()
        return self._blocks

    def _mark(self, one: Element, style: Style) -> None:
        if one.name in _GONE:
            return
        if one.name == "br":
            self._runs.append(Run("", style, line_break=True))
        elif one.name in _PARAGRAPHS:
            self._close()
            self.read(one, style_of(one, style))
            self._close()
        elif one.name in _LISTS:
            self._block(self._list(one))
        elif one.name == "table" and self._depth < NESTED:
            self._table(one)
        elif one.name in ("renderMultiMedia", "img"):
            self._block(self._picture(one))
        else:
            self.read(one, style_of(one, style))
            if one.name in ("td", "th"):
                self._runs.append(Run(" ", style))

    def _close(self) -> None:
        runs = tidied(self._runs)
        self._runs = []
        if runs:
            self._blocks.append(Block("paragraph", runs=runs))

    def _block(self, block: Block | None) -> None:
        self._close()
        if block is not None:
            self._blocks.append(block)

    def _list(self, one: Element) -> Block | None:
        caption = one.child("caption")
        items = tuple(
            tuple(self._narrator.blocks(item, self._depth))
            for item in one.elements(ns="*")
            if item.name in _ITEMS
        )
        items = tuple(item for item in items if item)
        ordered = one.name == "ol" or one.get("listType") == "ordered"
        if not items:
            return None
        return Block("list", ordered=ordered, items=items, caption="" if caption is None else plain(caption))

    def _picture(self, one: Element) -> Block | None:
        if one.name == "img":
            return self._narrator.inline(one.get("src"), one.get("alt")[:LONGEST])
        caption = one.child("caption")
        return self._narrator.media(one.get("referencedObject"), "" if caption is None else plain(caption))

    def _table(self, table: Element) -> None:
        caption = table.child("caption")
        head: list[tuple[Cell, ...]] = []
        rows: list[tuple[Cell, ...]] = []
        foot: list[tuple[Cell, ...]] = []  # it may be written before the body (HTML 4), and stands below
        pictures: list[Block] = []
        for part in table.elements(ns="*"):
            if part.name == "tr":
                rows.append(self._row(part, pictures))
            elif part.name in ("thead", "tbody", "tfoot"):
                into = {"thead": head, "tfoot": foot}.get(part.name, rows)
                into.extend(self._row(row, pictures) for row in part.elements(ns="*") if row.name == "tr")
        head, rows = [row for row in head if row], [row for row in (*rows, *foot) if row]
        words = "" if caption is None else plain(caption)
        if head or rows:
            self._block(Block("table", caption=words, head=tuple(head), rows=tuple(rows)))
        for picture in pictures:
            self._block(picture)

    def _row(self, row: Element, pictures: list[Block]) -> tuple[Cell, ...]:
        cells: list[Cell] = []
        for one in row.elements(ns="*"):
            if one.name not in ("th", "td"):
                continue
            inside = self._narrator.blocks(one, self._depth + 1)
            pictures += [block for block in inside if block.form == "image"]
            runs = tidied(_flat(inside, style_of(one, "")))
            cells.append(Cell(runs, one.name == "th", _span(one.get("colspan")), _span(one.get("rowspan"))))
        return tuple(cells)


def style_of(one: Element, outer: Style) -> Style:
    """The style that a mark gives its words; the innermost holds."""
    marked = _MARKS.get(one.name)
    if marked is not None:
        return marked
    told = one.get("styleCode").lower()
    for word, style in _CODES:
        if word in told:
            return style
    return outer


@dataclass(slots=True)
class _Growing:
    """A run being made: pieces, so that a thousand marks of one style cost no thousand copies."""

    style: Style
    line_break: bool
    pieces: list[str]


def tidied(runs: list[Run]) -> tuple[Run, ...]:
    """Spaces collapsed as a browser does, neighbours of one style joined, empty ends taken away."""
    made: list[_Growing] = []
    broken = False
    for run in runs:
        broken = broken or (run.line_break and bool(made))
        last = made[-1] if made else None
        text = _SPACES.sub(" ", run.text)
        if broken or last is None or last.pieces[-1].endswith(" "):
            text = text.removeprefix(" ")
        if not text:
            continue
        if last is not None and broken:
            last.pieces[-1] = last.pieces[-1].removesuffix(" ")
        if last is not None and not broken and last.style == run.style:
            last.pieces.append(text)
        else:
            made.append(_Growing(run.style, broken, [text]))
        broken = False
    if made:
        made[-1].pieces[-1] = made[-1].pieces[-1].removesuffix(" ")
    told = (Run("".join(one.pieces), one.style, one.line_break) for one in made)
    return tuple(run for run in told if run.text)


def _flat(blocks: list[Block], style: Style) -> list[Run]:
    """What stands in a cell as lines: a list's items with a dot, an inner table's rows cell after cell."""
    runs: list[Run] = []
    for block in blocks:
        if block.form == "list":
            for item in block.items:
                runs.append(Run("• ", style, line_break=True))
                runs += _begun(_flat(list(item), style), line_break=False)
        elif block.form == "table":
            for row in (*block.head, *block.rows):
                runs.append(Run("", style, line_break=True))
                for cell in row:
                    runs += [*cell.runs, Run(" ", style)]
        else:
            held = [Run(one.text, one.style or style, one.line_break) for one in block.runs]
            runs += _begun(held, line_break=True)
    return runs


def _begun(runs: list[Run], *, line_break: bool) -> list[Run]:
    """The first line begins, or goes on where the line before it ends."""
    return [replace(runs[0], line_break=line_break), *runs[1:]] if runs else runs


def _span(told: str) -> int:
    return min(max(int(told), 1), 100) if told.isascii() and told.isdigit() and len(told) <= 4 else 1
