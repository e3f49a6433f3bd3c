"""The trust space of a node as it is put together: a list and lists of revocation over the wire, at each MAIL FROM, at
a system's login, on the console, in `doctor` and in the metrics."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import AuthorityInformationAccessOID
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from deploy.demo import pki
from deploy.demo.federation_servers import (
    ListState,
    RevocationServer,
    RevocationState,
    TrustListServer,
)
from deploy.demo.revocation import Responder
from deploy.node import trust, trust_standing
from deploy.node.administrators import this_user
from deploy.node.cli import app
from deploy.node.composition import Node, now, opened
from deploy.node.config import load
from deploy.node.console import Console
from deploy.node.doctor_trust import running_trust, trust_findings
from deploy.node.home import Home
from deploy.node.initialise import Wishes, initialise
from deploy.node.leaving import ListedDomains
from deploy.node.metrics import Metrics
from deploy.node.recovery import restore_home
from mail_server.accounts.interface import Identity, Kind, Peer
from mail_server.delivery.interface import MailParameters, Road
from policies.audit.query import Filter, find
from policies.refusal import Refusal
from policies.trust_list.kept import Folder
from policies.trust_list.listing import Row
from policies.trust_list.standing import HOUR_MS

DOMAIN = "mss.essai.test"
VOISIN = pki.Organisation.with_finess("CHU VOISIN", 5, "Ain (01)")
NOUS = pki.Organisation.with_finess("CENTRE HOSPITALIER", 6, "Loire (42)")


@dataclass
class Commons:
    """The authorities' servers, an operator, and the home of a node that asks them."""

    folder: Path
    authority: pki.TestAuthority
    lists: TrustListServer
    revocations: RevocationServer
    operator: pki.Leaf
    us: pki.Leaf

    @property
    def home(self) -> Path:
        return self.folder / "node"

    def rows(self, *more: Row) -> list[Row]:
        given = [
            Row("voisin.test", self.operator.dn),
            Row(DOMAIN, self.us.dn),
            Row(f"patient.{DOMAIN}", self.us.dn),
            Row("autre.test", "CN=mx.autre.test,C=FR"),
        ]
        return [*given, *more]

    @asynccontextmanager
    async def node(self) -> AsyncGenerator[Node]:
        async with opened(Home(self.home), load(self.home / "vaguemestre.toml")) as node:
            yield node


@pytest.fixture
def commons(tmp_path: Path) -> Iterator[Commons]:
    authority = pki.TestAuthority.create()
    operator, us = (
        authority.issue_operator("mx.voisin.test", VOISIN),
        authority.issue_operator("mx.essai.test", NOUS),
    )
    lists, revocations = TrustListServer(0, authority, []), RevocationServer(0, authority)
    made = Commons(tmp_path, authority, lists, revocations, operator, us)
    lists.publish(made.rows())
    files = us.write(tmp_path / "pki", "us")
    wishes = Wishes(
        home=made.home,
        config=None,
        domains=(DOMAIN,),
        kek=tmp_path / "kek" / "kek",
        hostname="localhost",
        certificate=files.certificate,
        key=files.key,
        client_ca=authority.write(tmp_path / "pki"),  # the root alone: our own file brings the intermediate
        sections={
            "sealing": {"workers": 1},
            "store": {"readers": 1},
            "outbound": {"enabled": False},
            "policies": {
                "trust_list_url": lists.url,
                "trust_list_dn": [lists.certificate.dn],
                "revocation_lists": revocations.urls,
            },
        },
    )
    asyncio.run(initialise(wishes))
    yield made
    lists.close()
    revocations.close()


def shown_by(leaf: pki.Leaf) -> Peer:
    return Peer("127.0.0.1", 4000, "smtp", "s1", tls=True, certificate=leaf.der)


async def said(node: Node, leaf: pki.Leaf, mail_from: str = "dr@voisin.test") -> str:
    """The reply to MAIL FROM on port 25, and its slug."""
    try:
        await node.delivery.admit_sender(Road.OPERATOR, mail_from, MailParameters(), shown_by(leaf), None)
    except Refusal as refusal:
        return f"{refusal.code} {refusal.enhanced} {refusal.reason}"
    return "250"


async def trace(node: Node, action: str) -> list[Any]:
    await node.trace.stop()
    return await node.store.read(lambda reader: find(reader.sql, Filter(action=action)))


