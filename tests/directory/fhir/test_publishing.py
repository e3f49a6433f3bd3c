"""Other operators publish their mailboxes: insert, replace, delete, and every refusal. On both databases."""

from __future__ import annotations

import httpx
import pytest

from directory.listings import elsewhere

IDNPS = "urn:oid:1.2.250.1.71.4.2.1"
IDNST = "urn:oid:1.2.250.1.71.4.2.2"
METADATA = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata"
EMAIL_TYPE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type"
R256 = "https://mos.esante.gouv.fr/NOS/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie"
R257 = "https://mos.esante.gouv.fr/NOS/TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL"
ADDRESS = "lea.martin@autre.mssante.fr"


def point(address, kind="PER", *, rank=None, more=(), **fields):
    told = [{"url": "type", "valueCode": kind}] if kind else []
    for name, value in fields.items():
        told.append({"url": name, "valueBoolean" if isinstance(value, bool) else "valueString": value})
    made = {
        "system": "email",
        "value": address,
        "extension": [{"url": METADATA, "extension": [*told, *more]}],
    }
    return made | ({"rank": rank} if rank else {})


def operation(kind, path, **value):
    parts = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    if kind == "insert":
        parts.append({"name": "index", "valueInteger": 0})
    if value:
        parts.append({"name": "value"} | value)
    return {"name": "operation", "part": parts}


def insert(told, type_="Practitioner"):
    return operation("insert", f"{type_}.telecom", valueContactPoint=told)


def one(address=ADDRESS, type_="Practitioner"):
    return f"{type_}.telecom.where(value = '{address}')"


def field(name, address=ADDRESS, type_="Practitioner"):
    return f"{one(address, type_)}.extension('{METADATA}').extension('{name}').value"


def refusal(answer: httpx.Response) -> tuple[int, str]:
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return answer.status_code, outcome["issue"][0]["code"]


@pytest.fixture
def own_key(local):
    return local.keys.add("operator", ["publish"], publisher="Autre", domains=["autre.mssante.fr"]).secret


@pytest.fixture
def lea(town):
    return f"Practitioner?identifier={IDNPS}|{town.LEA.national_id}"


@pytest.fixture
def saules(town):
    return f"Organization?identifier={IDNST}|{town.HOSPITAL.national_id}"


@pytest.fixture
def role(town):
    return (
        f"PractitionerRole?practitioner.identifier={IDNPS}|{town.LEA.national_id}"
        f"&organization.identifier={IDNST}|{town.HOSPITAL.national_id}"
    )


async def test_a_mailbox_is_inserted_shown_changed_and_withdrawn(world, publisher, lea):
    key = publisher.secret
    done = await world.patch(lea, [insert(point(ADDRESS, digitization=False))], key)
    assert done.status_code == 200, done.text
    found = await world.found(f"Practitioner?mailbox-mss:exact={ADDRESS}")
    assert {each["value"] for each in found[0]["telecom"]} == {
        "lea.martin@medecin.mssante.fr",
        "cabinet.saules@medecin.mssante.fr",
        ADDRESS,
    }
    change = [operation("replace", field("digitization"), valueBoolean=True)]
    changed = await world.patch(lea, change, key)
    assert changed.headers["etag"] != done.headers["etag"]
    found = await world.found(f"Practitioner?mailbox-mss:exact={ADDRESS}")
    told = next(each for each in found[0]["telecom"] if each["value"] == ADDRESS)
    assert {"url": "digitization", "valueBoolean": True} in told["extension"][1]["extension"]
    gone = await world.patch(lea, [operation("delete", one())], key)
    assert gone.status_code == 200
    assert await world.found(f"Practitioner?mailbox-mss:exact={ADDRESS}") == []
    assert [each.changes for each in world.told] == [
        (("published", "PER"),),
        (("published", "PER"),),
        (("withdrawn", "PER"),),
    ]
    assert {each.key for each in world.told} == {publisher.key.id}


