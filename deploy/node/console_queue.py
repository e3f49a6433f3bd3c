"""The console's commands about letters that leave: see the queue, try now, cancel, hold, release.

Invariants: an administrator of the machine sees domains, sizes, times and reasons; to see an address one needs the
power over spaces, and it is traced, for an address may name a patient; each act is in the trace, with what it chose
and how many letters it touched; what a node hands over at that moment is let finish.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from deploy.node.composition import Node, now
from deploy.node.console_named import account_named
from deploy.node.control import CommandFailed, Report
from mail_server.keys.interface import KeyUnavailable
from mail_server.outbound import administration
from mail_server.outbound.administration import Line, Selection, Shown, Step
from mail_server.outbound.lanes import found
from mail_server.outbound.rows import Wraps, letter, recipients
from mail_server.store.interface import Reader, Transaction
from policies.interface import Event

_STEP = 50  # letters of one commit: those of the doors wait for it
_MOST_LISTED = 1000
_MOST_NUMBERS = 500
_LARGEST_NUMBER = (1 << 63) - 1  # of a row


class QueueCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    # -- seeing

    async def queue_list(
        self, domain: str = "", account: str = "", state: str = "open", after: int = 0, limit: int = 100
    ) -> dict[str, Any]:
        chosen = self._chosen([], domain, account, state)
        limit, after = max(1, min(limit, _MOST_LISTED)), max(0, min(after, _LARGEST_NUMBER))

        def read(reader: Reader) -> tuple[int, list[Line]]:
            return administration.count(reader.sql, chosen), administration.lines(
                reader.sql, chosen, after, limit
            )

        total, found = await self._node.store.read(read)
        return {
            "letters": [_told(line) for line in found],
            "total": total,
            "next": found[-1].id if len(found) == limit else None,
        }

    async def queue_domains(self) -> list[dict[str, Any]]:
        found = await self._node.store.read(lambda reader: administration.domain_lines(reader.sql))
        return [
            asdict(each)
            | {"blocked": self._node.outbound.blocked(each.domain)}
            | {"oldest": _time(each.oldest), "retry_at": _time(each.retry_at if each.failures else None)}
            for each in found
        ]

    async def queue_show(self, number: int) -> dict[str, Any]:
        """One letter and its recipients, by their places: no address."""
        return await self._shown(number, addresses=False)

    async def queue_addresses(self, number: int) -> dict[str, Any]:
        """The same, with addresses and the other side's words. Traced."""
        found = await self._shown(number, addresses=True)
        event = Event("queue-show", now(), self._by, found["account"], reference=found["reference"])
        self._node.trace.note([event])
        return found

    async def queue_standing(self) -> dict[str, Any]:
        """For `doctor`: how much waits, since when, what does not answer."""
        outbound = self._node.outbound
        depth, domains = await self._node.store.read(
            lambda reader: (administration.depth(reader.sql), found(reader.sql))
        )
        due = [
            max(each.due, each.retry_at)
            for each in domains
            if each.due is not None and not each.held and not outbound.blocked(each.domain)
        ]
        return {
            "due": min(due, default=None),
            "waiting": depth.waiting,
            "leased": depth.leased,
            "held": depth.held,
            "oldest": depth.oldest,
            "now": now(),
            "dispatching": outbound.dispatcher is not None,
            "failing": outbound.dispatcher.domains_failing if outbound.dispatcher is not None else 0,
            "possibly_twice": outbound.counters.possibly_twice,
        }

    async def _shown(self, number: int, *, addresses: bool) -> dict[str, Any]:
        _require_numbers([number])
        wraps = Wraps(self._node.keys)

        def read(reader: Reader) -> dict[str, Any] | None:
            lines = administration.lines(reader.sql, Selection((number,)), 0, 1) or administration.lines(
                reader.sql, Selection((number,), state=Shown.DONE), 0, 1
            )
            found = letter(reader.sql, wraps, number)
            if found is None or not lines:
                return None
            told: dict[str, Any] = _told(lines[0]) | {
                "form": found.form.name.lower(),
                "mail_from": found.mail_from if addresses else None,
                "recipients": [],
            }
            for each in recipients(reader.sql, wraps, found):
                last = each.last
                told["recipients"].append(
                    {
                        "place": each.place,
                        "address": each.recipient.address if addresses else None,
                        "state": each.state.name.lower(),
                        "attempts": each.attempts,
                        "possibly_twice": each.unsure,
                        "at": _time(each.at),
                        "phase": last.phase.value if last else "",
                        "reason": last.reason if last else "",
                        "code": last.code if last else 0,
                        "enhanced": last.enhanced if last else "",
                        "said": (last.said if last else "") if addresses else None,
                        "host": last.host if last else "",
                    }
                )
            return told

        try:
            found = await self._node.store.read(read)
        except KeyUnavailable:
            raise CommandFailed(f"Letter {number} does not open under this node's key.") from None
        if found is None:
            raise CommandFailed(f"There is no letter {number} in the queue.")
        return found

    # -- acting

    async def queue_retry(
        self,
        report: Report,
        numbers: list[int] | None = None,
        domain: str = "",
        account: str = "",
        everything: bool = False,
    ) -> dict[str, Any]:
        chosen = self._one_choice(numbers, domain, account, everything=everything)

        def step(transaction: Transaction, after: int) -> Step:
            return administration.retry(transaction, chosen, after, _STEP, now())

        return await self._done("queue-retry", chosen, await self._walk("tried again", chosen, step, report))

    async def queue_cancel(
        self, report: Report, numbers: list[int] | None = None, domain: str = "", account: str = ""
    ) -> dict[str, Any]:
        """End letters; their senders are told. Those being handed over are not tried again if they do not arrive."""
        chosen = self._one_choice(numbers, domain, account)
        outbound = self._node.outbound

        def step(transaction: Transaction, after: int) -> Step:
            return administration.cancel(
                transaction, outbound.settling, chosen, after, _STEP, now(), self._by
            )

        walked = await self._walk("cancelled", chosen, step, report)
        for owing in outbound.owing:
            owing.wake()
        return await self._done("queue-cancel", chosen, walked) | {"finishing": walked.finishing}

    async def queue_hold(
        self,
        report: Report,
        numbers: list[int] | None = None,
        domain: str = "",
        account: str = "",
        reason: str = "",
    ) -> dict[str, Any]:
        """Hold back letters, or a domain: what is laid for it later is held too."""
        return await self._hold(report, numbers, domain, account, reason, held=True)

    async def queue_release(
        self, report: Report, numbers: list[int] | None = None, domain: str = "", account: str = ""
    ) -> dict[str, Any]:
        return await self._hold(report, numbers, domain, account, "", held=False)

    async def _hold(
        self,
        report: Report,
        numbers: list[int] | None,
        domain: str,
        account: str,
        reason: str,
        *,
        held: bool,
    ) -> dict[str, Any]:
        action = "queue-hold" if held else "queue-release"
        chosen = self._one_choice(numbers, domain, account)
        if chosen.domain:
            if chosen.numbers or chosen.account:
                raise CommandFailed("Hold a domain, or letters: not both at once.")
            changed = await self._hold_domain(action, chosen.domain, reason, held=held)
            await self._node.outbound.changed()
            return {"domain": chosen.domain, "held": held, "changed": changed, "letters": 0}

        def step(transaction: Transaction, after: int) -> Step:
            return administration.hold(transaction, chosen, after, _STEP, held=held)

        walked = await self._walk("held" if held else "released", chosen, step, report)
        return await self._done(action, chosen, walked) | {"held": held}

    async def _hold_domain(self, action: str, domain: str, reason: str, *, held: bool) -> bool:
        detail = {"domain": domain} | ({"reason": reason.strip()} if reason.strip() else {})
        event = Event(action, now(), self._by, detail=detail)

        def write(transaction: Transaction) -> bool:
            if held:
                changed = administration.hold_domain(
                    transaction.sql, domain, now(), self._by, reason.strip()[:200]
                )
            else:
                changed = administration.release_domain(transaction.sql, domain)
            if changed:
                self._node.trail.append(transaction.sql, [event])
            return changed

        return await self._node.store.write(write)

    # -- walking

    async def _walk(
        self, stage: str, chosen: Selection, step: Callable[[Transaction, int], Step], report: Report
    ) -> Step:
        """Step by step along the letters' numbers, each a commit of its own; all of it, added up."""
        total = await self._node.store.read(lambda reader: administration.count(reader.sql, chosen))
        done, last = Step(0), 0
        while True:
            after = last
            made = await self._node.store.write(lambda transaction, after=after: step(transaction, after))
            done = Step(None, done.touched + made.touched, done.finishing + made.finishing)
            if made.last is None:
                return done
            last = made.last
            report(stage, min(done.touched + done.finishing, total), total)

    async def _done(self, action: str, chosen: Selection, walked: Step) -> dict[str, Any]:
        detail = {"count": str(walked.touched)} | ({"domain": chosen.domain} if chosen.domain else {})
        self._node.trace.note([Event(action, now(), self._by, chosen.account, detail=detail)])
        await self._node.outbound.changed()
        return {"letters": walked.touched}

    # -- choosing

    def _one_choice(
        self, numbers: list[int] | None, domain: str, account: str, *, everything: bool = False
    ) -> Selection:
        chosen = self._chosen(numbers or [], domain, account, Shown.OPEN.value)
        if chosen.everything and not everything:
            raise CommandFailed("Say which: letters by their numbers, --domain or --account.")
        return chosen

    def _chosen(self, numbers: list[int], domain: str, account: str, state: str) -> Selection:
        if len(numbers) > _MOST_NUMBERS:
            raise CommandFailed(f"At most {_MOST_NUMBERS} letters at once: choose a domain or an account.")
        _require_numbers(numbers)
        try:
            shown = Shown(state)
        except ValueError:
            raise CommandFailed(f"States are {', '.join(Shown)}.") from None
        whose = account_named(self._node.accounts, account).id if account else ""
        return Selection(tuple(numbers), domain.lower().rstrip("."), whose, shown)


def _require_numbers(numbers: list[int]) -> None:
    """No database has a row beyond: SQLite would raise."""
    for number in numbers:
        if not 0 < number <= _LARGEST_NUMBER:
            raise CommandFailed(f"There is no letter {number} in the queue.")


def _told(line: Line) -> dict[str, Any]:
    return asdict(line) | {
        "state": line.state.value,
        "accepted_at": _time(line.accepted_at),
        "due": _time(line.due) if line.state in (Shown.WAITING, Shown.HELD) else None,
        "expires": _time(line.expires),
    }


def _time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
