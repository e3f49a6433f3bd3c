"""A list as PDF/UA-1 (ISO 14289-1): tagged, titled, with a language, its headings repeated, its fonts inside.

Typst sets it, with the fonts that come in its library: a bare machine prints the same as any other. What is printed
goes to it as data, never as its language, and nothing is written to a file.

Invariants: the same content gives the same octets; calls hold the interpreter for no longer than it takes to hand the
data over (they belong in a thread all the same).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import typst

_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)  # a date of making would make each print another one

_TEMPLATE = b"""
#let given = json(bytes(sys.inputs.given))
#set document(title: given.title, date: none)
#set page(
  paper: "a4",
  flipped: given.landscape,
  margin: (x: 15mm, y: 18mm),
  footer: context align(right, text(size: 8pt, given.page + " " + counter(page).display("1 / 1", both: true))),
)
#set text(lang: given.language, font: "Libertinus Serif", size: 9pt, hyphenate: false)
#set par(justify: false)
#show heading: set text(size: 15pt)
#heading(level: 1, given.title)
#for line in given.lead { par(line) }
// An address or a fingerprint has no space in it: without places to break it would be printed over the next column.
#let breakable(words) = words.replace(regex("[^ ]{18,}"), word => {
  word.text
    .replace(regex("[@.,:/=_-]"), sign => sign.text + "\\u{200b}")
    .replace(regex("[0-9A-Za-z]{12}"), run => run.text + "\\u{200b}")
})
#if given.rows.len() > 0 {
  table(
    columns: given.widths.map(width => eval(width)),
    stroke: (x, y) => (bottom: 0.4pt + luma(60%)),
    inset: (x: 3pt, y: 3.5pt),
    align: left,
    table.header(..given.headings.map(word => strong(word))),
    ..given.rows.flatten().map(breakable),
  )
}
"""


@dataclass(frozen=True, slots=True)
class Printed:
    """What stands in the document."""

    language: str
    title: str
    lead: Sequence[str]
    headings: Sequence[str]
    rows: Sequence[Sequence[str]] = field(repr=False)
    widths: Sequence[str]  # of the columns, as Typst writes lengths: ours, never anybody's input
    page: str  # the word before the page's number
    landscape: bool = False


def render(document: Printed) -> bytes:
    given = json.dumps(asdict(document), ensure_ascii=False, default=list)
    return typst.compile(
        _TEMPLATE,
        sys_inputs={"given": given},
        ignore_system_fonts=True,
        pdf_standards=["ua-1"],
        timestamp=_EPOCH,
    )