async def test_who_may_not_read_is_shown_the_mailboxes_of_their_domains_alone(world, publisher, lea):
    asked = [insert(point(ADDRESS))]
    done = await world.patch(lea, asked, publisher.secret)
    assert [each["value"] for each in done.json()["telecom"]] == [ADDRESS]
    assert [each["code"] for each in done.json()["meta"]["tag"]] == ["SUBSETTED"]
    key = publisher.key
    both = world.keys.add("both", ["read", "publish"], publisher=key.publisher, domains=key.domains).secret
    whole = await world.patch(lea, asked, both)
    assert await world.found(f"Practitioner?mailbox-mss:exact={ADDRESS}") == [whole.json()]
    assert whole.headers["etag"] == done.headers["etag"]
    gone = await world.patch(lea, [operation("delete", one())], publisher.secret)
    assert "telecom" not in gone.json()


async def test_the_same_again_changes_nothing(world, publisher, lea):
    asked = [insert(point(ADDRESS, listeRouge=False))]
    first = await world.patch(lea, asked, publisher.secret)
    again = await world.patch(lea, asked, publisher.secret)
    assert (again.status_code, again.json()) == (200, first.json())
    replaced = [operation("replace", one(), valueContactPoint=point(ADDRESS))]
    assert (await world.patch(lea, replaced, publisher.secret)).json() == first.json()
    removed = [operation("delete", one())]
    assert (await world.patch(lea, removed, publisher.secret)).status_code == 200
    assert (await world.patch(lea, removed, publisher.secret)).status_code == 200
    assert len(world.told) == 2


async def test_what_is_inserted_otherwise_is_a_conflict(world, publisher, lea):
    await world.patch(lea, [insert(point(ADDRESS))], publisher.secret)
    other = await world.patch(lea, [insert(point(ADDRESS, digitization=True))], publisher.secret)
    assert refusal(other) == (409, "duplicate")


async def test_a_red_listed_mailbox_is_kept_and_not_told(world, publisher, lea):
    done = await world.patch(lea, [insert(point(ADDRESS, listeRouge=True))], publisher.secret)
    assert done.status_code == 200
    assert ADDRESS not in done.text
    assert await world.found(f"Practitioner?mailbox-mss:contains={ADDRESS}") == []
    out = [operation("replace", field("listeRouge"), valueBoolean=False)]
    assert ADDRESS in (await world.patch(lea, out, publisher.secret)).text
    back = [operation("replace", field("listeRouge"), valueBoolean=True)]
    assert ADDRESS not in (await world.patch(lea, back, publisher.secret)).text
    asked = "SELECT red_list FROM mailbox WHERE address = ?"
    assert world.database.read(lambda sql: sql.one(asked, (ADDRESS,))) == (1,)


async def test_somebody_shown_nowhere_yet_can_be_published(world, publisher, town):
    red = f"Practitioner?identifier={IDNPS}|{town.RED.national_id}"
    address = "ana.discret@autre.mssante.fr"
    done = await world.patch(red, [insert(point(address))], publisher.secret)
    assert [each["value"] for each in done.json()["telecom"]] == [address]
    assert len(await world.found("Practitioner?family=discret")) == 1


async def test_who_is_shown_nowhere_is_not_named_by_patches_that_change_nothing(world, publisher, town):
    red = f"Practitioner?identifier={IDNPS}|{town.RED.national_id}"
    for asked in (operation("delete", one()), insert(point(ADDRESS, listeRouge=True))):
        done = await world.patch(red, [asked], publisher.secret)
        assert done.status_code == 200
        assert "family" not in done.json()["name"][0]
        assert town.RED.family.lower() not in done.text.lower()
        assert done.json()["identifier"][0]["value"] == town.RED.national_id


async def test_a_team_and_its_machine_lie_on_the_organisation(world, publisher, saules):
    team, robot = "urgences@autre.mssante.fr", "labo@autre.mssante.fr"
    asked = [
        insert(
            point(team, "ORG", service="Urgences", description="Accueil", responsible="Mme X", phone="01"),
            "Organization",
        ),
        insert(point(robot, "APP", rank=3), "Organization"),
    ]
    done = await world.patch(saules, asked, publisher.secret)
    assert done.status_code == 200, done.text
    shown = {each["value"]: each for each in done.json()["telecom"]}
    assert shown[robot]["rank"] == 3
    assert "Urgences" in done.text
    assert "Mme X" not in done.text
    assert await world.names("HealthcareService?name=urg") == ["Urgences"]
    # What is not shown is kept when another field changes.
    change = [operation("replace", field("description", team, "Organization"), valueString="Nuit")]
    assert (await world.patch(saules, change, publisher.secret)).status_code == 200
    kept = "SELECT responsible, phone, description, publisher FROM mailbox WHERE address = ?"
    row = world.database.read(lambda sql: sql.one(kept, (team,)))
    assert row == ("Mme X", "01", "Nuit", "Autre")
    path = f"{one(team, 'Organization')}.extension('{METADATA}').extension('description')"
    assert "Nuit" not in (await world.patch(saules, [operation("delete", path)], publisher.secret)).text
    path = f"{one(robot, 'Organization')}.rank"
    assert (
        await world.patch(saules, [operation("replace", path, valuePositiveInt=1)], publisher.secret)
    ).json()["telecom"][0]["rank"] == 1


