"""Handing over: one letter of the same bytes until the node has it, refusals written down and told."""

from __future__ import annotations

import asyncio

import pytest

from mail_server import mime
from mail_server.delivery.feedback_told import failures
from mail_server.reports import watching
from mail_server.reports.documents import Source
from mail_server.reports.sending import Dispatcher
from mail_server.reports.spool import State
from mail_server.reports.watching import Watched, watch
from tests.nights import invented, order


async def until_empty(desk) -> None:
    await Dispatcher(desk).run(until_empty=True)


async def until_done(desk, number: int) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(Dispatcher(desk).run(until_empty=False, stop=stop))
    for _ in range(5000):
        counts = desk.spool.counts()
        if counts["sent"] + counts["refused"] >= number and not desk.spool.untold(1):
            break
        await asyncio.sleep(0.02)
    stop.set()
    await running


async def test_letters_go_out_in_groups_of_commands_after_tls_and_external(desk, node, pdf) -> None:
    for number in range(5):
        desk.take(order(invented(number), "Titre"), Source(pdf))
    async with node() as there:
        await until_empty(desk)
    assert len(there.reports) == 5
    said = [line.split(" ")[0] for line in there.lines]
    assert said.count("EHLO") == said.count("AUTH") <= 2
    assert "PLAIN" not in " ".join(there.lines)
    assert desk.spool.counts()["sent"] == 5


async def test_a_temporary_refusal_is_tried_again_with_the_same_bytes(desk, node, pdf) -> None:
    taken = desk.take(order(invented(1), "Titre"), Source(pdf))
    async with node(lambda _, times: "450 4.2.1 later" if times < 3 else "250 2.0.0 R1") as there:
        await until_done(desk, 1)
    assert len({data for _, data in there.reports}) == 1
    assert len(there.reports) == 3
    assert desk.spool.find(taken.reference).state is State.SENT


async def test_a_letter_cut_before_the_answer_goes_again_as_it_was(desk, node, pdf) -> None:
    desk.take(order(invented(1), "Titre"), Source(pdf))
    async with node(lambda _, times: "" if times == 1 else "250 2.0.0 R1") as there:
        await until_done(desk, 1)
    first, second = there.reports
    assert first == second


async def test_a_final_refusal_ends_it_with_its_cause_and_the_node_is_told(desk, node, pdf) -> None:
    taken = desk.take(order(invented(1), "Titre"), Source(pdf))
    async with node() as there:
        there.rcpt = lambda to: "250 ok" if to.startswith("suivi@") else "550 5.1.1 No such mailbox here"
        await until_done(desk, 1)
    row = desk.spool.find(taken.reference)
    assert (row.state, row.about.cause) == (State.REFUSED, "smtp-550-5-1-1")
    [(to, notice)] = there.letters
    assert to == "suivi@ch.essai.test"
    [told] = failures(notice, mime.parse(notice))
    assert told.message_id.decode() == row.about.message_id
    assert (told.address, told.cause) == (row.about.recipient, "smtp-550-5-1-1")


async def test_one_bad_letter_stops_no_other(desk, node, pdf) -> None:
    bad = desk.take(order(invented(1), "Titre") | {"to": "mauvais@ch.essai.test"}, Source(pdf))
    for number in range(2, 6):
        desk.take(order(invented(number), "Titre"), Source(pdf))
    async with node(lambda to, _: "554 5.6.0 bad" if to.startswith("mauvais") else "250 ok"):
        await until_done(desk, 5)
    counts = desk.spool.counts()
    assert (counts["sent"], counts["refused"]) == (4, 1)
    assert desk.spool.find(bad.reference).about.cause == "smtp-554-5-6-0"


async def test_a_node_under_another_name_gets_nothing(desk, node, pdf, settings) -> None:
    desk.take(order(invented(1), "Titre"), Source(pdf))
    async with node() as there:
        object.__setattr__(settings.node, "host", "127.0.0.2")
        await until_empty(desk)
    assert there.lines == []
    assert desk.spool.counts()["waiting"] == 1


# -- the watched folder -----------------------------------------------------------------------------------


def put(settings, name: str, told: object, content: bytes) -> None:
    import json

    (settings.watch.folder / f"{name}.pdf").write_bytes(content)
    text = told if isinstance(told, str) else json.dumps(told)
    (settings.watch.folder / f"{name}.json").write_text(text)


def names(settings, place: str) -> list[str]:
    return sorted(path.name for path in (settings.watch.folder / place).iterdir())


async def run(desk, settings) -> None:
    await watch(desk, settings.watch.folder, asyncio.Event(), once=True)


async def test_a_pair_is_sent_and_its_files_move_to_done_and_a_bad_one_to_refused(
    desk, node, pdf, settings
) -> None:
    put(settings, "bon", order(invented(1), "Titre"), pdf)
    put(settings, "mauvais", order(invented(2), "Titre") | {"type": "x"}, pdf)
    async with node() as there:
        await run(desk, settings)
    assert len(there.reports) == 1
    assert names(settings, "done") == ["bon.json", "bon.pdf"]
    assert names(settings, "refused") == ["mauvais.json", "mauvais.pdf", "mauvais.reason.txt"]
    assert names(settings, "taken") == []
    reason = (settings.watch.folder / "refused" / "mauvais.reason.txt").read_text()
    assert "le type de document" in reason
    assert invented(2)["family_name"] not in reason