async def test_reception_judges_by_the_list_and_by_what_is_revoked_also_in_an_open_connection(
    commons: Commons,
) -> None:
    async with commons.node() as node:
        assert await said(node, commons.operator) == "451 4.7.1 trust-list-stale", "nothing was fetched yet"
        assert await node.trust.reload() == []
        assert await said(node, commons.operator) == "250"
        assert await said(node, commons.operator, "") == "250"
        assert (
            await said(node, commons.operator, "dr@AUTRE.test") == "550 5.7.1 certificate-of-another-domain"
        )
        stranger = commons.authority.issue_operator("mx.mechant.test", VOISIN)
        assert await said(node, stranger) == "550 5.7.1 certificate-unlisted"
        server_alone = commons.authority.issue_server("mx.voisin.test", VOISIN)
        assert await said(node, server_alone) == "550 5.7.1 certificate-not-for-clients"
        commons.revocations.revoke(commons.operator)
        await node.trust.reload()
        assert await said(node, commons.operator) == "550 5.7.1 certificate-revoked"
        entries = await trace(node, "refuse")
        assert entries[-1].actor == f"operator:{commons.operator.dn}"
        refusals = [entry.outcome for entry in entries]
        assert refusals == [
            "trust-list-stale",
            "certificate-of-another-domain",
            "certificate-unlisted",
            "certificate-not-for-clients",
            "certificate-revoked",
        ]