async def test_a_person_in_a_structure_lies_on_the_role(world, publisher, role, town):
    asked = [insert(point(ADDRESS), "PractitionerRole")]
    done = await world.patch(role, asked, publisher.secret)
    assert done.status_code == 200, done.text
    assert done.json()["telecom"][0]["value"] == ADDRESS
    assert await world.names(f"PractitionerRole?mailbox-mss={ADDRESS}") == ["DR Léa MARTIN @ Les Saules"]
    by_id = f"PractitionerRole/{done.json()['id']}"
    assert (await world.patch(by_id, asked, publisher.secret)).json() == done.json()
    alone = role.partition("&")[0]
    assert (await world.patch(alone, asked, publisher.secret)).json() == done.json()
    out = [operation("delete", one(type_="PractitionerRole"))]
    assert "telecom" not in (await world.patch(role, out, publisher.secret)).json()
    assert refusal(await world.patch(by_id, asked, publisher.secret)) == (404, "not-found")
    zoe = f"PractitionerRole?practitioner.identifier={IDNPS}|{town.ZOE.national_id}"
    assert refusal(await world.patch(zoe, asked, publisher.secret)) == (412, "multiple-matches")


async def test_a_practice_has_several_holders(world, publisher, lea, town):
    address = "cabinet@autre.mssante.fr"
    others = [{"url": "idPP", "valueString": town.NOE.national_id}]
    told = point(address, "CAB", more=others, description="Cabinet")
    assert (await world.patch(lea, [insert(told)], publisher.secret)).status_code == 200
    assert await world.names(f"Practitioner?mailbox-mss={address}") == ["DR Léa MARTIN", "Noé LE GOFF"]
    unknown = [{"url": "idPP", "valueString": town.national(77)}]
    asked = [insert(point("x@autre.mssante.fr", "CAB", more=unknown))]
    assert refusal(await world.patch(lea, asked, publisher.secret)) == (422, "not-found")


async def test_a_request_is_whole_or_not_at_all(world, publisher, lea):
    asked = [insert(point(ADDRESS)), insert(point("other@autre.mssante.fr", "ORG"))]
    assert refusal(await world.patch(lea, asked, publisher.secret))[0] == 422
    assert await world.found(f"Practitioner?mailbox-mss={ADDRESS}") == []
    assert world.told == []


async def test_what_the_national_file_told_of_its_domain_becomes_the_operators(world, lea):
    key = world.keys.add("medecin", ["publish"], publisher="Médecin", domains=["medecin.mssante.fr"]).secret
    asked = [operation("replace", field("digitization", "lea.martin@medecin.mssante.fr"), valueBoolean=True)]
    assert (await world.patch(lea, asked, key)).status_code == 200
    row = "SELECT origin, publisher FROM mailbox WHERE address = 'lea.martin@medecin.mssante.fr'"
    assert world.database.read(lambda sql: sql.one(row)) == ("published", "Médecin")


