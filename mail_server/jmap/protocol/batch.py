"""One request being answered: calls in order, result references, what each answered (RFC 8620 §3.4 to §3.7).

Sans I/O: the dispatcher takes `next()`, runs the method, and gives the outcome back. Invariants: every call has
at least one response, under its own id, in order; a reference looks only at responses already given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from mail_server.jmap.protocol.errors import MethodError
from mail_server.jmap.protocol.pointer import PointerError, evaluate
from mail_server.jmap.protocol.request import Request


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: Mapping[str, Any] = field(repr=False)


class Batch:
    __slots__ = ("_at", "_request", "responses")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._at = 0
        self.responses: list[tuple[str, dict[str, Any], str]] = []

    def next(self) -> Call | None:
        """The next call to run, its references resolved; None at the end.

        A call whose references do not resolve is answered here and passed over.
        """
        while self._at < len(self._request.calls):
            asked = self._request.calls[self._at]
            try:
                return Call(asked.name, self._resolved(asked.arguments))
            except MethodError as error:
                self.failed(error)
        return None

    def answered(self, name: str, result: dict[str, Any]) -> None:
        """The call's response; the next call is at hand."""
        self.responses.append((name, result, self._request.calls[self._at].call_id))
        self._at += 1

    def added(self, name: str, result: dict[str, Any]) -> None:
        """A further response of the call just answered (RFC 8620 §3.4: a method may make several)."""
        self.responses.append((name, result, self._request.calls[self._at - 1].call_id))

    def failed(self, error: MethodError) -> None:
        self.answered("error", error.as_json())

    def _resolved(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if not any(name.startswith("#") for name in arguments):
            return arguments
        resolved: dict[str, Any] = {}
        for name, value in arguments.items():
            if not name.startswith("#"):
                resolved[name] = value
            elif name[1:] in arguments:
                raise MethodError("invalidArguments", "An argument is given twice, once as a reference")
            else:
                resolved[name[1:]] = self._referred(value)
        return resolved

    def _referred(self, reference: Any) -> Any:
        parts = cast("dict[str, Any]", reference) if isinstance(reference, dict) else {}
        result_of, name, path = (parts.get(part) for part in ("resultOf", "name", "path"))
        if not (isinstance(result_of, str) and isinstance(name, str) and isinstance(path, str)):
            raise MethodError("invalidResultReference", "A reference has resultOf, name and path")
        found = next((each for each in self.responses if each[2] == result_of), None)
        if found is None or found[0] != name:
            raise MethodError("invalidResultReference", "No such response before this call")
        try:
            return evaluate(found[1], path)
        except PointerError:
            raise MethodError("invalidResultReference", "The path leads nowhere") from None
