"""A DNS server for the operators of a demonstration: on loopback, with what is laid into it and nothing else.

Invariants: it answers for the names it was given and says NXDOMAIN to all others; it forwards nothing; `silent` and
`failing` play a resolver that is down, so that what depends on it can be seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

_TTL = 60


class DnsServer:
    """`await start()`; `address` is what a node's `resolver` is set to; `await stop()`."""

    def __init__(self) -> None:
        self.silent = False  # no answer at all
        self.failing = False  # SERVFAIL to everything
        self.asked: list[str] = []
        self._records: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], list[str]] = {}
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def address(self) -> str:
        assert self._transport is not None, "not started"
        host, port = self._transport.get_extra_info("sockname")[:2]
        return f"{host}:{port}"

    def text(self, name: str, *values: str) -> None:
        """One TXT record for each value; none takes the name away. Long values are split as zones do."""
        self._put(
            name,
            "TXT",
            [
                " ".join(f'"{value[at : at + 255]}"' for at in range(0, max(len(value), 1), 255))
                for value in values
            ],
        )

    def texts(self, records: Mapping[str, str]) -> None:
        for name, value in records.items():
            self.text(name, value)

    def exchanger(self, domain: str, host: str, preference: int = 10) -> None:
        self._put(domain, "MX", [f"{preference} {dns.name.from_text(host)}"])

    def _put(self, name: str, kind: str, values: list[str]) -> None:
        key = (dns.name.from_text(name.lower()), dns.rdatatype.from_text(kind))
        if values:
            self._records[key] = values
        else:
            self._records.pop(key, None)

    async def start(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Protocol(self), local_addr=("127.0.0.1", port)
        )

    async def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def answer(self, asked: bytes) -> bytes | None:
        try:
            query = dns.message.from_wire(asked)
            question = query.question[0]
        except (dns.exception.DNSException, IndexError):
            return None
        self.asked.append(str(question.name).rstrip("."))
        if self.silent:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        name = dns.name.from_text(str(question.name).lower())
        values = self._records.get((name, question.rdtype))
        if self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif values is not None:
            response.answer.append(
                dns.rrset.from_text_list(question.name, _TTL, "IN", question.rdtype, values)
            )
        elif not any(known == name for known, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire(max_size=65_000)


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