async def test_only_who_published_a_mailbox_of_its_own_domains_changes_it(world, publisher, lea, town):
    await world.patch(lea, [insert(point(ADDRESS))], publisher.secret)
    rival = world.keys.add("rival", ["publish"], publisher="Rival", domains=["autre.mssante.fr"]).secret
    foreign = world.keys.add("foreign", ["publish"], publisher="Loin", domains=["loin.mssante.fr"]).secret
    out = [operation("delete", one())]
    for key in (rival, foreign):
        assert refusal(await world.patch(lea, out, key)) == (403, "forbidden")
        assert refusal(await world.patch(lea, [insert(point(ADDRESS))], key)) == (403, "forbidden")
    own = town.Mailbox("zoe@ici.mssante.fr", town.Kind.PER, (town.LEA,), origin=town.Origin.OWN)
    world.database.write(lambda sql: town.put_mailboxes(sql, [own], at=town.AT))
    ours = world.keys.add("ours", ["publish"], publisher="Ici", domains=["ici.mssante.fr"]).secret
    asked = [operation("delete", one("zoe@ici.mssante.fr"))]
    assert refusal(await world.patch(lea, asked, ours)) == (403, "forbidden")
    assert refusal(await world.patch(lea, out, world.reader.secret)) == (403, "forbidden")
    assert refusal(await world.patch(lea, out, "vmk-" + "a" * 32)) == (401, "login")


async def test_none_or_several_are_told_from_one(world, publisher, town, saules):
    asked = [insert(point(ADDRESS))]
    for number in (town.national(77), town.GONE.national_id):
        path = f"Practitioner?identifier={IDNPS}|{number}"
        assert refusal(await world.patch(path, asked, publisher.secret)) == (404, "not-found")
    assert refusal(await world.patch("Practitioner/nobody", asked, publisher.secret)) == (404, "not-found")
    assert refusal(await world.patch("Practitioner", asked, publisher.secret)) == (412, "multiple-matches")
    twice = town.Organisation("3" + "26690001200025", finess=town.HOSPITAL.finess, name="AUTRE")
    told = town.Mailbox("a@b.mssante.fr", town.Kind.ORG, organisation=twice)
    world.database.write(lambda sql: town.put_mailboxes(sql, [told], at=town.AT))
    path = f"Organization?identifier=https://finess.esante.gouv.fr|{town.HOSPITAL.finess}"
    team = [insert(point("u@autre.mssante.fr", "ORG"), "Organization")]
    assert refusal(await world.patch(path, team, publisher.secret)) == (412, "multiple-matches")
    assert (await world.patch(saules, team, publisher.secret)).status_code == 200


async def test_a_wrong_check_digit_is_told(world, publisher, town):
    wrong = town.LEA.national_id[:-1] + str((int(town.LEA.national_id[-1]) + 1) % 10)
    answer = await world.patch(
        f"Practitioner?identifier={IDNPS}|{wrong}", [insert(point(ADDRESS))], publisher.secret
    )
    assert refusal(answer) == (422, "value")
    assert "mistyped" in answer.json()["issue"][0]["diagnostics"]
    asked = [insert(point("u@autre.mssante.fr", "ORG"), "Organization")]
    path = f"Organization?identifier={IDNST}|{town.HOSPITAL.national_id[:-1]}x"
    assert refusal(await world.patch(path, asked, publisher.secret)) == (422, "value")


async def test_a_change_since_it_was_read_is_told(world, publisher, lea):
    tag = (await world.get(lea)).json()["entry"][0]["resource"]["meta"]["versionId"]
    asked = [insert(point(ADDRESS))]
    assert (await world.patch(lea, asked, publisher.secret, If_Match=f'W/"{tag}"')).status_code == 200
    other = [operation("replace", field("digitization"), valueBoolean=True)]
    assert refusal(await world.patch(lea, other, publisher.secret, If_Match=f'W/"{tag}"')) == (
        412,
        "conflict",
    )
    assert (await world.patch(lea, other, publisher.secret, If_Match="*")).status_code == 200


async def test_nobody_reads_the_directory_by_patches_that_change_nothing(here, make_world, town, monkeypatch):
    async def at_once(_):
        pass

    monkeypatch.setattr("directory.fhir.door.asyncio.sleep", at_once)
    world = make_world(here, shown_per_hour=10)
    world.database.write(lambda sql: town.crowd(sql, 30))
    key = world.keys.add("operator", ["publish"], publisher="Autre", domains=["autre.mssante.fr"]).secret
    asked = [operation("delete", one())]
    paths = [f"Practitioner?identifier={IDNPS}|{town.national(1000 + number)}" for number in range(30)]
    quiet = [await world.patch(path, asked, key, Prefer="return=minimal") for path in paths]
    assert {answer.status_code for answer in quiet} == {200}
    world.clock.now += 1
    statuses = []
    for path in paths:
        statuses.append((await world.patch(path, asked, key)).status_code)
        if statuses[-1] == 429:
            break
    assert statuses[-1] == 429
    assert len(statuses) <= 21
    await world.client.aclose()


