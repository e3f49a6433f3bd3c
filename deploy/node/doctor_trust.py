"""What `vaguemestre doctor` looks at of the trust space: the list and its age, our own domains in it, revocation.

Invariant: it reads and asks; it fetches nothing and changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.node.config import Config
from deploy.node.control import CommandFailed, NodeDown, ask
from deploy.node.finding import Finding
from deploy.node.home import Home
from deploy.node.trust import FOLDER
from policies.trust_list import listing
from policies.trust_list.kept import Folder, StateDamaged
from policies.trust_list.revocation.chain import NotAuthorities, certificates_in

_OLD = dt.timedelta(hours=72)


def trust_findings(settings: Config, home: Path) -> Iterator[Finding]:
    """What can be seen without the node."""
    wanted = settings.policies
    if wanted.trust_list is None and not wanted.trust_list_url:
        yield Finding("trust list", "warning", "No trust list: no other operator can hand letters over.")
        return
    yield from _authorities(settings)
    if wanted.trust_list_url:
        yield from _kept(home)
    elif wanted.trust_list is not None:
        yield _file(wanted.trust_list)
    if not wanted.revocation_lists and wanted.ocsp == "off":
        yield Finding(
            "revocation",
            "warning",
            "Revoked certificates of operators are not known here: set revocation_lists or ocsp in [policies].",
        )


def _authorities(settings: Config) -> Iterator[Finding]:
    named = {
        "client_ca in [tls]": settings.tls.client_ca,
        "trust_list_ca in [policies]": settings.policies.trust_list_ca,
    }
    if settings.tls.client_ca is None:
        yield Finding("trust list", "failed", "No authorities of operators: set client_ca in [tls].")
    for where, path in named.items():
        if path is None:
            continue
        try:
            found = certificates_in(path)
        except OSError:
            yield Finding("trust list", "failed", f"{path} ({where}) cannot be read.")
            continue
        except NotAuthorities:
            yield Finding("trust list", "failed", f"{path} ({where}) holds no certificates.")
            continue
        now = dt.datetime.now(dt.UTC)
        for each in found:
            if each.not_valid_after_utc < now:
                yield Finding(
                    "trust list",
                    "warning",
                    f"{path} holds an authority that expired: {each.subject.rfc4514_string()}.",
                )


def _file(file: Path) -> Finding:
    try:
        found = listing.read(file)
    except listing.ListRefused as refused:
        return Finding("trust list", "failed", refused.sentence)
    age = dt.datetime.now(dt.UTC) - found.generated
    verdict = "warning" if age > _OLD else "good"
    return Finding(
        "trust list", verdict, f"{len(found.rows)} rows, generated {age.days} day(s) ago, from a file."
    )


def _kept(home: Path) -> Iterator[Finding]:
    try:
        kept = Folder(home / FOLDER).load()
    except StateDamaged as damaged:
        yield Finding("trust list", "failed", str(damaged))
        return
    if kept is None:
        yield Finding(
            "trust list", "failed", "No trust list was ever fetched: `vaguemestre trust-list fetch` says why."
        )


async def running_trust(settings: Config, home: Path) -> list[Finding]:
    """Of the running node."""
    if settings.policies.trust_list is None and not settings.policies.trust_list_url:
        return []
    try:
        found: dict[str, Any] = await ask(Home(home).control_socket, "trust_list_show", {})
    except (NodeDown, CommandFailed):
        return []
    return [*_age(found), *_ours(found), *_held(found), *_revocation(found)]


def _age(found: dict[str, Any]) -> Iterator[Finding]:
    if not found["fetched"]:
        return
    if found["age"] == "dead":
        sentence = "The trust list is too old, or there is none: every operator is refused."
        yield Finding("trust list", "failed", f"{sentence} Last attempt: {found['last_refusal'] or 'none'}.")
    elif found["age"] == "old":
        yield Finding(
            "trust list",
            "failed",
            f"The trust list was confirmed {found['age_hours']} h ago: operators never met before are refused."
            f" Last attempt: {found['last_refusal'] or 'none'}.",
        )
    elif found["last_refusal"]:
        yield Finding(
            "trust list", "warning", f"The last attempt at a newer list failed: {found['last_refusal']}."
        )
    else:
        yield Finding("trust list", "good", f"{found['rows']} rows, confirmed {found['age_hours']} h ago.")


def _ours(found: dict[str, Any]) -> Iterator[Finding]:
    for ours in found["ours"]:
        if not ours["listed"]:
            sentence = "is not in the trust list: other operators refuse what it sends."
        elif not ours["by_us"]:
            sentence = "is listed under another name than our certificate's: other operators refuse us."
        else:
            continue
        yield Finding("trust list", "warning", f"{ours['domain']} {sentence}")


def _held(found: dict[str, Any]) -> Iterator[Finding]:
    if found["held"]:
        yield Finding(
            "trust list",
            "warning",
            f"{found['held']} change(s) are held: look at `vaguemestre trust-list pending`, then apply or refuse.",
        )


def _revocation(found: dict[str, Any]) -> Iterator[Finding]:
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M")
    for each in found["revocation"]:
        if each["read"] is None:
            yield Finding(
                "revocation",
                "failed",
                f"{each['source']} was never read ({each['problem']}): operators are refused.",
            )
        elif each["until"] is not None and each["until"] <= now:
            yield Finding(
                "revocation", "failed", f"The list of {each['source']} has expired: operators are refused."
            )
        elif each["problem"]:
            yield Finding(
                "revocation",
                "warning",
                f"{each['source']} was last read {each['read']} UTC ({each['problem']}).",
            )
        else:
            yield Finding("revocation", "good", f"{each['entries']} revoked, until {each['until']} UTC.")