async def test_a_document_alone_waits_for_its_index_then_is_refused(desk, pdf, settings) -> None:
    (settings.watch.folder / "seul.pdf").write_bytes(pdf)
    watched = Watched(desk, settings.watch.folder)
    assert watched.look(10) == []
    late = Watched(desk, settings.watch.folder, now=lambda: 4e9)
    assert [taken.slug for taken in late.look(10)] == ["index-missing"]


async def test_what_is_still_being_written_is_left_alone(desk, pdf, settings) -> None:
    object.__setattr__(settings.watch, "settle_seconds", 60)
    put(settings, "neuf", order(invented(1), "Titre"), pdf)
    assert Watched(desk, settings.watch.folder).look(10) == []


async def test_killed_between_the_spool_and_the_move_a_pair_is_one_report(
    desk, node, pdf, settings, monkeypatch
) -> None:
    put(settings, "bon", order(invented(1), "Titre"), pdf)
    with monkeypatch.context() as patch:
        patch.setattr(Watched, "_put_away", lambda *_: None)
        [first] = Watched(desk, settings.watch.folder).look(10)
    [second] = Watched(desk, settings.watch.folder).look(10)
    assert first.reference == second.reference
    async with node() as there:
        await run(desk, settings)
    assert len(there.reports) == 1
    assert names(settings, "done") == ["bon.json", "bon.pdf"]


@pytest.mark.parametrize(("kind", "place"), [("34112-3", "done"), ("x", "refused")])
async def test_killed_between_the_moves_of_two_files_a_pair_is_one_report(
    desk, node, pdf, settings, monkeypatch, kind, place
) -> None:
    put(settings, "paire", order(invented(1), "Titre") | {"type": kind}, pdf)
    with monkeypatch.context() as patch:
        move = watching._move
        patch.setattr(watching, "_move", lambda path, to: path.suffix == ".pdf" and move(path, to))
        patch.setattr(Watched, "_reason", lambda *_: None)
        Watched(desk, settings.watch.folder).look(10)
    assert [path.name for path in settings.watch.folder.iterdir() if path.is_file()] == ["paire.json"]
    async with node() as there:
        await run(desk, settings)
    assert len(there.reports) == (place == "done")
    assert [path.name for path in settings.watch.folder.iterdir() if path.is_file()] == []
    reasons = ["paire.reason.txt"] if place == "refused" else []
    assert names(settings, place) == ["paire.json", "paire.pdf", *reasons]
    assert sum(desk.spool.counts().values()) == 1


async def test_killed_between_the_answer_and_the_move_the_files_are_put_away_at_the_next_start(
    desk, node, pdf, settings, monkeypatch
) -> None:
    put(settings, "bon", order(invented(1), "Titre"), pdf)
    async with node() as there:
        with monkeypatch.context() as patch:
            patch.setattr(Watched, "done", lambda *_: None)
            await run(desk, settings)
        assert names(settings, "done") == []
        await run(desk, settings)
    assert len(there.reports) == 1
    assert names(settings, "done") == ["bon.json", "bon.pdf"]


async def test_the_same_files_put_there_again_are_another_report(desk, pdf, settings) -> None:
    references = set()
    for _ in range(2):
        put(settings, "bon", order(invented(1), "Titre"), pdf)
        [taken] = Watched(desk, settings.watch.folder).look(10)
        references.add(taken.reference)
    assert len(references) == 2


async def test_a_csv_names_many_documents_and_its_bad_rows_stop_no_other(desk, node, pdf, settings) -> None:
    fields = ["file", "type", "title", "date", *invented(1)]
    lines = [";".join(fields)]
    for number in range(4):
        (settings.watch.folder / f"d{number}.pdf").write_bytes(pdf if number != 2 else b"x")
        row = [f"d{number}.pdf", "34112-3", "Titre", "2026-11-20", *invented(number).values()]
        lines.append(";".join(row))
    lines.append(";".join(["../../etc/passwd", "34112-3", "Titre", "2026-11-20", *invented(9).values()]))
    (settings.watch.folder / "lot.csv").write_text("\r\n".join(lines) + "\r\n")
    async with node() as there:
        await run(desk, settings)
        await run(desk, settings)
    assert len(there.reports) == 3
    assert desk.spool.counts()["refused"] == 2
    assert "lot.csv" in names(settings, "done")


@pytest.mark.parametrize("after", ["remove", "move"])
async def test_what_becomes_of_the_hospitals_own_files_is_as_set(
    desk, node, pdf, settings, after: str
) -> None:
    object.__setattr__(settings.watch, "after", after)
    put(settings, "bon", order(invented(1), "Titre"), pdf)
    async with node():
        await run(desk, settings)
    assert names(settings, "done") == ([] if after == "remove" else ["bon.json", "bon.pdf"])


async def test_a_link_in_the_folder_leads_nowhere(desk, settings, tmp_path, pdf) -> None:
    (tmp_path / "secret.pdf").write_bytes(pdf)
    put(settings, "lien", order(invented(1), "Titre"), pdf)
    (settings.watch.folder / "lien.pdf").unlink()
    (settings.watch.folder / "lien.pdf").symlink_to(tmp_path / "secret.pdf")
    late = Watched(desk, settings.watch.folder, now=lambda: 4e9)
    assert [taken.slug for taken in late.look(10)] == ["document-missing"]
