"""What IMAP answers about a message without touching its body, made once at delivery.

Invariants: rendering is a function of the bytes alone; a split message renders the same from its head and
tail as from the whole (RFC 9051 §7.5.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mail_server.mime.bodystructure import bodystructure
from mail_server.mime.envelope import AddressBudget, envelope
from mail_server.mime.parts import Part, parse


@dataclass(frozen=True, slots=True)
class Rendered:
    header: bytes = field(repr=False)  # with its closing blank line
    envelope: bytes = field(repr=False)
    bodystructure: bytes = field(repr=False)
    body: bytes = field(repr=False)
    size: int


def render(message: bytes, tree: Part | None = None) -> Rendered:
    """Render a whole message; `tree` when it is parsed already."""
    tree = tree or parse(message)
    return _render(message, tree, len(message))


def render_encrypted(head: bytes, armor_size: int, armor_lines: int, tail: bytes) -> Rendered:
    """`render(head + armor + tail)` without the armor: base64 and dashes hold no delimiter and no field."""
    tree = parse(head + tail)
    _grow(tree, len(head), armor_size, armor_lines)
    return _render(head, tree, len(head) + armor_size + len(tail))


def _render(message: bytes, tree: Part, size: int) -> Rendered:
    budget = AddressBudget()
    shown = envelope(tree.fields, budget)
    body, structure = bodystructure(tree, budget)
    return Rendered(message[: tree.body_start], shown, structure, body, size)


def _grow(part: Part, at: int, size: int, lines: int) -> None:
    """As if `size` octets stood at `at`: in the part whose body begins there, and in all around it."""
    part.body_end += size
    if part.lines >= 0:
        part.lines += lines
    for child in part.children:
        if child.body_start <= at <= child.body_end:
            _grow(child, at, size, lines)
            return
