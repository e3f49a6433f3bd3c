"""A copy for the practice's software, of documents that come in clear to who switched it on (reference/mssante.md §9,
row 27).

Invariants: the copy is made in memory before the letter is sealed, lies in custody, and is filed in the transaction of
the letter with an act of its own in the trace; it says nothing of who else got the letter; what came sealed by its
sender is not copied, since nobody here could open it; an account that is itself addressed gets no second copy.
"""

from __future__ import annotations

from collections.abc import Sequence

from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.accounts.life import in_service
from mail_server.delivery.examine import Letter
from mail_server.delivery.plan import Plan, Treatment
from mail_server.store.model import AccountId, Filed, NewMessage
from policies.interface import Event


def software_plans(letter: Letter, recipients: Sequence[Account], accounts: Accounts) -> list[Plan]:
    """One plan for each software account that a recipient has copies made for."""
    if letter.ciphertext is not None or not letter.findings.for_software:
        return []
    addressed = {one.id for one in recipients}
    found: dict[AccountId, Plan] = {}
    for holder in recipients:
        if not holder.copy_to_software or holder.software is None or holder.software in addressed:
            continue
        software = accounts.by_id(holder.software)
        if software is None or software.kind is not Kind.APP or not in_service(software):
            continue
        found.setdefault(software.id, Plan(software, Treatment.CUSTODY, copy_of=holder.id))
    return list(found.values())


def software_event(holder: AccountId, filed: Filed, at: int, copy: NewMessage) -> Event:
    """Told to the holder: the operator laid a copy down in their software's account."""
    return Event(
        "software-copy",
        at,
        "node",
        holder,
        outcome=copy.state.name.lower(),
        reference=filed.email_id,
        kind=copy.findings.coarse_class.name.lower(),
        detail={"account": filed.account},
    )
