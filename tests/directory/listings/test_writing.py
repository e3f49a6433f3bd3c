"""What comes into the listings, and what is then shown, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from directory.listings import reading
from directory.listings.cards import Cards
from directory.listings.database import ListingsDatabase, Sql
from directory.listings.rows import Row
from directory.listings.situation_id import situation_id
from directory.listings.writing import (
    Written,
    put_mailboxes,
    put_situations,
    reinstate,
    remove_mailboxes,
    remove_situations,
    settle,
    strike_off,
)
from directory.model import Coded, Kind, Mailbox, Organisation, Origin, Place, Professional, Situation

LYON = Place(street="5 RUE DES ÉCOLES", postcode="69003", commune="LYON", department="69")
CLINIC = Organisation("1690000005", name="CLINIQUE DES CÈDRES", place=LYON)
ZOE = Professional("899700000019", "Dr", "MARTIN", "Zoé", Coded("10", "Médecin"))
PAUL = Professional("899700000027", "Dr", "DUPONT", "Paul", Coded("10", "Médecin"))
BOX = Mailbox("zoe.martin@lyon.mssante.fr", Kind.PER, (ZOE,), CLINIC, Coded("SM04", "Cardiologie"))
PRACTICE = Situation(ZOE, CLINIC, Coded("SM04", "Cardiologie"), Coded("S", "Salarié"), LYON)


def put(database: ListingsDatabase, *mailboxes: Mailbox, at: int = 1, publisher: str = "") -> Written:
    return database.write(lambda sql: put_mailboxes(sql, mailboxes, publisher, at))


def practise(database: ListingsDatabase, *situations: Situation, at: int = 1) -> Written:
    return database.write(lambda sql: put_situations(sql, situations, at))


def cards(database: ListingsDatabase) -> list[tuple[str, ...]]:
    """(address, national_id, family) of each card, in order; every one is found by its index and no other is."""

    def look(sql: Sql) -> list[tuple[str, ...]]:
        if sql.dialect == "sqlite":
            sql.run("INSERT INTO card_index (card_index, rank) VALUES ('integrity-check', 1)")
        return sql.all("SELECT address, national_id, family FROM card ORDER BY address, national_id, family")

    return database.write(look)


def found(database: ListingsDatabase, word: str) -> list[str]:
    """Addresses of the cards that the index finds by a word."""

    def look(sql: Sql) -> list[str]:
        if sql.dialect == "sqlite":
            asked = (
                "SELECT c.address FROM card_index i JOIN card c ON c.id = i.rowid WHERE card_index MATCH ?"
            )
        else:
            asked = "SELECT address FROM card WHERE index @@ to_tsquery('simple', ?)"
        return [row[0] for row in sql.all(asked, (word,))]

    return database.read(look)


def generation(database: ListingsDatabase) -> int:
    row = database.read(lambda sql: sql.one("SELECT value FROM state WHERE name = 'generation'"))
    return row[0] if row else 0


def test_a_mailbox_is_found_by_its_holder_s_name(database: ListingsDatabase) -> None:
    assert put(database, BOX).added == (BOX.address,)
    assert found(database, "zoe") == [BOX.address]
    assert found(database, "cardiologie") == [BOX.address]
    kept = database.read(lambda sql: reading.mailbox(sql, BOX.address))
    assert kept is not None
    assert kept.value == BOX
    assert kept.updated_at == 1


def test_the_same_again_writes_nothing(database: ListingsDatabase) -> None:
    put(database, BOX)
    practise(database, PRACTICE)
    before = generation(database)
    assert put(database, BOX, at=2) == Written()
    assert practise(database, PRACTICE, at=2) == Written()
    assert generation(database) == before
    kept = database.read(lambda sql: reading.professional(sql, ZOE.national_id))
    assert kept is not None
    assert kept.updated_at == 1


def test_a_changed_name_is_found_and_the_former_is_not(database: ListingsDatabase) -> None:
    put(database, BOX)
    renamed = replace(BOX, holders=(replace(ZOE, family="LÉGER"),))
    assert put(database, renamed, at=2) == Written()  # of the mailbox itself nothing changed
    assert found(database, "leger") == [BOX.address]
    assert found(database, "martin") == [BOX.address]  # still a word of the address
    assert cards(database) == [(BOX.address, ZOE.national_id, "LÉGER")]


def test_a_red_mailbox_has_no_card_and_is_deliverable(database: ListingsDatabase) -> None:
    put(database, replace(BOX, red_list=True))
    assert cards(database) == []
    assert found(database, "zoe") == []
    assert database.read(lambda sql: reading.mailbox(sql, BOX.address)) is None
    assert database.read(lambda sql: reading.mailboxes_of(sql, ZOE.national_id)) == ()
    assert database.read(lambda sql: reading.mailboxes_of(sql, CLINIC.national_id)) == ()
    assert database.read(lambda sql: reading.deliverable(sql, "Zoe.Martin@lyon.mssante.fr")) is True


def test_a_mailbox_gone_red_is_no_longer_shown_and_comes_back(database: ListingsDatabase) -> None:
    put(database, BOX)
    put(database, replace(BOX, red_list=True), at=2)
    assert cards(database) == []
    put(database, BOX, at=3)
    assert found(database, "martin") == [BOX.address]


def test_what_is_unknown_of_a_known_domain_is_not_deliverable(database: ListingsDatabase) -> None:
    put(database, BOX)
    assert database.read(lambda sql: reading.deliverable(sql, "nobody@lyon.mssante.fr")) is False
    assert database.read(lambda sql: reading.deliverable(sql, "nobody@paris.mssante.fr")) is None


def test_a_practice_of_somebody_without_an_address_is_shown(database: ListingsDatabase) -> None:
    assert practise(database, PRACTICE).added == (str(situation_id(PRACTICE)),)
    assert cards(database) == [("", ZOE.national_id, "MARTIN")]


def test_a_practice_of_somebody_with_an_address_is_not_shown_beside_it(database: ListingsDatabase) -> None:
    practise(database, PRACTICE)
    put(database, BOX, at=2)
    assert cards(database) == [(BOX.address, ZOE.national_id, "MARTIN")]
    kept = database.read(lambda sql: reading.situations_of(sql, ZOE.national_id))
    assert [one.value for one in kept] == [PRACTICE]
    database.write(lambda sql: remove_mailboxes(sql, [BOX.address], 3))
    assert cards(database) == [("", ZOE.national_id, "MARTIN")]


def test_who_hides_their_address_is_shown_where_they_practise(database: ListingsDatabase) -> None:
    put(database, replace(BOX, red_list=True))
    practise(database, PRACTICE, at=2)
    assert cards(database) == [("", ZOE.national_id, "MARTIN")]


def test_a_removed_practice_is_no_longer_shown(database: ListingsDatabase) -> None:
    practise(database, PRACTICE)
    database.write(lambda sql: remove_situations(sql, [str(situation_id(PRACTICE))], 2))
    assert cards(database) == []
    assert database.read(lambda sql: reading.situation(sql, str(situation_id(PRACTICE)))) is None


def test_nothing_of_somebody_struck_off_is_shown(database: ListingsDatabase) -> None:
    put(database, BOX)
    practise(database, replace(PRACTICE, mode=Coded("L", "Libéral")))
    told = database.write(lambda sql: strike_off(sql, [ZOE.national_id, PAUL.national_id], 5))
    assert told.changed == (ZOE.national_id, PAUL.national_id)
    assert cards(database) == []
    assert database.read(lambda sql: reading.professional(sql, ZOE.national_id)) is None
    assert database.read(lambda sql: reading.mailbox(sql, BOX.address)) is None
    assert database.read(lambda sql: reading.situations_of(sql, ZOE.national_id)) == ()
    assert database.read(lambda sql: reading.deliverable(sql, BOX.address)) is True
    database.write(lambda sql: reinstate(sql, [ZOE.national_id], 6))
    assert cards(database) == [(BOX.address, ZOE.national_id, "MARTIN")]


def test_who_is_struck_off_already_is_not_struck_off_again(database: ListingsDatabase) -> None:
    put(database, BOX)
    database.write(lambda sql: strike_off(sql, [ZOE.national_id], 5))
    assert database.write(lambda sql: strike_off(sql, [ZOE.national_id], 6)) == Written()


def test_an_import_does_not_write_over_an_account_of_ours(database: ListingsDatabase) -> None:
    put(database, replace(BOX, origin=Origin.OWN, service="", rank=2))
    told = put(database, BOX, at=2)
    assert told.refused == (BOX.address,)
    kept = database.read(lambda sql: reading.mailbox(sql, BOX.address))
    assert kept is not None
    assert (kept.value.origin, kept.value.rank) == (Origin.OWN, 2)


def test_our_account_takes_an_address_from_the_national_file(database: ListingsDatabase) -> None:
    put(database, BOX)
    assert put(database, replace(BOX, origin=Origin.OWN), at=2).changed == (BOX.address,)
    assert database.write(lambda sql: remove_mailboxes(sql, [BOX.address], 3, Origin.NATIONAL)) == Written()
    assert len(cards(database)) == 1


def test_the_national_file_is_right_about_names(database: ListingsDatabase) -> None:
    put(database, BOX)
    told = replace(ZOE, family="MARTEAU", category=Coded("C", "Civil"))
    put(database, replace(BOX, address="z@clinic.fr", origin=Origin.PUBLISHED, holders=(told,)), at=2)
    kept = database.read(lambda sql: reading.professional(sql, ZOE.national_id))
    assert kept is not None
    assert (kept.value.family, kept.value.category.code) == ("MARTIN", "C")  # what was missing is filled in


def test_our_own_word_holds_where_no_national_file_spoke(database: ListingsDatabase) -> None:
    own = replace(BOX, origin=Origin.OWN)
    put(database, own)
    put(database, replace(own, holders=(replace(ZOE, family="MARTEAU"),)), at=2)
    assert cards(database)[0][2] == "MARTEAU"


def test_a_practice_s_address_shows_who_answers_for_it(database: ListingsDatabase) -> None:
    shared = Mailbox("cabinet@lyon.mssante.fr", Kind.CAB, (PAUL, ZOE), description="Cabinet des Cèdres")
    put(database, shared)
    assert cards(database) == [(shared.address, PAUL.national_id, "")]
    assert found(database, "martin") == [shared.address]
    database.write(lambda sql: strike_off(sql, [PAUL.national_id], 2))
    assert cards(database) == [(shared.address, ZOE.national_id, "")]
    assert found(database, "dupont") == []


def test_a_service_is_found_by_its_organisation_and_place(database: ListingsDatabase) -> None:
    ward = Mailbox("cardio@cedres.mssante.fr", Kind.ORG, (), CLINIC, service="Cardiologie")
    put(database, ward)
    for word in ("cardiologie", "cedres", "lyon", "69003", "rhone"):
        assert found(database, word) == [ward.address], word


def test_a_renamed_organisation_is_found_by_its_new_name(database: ListingsDatabase) -> None:
    wards = [
        Mailbox(f"ward{number}@cedres.mssante.fr", Kind.ORG, (), CLINIC, service=f"Service {number}")
        for number in range(7)
    ]
    put(database, *wards)
    practise(database, PRACTICE)
    renamed = replace(CLINIC, name="CLINIQUE DU PARC")
    put(database, replace(wards[0], organisation=renamed), at=2)
    while database.write(lambda sql: settle(sql, 2, limit=2)):
        pass
    assert len(found(database, "parc")) == 8


def test_what_is_never_public_is_in_no_answer(database: ListingsDatabase) -> None:
    ward = Mailbox(
        "bloc@cedres.mssante.fr", Kind.ORG, (), CLINIC, responsible="Marthe RIVAL", phone="0400000000"
    )
    put(database, ward)
    kept = database.read(lambda sql: reading.mailbox(sql, ward.address))
    assert kept is not None
    assert (kept.value.responsible, kept.value.phone) == ("", "")
    assert found(database, "rival") == []
    practise(database, replace(PRACTICE, phone="0411111111"))
    rows = database.read(lambda sql: sql.all("SELECT * FROM situation"))
    assert "0411111111" not in repr(rows)


def test_whoever_follows_changes_sees_a_mailbox_go(database: ListingsDatabase) -> None:
    put(database, BOX)
    database.write(lambda sql: remove_mailboxes(sql, [BOX.address], 9))
    person = database.read(lambda sql: reading.professional(sql, ZOE.national_id))
    place = database.read(lambda sql: reading.organisation(sql, CLINIC.national_id))
    assert person is not None
    assert place is not None
    assert (person.updated_at, place.updated_at) == (9, 9)


def test_what_is_told_empty_takes_nothing_away(database: ListingsDatabase) -> None:
    put(database, BOX)
    put(database, replace(BOX, organisation=Organisation(CLINIC.national_id, brand="CÈDRES")), at=2)
    place = database.read(lambda sql: reading.organisation(sql, CLINIC.national_id))
    assert place is not None
    assert place.value == replace(CLINIC, brand="CÈDRES")


def test_mailboxes_of_somebody_come_by_rank(database: ListingsDatabase) -> None:
    second = replace(BOX, address="a@lyon.mssante.fr", rank=2)
    put(database, second, BOX)
    kept = database.read(lambda sql: reading.mailboxes_of(sql, ZOE.national_id))
    assert [one.value.address for one in kept] == [BOX.address, second.address]
    assert len(database.read(lambda sql: reading.mailboxes_of(sql, CLINIC.national_id))) == 2


def test_a_new_holder_takes_a_mailbox_over(database: ListingsDatabase) -> None:
    practise(database, PRACTICE)
    put(database, BOX)
    assert put(database, replace(BOX, holders=(PAUL,)), at=2).changed == (BOX.address,)
    assert cards(database) == [
        ("", ZOE.national_id, "MARTIN"),
        (BOX.address, PAUL.national_id, "DUPONT"),
    ]


def test_who_hides_a_mailbox_waits_for_who_makes_its_card_anew(
    database: ListingsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import that read it while it was shown must not show it again."""
    put(database, BOX)
    due = "INSERT INTO organisation_due (national_id) VALUES (?)"
    database.write(lambda sql: sql.run(due, (CLINIC.national_id,)))
    read, hidden = threading.Event(), threading.Event()
    entirely = Cards.of_mailboxes

    def slowly(made: Cards, rows: Sequence[Row], holders: dict[str, tuple[str, ...]]) -> set[str]:
        if threading.current_thread().name == "import":
            read.set()
            hidden.wait(0.4)
        return entirely(made, rows, holders)

    monkeypatch.setattr(Cards, "of_mailboxes", slowly)

    def hide() -> None:
        put(database, replace(BOX, red_list=True), at=3)
        hidden.set()

    importing = threading.Thread(target=lambda: database.write(lambda sql: settle(sql, 2)), name="import")
    importing.start()
    assert read.wait(5)
    hiding = threading.Thread(target=hide)
    hiding.start()
    importing.join()
    hiding.join()
    assert cards(database) == []
