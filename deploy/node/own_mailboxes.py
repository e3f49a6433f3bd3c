"""What the directory is told of an account of ours: its address, its kind, and what its profile says.

The national files say more of the same people and structures (profession, where they practise); what we say fills in
what they do not.

Invariants: pure; patients and whoever is suspended, closed or has no right to practise are no mailbox of the directory.
"""

from __future__ import annotations

from collections.abc import Iterable

from directory.model import FIELDS_OF, Kind, Mailbox, Organisation, Origin, Professional
from mail_server.accounts import interface as accounts
from mail_server.accounts.life import in_service
from mail_server.accounts.profile_book import ProfileBook

_KINDS = {
    accounts.Kind.PER: Kind.PER,
    accounts.Kind.ORG: Kind.ORG,
    accounts.Kind.APP: Kind.APP,
    accounts.Kind.CAB: Kind.CAB,
}


def is_told(account: accounts.Account) -> bool:
    """Whether the directory has it, shown or on the red list."""
    return account.kind in _KINDS and in_service(account)


def mailboxes(every: Iterable[accounts.Account], profiles: ProfileBook) -> dict[str, Mailbox]:
    """By address."""
    told = [account for account in every if is_told(account)]
    people = {account.national_id: account for account in told if account.national_id}
    return {account.address: _mailbox(account, profiles, people) for account in told}


def _mailbox(
    account: accounts.Account, profiles: ProfileBook, people: dict[str, accounts.Account]
) -> Mailbox:
    kind, profile = _KINDS[account.kind], profiles.of(account.id)
    fields = FIELDS_OF[kind]
    holders: tuple[Professional, ...] = ()
    if kind is Kind.PER and account.national_id:
        holders = (_professional(account.national_id, people, profiles),)
    elif kind is Kind.CAB:
        holders = tuple(_professional(each, people, profiles) for each in profile.id_pp)
    of_structure = kind in (Kind.ORG, Kind.APP) and profile.id_nat_struct
    return Mailbox(
        address=account.address,
        kind=kind,
        holders=holders,
        organisation=Organisation(profile.id_nat_struct) if of_structure else None,
        service=profile.service if "service" in fields else "",
        description=profile.description if "description" in fields else "",
        responsible=profile.responsible if "responsible" in fields else "",
        rank=profile.rank,
        red_list=profile.red_list,
        origin=Origin.OWN,
        title=profile.title if kind is Kind.PER else "",
        family=profile.family_name if kind is Kind.PER else "",
        given=profile.given_name if kind is Kind.PER else "",
    )


def _professional(
    national_id: str, people: dict[str, accounts.Account], profiles: ProfileBook
) -> Professional:
    if (account := people.get(national_id)) is None:
        return Professional(national_id)
    profile = profiles.of(account.id)
    return Professional(national_id, profile.title, profile.family_name, profile.given_name)
