"""Mailboxes that others published under somebody's name: found, told of once, objected to. On both databases."""

from __future__ import annotations

from directory.listings import elsewhere
from directory.listings.database import ListingsDatabase
from directory.listings.writing import put_mailboxes, remove_mailboxes
from directory.model import Kind, Mailbox, Origin, Professional

ZOE, LOU = "899700000005", "899700000013"
SHARED = "cabinet@autre.mssante.test"


def publish(
    database: ListingsDatabase, address: str, *holders: str, origin: Origin = Origin.PUBLISHED
) -> None:
    kind = Kind.PER if len(holders) == 1 else Kind.CAB
    box = Mailbox(address, kind, tuple(Professional(one, family="Nom") for one in holders), origin=origin)
    database.write(lambda sql: put_mailboxes(sql, [box], "Autre", at=1))


def naming(database: ListingsDatabase, *national_ids: str) -> list[elsewhere.Elsewhere]:
    return database.read(lambda sql: elsewhere.naming(sql, national_ids))


def test_what_names_somebody_is_found_with_who_published_it(database: ListingsDatabase) -> None:
    publish(database, SHARED, ZOE, LOU)
    publish(database, "zoe@ici.mssante.test", ZOE, origin=Origin.OWN)
    publish(database, "lou@loin.mssante.test", LOU, origin=Origin.NATIONAL)
    assert naming(database, ZOE) == [elsewhere.Elsewhere(SHARED, ZOE, "Autre", "CAB")]
    assert [one.national_id for one in naming(database, ZOE, LOU)] == [ZOE, LOU]
    assert naming(database, "899700000021") == []


def test_what_was_told_is_kept_until_the_mailbox_is_gone(database: ListingsDatabase) -> None:
    publish(database, SHARED, ZOE, LOU)
    database.write(lambda sql: elsewhere.told(sql, naming(database, ZOE), 7))
    assert [one.told_at for one in naming(database, ZOE, LOU)] == [7, None]
    database.write(lambda sql: remove_mailboxes(sql, [SHARED], 8, Origin.PUBLISHED))
    (gone,) = naming(database, ZOE, LOU)
    assert (gone.listed, gone.told_at) == (False, 7)
    database.write(lambda sql: elsewhere.forget(sql, [gone]))
    assert naming(database, ZOE, LOU) == []


def test_an_objection_outlasts_the_mailbox_until_it_is_lifted(database: ListingsDatabase) -> None:
    publish(database, SHARED, ZOE, LOU)
    database.write(lambda sql: elsewhere.object_to(sql, SHARED, [ZOE], "pas à elle", 9))
    (left,) = naming(database, ZOE, LOU)
    assert (left.listed, left.objected_at, left.reason) == (False, 9, "pas à elle")
    database.write(lambda sql: elsewhere.forget(sql, [left]))
    assert database.read(lambda sql: elsewhere.objects(sql, SHARED, [LOU, ZOE]))
    assert not database.read(lambda sql: elsewhere.objects(sql, SHARED, [LOU]))
    assert database.write(lambda sql: elsewhere.lift(sql, SHARED)) == 1
    assert naming(database, ZOE, LOU) == []
