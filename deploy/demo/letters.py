"""The letters of the demo: an invented discharge report with a real PDF, and an answer.

Everybody in them is invented. Composed with the standard library, as a hospital's software would; the server
never uses it.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr, make_msgid

from deploy.demo.people import Patient
from mail_server import mime
from mail_server.accounts.ins import INS_NIR
from mail_server.payloads.record import value_sets
from mail_server.payloads.record.letter import Report, level_one, report_letter, subject_of
from mail_server.payloads.record.model import Author, PatientId, Traits

CRLF = SMTP.clone(max_line_length=76)

_STAY = (
    "Service de cardiologie, Hôpital de la Gare",
    "",
    "Motif : essoufflement à l’effort et prise de cinq kilos en deux semaines.",
    "",
    "Pendant le séjour : décompensation cardiaque, traitée par diurétiques.",
    "Poids à l’entrée 83 kg, à la sortie 78 kg. Tension 124/72. Échographie : FEVG 42 %.",
    "",
    "Traitement à la sortie :",
    "   bisoprolol 2,5 mg le matin, ramipril 5 mg le soir, furosémide 40 mg le matin.",
    "",
    "À faire : prise de sang (potassium, créatinine) dans une semaine ;",
    "consultation de cardiologie dans trois semaines ; pesée chaque matin.",
    "",
    "Compte rendu inventé, pour l’essai.",
)


_TO_PATIENT = (
    "Vous êtes de retour chez vous depuis hier, après quatre jours dans notre service de cardiologie. "
    "Votre compte rendu est joint à ce message\u00a0: vous pouvez le lire ici et le montrer à votre médecin.\n\n"
    "À retenir\u00a0:\n"
    "- pesez-vous chaque matin, et notez le chiffre\u00a0;\n"
    "- appelez-nous si vous prenez plus de deux kilos en trois jours\u00a0;\n"
    "- votre contrôle est prévu dans trois semaines.\n\n"
    "L’équipe de cardiologie {word}\n"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter ready to send, and what its reader must find in it."""

    data: bytes = field(repr=False)
    subject: str
    text: str = field(repr=False)
    attachment: bytes = field(default=b"", repr=False)


def report(
    sender: str,
    recipient: str,
    *,
    pdf_bytes: int = 2 * 1024 * 1024,
    patient: str = "Éloïse Garance",
    closing: str = "Bien confraternellement.",
    title: str = "Compte rendu d'hospitalisation",
    born: str = "1951-03-14",
) -> Letter:
    """A discharge report: text that ends with `closing`, and a PDF of about `pdf_bytes` that shows `title`."""
    subject = f"Compte rendu d’hospitalisation – {patient}, né(e) le {'/'.join(reversed(born.split('-')))}"
    text = (
        "Chère consœur, cher confrère,\n\n"
        f"Vous trouverez ci-joint le compte rendu d’hospitalisation de {patient}, sortie ce jour du service "
        "de cardiologie : décompensation cardiaque résolue, traitement adapté, contrôle à trois semaines.\n\n"
        f"{closing}\n"
    )
    attachment = pdf(title, pdf_bytes)
    message = _message(sender, recipient, text)
    message.add_attachment(
        attachment, maintype="application", subtype="pdf", filename="compte-rendu-éloïse.pdf"
    )
    return Letter(_under(subject, message), subject, text, attachment)


def report_to_patient(
    sender: tuple[str, str], recipient: str, *, given_name: str, word: str, pdf_bytes: int
) -> Letter:
    """What a hospital writes to the patient herself. `sender`: name and address; `word` stands in subject and text."""
    name, address = sender
    subject = f"Votre compte rendu d’hospitalisation {word}".strip()
    text = f"Bonjour {given_name},\n\n" + _TO_PATIENT.format(word=word)
    attachment = pdf("Compte rendu d'hospitalisation", pdf_bytes, _STAY)
    message = _message(formataddr((name, address)), recipient, text)
    message.add_attachment(attachment, maintype="application", subtype="pdf", filename="compte-rendu.pdf")
    return Letter(_under(subject, message), subject, text, attachment)


def document_for_patient(sender: tuple[str, str], recipient: str, patient: Patient, *, word: str) -> Letter:
    """The same report as a hospital's system sends it: a CDA in IHE_XDM.zip, its PDF, words for a person."""
    name, address = sender
    given = patient.given_names.split()[0]
    kind = value_sets.document_type("34112-3")
    facility, setting = value_sets.facility("SA01"), value_sets.setting("ETABLISSEMENT")
    assert kind is not None
    assert facility is not None
    assert setting is not None
    made = Report(
        message_id=make_msgid(domain=address.rpartition("@")[2]),
        at=int(datetime.now(UTC).timestamp() * 1000),
        sender=address,
        sender_name=name,
        recipient=recipient,
        product="DEV000000",
        patient=PatientId(INS_NIR, patient.matricule),
        traits=Traits(patient.family_name, given, patient.birth_date, patient.sex, patient.birth_place),
        type=kind,
        class_=value_sets.class_of(kind.code),
        title="Compte rendu d’hospitalisation",
        act=f"{datetime.now(UTC):%Y-%m-%d}",
        unique_id=f"2.25.{uuid.uuid4().int}",
        set_id=f"2.25.{uuid.uuid4().int}",
        entry_uuid=f"urn:uuid:{uuid.uuid4()}",
        facility=facility,
        setting=setting,
        author=Author(
            "Delorme",
            "Agathe",
            "899700099990",
            organisation="Hôpital de la Gare",
            organisation_id="1690099991",
        ),
        words=_TO_PATIENT.format(word=word),
    )
    attachment = pdf("Compte rendu d'hospitalisation", 200_000, _STAY)
    whole = report_letter(made, level_one(made, attachment), attachment)
    return Letter(whole, subject_of(made), _TO_PATIENT.format(word=word), attachment)


def note(sender: str, recipient: str, subject: str, text: str, answering: str = "") -> Letter:
    """A short letter without attachment; `answering` is the Message-ID of the letter it answers."""
    message = _message(sender, recipient, text)
    if answering:
        message["In-Reply-To"] = message["References"] = answering
    return Letter(_under(subject, message), subject, text)


def _under(subject: str, message: EmailMessage) -> bytes:
    """The letter with its subject: the standard library folds a long one so that it loses spaces."""
    return mime.header_field("Subject", subject) + message.as_bytes(policy=CRLF)


def _message(sender: str, recipient: str, text: str) -> EmailMessage:
    message = EmailMessage(policy=CRLF)
    message["From"] = sender
    message["To"] = recipient
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].rstrip(">"))
    message.set_content(text)
    return message


def pdf(title: str, size: int, lines: Sequence[str] = ()) -> bytes:
    """A one-page PDF of about `size` bytes: title, lines, and an incompressible image-like stream as ballast."""
    shown = b"".join(b"(" + _escaped(line) + b") ' " for line in lines)
    page = b"BT /F1 18 Tf 60 760 Td (" + _escaped(title) + b") Tj 0 -20 Td /F1 12 Tf 19 TL " + shown + b"ET"
    ballast = random.Random(size).randbytes(max(0, size - 800 - len(page)))  # noqa: S311 - ballast, not a secret
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(ballast), ballast),
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets: list[int] = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def _escaped(text: str) -> bytes:
    """For a string of a PDF, in the encoding of its font."""
    octets = text.encode("cp1252", "replace")
    return octets.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