async def test_nothing_is_published_that_cannot_be_traced(local, own_key, lea, monkeypatch):
    monkeypatch.setattr(local.door, "_trace_full", lambda: True)
    answer = await local.patch(lea, [insert(point(ADDRESS))], own_key)
    assert refusal(answer) == (503, "transient")
    assert await local.found(f"Practitioner?mailbox-mss={ADDRESS}") == []


async def test_no_body_comes_back_when_none_is_wanted(world, publisher, lea):
    done = await world.patch(lea, [insert(point(ADDRESS))], publisher.secret, Prefer="return=minimal")
    assert (done.status_code, done.content) == (200, b"")
    assert done.headers["etag"]


IMMUTABLE = [
    (operation("replace", one(), valueContactPoint=point("other@autre.mssante.fr")), "business-rule"),
    (operation("replace", one(), valueContactPoint=point(ADDRESS, "CAB")), "business-rule"),
    (operation("replace", field("type"), valueCode="CAB"), "business-rule"),
    (operation("replace", f"{one()}.value", valueString="other@autre.mssante.fr"), "not-supported"),
]


@pytest.mark.parametrize(("asked", "code"), IMMUTABLE)
async def test_address_and_type_never_change(world, publisher, lea, asked, code):
    await world.patch(lea, [insert(point(ADDRESS))], publisher.secret)
    assert refusal(await world.patch(lea, [asked], publisher.secret)) == (422, code)


async def test_a_mailbox_stays_on_its_resource(world, publisher, lea, role, town):
    await world.patch(lea, [insert(point(ADDRESS))], publisher.secret)
    there = [insert(point(ADDRESS), "PractitionerRole")]
    assert refusal(await world.patch(role, there, publisher.secret)) == (422, "business-rule")
    zoe = f"Practitioner?identifier={IDNPS}|{town.ZOE.national_id}"
    assert refusal(await world.patch(zoe, [operation("delete", one())], publisher.secret)) == (
        422,
        "business-rule",
    )


@pytest.mark.parametrize("kind", ["PER", "ORG", "APP", "CAB"])
@pytest.mark.parametrize("name", ["description", "service", "responsible", "phone"])
async def test_each_kind_has_its_fields(local, own_key, lea, saules, town, kind, name):
    where, type_ = (lea, "Practitioner") if kind in ("PER", "CAB") else (saules, "Organization")
    asked = [insert(point("x@autre.mssante.fr", kind, **{name: "text"}), type_)]
    answer = await local.patch(where, asked, own_key)
    assert answer.status_code == (200 if name in town.FIELDS_OF[town.Kind(kind)] else 422)


SPELLINGS = [
    {"valueCode": "PER"},
    {"valueCodeableConcept": {"coding": [{"system": R257, "code": "PER"}]}},
    {"valueCodeableConcept": {"coding": [{"system": R256, "code": "PER"}]}},
    {"valueCodeableConcept": {"coding": [{"code": "PER", "display": "x"}]}},
    {"valueCoding": {"system": R257, "code": "PER"}},
]


@pytest.mark.parametrize("spelled", SPELLINGS)
async def test_a_kind_is_understood_however_it_is_spelled(local, own_key, lea, spelled):
    told = point(ADDRESS, None, more=[{"url": "type"} | spelled])
    told["extension"].append({"url": EMAIL_TYPE, "valueCoding": {"system": R256, "code": "MSSANTE"}})
    assert (await local.patch(lea, [insert(told)], own_key)).status_code == 200


