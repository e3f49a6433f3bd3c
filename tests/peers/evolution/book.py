"""Evolution's address book without its window: its library asks, its own processes answer from an LDAP directory.

    dbus-run-session -- /usr/bin/python3 tests/peers/evolution/book.py

Run by Debian's Python, which has the bindings. `XDG_CONFIG_HOME` holds the sources, one file each, as Evolution keeps
them. Each line of the input is `{"book": SOURCE, "query": QUERY}`, with `password` where the source logs in, and with
`fetch`, the name of one entry, for `query`. Each line of the output is `{"found": [...]}` or `{"failed": ...}`.
"""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false

from __future__ import annotations

import json
import sys
from typing import Any

import gi

gi.require_version("EBook", "1.2")
gi.require_version("EBookContacts", "1.2")
gi.require_version("EDataServer", "1.2")
from gi.repository import EBook, EBookContacts, EDataServer, GLib  # noqa: E402

_SETTLED = (EDataServer.SourceConnectionStatus.CONNECTED, EDataServer.SourceConnectionStatus.DISCONNECTED)
_SHOWN = ("id", "full_name", "email_1", "org", "org_unit", "title", "nickname", "note")


def _waited(begin: Any, end: Any, *told: Any) -> Any:
    """What came of a question. It is asked beside the main loop, as a window asks: the blocking calls starve it."""
    loop = GLib.MainLoop()
    answers: list[Any] = []

    def answered(_: Any, result: Any) -> None:
        answers.append(result)
        loop.quit()

    begin(*told, None, answered)
    loop.run()
    return end(answers[0])


class Books:
    def __init__(self) -> None:
        self._registry = EDataServer.SourceRegistry.new_sync(None)
        self._open: dict[str, Any] = {}

    def book(self, name: str, password: str | None) -> Any:
        """Open; and logged in, where its source says so."""
        if name not in self._open:
            source = self._registry.ref_source(name)
            if password:
                _answer_with(source, password)
            opened: list[Any] = []
            EBook.BookClient.connect(source, 0, None, lambda _, result: opened.append(result))
            while not (opened and source.get_connection_status() in _SETTLED):
                GLib.MainContext.default().iteration(True)
            self._open[name] = EBook.BookClient.connect_finish(opened[0])
        return self._open[name]


def _answer_with(source: Any, password: str) -> None:
    """Once, when credentials are asked for, as the window that asks for them."""
    given = EDataServer.NamedParameters.new()
    given.set("password", password)
    asked: list[Any] = []

    def answer(_: Any, reason: Any, *rest: Any) -> None:
        if not asked:
            asked.append(reason)
            source.invoke_authenticate(given, None, None)

    source.connect("credentials-required", answer)


def _told(contact: Any) -> dict[str, Any]:
    """What Evolution shows of somebody."""
    told = {name: contact.get_property(name) for name in _SHOWN}
    card: str = contact.to_string(getattr(EBookContacts.VCardFormat, "30"))
    for line in card.replace("\r\n ", "").splitlines():
        if line.startswith("KEY;") and "X509" in line:
            told["certificate"] = line.partition(":")[2]  # base64 of DER
    return told


def main() -> None:
    books = Books()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            book = books.book(asked["book"], asked.get("password"))
            if "fetch" in asked:
                found = [_waited(book.get_contact, book.get_contact_finish, asked["fetch"])[1]]
            else:
                found = _waited(book.get_contacts, book.get_contacts_finish, asked["query"])[1]
            answer: dict[str, Any] = {"found": [_told(one) for one in found]}
        except GLib.Error as refused:
            answer = {"failed": str(refused)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
