"""Who may hand over, and to whom: the checks made before a byte of the message is read.

Invariants: every refusal carries the rule or reason that made it; nothing here looks at content; an account
that cannot be sealed to, held in custody or kept waiting is refused at RCPT TO, not later; a patient who
writes learns nothing of who has an account: someone unknown and someone they never met read alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mail_server.accounts import ins
from mail_server.accounts.entities import account_entity, rights_in
from mail_server.accounts.interface import HELD, Account, Accounts, Identity, Kind, Peer
from mail_server.accounts.standing import Ended, ended
from mail_server.conversations.model import Bar, Stand, Standing
from mail_server.delivery.interface import MailParameters, Recipient, Road, Sender
from mail_server.delivery.plan import Planner
from mail_server.delivery.refusals import not_handed_over, not_received, not_submitted
from policies import questions
from policies.interface import Decision, Decisions, Entity, TrustList
from policies.refusal import Refusal
from policies.trust_list.names import NameRefused, subject_dn


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wants to write, as the rules see them."""

    entity: Entity
    patient: Account | None = None  # one of ours
    from_patient: bool = False  # ours or another operator's
    names: tuple[str, ...] = ()  # whom a block would name: the address that writes, and the person who does


_STRANGERS = Stand(Standing.NONE)
_NUMBER_MISTYPED = frozenset({"ins-key", "ins-month", "ins-sex"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules ask about the two, when one of them is a patient."""

    stand: Stand = _STRANGERS
    blocked: bool = False  # by the patient of the two
    dispensed: bool = False  # by the addressee to the patient, within a year


NO_FACTS = Facts()


class ConversationClosed(Refusal):
    """An exchange, or one message of it, takes no answer; the refusal says who closed it."""

    __slots__ = ("closed_by",)

    def __init__(self, bar: Bar) -> None:
        named = bar.closed_by if bar.closed_by.isascii() and bar.closed_by.isprintable() else ""
        who = named or "This correspondent"
        sentence = (
            f"{who} takes no answer to this message"
            if bar.message_alone
            else f"{who} has closed this exchange"
        )
        super().__init__(
            550, "5.7.1", sentence, "message-closed" if bar.message_alone else "conversation-closed"
        )
        self.closed_by = bar.closed_by


class Gate:
    """Decides MAIL FROM and RCPT TO (DESIGN §1, steps 1 and 2)."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        decisions: Decisions,
        trust_list: TrustList,
        planner: Planner,
        max_message_size: int,
        operator_blocked: Callable[[str], bool] = lambda dn: False,
        patient_domain: str = "",
    ) -> None:
        self._accounts = accounts
        self._decisions = decisions
        self._trust_list = trust_list
        self._planner = planner
        self._max_message_size = max_message_size
        self._operator_blocked = operator_blocked
        self._patient_domain = patient_domain

    def sender(
        self, road: Road, mail_from: str, parameters: MailParameters, peer: Peer, identity: Identity | None
    ) -> Sender:
        """Admit MAIL FROM on one of the two roads. Raises Refusal."""
        if parameters.size is not None and parameters.size > self._max_message_size:
            # RFC 1870 §6.1: the declared size alone is reason enough.
            raise Refusal(552, "5.3.4", "Message is larger than this server accepts", "too-large-declared")
        if road is Road.CLIENT:
            return self._client(mail_from, peer, identity)
        return self._operator(mail_from, peer)

    def require_still(self, sender: Sender) -> None:
        """What was admitted at MAIL FROM is looked at again when the letter is there. Raises Refusal."""
        if sender.road is Road.CLIENT:
            self._client(sender.mail_from, sender.peer, sender.identity)

    def _client(self, mail_from: str, peer: Peer, identity: Identity | None) -> Sender:
        if identity is None:
            raise Refusal(530, "5.7.0", "Authentication required", "not-authenticated")
        # What was handed over while its author was here may leave after they logged out (HELD); else the
        # session must still hold.
        if identity.mechanism != HELD and ended(self._accounts, identity) in (Ended.CREDENTIAL, Ended.TIME):
            # The session outlived its password: log in again (a login with it would be 535 5.7.8, RFC 4954 §6).
            raise Refusal(
                550, "5.7.8", "What you logged in with was revoked or has expired", "credential-revoked"
            )
        account = self._accounts.by_id(identity.account)
        # A receipt that a mail program sends by itself has no sender to answer to (RFC 8098 §3): who may send at all
        # may hand it in; what it is, and whose, is looked at when it is there (`examine.check_receipt`).
        target = self._accounts.by_address(mail_from) if mail_from else account
        if account is None or target is None or (not mail_from and account.kind is Kind.PATIENT):
            raise Refusal(
                550, "5.7.1", "You may send only as the address you logged in with", "sender-not-yours"
            )
        question = questions.may_submit(
            speaker_entity(identity, account),
            account_entity(target),
            identity.mechanism,
            rights=rights_in(target, account.id),
        )
        decision = self._decisions.decide(question)
        if not decision.allowed:
            raise not_submitted(decision.rule)
        return Sender(Road.CLIENT, target.shown if mail_from else "", peer, identity=identity)

    def _operator(self, mail_from: str, peer: Peer) -> Sender:
        if peer.certificate is None:
            raise Refusal(
                550, "5.7.1", "A client certificate listed in the trust list is required", "no-certificate"
            )
        try:
            dn = subject_dn(peer.certificate)
        except NameRefused:
            raise Refusal(
                550, "5.7.1", "The name in your certificate cannot be compared", "certificate-name-unusable"
            ) from None
        domains = self._trust_list.domains_of(dn)
        if not domains:
            raise Refusal(550, "5.7.1", "Your certificate is not in the trust list", "certificate-unlisted")
        decision = self._hand_over(dn, domains, domain_of(mail_from))
        if not decision.allowed:
            raise not_handed_over(decision.rule)
        return Sender(Road.OPERATOR, mail_from, peer, operator_dn=dn)

    def is_elsewhere(self, address: str) -> bool:
        """Whether an address is of a domain, and that is none of this node."""
        domain = domain_of(address)
        return bool(domain) and not self._accounts.is_local_domain(domain)

    def recipient(self, writer: Writer, address: str, facts: Facts = NO_FACTS) -> Recipient:
        """Admit one RCPT TO; the others are none of its business. Raises Refusal."""
        account = self.addressee(writer, address, facts)
        return Recipient(account.address, account.id)

    def addressee(self, writer: Writer, address: str, facts: Facts) -> Account:
        """Whom `writer` may write to at this address. `facts` matter for patients. Raises Refusal."""
        if not self._accounts.is_local_domain(domain_of(address)):
            raise Refusal(550, "5.7.1", "This server does not relay to other operators", "relay-refused")
        account = self._accounts.by_address(address)
        if account is None:
            raise self._nobody(writer, address)
        if account.kind is Kind.PATIENT:
            self._takes_letters(writer, account, address)
        if writer.from_patient or account.kind is Kind.PATIENT:
            self._may_write_to(writer, account, facts)
        decision = self._decisions.decide(questions.may_receive(writer.entity, account_entity(account)))
        if not decision.allowed:
            raise not_received(decision.rule)
        self._planner.plan(account)  # refuses a revoked certificate now, while the peer can still be told
        return account

    def _takes_letters(self, writer: Writer, account: Account, address: str) -> None:
        """Who had a space here, or opposed letters, is not told apart from who never had one. Raises Refusal."""
        decision = self._decisions.decide(questions.may_receive(writer.entity, account_entity(account)))
        if not decision.allowed and (account.closed or account.opposed):
            raise self._nobody(writer, address)

    def _may_write_to(self, writer: Writer, account: Account, facts: Facts) -> None:
        question = questions.may_write_to(
            writer.entity,
            account_entity(account),
            from_patient=writer.from_patient,
            to_patient=account.kind is Kind.PATIENT,
            standing=facts.stand.standing.value,
            blocked=facts.blocked,
            dispensed=facts.dispensed,
        )
        decision = self._decisions.decide(question)
        if decision.allowed:
            return
        if facts.blocked and account.kind is Kind.PATIENT and not writer.from_patient:
            raise blocked_by_patient()
        if facts.blocked and account.kind is not Kind.PATIENT:
            raise Refusal(
                550,
                "5.7.1",
                "You blocked this correspondent: unblock them to write",
                "write-to-one-you-blocked",
            )
        if facts.stand.standing is Standing.CLOSED and account.kind is not Kind.PATIENT:
            raise ConversationClosed(Bar(False, facts.stand.closed_by))
        raise not_a_correspondent()

    def _nobody(self, writer: Writer, address: str) -> Refusal:
        if writer.from_patient:
            return not_a_correspondent()
        local, _, _ = address.rpartition("@")
        try:
            ins.parse(local)
        except ins.InsRefused as wrong:
            other_length = (
                wrong.reason == "ins-length"
                and local[:1].isdigit()
                and domain_of(address) == self._patient_domain
            )
            letter = wrong.reason == "ins-characters" and ins.like(local)
            if wrong.reason in _NUMBER_MISTYPED or other_length or letter:
                # RFC 3463 §3.2 (X.1.3): it has the shape of a patient's number, and is mistyped. The digits alone
                # say so: nothing is told of anybody.
                return Refusal(
                    550,
                    "5.1.3",
                    f"This patient number is mistyped. {wrong.en}",
                    "recipient-number-wrong",
                )
        if domain_of(address) == self._patient_domain:
            # One answer for who never had a space, whose space is closed, and who opposed letters (mssante.md §3.2).
            return Refusal(550, "5.1.1", "Message non distribue", "recipient-unknown")
        return Refusal(550, "5.1.1", "No such mailbox here", "recipient-unknown")

    def may_close(self, speaker: Account | Sender, patient: Account) -> bool:
        """Whether `speaker` may close an exchange with this patient."""
        writer = self.writer_for(speaker) if isinstance(speaker, Account) else self.writer(speaker)
        question = questions.may_close_exchange(
            writer.entity, account_entity(patient), from_patient=writer.from_patient
        )
        return self._decisions.decide(question).allowed

    def writer(self, sender: Sender) -> Writer:
        account = self._accounts.by_id(sender.identity.account) if sender.identity else None
        if sender.identity is not None and account is not None:
            names = (sender.mail_from, account.address)
            return replace(self.writer_for(account, speaker_entity(sender.identity, account)), names=names)
        entity = questions.operator(sender.operator_dn or "")
        return Writer(entity, from_patient=is_patients(sender.mail_from), names=(sender.mail_from,))

    def writer_for(self, account: Account, entity: Entity | None = None) -> Writer:
        is_patient = account.kind is Kind.PATIENT
        who = entity or account_entity(account)
        return Writer(who, account if is_patient else None, is_patient, (account.address,))

    def may_send_as(self, sender: Sender, address: str) -> bool:
        """Whether who is logged in may send as this address: asked where MAIL FROM does not say it."""
        if sender.identity is None:
            return False
        account, target = self._accounts.by_id(sender.identity.account), self._accounts.by_address(address)
        if account is None or target is None:
            return False
        question = questions.may_submit(
            speaker_entity(sender.identity, account),
            account_entity(target),
            sender.identity.mechanism,
            rights=rights_in(target, account.id),
        )
        return self._decisions.decide(question).allowed

    def names_of(self, sender: Sender) -> frozenset[str]:
        """Every address of the account that sends; none for another operator's."""
        account = self.author(sender)
        return frozenset({account.address, account.shown}) if account else frozenset()

    def author(self, sender: Sender) -> Account | None:
        """The account that a letter of ours is from: the one logged in, or the shared one they write for."""
        if sender.road is not Road.CLIENT or not sender.mail_from:
            return None
        return self._accounts.by_address(sender.mail_from)

    def speaker(self, sender: Sender) -> Account | None:
        """The same; of a receipt, which has no sender, the account that is logged in."""
        if sender.identity is not None and not sender.mail_from:
            return self._accounts.by_id(sender.identity.account)
        return self.author(sender)

    def trusts_domain(self, sender: Sender, domain: str) -> bool:
        """Whether the operator behind `sender` may use a From of this domain."""
        dn = sender.operator_dn
        if not dn or not domain:
            return False  # the rules read no domain as the null sender, which no author is
        return self._hand_over(dn, self._trust_list.domains_of(dn), domain.lower()).allowed

    def _hand_over(self, dn: str, domains: frozenset[str], domain: str) -> Decision:
        question = questions.may_hand_over(
            dn,
            domains,
            domain,
            certificate=True,
            local=self._accounts.is_local_domain(domain),
            blocked=self._operator_blocked(dn),
        )
        return self._decisions.decide(question)


def speaker_entity(identity: Identity, account: Account) -> Entity:
    """Who speaks: a system that proved its certificate, or a person's program."""
    if identity.mechanism == "EXTERNAL":
        return questions.system(
            identity.credential, account.id, suspended=account.suspended, closed=account.closed
        )
    return account_entity(account)


def blocked_by_patient() -> Refusal:
    return Refusal(550, "5.7.1", "This patient has chosen to receive no letters from you", "write-to-blocked")


def not_a_correspondent() -> Refusal:
    return Refusal(550, "5.7.1", "You can write only to who has written to you", "not-a-correspondent")


def is_patients(address: str) -> bool:
    """Whether an address of another operator is a patient's: a matricule INS, also one mistyped, or a domain for
    patients, where their aliases are."""
    local, _, _ = address.rpartition("@")
    if domain_of(address).startswith("patient."):
        return True
    try:
        ins.parse(local)
    except ins.InsRefused as wrong:
        return wrong.reason in _NUMBER_MISTYPED
    return True


def domain_of(address: str) -> str:
    """The part after the last `@`, lower case; empty when there is none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""