WRONG = {
    "no type": insert(point(ADDRESS, None)),
    "an unknown type": insert(point(ADDRESS, "USR")),
    "a type of another system": insert(
        point(ADDRESS, None, more=[{"url": "type", "valueCoding": {"system": "urn:x", "code": "PER"}}])
    ),
    "a team on a person": insert(point(ADDRESS, "ORG")),
    "a field twice": insert(point(ADDRESS, more=[{"url": "type", "valueCode": "PER"}])),
    "an unknown field": insert(point(ADDRESS, colour="blue")),
    "a flag as text": insert(point(ADDRESS, digitization="yes")),
    "a text of two lines": insert(point(ADDRESS, "CAB", description="a\nb")),
    "a text that turns writing round": insert(
        point(ADDRESS, "CAB", description="gro\u202eyl.uhc@retirc\u202c")
    ),
    "a text with what nobody sees": insert(point(ADDRESS, "CAB", description="Cab\u200binet")),
    "a text too long": insert(point(ADDRESS, "CAB", description="x" * 501)),
    "a telephone": insert(point(ADDRESS) | {"system": "phone"}),
    "no address": insert({"system": "email"}),
    "a strange address": insert(point("lea martin@autre.mssante.fr")),
    "a rank of nought": insert(point(ADDRESS) | {"rank": 0}),
    "a period": insert(point(ADDRESS) | {"period": {}}),
    "another service": insert(
        point(ADDRESS) | {"extension": [{"url": EMAIL_TYPE, "valueCoding": {"code": "OTHER"}}]}
    ),
    "another type's path": insert(point(ADDRESS), "Organization"),
    "holders of a person": insert(point(ADDRESS, more=[{"url": "idPP", "valueString": "8"}])),
    "replacing what is not there": operation("replace", one(), valueContactPoint=point(ADDRESS)),
    "another operation": operation("move", "Practitioner.telecom"),
    "no value": operation("insert", "Practitioner.telecom"),
    "replacing all": operation("replace", "Practitioner.telecom", valueContactPoint=point(ADDRESS)),
    "deleting all": operation("delete", "Practitioner.telecom"),
    "another element": operation("delete", "Practitioner.name"),
    "FHIRPath of more": operation("delete", "Practitioner.telecom.where(rank > 0)"),
    "an index by number": operation("delete", "Practitioner.telecom[0]"),
    "an address unquoted": operation("delete", f"Practitioner.telecom.where(value = {ADDRESS})"),
    "another extension": operation(
        "replace", f"{one()}.extension('urn:x').extension('listeRouge').value", valueBoolean=True
    ),
    "a patient": insert(point("279035121518989@autre.mssante.fr")),
    "a patient born in Corsica": insert(point("279032a21518989@autre.mssante.fr")),
    "a patient's number with more behind it": insert(point("279035121518989+x@autre.mssante.fr")),
}


@pytest.mark.parametrize("asked", WRONG.values(), ids=WRONG.keys())
async def test_what_is_not_understood_is_refused_in_words(local, own_key, lea, asked):
    answer = await local.patch(lea, [asked], own_key)
    assert answer.status_code == 422, answer.text
    assert answer.json()["issue"][0]["diagnostics"]
    assert local.told == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff", 400),
        (b"[" * 5000, 400),
        (b"{}", 422),
        (b'{"resourceType":"Patient"}', 422),
        (b'{"resourceType":"Parameters"}', 422),
        (b'{"resourceType":"Parameters","parameter":[]}', 422),
        (b'{"resourceType":"Parameters","resourceType":"Parameters"}', 400),
        (b'{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{}]}]}', 422),
        (b'{"a":' * 200_00 + b"1" + b"}" * 200_00, 400),
        (b" " * 200_000, 413),
    ],
)
async def test_other_bodies_are_refused(local, own_key, lea, body, status):
    answer = await local.client.patch(
        f"/fhir/v2/{lea}",
        content=body,
        headers={"ESANTE-API-KEY": own_key, "Content-Type": "application/fhir+json; charset=utf-8"},
    )
    assert answer.status_code == status, answer.text


async def test_who_objects_to_a_mailbox_under_their_name_is_not_given_it_again(world, publisher, lea, town):
    key, at = publisher.secret, town.AT
    await world.patch(lea, [insert(point(ADDRESS))], key)
    holder = [town.LEA.national_id]
    world.database.write(lambda sql: elsewhere.object_to(sql, ADDRESS, holder, "", at))
    assert await world.found(f"Practitioner?mailbox-mss:exact={ADDRESS}") == []
    assert refusal(await world.patch(lea, [insert(point(ADDRESS))], key)) == (403, "forbidden")
    other = point("autre.adresse@autre.mssante.fr")
    assert (await world.patch(lea, [insert(other)], key)).status_code == 200
    world.database.write(lambda sql: elsewhere.lift(sql, ADDRESS))
    assert (await world.patch(lea, [insert(point(ADDRESS))], key)).status_code == 200
