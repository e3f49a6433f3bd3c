"""Where accessibility stands: the whole grid, nothing claimed that was not audited, readable by everyone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx
import pytest

from webmail.accessibility import State, read_grid

Ask = Callable[..., Awaitable[httpx.Response]]
PAGES = [("/accessibilite", "fr"), ("/accessibility", "en")]
# RGAA 4.1.2: how many criteria each of the thirteen themes has.
CRITERIA = (9, 2, 3, 13, 8, 2, 5, 10, 4, 14, 13, 11, 12)


def test_the_grid_holds_every_criterion_of_every_theme() -> None:
    grid = read_grid()
    assert tuple(len(theme.criteria) for theme in grid.themes) == CRITERIA
    for theme in grid.themes:
        numbers = [f"{theme.number}.{place}" for place in range(1, len(theme.criteria) + 1)]
        assert [criterion.number for criterion in theme.criteria] == numbers


def test_nothing_is_said_to_conform_before_an_audit() -> None:
    grid = read_grid()
    states = Counter(criterion.state for theme in grid.themes for criterion in theme.criteria)
    assert grid.audit is None
    assert states[State.CONFORMS] == states[State.FAILS] == 0


def test_every_criterion_is_worded_in_both_languages_and_names_known_tests() -> None:
    grid = read_grid()
    for theme in grid.themes:
        for criterion in theme.criteria:
            assert criterion.words["fr"]
            assert criterion.words["en"]
            assert set(criterion.tested) <= set(grid.tests)


@pytest.mark.parametrize(("path", "language"), PAGES)
async def test_the_statement_says_first_that_nobody_audited(ask: Ask, path: str, language: str) -> None:
    text = (await ask(path)).text
    said = {"fr": "Accessibilité&nbsp;: non auditée", "en": "Accessibility: not audited"}[language]
    assert f"<h1>{said}</h1>" in text
    assert f'<html lang="{language}">' in text
    assert "04 00 00 00 00" in text


@pytest.mark.parametrize(("path", "language"), PAGES)
async def test_the_statement_needs_no_script_and_no_other_host(ask: Ask, path: str, language: str) -> None:
    answer = await ask(path)
    assert answer.headers["content-language"] == language
    assert not re.search(r"<script|<style|style=|https?://", answer.text)
    for link in re.findall(r'href="(/[^"#]*)"', answer.text):
        assert (await ask(link)).status_code == 200


@pytest.mark.parametrize(("path", "language"), PAGES)
async def test_the_statement_shows_one_table_for_each_theme(ask: Ask, path: str, language: str) -> None:
    text = (await ask(path)).text
    assert text.count("<caption") == len(CRITERIA)
    assert text.count('<th scope="row">') == sum(CRITERIA)
    assert "$" not in text
    assert {"fr": "non audité", "en": "not audited"}[language] in text
