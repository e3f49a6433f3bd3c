"""Who may write into the watched folder may be anybody: what they put there stops no report of the others."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from mail_server.reports.spool import SpoolUnusable
from mail_server.reports.watching import Watched, watch
from tests.nights import invented, order


def put(settings, name: bytes, told: object, content: bytes) -> None:
    folder = os.fsencode(settings.watch.folder)
    text = json.dumps(told)
    for ending, octets in ((b".pdf", content), (b".json", text.encode())):
        with open(os.path.join(folder, name + ending), "wb") as file:
            file.write(octets)


async def run(desk, settings) -> None:
    await watch(desk, settings.watch.folder, asyncio.Event(), once=True)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param(b"r\xe9sultat", {}, id="a name that is no UTF-8"),
        pytest.param(b"a\nb", {}, id="a name of two lines"),
        pytest.param(b"x" * 250, {}, id="a name too long to have anything beside it"),
        pytest.param(b"...", {}, id="a name of dots"),
        pytest.param(b"b", {"title": "\ud800"}, id="half a character in the title"),
        pytest.param(b"b", {"message": "\udfff"}, id="half a character in the words"),
        pytest.param(b"b", {"title": "Bilan\x85Bcc: a@b.test"}, id="a control character of the second table"),
        pytest.param(b"b", {"title": "Bilan\u2028Bcc: a@b.test"}, id="a line separator"),
        pytest.param(b"b", {"to": "a@b.test\r\nBcc: c@d.test"}, id="an address of two lines"),
        pytest.param(
            b"b", {"to": "\ud800@b.test", "type": "x"}, id="half a character in the address of a refused one"
        ),
        pytest.param(b"b", {"author": {"family_name": "\ud800"}}, id="half a character in a name"),
        pytest.param(b"b", {"confidentiality": [["N"]]}, id="a list where a code should be"),
        pytest.param(b"b", {"confidentiality": ["\ud800"]}, id="half a character for a code"),
        pytest.param(b"b", {"type": "\ud800"}, id="half a character for a type"),
        pytest.param(b"b", {"replaces": "\ud800"}, id="half a character in a reference"),
        pytest.param(b"b", {"replaces": {"a": 1}}, id="an object for a reference"),
        pytest.param(b"b", {"date": "2026-W01-1"}, id="a date by weeks"),
        pytest.param(b"b", {"patient": {"ins": 1e308}}, id="a number for a number"),
    ],
)
async def test_what_somebody_puts_there_stops_no_other_report(
    desk, node, pdf, settings, name, changes
) -> None:
    put(settings, name, order(invented(1), "Titre") | changes, pdf)
    put(settings, b"zz-bon", order(invented(2), "Titre"), pdf)
    async with node() as there:
        await asyncio.wait_for(run(desk, settings), 120)
    good = [data for _, data in there.reports]
    assert invented(2)["ins"].lower()[:13] in " ".join(to for to, _ in there.reports)
    assert all(data.count(b"\r\nBcc:") == 0 for data in good)
    assert Watched(desk, settings.watch.folder).look(10) == []


async def test_a_pipe_put_in_the_place_of_a_document_is_not_waited_for(
    desk, settings, pdf, monkeypatch
) -> None:
    put(settings, b"tuyau", order(invented(1), "Titre"), pdf)
    document = settings.watch.folder / "tuyau.pdf"
    listed = Watched._complete

    def swapped(self: Watched):
        found = list(listed(self))
        document.unlink()
        os.mkfifo(document)
        return iter(found)

    monkeypatch.setattr(Watched, "_complete", swapped)
    [taken] = await asyncio.wait_for(
        asyncio.to_thread(Watched(desk, settings.watch.folder).look, 10), timeout=60
    )
    assert taken.slug == "document-missing"


def test_a_folder_whose_own_places_lead_elsewhere_is_not_watched(desk, settings, tmp_path) -> None:
    (tmp_path / "ailleurs").mkdir()
    (settings.watch.folder / "refused").symlink_to(tmp_path / "ailleurs")
    with pytest.raises(SpoolUnusable):
        Watched(desk, settings.watch.folder)
    assert list((tmp_path / "ailleurs").iterdir()) == []