async def test_when_the_authorities_are_down_the_last_lists_serve_and_then_nobody_is_let_in(
    commons: Commons, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with commons.node() as node:
        await node.trust.reload()
        assert await said(node, commons.operator) == "250"
    commons.lists.switch(ListState.DOWN)
    commons.revocations.switch(RevocationState.DOWN)
    async with commons.node() as node:
        problems = await node.trust.reload()
        assert len(problems) == 3
        assert await said(node, commons.operator) == "250", "after a restart too"
        later, kept = node.trust.space._clock(), node.trust
        monkeypatch.setattr(kept.revocation, "_clock", lambda: later + 25 * HOUR_MS)
        assert await said(node, commons.operator) == "451 4.7.1 revocation-unknown"
        monkeypatch.undo()
        monkeypatch.setattr(kept.space, "_clock", lambda: later + 73 * HOUR_MS)
        assert await said(node, commons.operator) == "250", "it was met before"
        monkeypatch.setattr(kept.space, "_clock", lambda: later + 169 * HOUR_MS)
        assert await said(node, commons.operator) == "451 4.7.1 trust-list-stale"


@pytest.mark.parametrize("state", [ListState.ILL_FORMED, ListState.EMPTY, ListState.OLDER, ListState.HALVED])
async def test_a_list_that_must_not_be_used_is_refused_over_the_wire(
    commons: Commons, state: ListState
) -> None:
    async with commons.node() as node:
        await node.trust.reload()
        commons.lists.switch(state)
        assert len(await node.trust.reload()) == 1
        assert await said(node, commons.operator) == "250"
        commons.lists.switch(ListState.MIXED_CASE)
        commons.lists.publish(commons.lists.rows)
        assert await node.trust.reload() == []
        assert await said(node, commons.operator) == "250"


async def test_a_system_does_not_log_in_with_a_revoked_certificate_nor_goes_on_sending(
    commons: Commons,
) -> None:
    async with commons.node() as node:
        await node.trust.reload()
        system = commons.authority.issue_client("labo.essai.test", NOUS)
        robot = await node.accounts.add(f"labo@{DOMAIN}", Kind.APP)
        await node.accounts.bind_certificate(robot.id, system.der)
        peer = Peer("127.0.0.1", 4000, "submission", "s1", tls=True, certificate=system.der)
        identity = await node.authenticator.begin("EXTERNAL", peer).step(b"")
        assert isinstance(identity, Identity)
        send = node.delivery.admit_sender
        await send(Road.CLIENT, robot.address, MailParameters(), peer, identity)
        commons.revocations.revoke(system)
        await node.trust.reload()
        with pytest.raises(Refusal) as refused:
            await send(Road.CLIENT, robot.address, MailParameters(), peer, identity)
        assert (refused.value.code, refused.value.reason) == (550, "certificate-revoked")
        with pytest.raises(Refusal) as refused:
            await node.authenticator.begin("EXTERNAL", peer).step(b"")
        assert (refused.value.code, refused.value.reason) == (535, "certificate-revoked")
        node.trust.revocation._clock = lambda: 1 << 50  # the lists have expired
        unknown = commons.authority.issue_client("radio.essai.test", NOUS)
        other = await node.accounts.add(f"radio@{DOMAIN}", Kind.APP)
        await node.accounts.bind_certificate(other.id, unknown.der)
        again = Peer("127.0.0.1", 4000, "imap", "s2", tls=True, certificate=unknown.der)
        with pytest.raises(Refusal) as refused:
            await node.authenticator.begin("EXTERNAL", again).step(b"")
        assert (refused.value.code, refused.value.reason) == (454, "revocation-unknown")


async def test_what_is_held_is_shown_in_summary_and_decided_by_an_administrator(commons: Commons) -> None:
    async with commons.node() as node:
        console = Console(node, this_user())
        await console.handle("trust_list_fetch", {})
        assert await console.handle("trust_list_pending", {}) == []
        new = "CN=mx.autre.test,O=NOUVEAU,C=FR"
        commons.lists.publish(
            commons.rows(Row("voisin.test", new), Row("autre.test", new), Row("neuf.test", new))
        )
        told = await console.handle("trust_list_fetch", {})
        assert (told["applied"], told["held"], told["domains_added"]) == (True, 2, ["neuf.test"])
        (group,) = await console.handle("trust_list_pending", {})
        assert (group["dn"], group["change"], group["count"]) == (new, "added", 2)
        assert group["domains"] == ["autre.test", "voisin.test"]
        assert node.trust_list.domains_of(new) == {"neuf.test"}
        done = await console.handle("trust_list_refuse", {"what": "voisin.test"})
        assert done["count"] == 1
        done = await console.handle("trust_list_apply", {"what": new.lower()})
        assert done["count"] == 2, "a certificate by its name, and what was refused of it too"
        assert node.trust_list.domains_of(new) == {"autre.test", "neuf.test", "voisin.test"}
        entries = await trace(node, "trust-list-change")
        assert [entry.outcome for entry in entries] == [
            "done", "held", "held", "refused", "applied", "applied",
        ]  # fmt: skip


async def test_doctor_and_metrics_tell_how_the_space_stands(commons: Commons) -> None:
    settings = load(commons.home / "vaguemestre.toml")
    static = {one.sentence for one in trust_findings(settings, commons.home)}
    assert static == {"No trust list was ever fetched: `vaguemestre trust-list fetch` says why."}
    async with commons.node() as node:
        await node.trust.reload()
        await said(node, commons.operator)
        commons.lists.publish(
            [
                Row("voisin.test", commons.operator.dn),
                Row("autre.test", "CN=mx.autre.test,C=FR"),
                Row("autre.test", "CN=x,C=FR"),
            ]
        )
        await node.trust.reload()
        metrics = Metrics()
        metrics.families(lambda: trust_standing.families(node))
        shown = {
            family.name: family.samples[0].value
            for family in text_string_to_metric_families(metrics.text().decode())
            if family.samples
        }
        assert shown["vaguemestre_trust_list_rows"] == 3
        assert shown["vaguemestre_trust_list_held_changes"] == 3
        assert shown["vaguemestre_trust_list_age_seconds"] < 60
        assert shown["vaguemestre_trust_list_accepted"] == 2
        assert shown["vaguemestre_revocation_lists_read"] == 4
        assert shown["vaguemestre_revocation_list_age_seconds"] < 60
        assert shown["vaguemestre_peers_judged"] == 1
        assert shown["vaguemestre_known_peers"] == 1


def test_the_command_line_shows_fetches_and_decides_without_a_running_node(commons: Commons) -> None:
    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["trust-list", *words, "--home", str(commons.home)])
        assert result.exit_code == code, result.output
        return result.output

    assert "every operator is refused" in run("show")
    assert "up to date: 4 rows" in run("fetch")
    told = run("show")
    assert f"our domain {DOMAIN}: ours" in told
    assert "confirmed 0.0 h ago: in force" in told
    assert run("pending").strip() == "Nothing is held."
    commons.lists.publish(commons.rows(Row("voisin.test", "CN=mx.neuf.test,C=FR")))
    assert "1 change held" in run("fetch")
    assert "CN=mx.neuf.test,C=FR" in run("pending")
    assert json.loads(run("pending", "--json"))[0]["domains"] == ["voisin.test"]
    assert "1 change refused: voisin.test" in run("refuse", "voisin.test")
    assert "1 change applied: voisin.test" in run("apply", "VOISIN.test")
    assert "No change is held" in run("apply", code=1)
    assert "no name of a certificate" in run("apply", "CN=", code=1)
    commons.lists.switch(ListState.HALVED)
    assert "stays as it was" in run("fetch", code=1)
    found = json.loads(run("fetch", "--accept-smaller", "--json"))
    assert found["applied"]
    commons.lists.switch(ListState.DOWN)
    assert "cannot be reached" in run("fetch", code=1)
    assert json.loads(run("show", "--json"))["last_refusal"] == "", "of this start: nothing was tried"


