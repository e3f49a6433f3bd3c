"""What LDAP costs: a message read, an entry written, beside sansldap; a search, beside the listings alone.

`python -m tests.bench.ldap_search --database listings.db` asks a door on these listings from a process of its own, and
prints CPU of the door per search, waiting of the client, and the bare `ListingsService.search` of the same words.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path

import sansldap
import uvloop

from directory.ldap.entries import Tree, entry_of
from directory.ldap.protocol import Connection
from directory.ldap.selection import Selection
from directory.ldap.server import LdapDoor
from directory.ldap.settings import LdapSettings
from directory.listings.database import ListingsDatabase
from directory.listings.interface import AddressMatch, Query
from directory.listings.service import ListingsService
from directory.model import Card
from tests.directory.ldap.asking import Caller
from tests.directory.ldap.listed import PEOPLE, Free, Logins

_ROUNDS = 300
THUNDERBIRD = "(|(cn=*{0}*)(mail=*{0}*)(givenName=*{0}*)(sn=*{0}*))"
KINDS: dict[str, tuple[str, Callable[[Card], str], Callable[[Card], Query]]] = {
    "address": (
        "(mail={0})",
        lambda card: card.address,
        lambda card: Query(
            address=card.address, address_match=AddressMatch.EXACT, typos=False, ranked=False, limit=41
        ),
    ),
    "thunderbird": (
        THUNDERBIRD,
        lambda card: f"{card.family[:5]}",
        lambda card: Query(text=card.family[:5], typos=False, limit=41),
    ),
    "full_name": (
        "(cn={0})",
        lambda card: f"{card.given} {card.family}",
        lambda card: Query(text=f"{card.given} {card.family}", typos=False, limit=41),
    ),
    "name_and_town": (
        "(&(sn={0})(l=" + "{1}))",
        lambda card: card.family,
        lambda card: Query(text=card.family, commune=card.commune, typos=False, limit=41),
    ),
}


def codec() -> dict[str, float]:
    """Microseconds, the best of several."""
    filter_ = sansldap.LDAPFilter.from_string(THUNDERBIRD.format("jean"))
    client = sansldap.LDAPClient()
    client.search_request(
        "dc=mssante,dc=fr", sansldap.SearchScope.SUBTREE, filter=filter_, attributes=["cn", "mail", "sn", "o"]
    )
    asked = client.data_to_send()
    entry = entry_of(PEOPLE[0], Tree.at("dc=mssante,dc=fr"), lambda _: (), lambda _: None)
    selection = Selection(("*",))
    shown = [(kind, list(values)) for kind, values in selection.shown(entry)]
    theirs = [sansldap.PartialAttribute(kind, values) for kind, values in shown]

    def read() -> object:
        core = Connection()
        core.receive(asked)
        return core.next_event()

    def read_by_sansldap() -> object:
        return sansldap.LDAPServer().receive(asked)

    def write() -> object:
        return selection.encoded(1, entry)

    server = sansldap.LDAPServer()
    server.receive(asked)

    def write_by_sansldap() -> object:
        server.search_result_entry(1, str(entry.name), theirs)
        return server.data_to_send()

    return {
        name: round(min(timeit.repeat(work, number=300, repeat=7)) / 300 * 1e6, 1)
        for name, work in (
            ("read_search_us", read),
            ("read_search_sansldap_us", read_by_sansldap),
            ("write_entry_us", write),
            ("write_entry_sansldap_us", write_by_sansldap),
        )
    }


def _asked(kind: str, card: Card) -> str:
    template, words, _ = KINDS[kind]
    return template.format(words(card), card.commune).replace("\\", "")


async def _client(port: int, wanted: Path) -> None:
    """A process of its own: asks what the file says, tells how long each answer took (ms)."""
    caller, took = await Caller.to(port), list[float]()
    for what in json.loads(wanted.read_text()):
        began = time.perf_counter()
        _, done = await caller.look(what, attributes=("cn", "mail"), size=20)
        if done.code not in (0, 4, 11):
            raise SystemExit(f"answered {done.code} {done.words}")
        took.append((time.perf_counter() - began) * 1e3)
    print(json.dumps(took))


async def _through_the_door(
    service: ListingsService, cards: list[Card], folder: Path
) -> dict[str, dict[str, float]]:
    door = LdapDoor(
        LdapSettings(host="127.0.0.1", port=0, tls_port=None),
        listings=service,
        harvest=Free(),
        logins=Logins(),
        tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        certificates=lambda _: (),
        capabilities=lambda _: None,
        place=lambda address: address,
    )
    await door.start()
    found: dict[str, dict[str, float]] = {}
    for kind, (_, _, query) in KINDS.items():
        some = [card for card in cards if card.family and card.given and card.commune][:_ROUNDS]
        wanted = folder / f"{kind}.json"
        wanted.write_text(json.dumps([_asked(kind, card) for card in some]))
        for warm in some[:20]:
            service.search(query(warm))
        began = time.process_time()
        for card in some:
            service.search(query(card))
        bare = (time.process_time() - began) / len(some) * 1e3
        before = time.process_time()
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.ldap_search", "--client", str(door.ports[0]), str(wanted)),
            stdout=subprocess.PIPE,
        )
        told, _ = await client.communicate()
        took = sorted(json.loads(told))
        found[kind] = {
            "door_cpu_ms": round((time.process_time() - before) / len(some) * 1e3, 3),
            "bare_cpu_ms": round(bare, 3),
            "p50_ms": round(statistics.median(took), 2),
            "p95_ms": round(took[int(len(took) * 0.95)], 2),
        }
    await door.stop()
    return found


def _some_cards(service: ListingsService, database: ListingsDatabase) -> list[Card]:
    row = database.read(lambda sql: sql.one("SELECT max(id) FROM card"))
    highest, chance = int(row[0]) if row else 0, random.Random(3)
    found: list[Card] = []
    for _ in range(_ROUNDS * 3):
        after = chance.randrange(highest)
        found += service.search(Query(ranked=False, typos=False, after=after, limit=1)).cards
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--database", type=Path)
    options.add_argument("--client", nargs=2)
    wanted = options.parse_args()
    if wanted.client:
        asyncio.run(_client(int(wanted.client[0]), Path(wanted.client[1])))
        return
    print(json.dumps(codec()), flush=True)
    if wanted.database is None:
        return
    database = ListingsDatabase(wanted.database)
    service = ListingsService(database, lambda: time.time_ns() // 1_000_000)
    cards = _some_cards(service, database)
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        print(json.dumps(runner.run(_through_the_door(service, cards, Path(folder)))))
    database.close()


if __name__ == "__main__":
    main()
