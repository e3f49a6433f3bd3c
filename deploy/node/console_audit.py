"""What an administrator can ask of the trace: show, verify, heads, export, purge.

Invariants: what is exported or purged is itself told in the trace; an export names persons by their addresses and holds
no content, since the trace holds none.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hmac
import json
import logging
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.node import logs
from deploy.node.audit_verification import Database, Verdict, Wishes, notices, sentences, verify_all
from deploy.node.composition import Node, now
from deploy.node.console_named import account_named
from deploy.node.control import CommandFailed, Report, unheard
from mail_server.store.model import AccountId
from mail_server.store.store import connector_for
from policies.audit.classes import Retention
from policies.audit.entry import Entry
from policies.audit.query import Filter, Place, find, of_parties, place_of
from policies.audit.trail import heads_of
from policies.interface import Event
from policies.retention.periods import day_of
from policies.retention.purge import Due, all_due, empty

_log = logging.getLogger("vaguemestre.audit")
_FIRST_PURGE, _NEXT_PURGE = 3600.0, 86_400.0  # s
_MOST_SHOWN = 10_000
_PAGE = 2_000  # entries of an export in one answer
_SEAL = secrets.token_bytes(32)  # of this process: an export that a restart interrupts begins again
_BATCH = 500  # entries emptied in one transaction
_TRIES, _PAUSE = 20, 0.25


class AuditCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def audit_show(
        self, limit: int, action: str | None, address: str | None, reference: str | None
    ) -> list[dict[str, Any]]:
        wanted = Filter(
            action=action or "",
            party=self._party(address) if address else "",
            reference=reference or "",
            last=max(1, min(limit, _MOST_SHOWN)),
        )
        await self._node.trace.settle()  # what was answered before the question is in the answer
        entries = await self._node.store.read(lambda reader: find(reader.sql, wanted))
        return self._rows(entries)

    async def audit_verify(
        self, report: Report, heads: str | None = None, key: str | None = None
    ) -> dict[str, Any]:
        config = self._node.config
        wishes = Wishes(config.policies.periods, now(), Path(heads) if heads else None, key)
        verdicts = await verify_all(Database(config.store, self._node.home.path), wishes, report)
        return verdict_json(verdicts, self._node.trail.chain)

    async def audit_heads(self) -> dict[str, Any]:
        chain = self._node.trail.chain
        await self._node.heads.note("asked")
        found = await self._node.store.read(lambda reader: heads_of(reader.sql, chain))
        path = self._node.config.policies.audit_heads
        return {
            "chain": chain,
            "key": self._node.heads.public,
            "file": str(path) if path else None,
            "noted": _time(self._node.heads.noted_at) if self._node.heads.noted_at else None,
            "seq": found.seq,
            "heads": [
                {"class": each.word, "day": day_of(day).isoformat(), "link": link.hex()}
                for each in Retention
                for day, link in [found.of(each)]
                if day >= 0
            ],
        }

    async def audit_export(
        self, persons: Sequence[str], since: int, until: int, after: Sequence[Any] | None
    ) -> dict[str, Any]:
        """One page of what concerns these persons in a period; `after` is the page before's `next`, as it was given:
        an export that begins in the middle would be one that the trace does not tell of."""
        parties = [self._party(person) for person in persons]
        if not parties:
            raise CommandFailed("Name at least one person.")
        if after is None:
            detail = {"count": str(len(parties)), "since": _time(since), "until": _time(until)}
            told = [
                Event("audit-export", now(), self._by, one, detail=detail, door="console") for one in parties
            ]
            trail = self._node.trail
            await self._node.store.write(lambda transaction: trail.append(transaction.sql, told))
        asked = [self._by, *parties, str(since), str(until)]
        start = Place(since, "", 0) if after is None else _going_on(after, asked)
        entries = await self._node.store.read(
            lambda reader: of_parties(reader.sql, parties, start, until, _PAGE)
        )
        following = place_of(entries[-1]) if len(entries) == _PAGE else None
        told_next = (
            None if following is None else [*dataclasses.astuple(following), _sealed(following, asked)]
        )
        return {"entries": self._rows(entries), "next": told_next}

    async def audit_purge(self, report: Report, dry_run: bool) -> dict[str, Any]:
        return await purge(self._node, self._by, dry_run, report)

    def _party(self, address: str) -> str:
        if address.startswith(("console:", "provider:")):
            return address
        return account_named(self._node.accounts, address).id

    def _rows(self, entries: Sequence[Entry]) -> list[dict[str, Any]]:
        addresses = {account.id: account.address for account in self._node.accounts.all()}

        def name(party: str) -> str:
            return addresses.get(AccountId(party), party)

        return [
            {
                "seq": entry.seq,
                "chain": entry.chain,
                "time": _time(entry.at),
                "class": Retention(entry.retention).word,
                "action": entry.action,
                "who": name(entry.actor),
                "on": name(entry.subject),
                "for": name(entry.behalf),
                "kind": entry.kind,
                "door": entry.door or entry.details.get("protocol", ""),
                "actor": entry.actor,
                "subject": entry.subject,
                "behalf": entry.behalf,
                "outcome": entry.outcome,
                "reference": entry.reference,
                "session": entry.session,
                "network": entry.network,
                "detail": dict(entry.details),
            }
            for entry in entries
        ]


def _sealed(place: Place, asked: Sequence[str]) -> str:
    words = json.dumps([*dataclasses.astuple(place), *asked]).encode()
    return hmac.digest(_SEAL, words, "sha256").hex()


def _going_on(after: Sequence[Any], asked: Sequence[str]) -> Place:
    """Where the page before of this very export ended. Raises CommandFailed."""
    try:
        at, chain, seq, seal = after
        place = Place(int(at), str(chain), int(seq))
    except (TypeError, ValueError):
        raise CommandFailed("This is not where a page of an export ended.") from None
    if not hmac.compare_digest(str(seal).encode("utf-8", "replace"), _sealed(place, asked).encode()):
        raise CommandFailed("This is not where a page of this export ended: begin it again.")
    return place


def verdict_json(verdicts: Sequence[Verdict], chain: str) -> dict[str, Any]:
    broken = sentences(verdicts)
    more = sum(max(0, each.verification.broken - len(each.verification.breaks)) for each in verdicts)
    return {
        "chain": chain,
        "entries": sum(each.verification.entries for each in verdicts),
        "purged": sum(each.verification.purged for each in verdicts),
        "head": max((each.verification.seq for each in verdicts), default=0),
        "heads": sum(each.heads for each in verdicts),
        "broken": (broken[0] + (f" And {len(broken) - 1 + more} more." if len(broken) > 1 else ""))
        if broken
        else None,
        "findings": broken,
        "notices": notices(verdicts),
        "chains": [each.as_json() for each in verdicts],
    }


async def purge(node: Node, by: str, dry_run: bool, report: Report) -> dict[str, Any]:
    """Empty what the trace no longer may tell; answers what was, or with `dry_run` what would be."""
    chain = node.trail.chain
    kept_from = node.config.policies.periods.kept_from(now())
    found = await node.store.read(lambda reader: all_due(reader.sql, chain, kept_from))
    classes = [await _purged(node, by, each, dry_run, report) for each in found]
    if not dry_run and any(each["emptied"] for each in classes):
        await asyncio.to_thread(_scrub, Database(node.config.store, node.home.path))
    return {"chain": chain, "dry_run": dry_run, "classes": classes}


async def purge_by_the_day(node: Node) -> None:
    """What a running node does: an hour after it began, then each day, empty what the trace no longer may tell."""
    wait = _FIRST_PURGE
    while True:
        await asyncio.sleep(wait)
        wait = _NEXT_PURGE
        try:
            await purge(node, "node", False, unheard)
        except Exception as failure:  # tried again tomorrow; the doors go on
            _log.error("the trace was not purged (%s)", logs.told(failure))


async def _purged(node: Node, by: str, what: Due, dry_run: bool, report: Report) -> dict[str, Any]:
    count, broken, after = 0, 0, what.after
    told: Event | None = what.told(now(), by)
    while not dry_run and not broken and after < what.until:
        start, words = after, told
        done = await node.store.write(
            lambda transaction, start=start, words=words: empty(
                transaction.sql, node.trail, node.trail.chain, what, start, _BATCH, words
            )
        )
        told = None
        count, broken, after = count + done.count, done.broken, done.seq
        report(f"{what.retention.word} entries", count, what.count)
        if done.seq == start:
            break
    return {
        "class": what.retention.word,
        "kept_from": day_of(what.before).isoformat(),
        "due": what.count,
        "emptied": count,
        "broken": broken or None,
    }


def _scrub(database: Database) -> None:
    """What was emptied must not be found in the files either.

    SQLite overwrites it in the pages (secure_delete), but earlier pages stay in its log until that is cut off.
    PostgreSQL keeps the rows of before until VACUUM.
    """
    connection = connector_for(database.settings, database.home).connect()
    try:
        if connection.dialect == "sqlite":
            for _ in range(_TRIES):
                row = connection.one("PRAGMA wal_checkpoint(TRUNCATE)")
                if row is not None and row[0] == 0:
                    break
                time.sleep(_PAUSE)  # a reader is in the midst of it
        else:
            for table in ("audit_entry", "audit_party", "audit_first_read"):
                connection.run(f"VACUUM {table}")
    finally:
        connection.close()


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
