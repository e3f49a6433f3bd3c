"""Who a visitor of the running demo may be, and what they need for it: shown once the story is told.

Invariant: codes stand behind the `#` of an address, which browsers never send.
"""

from __future__ import annotations

from deploy.demo import world
from deploy.demo.federation import Federation
from deploy.demo.patient_story import Line
from deploy.demo.world import World

Way = tuple[str, list[Line]]


def here(made: World) -> list[Way]:
    """Who a newcomer may be, and what they then need."""
    ports, you, patient, gp = made.ports, made.you, made.patient, made.persons[world.GP]
    page = f"http://localhost:{ports['http']}"
    code = made.command("enrolment_code", address=gp.address)["code"]
    return [
        (
            f"Be {you.person.given_names.split()[0]}, a patient whose report waits for him: four screens to read it",
            [
                ("open", f"{page}/activer#code={you.code}"),
                ("born", "/".join(reversed(you.person.birth_date.split("-")))),
                ("five digits", f"{you.person.last_five}, the last of his number {you.person.matricule}"),
            ],
        ),
        (
            f"Or {patient.person.given_names.split()[0]}, the patient of the story, whose space is open",
            [
                ("open", f"{page}/"),
                ("login", patient.person.matricule),
                ("password", patient.password),
            ],
        ),
        (
            "Or her doctor, in the page: a second check is asked for, any application of codes will do",
            [
                ("open", f"{page}/activer#code={code}&adresse={gp.address}"),
                ("key", f"{gp.secret_key}, to be brought along"),
                ("passphrase", gp.passphrase),
            ],
        ),
        (
            "Or the same doctor, by her identity provider (of test: it asks who one is, and believes it)",
            [
                ("open", f"{page}/connexion"),
                ("choose", "Pro Santé Connect (essai), then Camille Aubry"),
            ],
        ),
        (
            "Or her doctor, in a mail program",
            [
                ("IMAP", f"localhost, port {ports['imaps']} (TLS) or {ports['imap']} (STARTTLS)"),
                ("SMTP", f"localhost, port {ports['submissions']} (TLS) or {ports['submission']} (STARTTLS)"),
                ("LDAP", f"127.0.0.1, port {ports['ldaps']} (TLS) or {ports['ldap']}, base dc=mssante,dc=fr"),
                ("login", gp.address),
                ("password", gp.password),
                ("authority", str(made.ca)),
            ],
        ),
    ]


def beside(federation: Federation) -> list[Way]:
    """With a second operator: a doctor of theirs, and the servers around both, to be switched."""
    peer = federation.peer
    doctor = peer.persons[world.FOREIGN_DOCTOR]
    return [
        (
            "And a doctor of the second operator, in a mail program",
            [
                ("IMAP", f"localhost, port {peer.ports['imaps']} (TLS) or {peer.ports['imap']} (STARTTLS)"),
                (
                    "SMTP",
                    f"localhost, port {peer.ports['submissions']} (TLS) or {peer.ports['submission']} (STARTTLS)",
                ),
                ("login", doctor.address),
                ("password", doctor.password),
                ("key", f"{doctor.secret_key}, its passphrase {doctor.passphrase}"),
            ],
        ),
        (
            "And the servers around them, to be switched",
            [
                ("ask", f"curl {federation.board.url}"),
                ("switch", f"curl -X PUT -d halved {federation.board.url}trust-list"),
                ("then look", f"vaguemestre trust-list fetch --home {federation.folder / 'node'}"),
            ],
        ),
    ]
