"""Runs the calls of one request over the methods of all capabilities (RFC 8620 §3.4 to §3.6).

Invariants: calls run one after another, in order; a method is reached only through a capability in `using`; a
fault of a method is `serverFail` with an id that the log knows, and not one word of the fault.
"""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Sequence
from typing import Any

from mail_server.jmap.interface import Capability, Handler, MethodError, Turn
from mail_server.jmap.protocol import Batch, Call, Request
from mail_server.jmap.services import Counters
from mail_server.store.interface import NoSpace, StoreUnavailable
from mail_server.store.model import AccountId

log = logging.getLogger("vaguemestre.jmap")


class Dispatcher:
    def __init__(self, capabilities: Sequence[Capability], counters: Counters) -> None:
        self.capabilities = {each.uri: each for each in capabilities}
        self._counters = counters
        self._handlers: dict[str, list[tuple[Capability, Handler]]] = {}
        for capability in capabilities:
            for name, handler in capability.handlers.items():
                self._handlers.setdefault(name, []).append((capability, handler))

    async def run(self, request: Request, turn: Turn) -> list[tuple[str, dict[str, Any], str]]:
        batch = Batch(request)
        while (call := batch.next()) is not None:
            self._counters.calls += 1
            turn.after.clear()
            try:
                result = await self._answer(call, turn)
            except MethodError as error:
                self._counters.method_errors += 1
                batch.failed(error)
            else:
                batch.answered(call.name, result)
                for name, further in turn.after:
                    batch.added(name, further)
        return batch.responses

    async def _answer(self, call: Call, turn: Turn) -> dict[str, Any]:
        known = [each for each in self._handlers.get(call.name, ()) if each[0].uri in turn.using]
        if not known:
            raise MethodError("unknownMethod")
        capability, handler = known[0]
        named = call.arguments.get("accountId")
        account = turn.accounts.get(AccountId(named)) if isinstance(named, str) else None
        if account is not None and capability.account(account) is None:
            raise MethodError("accountNotSupportedByMethod")
        try:
            return await handler(turn, call.arguments)
        except MethodError:
            raise
        except (StoreUnavailable, NoSpace):
            raise MethodError("serverUnavailable", "Try again later") from None
        except Exception as fault:
            raise self._failed(call.name, fault) from None

    def _failed(self, name: str, fault: Exception) -> MethodError:
        """The fault's own text may hold content: only its kind and place are told, to the log."""
        self._counters.server_bugs += 1
        reference = secrets.token_hex(5)
        frame = traceback.extract_tb(fault.__traceback__)[-1]
        place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
        log.error("%s failed: %s at %s (ref %s)", name, type(fault).__name__, place, reference)
        return MethodError("serverFail", f"An error on our side (ref {reference})")
