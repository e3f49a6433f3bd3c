"""What holds whatever the attributes: properties over the whole schema, also with local rules beside those shipped."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policies import corpus, questions, ruleset
from policies.decisions import CedarDecisions
from policies.explain import CONTEXTS
from policies.interface import Attribute, Entity, Question

SHIPPED = CedarDecisions.load(kept=0)
KINDS = ("PER", "ORG", "APP", "CAB", "PATIENT", "", "per", "OTHER")
IDS = ("me", "you", "they")
LETTERS = "aeiklprstwx"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL", "OAUTHBEARER", "XOAUTH2", "PASSWORD",
              "PASSKEY", "RECOVERY", "CODE", "PROVIDER", "PAGE", "HELD", "")  # fmt: skip
PROTOCOLS = ("imap", "submission", "smtp", "jmap", "ldap", "page", "")
POWERS = [power.value for power in questions.Power]

ids = st.sampled_from(IDS)
some = st.lists(ids, max_size=3, unique=True)
rights = st.text(alphabet=LETTERS, max_size=6)
flags = st.booleans()


@st.composite
def accounts(draw: st.DrawFn, **fixed: Attribute) -> Entity:
    made = questions.account(
        draw(ids),
        draw(st.sampled_from(("a@b.fr", "robot@b.fr", ""))),
        draw(st.sampled_from(KINDS)),
        suspended=draw(flags),
        members=draw(some),
        activated=draw(flags),
        practising=draw(flags),
        closed=draw(flags),
        contact=draw(st.sampled_from(("replies_only", "opted_in", "open", "other"))),
        sector=draw(st.sampled_from(("", "SA33", "SA04"))),
        delegates=draw(some),
    )
    return Entity("Account", made.id, {**made.attributes, **fixed})


@st.composite
def drawn_systems(draw: st.DrawFn) -> Entity:
    return questions.system("binding", draw(ids), suspended=draw(flags), closed=draw(flags))


@st.composite
def drawn_operators(draw: st.DrawFn) -> Entity:
    listed = draw(st.lists(st.sampled_from(("x.fr", "y.fr")), unique=True, max_size=2))
    return questions.operator("CN=x", tuple(listed), blocked=draw(flags))


@st.composite
def drawn_administrators(draw: st.DrawFn) -> Entity:
    powers = draw(st.lists(st.sampled_from(POWERS), unique=True))
    return questions.administrator("eve", powers, alone=draw(flags))


systems, operators, administrators = drawn_systems(), drawn_operators(), drawn_administrators()
speakers = st.one_of(accounts(), systems, operators)


def _values(name: str, like: Attribute) -> st.SearchStrategy[Attribute]:
    sampled: dict[str, st.SearchStrategy[Attribute]] = {
        "rights": rights.map(tuple),
        "needed": st.sampled_from(LETTERS),
        "mechanism": st.sampled_from(MECHANISMS),
        "protocol": st.sampled_from(PROTOCOLS),
        "standing": st.sampled_from(("none", "open", "closed", "odd")),
        "role": st.sampled_from(("member", "delegate", "odd")),
        "power": st.sampled_from([*POWERS, "everything"]),
        "field": st.sampled_from(
            ("red_list", "rank", "description", "service", "family_name", "id_nat_struct")
        ),
        "acr": st.integers(0, 3),
        "codes": st.lists(
            st.sampled_from([*sorted(questions.CONFIDENTIALITY), "N"]), unique=True, max_size=4
        ).map(tuple),
    }
    assert name in sampled or isinstance(like, bool), name
    return sampled.get(name, flags)


@st.composite
def contexts(draw: st.DrawFn, action: str, **fixed: Attribute) -> dict[str, Attribute]:
    drawn = {name: draw(_values(name, like)) for name, like in CONTEXTS[action].items()}
    return {**drawn, **fixed}


def asked(principal: Entity, action: str, resource: Entity, context: dict[str, Attribute]) -> Question:
    if (principal.type, principal.id) == (resource.type, resource.id):
        resource = principal  # one id is one account, with one set of attributes
    return Question(principal, action, resource, context)


def answer(question: Question) -> tuple[bool, str]:
    decision = SHIPPED.decide(question)
    assert decision.rule != "evaluation-error", "every such question fits the schema"
    return decision.allowed, decision.rule


MANY = settings(max_examples=300, deadline=None)


@given(speakers, accounts(), contexts("write_to", from_patient=True))
@MANY
def test_a_patient_never_writes_to_a_patient(who: Entity, to: Entity, context: dict[str, Attribute]) -> None:
    question = asked(who, "write_to", to, context)
    assume(context["to_patient"] or question.resource.attributes["kind"] == "PATIENT")
    assert answer(question) == (False, "write-to-never-between-patients")


@given(speakers, accounts(), contexts("write_to", blocked=True))
@MANY
def test_a_block_holds_both_ways(who: Entity, to: Entity, context: dict[str, Attribute]) -> None:
    assert not answer(asked(who, "write_to", to, context))[0]


@given(speakers, accounts(), contexts("write_to", from_patient=True, standing="closed"))
@MANY
def test_what_is_closed_takes_no_answer(who: Entity, to: Entity, context: dict[str, Attribute]) -> None:
    assert not answer(asked(who, "write_to", to, context))[0]


@given(
    accounts(kind="PATIENT"),
    accounts(),
    contexts("write_to", from_patient=True, standing="none", blocked=False),
)
@MANY
def test_a_patient_writes_first_only_where_the_addressee_lets_them(
    who: Entity, to: Entity, context: dict[str, Attribute]
) -> None:
    question = asked(who, "write_to", to, context)
    to = question.resource
    opted = (
        to.attributes["kind"] == "ORG"
        and to.attributes["contact"] == "opted_in"
        and to.attributes["sector"] == "SA33"
        and bool(context["dispensed"])
    )
    between = to.attributes["kind"] == "PATIENT" or bool(context["to_patient"])
    assert answer(question)[0] == (not between and (to.attributes["contact"] == "open" or opted))


@given(accounts(), accounts(), contexts("describe"))
@MANY
def test_what_the_directory_tells_of_a_mailbox_is_said_by_its_holder_or_an_administering_member(
    who: Entity, target: Entity, context: dict[str, Attribute]
) -> None:
    question = asked(who, "describe", target, context)
    if answer(question)[0]:
        who, target = question.principal, question.resource
        member = who.id in cast("tuple[str, ...]", target.attributes["members"])
        assert who.attributes["kind"] == "PER"
        assert context["field"] not in ("family_name", "id_nat_struct")
        assert who.id == target.id or (member and "a" in cast("tuple[str, ...]", context["rights"]))


@given(accounts(kind="PATIENT"))
@MANY
def test_no_patient_looks_in_the_directory(who: Entity) -> None:
    assert not answer(asked(who, "look_up", questions.NODE, {}))[0]


@given(speakers, accounts(), contexts("carry"))
@MANY
def test_a_document_is_never_carried_to_whom_it_is_kept_from(
    who: Entity, to: Entity, context: dict[str, Attribute]
) -> None:
    question = asked(who, "carry", to, context)
    codes = frozenset(cast("tuple[str, ...]", context["codes"]))
    patient = bool(context["to_patient"]) or question.resource.attributes["kind"] == "PATIENT"
    kept = "INVISIBLE_PATIENT" in codes if patient else "MASQUE_PS" in codes
    assert answer(question)[0] == (not kept and not {"MASQUE_PS", "INVISIBLE_PATIENT"} <= codes)


@given(st.one_of(accounts(), systems), accounts(), contexts("submit"))
@MANY
def test_who_is_suspended_or_closed_sends_nothing(
    who: Entity, sender: Entity, context: dict[str, Attribute]
) -> None:
    question = asked(who, "submit", sender, context)
    ends = (question.principal, question.resource)
    assume(any(end.attributes["suspended"] or end.attributes["closed"] for end in ends))
    assert not answer(question)[0]


@given(
    accounts(practising=False), accounts(), st.sampled_from(["submit", "open_account", "share"]), st.data()
)
@MANY
def test_who_lost_the_right_to_practise_acts_for_nobody(
    who: Entity, target: Entity, action: str, data: st.DataObject
) -> None:
    assert not answer(asked(who, action, target, data.draw(contexts(action))))[0]
    if who.id != target.id:
        assert not answer(asked(target, action, who, data.draw(contexts(action))))[0]


@given(accounts(), contexts("log_in"))
@MANY
def test_only_who_is_in_force_logs_in_and_each_kind_by_its_own_way(
    who: Entity, context: dict[str, Attribute]
) -> None:
    allowed, _ = answer(asked(who, "log_in", questions.NODE, context))
    of = who.attributes
    if allowed:
        assert not of["suspended"]
        assert not of["closed"]
        assert of["practising"]
        assert of["kind"] in ("PER", "APP", "PATIENT")
    if allowed and of["kind"] == "APP":
        assert context["mechanism"] == "EXTERNAL"
        assert context["protocol"] != "page"
    if allowed and of["kind"] == "PATIENT":
        assert context["protocol"] == "page"


@given(accounts(), accounts(), contexts("open_account"))
@MANY
def test_an_account_of_another_is_opened_by_its_members_and_delegates_alone_within_their_rights(
    who: Entity, target: Entity, context: dict[str, Attribute]
) -> None:
    question = asked(who, "open_account", target, context)
    target = question.resource
    if not answer(question)[0] or who.id == target.id:
        return
    assert who.attributes["kind"] == "PER"
    assert context["needed"] in context["rights"]  # type: ignore[operator]
    if target.attributes["kind"] in ("ORG", "CAB"):
        assert who.id in target.attributes["members"]  # type: ignore[operator]
    else:
        assert target.attributes["kind"] == "PER"
        assert who.id in target.attributes["delegates"]  # type: ignore[operator]


@given(accounts(), accounts(), contexts("make_app_password"))
@MANY
def test_an_app_password_needs_a_strong_and_fresh_login_of_the_person_themselves(
    who: Entity, target: Entity, context: dict[str, Attribute]
) -> None:
    if answer(asked(who, "make_app_password", target, context))[0]:
        assert who.id == target.id
        assert context["strong"]
        assert context["fresh"]
        assert who.attributes["kind"] == "PER"


@given(speakers, accounts(), contexts("close_exchange"))
@MANY
def test_no_patient_closes_an_exchange(who: Entity, patient: Entity, context: dict[str, Attribute]) -> None:
    question = asked(who, "close_exchange", patient, context)
    if answer(question)[0]:
        assert not context["from_patient"]
        assert who.attributes.get("kind") != "PATIENT"
        assert question.resource.attributes["kind"] == "PATIENT"


@given(operators, st.sampled_from(["x.fr", "y.fr", "z.fr", ""]), contexts("hand_over"))
@MANY
def test_an_operator_speaks_for_its_listed_domains_alone(
    who: Entity, domain: str, context: dict[str, Attribute]
) -> None:
    if answer(asked(who, "hand_over", Entity("Domain", domain, {"name": domain}), context))[0]:
        assert not who.attributes["blocked"]
        assert context["certificate"]
        assert not context["local"]
        listed = who.attributes["domains"]
        assert isinstance(listed, tuple)
        assert domain in listed or (domain == "" and listed)


@given(st.one_of(accounts(), systems), contexts("send_out"))
@MANY
def test_nothing_leaves_but_for_listed_operators_and_of_patients_only_into_open_exchanges(
    who: Entity, context: dict[str, Attribute]
) -> None:
    if answer(asked(who, "send_out", Entity("Domain", "x.fr", {"name": "x.fr"}), context))[0]:
        assert context["listed"]
        assert not context["stale"]
        assert not context["blocked"]
        assert not who.attributes["suspended"]
        assert not who.attributes["closed"]
        if context["from_patient"]:
            assert context["standing"] == "open"
            assert not context["refused"]
            assert not context["to_patient"]


@given(administrators, contexts("administer"))
@MANY
def test_nobody_named_uses_powers_that_are_held_apart(who: Entity, context: dict[str, Attribute]) -> None:
    allowed, rule = answer(asked(who, "administer", questions.NODE, context))
    powers = set(who.attributes["powers"])  # type: ignore[arg-type]
    if not allowed:
        return
    if rule == "administer-owner-alone":
        assert who.attributes["alone"]
        return
    assert context["power"] in powers or (context["power"] == "look" and powers)
    acting = {"accounts", "spaces", "keys", "readers", "policies"}
    if context["power"] == "audit":
        assert not powers & acting
    if context["power"] in acting:
        assert "audit" not in powers
    if context["power"] == "keys":
        assert not powers & {"accounts", "spaces", "policies"}
    if context["power"] == "accounts":
        assert not powers & {"keys", "readers", "policies"}


# -- local rules ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lavish(tmp_path_factory: pytest.TempPathFactory) -> CedarDecisions:
    """Local rules that permit everything to everyone; without the guard, which would refuse them."""
    folder = tmp_path_factory.mktemp("lavish")
    callers = {action: caller for caller, actions in questions.ACTIONS_OF.items() for action in actions}
    rules = [
        f'@id("all-{action.replace("_", "-")}") @caller("{caller.value}") @accepted("x") @fr("O.") @en("Y.")'
        f' permit (principal, action == Action::"{action}", resource);'
        for action, caller in callers.items()
    ]
    (folder / "all.cedar").write_text("\n".join(rules), "utf-8")
    assert any(
        "widens" in problem for problem in corpus.guard(folder)(ruleset.read(ruleset.DEFAULT_FOLDER, folder))
    )
    return CedarDecisions.load(kept=0, local=folder)


@given(st.data(), st.sampled_from(sorted(CONTEXTS)))
@settings(max_examples=400, deadline=None)
def test_no_local_rule_grants_what_a_shipped_rule_forbids(
    lavish: CedarDecisions, data: st.DataObject, action: str
) -> None:
    ends: dict[str, tuple[st.SearchStrategy[Entity], st.SearchStrategy[Entity]]] = {
        "submit": (st.one_of(accounts(), systems), accounts()),
        "hand_over": (operators, st.just(Entity("Domain", "x.fr", {"name": "x.fr"}))),
        "send_out": (
            st.one_of(accounts(), systems),
            st.just(Entity("Domain", "x.fr", {"name": "x.fr"})),
        ),
        "hold_in_custody": (st.just(questions.NODE), accounts()),
        "log_in": (accounts(), st.just(questions.NODE)),
        "look_up": (accounts(), st.just(questions.NODE)),
        "administer": (administrators, st.just(questions.NODE)),
        **{each: (speakers, accounts()) for each in ("receive", "write_to", "close_exchange", "carry")},
        **{
            each: (accounts(), accounts())
            for each in ("open_account", "share", "make_app_password", "describe")
        },
    }
    principal, resource = ends[action]
    question = asked(data.draw(principal), action, data.draw(resource), data.draw(contexts(action)))
    allowed, rule = answer(question)
    widened = lavish.decide(question)
    if not allowed and rule != "default-refuse":
        assert (widened.allowed, widened.rule) == (False, rule)
    else:
        assert widened.allowed


# -- in doubt ---------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    logger = logging.getLogger("vaguemestre.policies")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)


@given(st.data(), st.sampled_from(sorted(CONTEXTS)), st.sampled_from(["more", "less", "type"]))
@MANY
def test_an_attribute_unknown_missing_or_of_another_type_is_refused_with_the_alarm(
    data: st.DataObject, action: str, how: str
) -> None:
    principal = {"hand_over": questions.operator("CN=x"), "hold_in_custody": questions.NODE}.get(
        action, questions.administrator("eve") if action == "administer" else data.draw(accounts())
    )
    resource = {"hand_over": Entity("Domain", "x.fr", {"name": "x.fr"})}.get(
        action, questions.NODE if action in ("log_in", "administer", "look_up") else data.draw(accounts())
    )
    context = dict(data.draw(contexts(action)))
    if how == "more" or not context:
        context["colour"] = "red"
    elif how == "less":
        del context[data.draw(st.sampled_from(sorted(context)))]
    else:
        name = data.draw(st.sampled_from(sorted(context)))
        context[name] = "yes" if not isinstance(context[name], str) else 3
    decisions = CedarDecisions(SHIPPED.in_force, Path("."), kept=0)
    told: list[str] = []
    decisions.on_alarm = lambda question, what: told.append(what)
    decision = decisions.decide(asked(principal, action, resource, context))
    assert (decision.allowed, decision.rule) == (False, "evaluation-error")
    assert decisions.evaluation_errors == 1
    assert len(told) == 1
