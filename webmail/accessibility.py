"""Where accessibility stands: French at `/accessibilite`, English at `/accessibility`, from a grid kept in the project.

Invariants: nothing is said to conform that a person did not audit; what tests cover is named beside each criterion; the
grid holds every criterion of the reference; what the configuration gives is escaped; no script.
"""

from __future__ import annotations

import html
import json
import string
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import resources

from fastapi import APIRouter

from webmail.help import HelpInfo, serve_text


class State(Enum):
    """What is known of one criterion."""

    NOT_AUDITED = "not-audited"
    NOTHING_TO_TEST = "nothing-to-test"  # the page holds nothing of the kind
    CONFORMS = "conforms"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Criterion:
    number: str
    words: dict[str, str]  # by language
    state: State
    tested: tuple[str, ...]  # by which tests of the project


@dataclass(frozen=True, slots=True)
class Theme:
    number: int
    words: dict[str, str]
    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """One audit grid. `audit` is the date of the last audit by a person, None before the first."""

    reference: str
    audit: str | None
    themes: tuple[Theme, ...]
    tests: dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Words:
    language: str
    page: str
    states: dict[State, str]
    tested: str
    columns: tuple[str, str, str]
    contact: str


_FRENCH = _Words(
    language="fr",
    page="accessibilite.html",
    states={
        State.NOT_AUDITED: "non audité",
        State.NOTHING_TO_TEST: "rien de tel dans la page",
        State.CONFORMS: "conforme",
        State.FAILS: "non conforme",
    },
    tested="essayé par\u00a0: ",
    columns=("Critère", "Ce qu’il demande", "État"),
    contact="Pour signaler une difficulté, ou recevoir un document autrement\u00a0: ",
)
_ENGLISH = _Words(
    language="en",
    page="accessibility.html",
    states={
        State.NOT_AUDITED: "not audited",
        State.NOTHING_TO_TEST: "nothing of the kind here",
        State.CONFORMS: "conforms",
        State.FAILS: "fails",
    },
    tested="tested by: ",
    columns=("Criterion", "What it asks", "State"),
    contact="To report a difficulty, or to have a document in another form: ",
)


def read_grid() -> Grid:
    """The grid of the project."""
    told = json.loads(_file("accessibility.json"))
    criteria = [
        Criterion(
            one["number"], {"fr": one["fr"], "en": one["en"]}, State(one["state"]), tuple(one["tested"])
        )
        for one in told["criteria"]
    ]
    themes = tuple(
        Theme(
            theme["number"],
            {"fr": theme["fr"], "en": theme["en"]},
            tuple(one for one in criteria if one.number.startswith(f"{theme['number']}.")),
        )
        for theme in told["themes"]
    )
    return Grid(told["reference"], told["audit"], themes, told["tests"])


def accessibility_pages(info: HelpInfo) -> APIRouter:
    """Routes of the statement in two languages, to include at the root."""
    router = APIRouter(include_in_schema=False)
    grid = read_grid()
    serve_text(router, "/accessibilite", _render(info, grid, _FRENCH), "fr")
    serve_text(router, "/accessibility", _render(info, grid, _ENGLISH), "en")
    return router


def _render(info: HelpInfo, grid: Grid, words: _Words) -> bytes:
    contact = f"<p>{words.contact}<strong>{html.escape(info.contact)}</strong></p>" if info.contact else ""
    tests = "".join(
        f"<li><strong>{name}</strong>: {html.escape(told[words.language])}</li>"
        for name, told in grid.tests.items()
    )
    page = string.Template(_file(words.page))
    return page.substitute(
        operator=html.escape(info.operator),
        reference=html.escape(grid.reference),
        contact=contact,
        tests=tests if words.language == "en" else tests.replace("</strong>:", "</strong>\u00a0:"),
        grid="".join(_theme(theme, words) for theme in grid.themes),
    ).encode()


def _theme(theme: Theme, words: _Words) -> str:
    title = f"{theme.number}. {html.escape(theme.words[words.language])}"
    head = "".join(f'<th scope="col">{column}</th>' for column in words.columns)
    rows = "".join(_row(criterion, words) for criterion in theme.criteria)
    return (
        f'<div class="table" role="region" aria-labelledby="theme-{theme.number}" tabindex="0"><table>'
        f'<caption id="theme-{theme.number}">{title}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(criterion: Criterion, words: _Words) -> str:
    state = words.states[criterion.state] + _tested(criterion.tested, words)
    return (
        f'<tr><th scope="row">{criterion.number}</th>'
        f"<td>{html.escape(criterion.words[words.language])}</td><td>{html.escape(state)}</td></tr>"
    )


def _tested(tests: Sequence[str], words: _Words) -> str:
    return f" ({words.tested}{', '.join(tests)})" if tests else ""


def _file(name: str) -> str:
    return resources.files("webmail").joinpath("pages", name).read_text("utf-8")
