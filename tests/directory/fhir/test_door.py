"""What the FHIR door says and how: keys, formats, versions, refusals, links. And that it cannot be emptied."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from types import SimpleNamespace

import pytest
from fhir.resources.R4B import get_fhir_model_class

from deploy.node.https import application

KINDS = ["Practitioner", "PractitionerRole", "Organization", "HealthcareService"]


def validated(body):
    """Raises where it is no FHIR R4."""
    return get_fhir_model_class(body["resourceType"]).model_validate(body)


def refusal(answer):
    outcome = answer.json()
    validated(outcome)
    assert outcome["resourceType"] == "OperationOutcome"
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    return answer.status_code, outcome["issue"][0]["code"]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_answer_is_fhir_r4(world, town, kind):
    world.database.write(lambda sql: town.crowd(sql, 60))
    for path in (
        kind,
        f"{kind}?_include=*&_revinclude=*",
        f"{kind}?_elements=identifier,telecom&_total=accurate",
    ):
        bundle = (await world.get(path)).json()
        assert bundle["entry"]
        validated(bundle)
        for one in bundle["entry"]:
            validated(one["resource"])
    validated((await world.get("metadata")).json())


async def test_a_mailbox_is_a_telecom_with_two_extensions(local, town):
    (zoe,) = await local.found(f"Practitioner?identifier={town.ZOE.national_id}")
    assert zoe["telecom"] == [
        {
            "extension": [
                {
                    "url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type",
                    "valueCoding": {
                        "system": "https://mos.esante.gouv.fr/NOS/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie",
                        "code": "MSSANTE",
                    },
                },
                {
                    "url": "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata",
                    "extension": [
                        {
                            "url": "type",
                            "valueCodeableConcept": {
                                "coding": [
                                    {
                                        "system": "https://mos.esante.gouv.fr/NOS/TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL",
                                        "code": "PER",
                                    }
                                ]
                            },
                        },
                        {"url": "digitization", "valueBoolean": False},
                        {"url": "listeRouge", "valueBoolean": False},
                    ],
                },
            ],
            "system": "email",
            "value": "zoe.martin-durand@medecin.mssante.fr",
            "rank": 1,
        }
    ]
    assert zoe["identifier"][0]["value"] == town.ZOE.national_id
    assert zoe["name"] == [
        {
            "use": "official",
            "text": "DR Zoé MARTIN-DURAND",
            "family": "MARTIN-DURAND",
            "given": ["Zoé"],
            "prefix": ["DR"],
        }
    ]
    codes = [one["code"]["coding"][0]["code"] for one in zoe["qualification"]]
    assert codes == ["10", "SM04"]
    assert zoe["meta"]["lastUpdated"] == "2026-09-21T14:13:20.000Z"


async def test_a_resource_is_read_with_its_version(local):
    (one,) = await local.found("Practitioner?family=le goff")
    path = f"Practitioner/{one['id']}"
    answer = await local.get(path)
    assert answer.headers["etag"] == f'W/"{one["meta"]["versionId"]}"'
    assert answer.headers["last-modified"] == "Mon, 21 Sep 2026 14:13:20 GMT"
    again = await local.get(path, If_None_Match=answer.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert (await local.get(path, If_None_Match='W/"other"')).status_code == 200
    subset = (await local.get(f"{path}?_elements=telecom")).json()
    assert subset.keys() == {"resourceType", "id", "meta", "telecom"}
    assert subset["meta"]["tag"][0]["code"] == "SUBSETTED"


async def test_a_version_changes_with_what_is_shown_alone(local, town):
    (before,) = await local.found("Practitioner?family=le goff")
    hidden = town.Mailbox("noe@x.mssante.fr", town.Kind.PER, (town.NOE,), red_list=True)
    local.database.write(lambda sql: town.put_mailboxes(sql, [hidden], at=town.LATER))
    (same,) = await local.found("Practitioner?family=le goff")
    assert same["meta"] == before["meta"]
    local.database.write(lambda sql: town.remove_mailboxes(sql, ["noe@x.mssante.fr"], at=town.LATER))
    assert await local.names("Practitioner?_lastUpdated=gt2026-09-21") == []
    local.database.write(lambda sql: town.put_mailboxes(sql, [hidden], at=town.LATER))
    shown = town.Mailbox("noe@x.mssante.fr", town.Kind.PER, (town.NOE,))
    local.database.write(lambda sql: town.put_mailboxes(sql, [shown], at=town.LATER))
    (other,) = await local.found("Practitioner?family=le goff")
    assert other["meta"]["versionId"] != before["meta"]["versionId"]
    assert await local.names("Practitioner?_lastUpdated=gt2026-09-21") == ["Noé LE GOFF"]
    local.database.write(lambda sql: town.remove_mailboxes(sql, ["noe@x.mssante.fr"], at=town.LATER + 1))
    assert await local.names("Practitioner?_lastUpdated=gt2026-09-21") == ["Noé LE GOFF"]


async def test_ids_tell_nothing_and_stay_the_same(local, here, make_world, town):
    ids = [one["id"] for kind in KINDS for one in await local.found(kind)]
    assert len(set(ids)) == len(ids)
    for one in ids:
        assert len(one) <= 64
        for told in (town.ZOE.national_id, town.rpps(1), town.finess(1)):
            assert told not in one
    other = make_world(here)
    assert [one["id"] for kind in KINDS for one in await other.found(kind)] == ids
    await other.client.aclose()


async def test_a_search_is_posted_as_a_form_too(local):
    headers = {"ESANTE-API-KEY": local.reader.secret}
    path = "/fhir/v2/Practitioner/_search"
    answer = await local.client.post(path, data={"family": "martin", "_count": "1"}, headers=headers)
    assert len(answer.json()["entry"]) == 1
    assert {one["relation"] for one in answer.json()["link"]} == {"self", "next"}
    answer = await local.client.post(
        path, content=b"{}", headers={**headers, "Content-Type": "application/json"}
    )
    assert refusal(answer) == (415, "not-supported")


async def test_links_say_what_was_asked(local):
    answer = await local.get("Practitioner?family=le%20goff,martin&_count=1")
    links = {one["relation"]: one["url"] for one in answer.json()["link"]}
    assert links["self"] == "https://annuaire.test/fhir/v2/Practitioner?family=le%20goff,martin&_count=1"
    assert links["next"].startswith(links["self"] + "&_page_token=")


async def test_a_pages_token_is_good_for_its_own_question_alone(local, here, make_world, town):
    links = {one["relation"]: one["url"] for one in (await local.get("Practitioner?_count=1")).json()["link"]}
    token = links["next"].rpartition("=")[2]
    assert (await local.get(f"Practitioner?_count=3&_page_token={token}")).status_code == 200
    other = local.keys.add("other").secret
    for path, key in (
        (f"Practitioner?family=m&_page_token={token}", None),
        (f"PractitionerRole?_page_token={token}", None),
        (f"Practitioner?_page_token={token[:-2]}AA", None),
        ("Practitioner?_page_token=AAAA", None),
        (f"Practitioner?_page_token={token}", other),
    ):
        assert refusal(await local.get(path, key)) == (400, "expired")
    local.clock.now += 2 * 3_600_000
    assert refusal(await local.get(f"Practitioner?_page_token={token}")) == (400, "expired")


async def test_without_a_key_in_force_nothing_is_told(local):
    revoked = local.keys.add("revoked")
    assert (await local.get("Practitioner", revoked.secret)).status_code == 200
    local.keys.revoke(revoked.key.id)
    publishing = local.keys.add("p", ["publish"], publisher="A", domains=["a.mssante.fr"]).secret
    for path in ("Practitioner", "Practitioner/x", "Organization?name=a"):
        assert refusal(await local.get(path, "")) == (401, "login")
        assert refusal(await local.get(path, "vmk-" + "a" * 32)) == (401, "login")
        assert refusal(await local.get(path, revoked.secret)) == (401, "login")
        assert refusal(await local.get(path, publishing)) == (403, "forbidden")
    assert (await local.get("metadata", "")).status_code == 200


WRONG = {
    "Practitioner?colour=blue": (400, "not-supported"),
    "Practitioner?colour=": (400, "not-supported"),
    "Practitioner?=": (400, "not-supported"),
    "Practitioner?_sort=family": (400, "not-supported"),
    "Practitioner?_summary=count": (400, "not-supported"),
    "Practitioner?family:below=x": (400, "not-supported"),
    "Practitioner?identifier:of-type=x": (400, "not-supported"),
    "Practitioner?_count=many": (400, "value"),
    "Practitioner?_count=-1": (400, "value"),
    "Practitioner?active=maybe": (400, "value"),
    "Practitioner?_lastUpdated=yesterday": (400, "value"),
    "Practitioner?_lastUpdated=2026-13-01": (400, "value"),
    "Practitioner?_total=some": (400, "value"),
    "Practitioner?_elements=a b": (400, "value"),
    "Practitioner?_include=Practitioner:nobody": (400, "not-supported"),
    "Practitioner?_page_token=%F0": (400, "invalid"),
    "Practitioner?family=%00": (400, "value"),
    "Practitioner?family=%ff": (400, "invalid"),
    "Practitioner?family=" + "x" * 500: (400, "too-long"),
    "Practitioner?family=" + ",".join("x" * 70): (400, "too-costly"),
    "Practitioner?" + "&".join(["family=x"] * 90): (400, "invalid"),
    "PractitionerRole?practitioner=Organization/x": (400, "value"),
    "Practitioner/x?family=y": (400, "not-supported"),
    "Practitioner?_format=xml": (406, "not-supported"),
    "Practitioner/nobody": (404, "not-found"),
    "Patient": (404, "not-found"),
    "Practitioner/x/_history": (404, "not-found"),
    "": (404, "not-found"),
}


@pytest.mark.parametrize(("path", "expected"), WRONG.items(), ids=[one[:40] for one in WRONG])
async def test_a_wrong_question_is_refused_in_words(local, path, expected):
    answer = await local.get(path)
    assert refusal(answer) == expected
    assert answer.json()["issue"][0]["diagnostics"]


async def test_what_is_not_known_is_left_out_where_that_is_wanted(local):
    answer = await local.get("Practitioner?colour=blue&family=goff,le&_sort=x", Prefer="handling=lenient")
    bundle = answer.json()
    validated(bundle)
    assert bundle["link"][0]["url"].endswith("Practitioner?family=goff,le")
    assert [one["search"]["mode"] for one in bundle["entry"]] == ["match", "outcome"]
    assert {one["severity"] for one in bundle["entry"][1]["resource"]["issue"]} == {"warning"}


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/fhir+json", 200),
        ("application/json;q=0.9, */*;q=0.1", 200),
        ("*/*", 200),
        ("application/fhir+xml", 406),
        ("application/fhir+json;q=0", 406),
    ],
)
async def test_json_is_what_there_is(local, accept, status):
    assert (await local.get("metadata", Accept=accept)).status_code == status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("metadata", "GET"),
        ("Practitioner", "GET, PATCH"),
        ("HealthcareService/x", "GET"),
    ],
)
async def test_other_methods_are_not_allowed(local, method, path, allowed):
    answer = await local.client.request(method, f"/fhir/v2/{path}")
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_calls_are_bounded_by_the_second(here, make_world, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("directory.fhir.rate.time", SimpleNamespace(monotonic=lambda: now[0]))
    world = make_world(here, calls_per_second=3)
    answers = [await world.get("Practitioner?family=martin") for _ in range(5)]
    assert [one.status_code for one in answers].count(200) == 3
    assert refusal(answers[-1]) == (429, "throttled")
    assert answers[-1].headers["retry-after"] == "1"
    other = world.keys.add("other").secret
    assert (await world.get("Practitioner?family=martin", other)).status_code == 200
    assert world.door.counters.throttled == 2
    now[0] += 0.4
    assert [(await world.get("Practitioner?family=martin")).status_code for _ in range(2)] == [200, 429]
    await world.client.aclose()


async def test_a_sweep_of_prefixes_is_slowed_refused_and_told(here, make_world, town, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("directory.fhir.door.asyncio.sleep", sleep)
    world = make_world(here, shown_per_hour=40)
    world.database.write(lambda sql: town.crowd(sql, 150))
    answers = [
        await world.get(f"Practitioner?given=Prénom1{number:03d}"[:-1]) for number in range(0, 150, 10)
    ]
    assert [one.status_code for one in answers[:2]] == [200, 200]
    assert slept, "nothing was slowed"
    assert slept == sorted(slept)
    assert refusal(answers[-1]) == (429, "throttled")
    assert int(answers[-1].headers["retry-after"]) > 60
    assert [(one.outcome, one.asker, one.door) for one in world.sweeps] == [
        ("slowed", f"key:{world.reader.key.id}", "fhir"),
        ("refused", f"key:{world.reader.key.id}", "fhir"),
    ]
    (zoe,) = [one["id"] for one in await _of_another_key(world, "Practitioner?family=martin-durand")]
    assert refusal(await world.get(f"Practitioner/{zoe}")) == (429, "throttled")
    await world.client.aclose()


async def _of_another_key(world, path):
    answer = await world.get(path, world.keys.add("other").secret)
    return [one["resource"] for one in answer.json()["entry"]]


async def test_a_search_that_takes_too_long_is_cut_short(place, make_world, town, monkeypatch):
    world = make_world(place, longest_search=0.05)
    world.database.write(lambda sql: town.crowd(sql, 120))
    holds = "directory.fhir.selection.holds"
    monkeypatch.setattr(holds, lambda *_: time.sleep(0.02))
    monkeypatch.setattr("directory.fhir.threads._GRACE", 60)  # a busy machine comes to it late
    assert refusal(await world.get("Practitioner?_count=1&name:contains=e")) == (503, "too-costly")
    assert world.door.counters.cut_short == 1
    await world.client.aclose()


async def test_searches_of_one_key_leave_others_their_thread(local, monkeypatch):
    read, at_work, most = local.database.read, 0, 0
    hold, turn = threading.Event(), threading.Lock()

    def slow(work, *within):
        nonlocal at_work, most
        with turn:
            at_work += 1
            most = max(most, at_work)
        hold.wait(60)
        with turn:
            at_work -= 1
        return read(work, *within)

    await local.get("Practitioner?_count=0")
    other = local.keys.add("other").secret
    monkeypatch.setattr(local.database, "read", slow)
    greedy = [asyncio.create_task(local.get("Practitioner?_count=0")) for _ in range(12)]
    while most < 2:
        await asyncio.sleep(0.005)
    monkeypatch.setattr(local.database, "read", read)
    try:
        assert (await local.get("Practitioner?_count=0", other)).status_code == 200
        assert (await local.get("Practitioner", "vmk-" + "a" * 32)).status_code == 401
        assert at_work == most == 2
    finally:
        hold.set()
    assert {answer.status_code for answer in await asyncio.gather(*greedy)} == {200}


async def test_a_fault_tells_nothing_of_itself(local, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("secret content")

    monkeypatch.setattr(local.database, "read", broken)
    answer = await local.get("Practitioner")
    assert refusal(answer) == (500, "exception")
    assert "secret content" not in answer.text + caplog.text


async def test_the_loops_thread_never_waits_for_a_database(local, monkeypatch):
    threads = set()
    for name in ("read", "write"):
        original = getattr(local.database, name)

        def watched(*arguments, original=original):
            threads.add(threading.current_thread().name)
            return original(*arguments)

        monkeypatch.setattr(local.database, name, watched)
    original_find = local.keys.find
    monkeypatch.setattr(
        local.keys, "find", lambda key: threads.add(threading.current_thread().name) or original_find(key)
    )
    (one, *_) = await local.found("Practitioner")
    await local.get(f"Practitioner/{one['id']}")
    key = local.keys.add("operator", ["publish"], publisher="Autre", domains=["autre.mssante.fr"]).secret
    part = [
        {"name": "type", "valueCode": "delete"},
        {"name": "path", "valueString": "Practitioner.telecom.where(value = 'a@autre.mssante.fr')"},
    ]
    done = await local.patch(f"Practitioner/{one['id']}", [{"name": "operation", "part": part}], key)
    assert done.status_code == 200
    assert threads
    assert all(name.startswith("fhir") for name in threads)


async def test_a_long_answer_is_sent_in_slices_between_which_others_have_their_turn(make_world, here, town):
    local = make_world(here, page=200)
    local.database.write(lambda sql: town.crowd(sql, 200))
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    path = "/fhir/v2/Practitioner"
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
        "scheme": "https", "path": path, "raw_path": path.encode(), "query_string": b"_count=200", "root_path": "",
        "headers": [(b"host", b"annuaire.test"), (b"esante-api-key", local.reader.secret.encode())],
        "client": ("127.0.0.1", 1), "server": ("annuaire.test", 443),
    }  # fmt: skip
    await application([local.door.router])(scope, receive, send)
    slices = [message.get("body", b"") for message in sent[1:]]
    whole = b"".join(slices)
    assert len(json.loads(whole)["entry"]) == 200
    assert len(whole) > 64 * 1024 >= max(map(len, slices))
    assert dict(sent[0]["headers"])[b"content-length"] == str(len(whole)).encode()
