"""Who may hand over, and to whom: the checks made before a byte of the message is read.

Invariants: every refusal carries the rule or reason that made it; nothing here looks at content; an account
that cannot be sealed to, held in custody or kept waiting is refused at RCPT TO, not later.
"""

from __future__ import annotations

from mail_server.accounts.interface import Account, Accounts, Identity, Peer
from mail_server.delivery.interface import Envelope, MailParameters, Recipient, Road, Sender
from mail_server.delivery.plan import Planner, account_entity
from policies import questions
from policies.interface import Decisions, Entity, TrustList
from policies.refusal import Refusal
from policies.trust_list.names import NameRefused, subject_dn


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
    ) -> None:
        self._accounts = accounts
        self._decisions = decisions
        self._trust_list = trust_list
        self._planner = planner
        self._max_message_size = max_message_size

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

    def _client(self, mail_from: str, peer: Peer, identity: Identity | None) -> Sender:
        if identity is None:
            raise Refusal(530, "5.7.0", "Authentication required", "not-authenticated")
        if not self._accounts.holds(identity.account, identity.credential):
            # The session outlived its password: log in again (a login with it would be 535 5.7.8, RFC 4954 §6).
            raise Refusal(
                550, "5.7.8", "What you logged in with was revoked or has expired", "credential-revoked"
            )
        account = self._accounts.by_id(identity.account)
        target = self._accounts.by_address(mail_from) if mail_from else None
        if account is None or target is None:
            raise Refusal(
                550, "5.7.1", "You may send only as the address you logged in with", "sender-not-yours"
            )
        question = questions.may_submit(
            speaker_entity(identity, account), account_entity(target), identity.mechanism
        )
        decision = self._decisions.decide(question)
        if not decision.allowed:
            raise Refusal(
                550,
                "5.7.1",
                "You may send only as the address you logged in with, or for a mailbox you are a member of",
                "sender-not-yours" if not account.suspended else "account-suspended",
            )
        return Sender(Road.CLIENT, target.address, peer, identity=identity)

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
        if not self._may_hand_over(dn, domains, domain_of(mail_from)):
            raise Refusal(
                550,
                "5.7.1",
                "Your certificate does not speak for the domain of this sender",
                "certificate-of-another-domain",
            )
        return Sender(Road.OPERATOR, mail_from, peer, operator_dn=dn)

    def recipient(self, envelope: Envelope, address: str) -> Recipient:
        """Admit one RCPT TO; the others are none of its business. Raises Refusal."""
        domain = domain_of(address)
        if not self._accounts.is_local_domain(domain):
            raise Refusal(550, "5.7.1", "This server does not relay to other operators", "relay-refused")
        account = self._accounts.by_address(address)
        if account is None:
            raise Refusal(550, "5.1.1", "No such mailbox here", "recipient-unknown")
        decision = self._decisions.decide(
            questions.may_receive(self._sender_entity(envelope.sender), account_entity(account))
        )
        if not decision.allowed:
            raise Refusal(550, "5.2.1", "This mailbox is suspended", "recipient-suspended")
        self._planner.plan(account)  # refuses a revoked certificate now, while the peer can still be told
        return Recipient(account.address, account.id)

    def _sender_entity(self, sender: Sender) -> Entity:
        account = self._accounts.by_id(sender.identity.account) if sender.identity else None
        if sender.identity is not None and account is not None:
            return speaker_entity(sender.identity, account)
        return questions.operator(sender.operator_dn or "")

    def trusts_domain(self, sender: Sender, domain: str) -> bool:
        """Whether the operator behind `sender` may use a From of this domain."""
        dn = sender.operator_dn
        if not dn or not domain:
            return False  # the rules read no domain as the null sender, which no author is
        return self._may_hand_over(dn, self._trust_list.domains_of(dn), domain.lower())

    def _may_hand_over(self, dn: str, domains: frozenset[str], domain: str) -> bool:
        local = self._accounts.is_local_domain(domain)
        question = questions.may_hand_over(dn, domains, domain, certificate=True, local=local)
        return self._decisions.decide(question).allowed


def speaker_entity(identity: Identity, account: Account) -> Entity:
    """Who speaks: a system that proved its certificate, or a person's program."""
    if identity.mechanism == "EXTERNAL":
        return questions.system(identity.credential, account.id, suspended=account.suspended)
    return account_entity(account)


def domain_of(address: str) -> str:
    """The part after the last `@`, lower case; empty when there is none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""
