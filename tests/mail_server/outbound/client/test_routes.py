"""Where letters go: routes, MX records, the list's host; several servers of one domain; silent name services."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from mail_server.outbound.client.client import SmtpClient
from mail_server.outbound.client.names import DnsNames, Exchanger, NamesFailed, split_port
from mail_server.outbound.client.routes import Host, NoRoute, Routes
from mail_server.outbound.interface import Phase, Verdict
from mail_server.outbound.reach import Reach
from mail_server.outbound.settings import OutboundSettings
from tests.mail_server.outbound.client.scripted import (
    DOMAIN,
    SETTINGS,
    Contents,
    FakeNames,
    Peer,
    Pki,
    Trust,
    letter,
)

pytestmark = pytest.mark.timeout(30)
MX = "mx.autre.example"


def routes(names: FakeNames, trust: Trust | None = None, **changes: object) -> Routes:
    given: dict[str, object] = {"configured": {}, "use_mx": True, "port": 25, **changes}
    return Routes(listed=trust or Trust(), names=names, **given)  # type: ignore[arg-type]


async def refusal(found: Routes) -> NoRoute:
    with pytest.raises(NoRoute) as none:
        await found.of(DOMAIN)
    return none.value


async def test_a_configured_route_comes_before_all() -> None:
    names = FakeNames({DOMAIN: (Exchanger(10, MX),)})
    assert await routes(names, configured={DOMAIN.upper(): "gate.example:2525"}).of(DOMAIN) == (
        Host("gate.example", 2525),
    )
    assert names.asked == []


async def test_mx_records_come_before_the_lists_host() -> None:
    names = FakeNames({DOMAIN: (Exchanger(10, MX), Exchanger(20, "backup.example"))})
    assert await routes(names, Trust(host="listed.example")).of(DOMAIN) == (
        Host(MX, 25, 10),
        Host("backup.example", 25, 20),
    )


async def test_without_mx_records_the_lists_host_is_the_server() -> None:
    assert await routes(FakeNames(), Trust(host="MX.Listed.example")).of(DOMAIN) == (
        Host("mx.listed.example", 25),
    )


async def test_where_mx_is_not_used_the_lists_host_is_the_server() -> None:
    names = FakeNames({DOMAIN: (Exchanger(10, MX),)})
    found = routes(names, Trust(host="listed.example"), use_mx=False)
    assert await found.of(DOMAIN) == (Host("listed.example", 25),)
    assert names.asked == []
    nowhere = await refusal(routes(names, use_mx=False))
    assert (nowhere.outcome.verdict, nowhere.outcome.reason) == (Verdict.LATER, "no-host")


async def test_without_any_other_word_the_domain_is_its_own_server() -> None:
    assert await routes(FakeNames(), Trust(host="*.nonsense name")).of(DOMAIN) == (Host(DOMAIN, 25),)


async def test_names_that_lead_into_our_own_networks_are_not_followed() -> None:
    names = FakeNames(
        hosts={"a.example": ("127.0.0.1", "10.0.0.1", "::1"), "b.example": ("10.0.0.1", "8.8.8.8")}
    )
    found = routes(names)
    with pytest.raises(NoRoute) as none:
        await found.addresses(Host("a.example", 25))
    assert (none.value.outcome.verdict, none.value.outcome.reason) == (Verdict.LATER, "inside")
    assert await found.addresses(Host("b.example", 25)) == ("8.8.8.8",)
    inside = routes(names, reach=Reach(["10.0.0.0/8"]))
    assert await inside.addresses(Host("a.example", 25)) == ("10.0.0.1",)
    written = routes(names, configured={DOMAIN: "a.example:25"})
    (host,) = await written.of(DOMAIN)
    assert await written.addresses(host) == ("127.0.0.1", "10.0.0.1", "::1")


async def test_a_forged_null_mx_returns_no_letter() -> None:
    none = await refusal(routes(FakeNames({DOMAIN: (Exchanger(0, ""),)}), Trust(host="listed.example")))
    assert (none.outcome.verdict, none.outcome.phase, none.outcome.enhanced) == (
        Verdict.LATER,
        Phase.ROUTE,
        "4.4.4",
    )


async def test_a_silent_name_service_keeps_the_letter() -> None:
    none = await refusal(routes(FakeNames({DOMAIN: None}), Trust(host="listed.example")))
    assert (none.outcome.verdict, none.outcome.reason) == (Verdict.LATER, "dns-failed")


async def test_a_domain_that_is_not_listed_is_never_looked_up() -> None:
    names = FakeNames()
    none = await refusal(routes(names, Trust(domains={"other.example"})))
    assert (none.outcome.verdict, none.outcome.reason) == (Verdict.LATER, "not-listed")
    assert names.asked == []


async def test_mx_names_that_are_no_names_are_left_out_and_the_rest_bounded() -> None:
    bad = (Exchanger(1, "10.0.0.1"), Exchanger(1, "a b"), Exchanger(1, "x" * 300), Exchanger(1, "-"))
    many = tuple(Exchanger(10, f"mx{number}.example") for number in range(50))
    found = await routes(FakeNames({DOMAIN: (*bad, *many)})).of(DOMAIN)
    assert [host.name for host in found] == [f"mx{number}.example" for number in range(8)]


async def test_servers_of_one_preference_are_tried_by_lot_and_a_worse_one_last() -> None:
    hosts = (Host("a", 25, 10), Host("b", 25, 10), Host("c", 25, 20))
    found = routes(FakeNames())
    orders = {tuple(host.name for host in found.ordered(hosts, ())) for _ in range(200)}
    assert orders == {("a", "b", "c"), ("b", "a", "c")}
    assert {found.ordered(hosts, {("b", 25)})[0].name for _ in range(50)} == {"b"}


async def test_a_server_that_gave_no_connection_is_tried_last_for_a_while() -> None:
    hosts = (Host("a", 25, 10), Host("b", 25, 20))
    found = routes(FakeNames())
    found.was_absent(hosts[0])
    assert [host.name for host in found.ordered(hosts, ())] == ["b", "a"]
    found.was_there(hosts[0])
    assert [host.name for host in found.ordered(hosts, ())] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("mx.example", ("mx.example", 25)),
        ("MX.example.:2525", ("mx.example", 2525)),
        ("[::1]:2525", ("::1", 2525)),
        ("::1", ("::1", 25)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
    ],
)
def test_hosts_with_and_without_ports_are_read(text: str, parts: tuple[str, int]) -> None:
    assert split_port(text, 25) == parts


@pytest.mark.parametrize("text", ["", ":25", "mx:0", "mx:65536", "mx:smtp", "[::1]:x"])
def test_a_route_that_cannot_be_read_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match=r"port|invalid"):
        split_port(text, 25)


# --- several servers, for real


async def test_the_next_server_is_tried_when_one_gives_no_connection(pki: Pki) -> None:
    names = FakeNames(
        {DOMAIN: (Exchanger(10, "gone.example"), Exchanger(20, "dead.example"), Exchanger(30, MX))},
        {"gone.example": (), "dead.example": ("127.0.0.77",), MX: ("127.0.0.78", "127.0.0.1")},
    )
    async with Peer(pki.server()) as peer:
        given = OutboundSettings.model_validate({**SETTINGS, "port": peer.port})
        client = SmtpClient(given, "mx.ici.example", Trust(), pki.ours(), names)
        (outcome,) = await client.hand_over(DOMAIN, letter(), Contents())
        assert (outcome.verdict, outcome.host) == (Verdict.DELIVERED, MX)
        assert peer.server_names == [MX]
        names.asked.clear()
        (again,) = await client.hand_over(DOMAIN, letter(), Contents())
        assert again.verdict is Verdict.DELIVERED
        assert peer.connections == 1
        await client.close()


async def test_a_server_that_answered_about_the_letter_is_the_last_one_asked(pki: Pki) -> None:
    names = FakeNames({DOMAIN: (Exchanger(10, MX), Exchanger(20, "other.example"))})
    async with Peer(pki.server(), {"MAIL": "451 4.3.0 Later"}) as peer:
        given = OutboundSettings.model_validate({**SETTINGS, "port": peer.port})
        client = SmtpClient(given, "mx.ici.example", Trust(), pki.ours(), names)
        (outcome,) = await client.hand_over(DOMAIN, letter(), Contents())
        assert (outcome.verdict, outcome.host) == (Verdict.LATER, MX)
        assert peer.connections == 1
        await client.close()


async def test_where_no_server_gives_a_connection_the_last_reason_is_told(pki: Pki) -> None:
    given = OutboundSettings.model_validate({**SETTINGS, "routes": {DOMAIN: "127.0.0.1:9"}})
    client = SmtpClient(given, "mx.ici.example", Trust(), pki.ours(), FakeNames())
    (outcome,) = await client.hand_over(DOMAIN, letter(), Contents())
    assert (outcome.verdict, outcome.phase) == (Verdict.LATER, Phase.CONNECT)
    assert (outcome.reason, outcome.host) == ("connection-refused", "127.0.0.1")
    assert client.connections.failures == {"connection-refused": 1}


async def test_domains_of_one_server_share_its_connection_and_each_is_judged(pki: Pki) -> None:
    other = "encore.mssante.example"
    trust = Trust(domains={DOMAIN, other})
    names = FakeNames({DOMAIN: (Exchanger(10, MX),), other: (Exchanger(5, MX),)})
    async with Peer(pki.server()) as peer:
        given = OutboundSettings.model_validate({**SETTINGS, "port": peer.port})
        client = SmtpClient(given, "mx.ici.example", trust, pki.ours(), names)
        (first,) = await client.hand_over(DOMAIN, letter(), Contents())
        (second,) = await client.hand_over(other, letter(f"b@{other}"), Contents())
        await client.close()
    assert (first.verdict, second.verdict) == (Verdict.DELIVERED, Verdict.DELIVERED)
    assert peer.connections == 1
    assert [domain for _, domain in trust.asked] == [DOMAIN, other]


async def test_idle_connections_make_room_for_new_ones(pki: Pki) -> None:
    domains = [f"d{number}.mssante.example" for number in range(4)]
    async with contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(Peer(pki.server())) for _ in domains]
        reached = {domain: f"127.0.0.1:{peer.port}" for domain, peer in zip(domains, peers, strict=True)}
        given = OutboundSettings.model_validate({**SETTINGS, "routes": reached, "connections": 2})
        trust = Trust(domains=set(domains))
        client = SmtpClient(given, "mx.ici.example", trust, pki.ours(), FakeNames())
        for domain in domains:
            (done,) = await client.hand_over(domain, letter(f"b@{domain}"), Contents())
            assert done.verdict is Verdict.DELIVERED
        async with asyncio.timeout(60):
            while [("QUIT" in peer.said) for peer in peers] != [True, True, False, False]:
                await asyncio.sleep(0.01)
        await client.close()


# --- a name service on loopback


class NameServer(asyncio.DatagramProtocol):
    """Answers from a table; SERVFAIL for names that begin with "broken"."""

    table: dict[tuple[str, str], list[str]]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        question = query.question[0]
        key = (question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype))
        if key[0].startswith("broken"):
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif key in self.table:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", key[1], *self.table[key]))
        elif key[0].startswith("unknown"):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), addr)  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def name_server(**table: list[str]):
    server = NameServer()
    server.table = {tuple(key.replace("_", ".").split("/")): value for key, value in table.items()}  # type: ignore[misc]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", 0)
    )
    try:
        yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()


async def test_names_are_asked_of_the_configured_server(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.9 local.example other # mx.example\n")
    table = {
        "a_example/MX": ["20 Second.example.", "10 first.example."],
        "null_example/MX": ["0 ."],
        "mx_example/A": ["192.0.2.1", "192.0.2.2"],
        "mx_example/AAAA": ["2001:db8::1"],
        "many_example/A": [f"192.0.2.{number}" for number in range(1, 30)],
    }
    async with name_server(**table) as server:
        names = DnsNames(server, hosts)
        assert await names.exchangers("a.example") == (
            Exchanger(10, "first.example"),
            Exchanger(20, "second.example"),
        )
        assert await names.exchangers("null.example") == (Exchanger(0, ""),)
        assert await names.exchangers("unknown.example") == ()
        assert await names.exchangers("empty.example") == ()
        assert sorted(await names.addresses("mx.example")) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
        assert len(await names.addresses("many.example")) == 4
        assert await names.addresses("unknown.example") == ()
        assert await names.addresses("local.example") == ("127.0.0.9",)
        assert await names.addresses("192.0.2.7") == ("192.0.2.7",)
        for ask in (names.exchangers, names.addresses):
            with pytest.raises(NamesFailed):
                await ask("broken.example")
            with pytest.raises(NamesFailed):
                await ask("x" * 64 + ".example")
