"""A few words for a browser: "Firefox, Android". Only so much of a User-Agent is kept.

Invariant: any text gives a label of a closed list; nothing a client sends reaches the database or a screen.
"""

from __future__ import annotations

import re

_LONGEST = 512
# The first that fits: every other browser also claims to be Chrome and Safari.
_BROWSERS = (
    ("Edge", re.compile(r"\bEdg(?:e|A|iOS)?/")),
    ("Opera", re.compile(r"\bOPR/|\bOpera\b")),
    ("Samsung Internet", re.compile(r"\bSamsungBrowser/")),
    ("Firefox", re.compile(r"\b(?:Firefox|FxiOS)/")),
    ("Chromium", re.compile(r"\bChromium/")),
    ("Chrome", re.compile(r"\b(?:Chrome|CriOS|HeadlessChrome)/")),
    ("Safari", re.compile(r"\bSafari/")),
)
_SYSTEMS = (
    ("Android", re.compile(r"\bAndroid\b")),
    ("iPhone", re.compile(r"\biPhone\b")),
    ("iPad", re.compile(r"\biPad\b")),
    ("Windows", re.compile(r"\bWindows\b")),
    ("Mac", re.compile(r"\bMacintosh\b|\bMac OS X\b")),
    ("ChromeOS", re.compile(r"\bCrOS\b")),
    ("Linux", re.compile(r"\bLinux\b|\bX11\b")),
)


def label(user_agent: str) -> str:
    """What to call a browser; "" when nothing is known of it."""
    text = user_agent[:_LONGEST]
    browser = next((name for name, shape in _BROWSERS if shape.search(text)), "")
    system = next((name for name, shape in _SYSTEMS if shape.search(text)), "")
    return ", ".join(part for part in (browser, system) if part)
