"""The page's own side, without doors: see `tests/webmail/office.py`."""

from __future__ import annotations

from tests.webmail.login.providers import idp as idp
from tests.webmail.office import office as office