async def test_of_a_running_node_doctor_says_what_to_do(
    commons: Commons, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deploy.node import doctor_trust

    settings = load(commons.home / "vaguemestre.toml")
    async with commons.node() as node:
        console = Console(node, this_user())

        async def asked(socket: Path, name: str, arguments: dict[str, Any]) -> Any:
            return await console.handle(name, arguments)

        monkeypatch.setattr(doctor_trust, "ask", asked)

        async def sentences() -> str:
            found = await running_trust(settings, commons.home)
            return "\n".join(f"{one.verdict}: {one.sentence}" for one in found)

        told = await sentences()
        assert "failed: The trust list is too old, or there is none" in told
        assert "was never read" in told
        await node.trust.reload()
        told = await sentences()
        assert "good: 4 rows, confirmed 0.0 h ago." in told
        assert "warning" not in told
        commons.lists.publish(
            [*commons.rows()[:1], *commons.rows()[2:], Row(DOMAIN, "CN=mx.autre.test,C=FR")]
        )
        await node.trust.reload()
        await node.trust.space.apply(lambda each: True, "console:eve")
        commons.lists.publish([*commons.rows()[:1], *commons.rows()[2:]])
        await node.trust.reload()
        told = await sentences()
        assert f"warning: {DOMAIN} is listed under another name" in told
        assert "warning: 1 change(s) are held" in told
        await node.trust.space.apply(lambda each: True, "console:eve")
        assert f"warning: {DOMAIN} is not in the trust list" in await sentences()
        commons.revocations.switch(RevocationState.RUBBISH)
        await node.trust.reload()
        assert "(ill-formed)" in await sentences()


def test_a_backup_holds_the_list_and_what_is_held(commons: Commons, tmp_path: Path) -> None:
    async def backed_up() -> tuple[object, ...]:
        async with commons.node() as node:
            await node.trust.reload()
            commons.lists.publish(commons.rows(Row("voisin.test", "CN=mx.neuf.test,C=FR")))
            await node.trust.reload()
            await Console(node, this_user()).handle(
                "backup", {"to": str(tmp_path / "copy"), "keystore_to": None}
            )
            return node.trust.space.held

    held = asyncio.run(backed_up())
    asyncio.run(restore_home(tmp_path / "copy", tmp_path / "again", None))
    kept = Folder(tmp_path / "again" / "trust-list").load()
    assert kept is not None
    assert kept.held == held != ()
    assert len(kept.listing.rows) == 5


async def test_whoever_comes_when_the_doors_open_is_judged_by_lists_that_were_just_fetched(
    commons: Commons,
) -> None:
    async with commons.node() as node:
        await node.trust.start()
        assert await said(node, commons.operator) == "250"
        assert node.trust.space.counters.refused == 0
        await node.trust.stop()


async def test_a_domain_abroad_is_not_called_unlisted_before_there_is_a_list(commons: Commons) -> None:
    async with commons.node() as node:
        domains = ListedDomains(node.trust.space, node.peer_trust, node.operator_blocks.blocked)

        def said_of(domain: str) -> tuple[bool, str, bool]:
            found = domains.standing_of(domain)
            return found.allowed, found.reason, found.temporary

        assert said_of("voisin.test") == (False, "trust-list-stale", True)
        await node.trust.reload()
        assert said_of("VOISIN.test") == (True, "", False)
        assert said_of("inconnu.test") == (False, "recipient-domain-unlisted", False)


async def test_past_its_first_age_the_list_lets_letters_leave_for_operators_met_before_alone(
    commons: Commons, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with commons.node() as node:
        domains = ListedDomains(node.trust.space, node.peer_trust, node.operator_blocks.blocked)
        await node.trust.reload()
        assert await said(node, commons.operator) == "250"
        assert domains.standing_of("autre.test").allowed
        later = node.trust.space._clock()
        monkeypatch.setattr(node.trust.space, "_clock", lambda: later + 73 * HOUR_MS)
        assert domains.standing_of("voisin.test").allowed
        never_met = domains.standing_of("autre.test")
        assert (never_met.reason, never_met.temporary) == ("trust-list-stale", True)


async def test_authorities_that_do_not_answer_hold_the_start_up_for_a_moment_only(
    commons: Commons, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "_FIRST_SECONDS", 0.1)

    async def silent(url: str) -> bytes:
        await asyncio.sleep(60)
        return url.encode()

    async with commons.node() as node:
        monkeypatch.setattr(node.trust.revocation, "_fetch", silent)
        async with asyncio.timeout(30):
            await node.trust.start()
        assert await said(node, commons.operator) == "451 4.7.1 trust-list-stale"
        async with asyncio.timeout(30):
            await node.trust.stop()


@contextmanager
def responding(responder: Responder) -> Generator[str]:
    """A responder on the wire."""

    class Asked(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = responder.answer(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is named there
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


async def test_a_responder_is_asked_over_the_wire_where_one_is_required(commons: Commons) -> None:
    responder = Responder(commons.authority, delegated=True)
    file = commons.home / "vaguemestre.toml"
    with responding(responder) as url:
        text = file.read_text().replace('# ocsp = "off"', 'ocsp = "require"')
        file.write_text(text.replace('# ocsp_url = ""', f'ocsp_url = "{url}"'))
        async with commons.node() as node:
            assert await node.trust.reload() == []
            assert await said(node, commons.operator) == "250"
            responder.revoked.add(commons.operator.certificate.serial_number)
            assert await said(node, commons.operator) == "250", "the answer that was given still holds"
            node.trust.revocation._clock = node.trust.revocation._responders._clock = lambda: (
                now() + 2 * HOUR_MS
            )
            await node.trust.revocation.refresh()
            assert await said(node, commons.operator) == "550 5.7.1 certificate-revoked"
            asked = responder.asked
    async with commons.node() as node:
        (problem,) = await node.trust.reload()
        assert "cannot be known now whether the certificate of the list's server is revoked" in problem
        assert await said(node, commons.operator) == "451 4.7.1 revocation-unknown", "nobody answers any more"
        assert responder.asked == asked


def naming(commons: Commons, responder: str) -> pki.Leaf:
    """The operator's certificate, which names this responder."""
    was = commons.operator.certificate
    builder = x509.CertificateBuilder(was.issuer, was.subject, was.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(was.not_valid_before_utc).not_valid_after(was.not_valid_after_utc)
    for one in was.extensions:
        builder = builder.add_extension(one.value, one.critical)
    place = x509.AccessDescription(
        AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(responder)
    )
    made = builder.add_extension(x509.AuthorityInformationAccess([place]), critical=False)
    key = commons.authority.intermediate_key
    return pki.Leaf(made.sign(key, hashes.SHA256()), commons.operator.key, commons.operator.above)


async def test_a_responder_that_a_certificate_names_leads_into_networks_that_inside_names_alone(
    commons: Commons, caplog: pytest.LogCaptureFixture
) -> None:
    responder = Responder(commons.authority, delegated=True)
    file = commons.home / "vaguemestre.toml"
    file.write_text(file.read_text().replace('# ocsp = "off"', 'ocsp = "prefer"'))
    with responding(responder) as url:
        leaves = [naming(commons, url), naming(commons, url.replace("127.0.0.1", "localhost"))]
        responder.revoked.update(leaf.certificate.serial_number for leaf in leaves)
        async with commons.node() as node:
            assert await node.trust.reload() == []
            assert [await said(node, leaf) for leaf in leaves] == ["250", "250"], "the lists serve"
        assert responder.asked == 0
        assert caplog.text.count("can be believed: inside") == 2
        file.write_text(file.read_text().replace("# inside = []", 'inside = ["127.0.0.0/8", "::1/128"]'))
        async with commons.node() as node:
            assert await node.trust.reload() == []
            found = [await said(node, leaf) for leaf in leaves]
        assert found == ["550 5.7.1 certificate-revoked"] * 2
        assert responder.asked == 2
