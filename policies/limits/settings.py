"""The `[limits]` section: how much one account, one place of the network, one operator and the whole node may take.

Invariants: every limit of the node that an operator may want to change is here, with what happens beyond it;
0 means no limit where the description says so; what protects the node from one peer alone has no 0.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LimitsSettings(BaseModel):
    """`[limits]`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # -- one account

    letters_per_hour: int = Field(
        default=500, ge=0, description="Letters a person may send in an hour; then 450 4.7.1. 0: no limit."
    )
    recipients_per_day: int = Field(
        default=2_000,
        ge=0,
        description="Recipients of a person's letters in a day; then 452 4.5.3. 0: no limit.",
    )
    patient_letters_per_hour: int = Field(
        default=60, ge=0, description="The same as letters_per_hour, for a patient. 0: no limit."
    )
    patient_recipients_per_day: int = Field(
        default=200, ge=0, description="The same as recipients_per_day, for a patient. 0: no limit."
    )
    system_letters_per_hour: int = Field(
        default=100_000,
        ge=0,
        description="The same as letters_per_hour, for a hospital's system (APP): thousands a night. 0: no limit.",
    )
    system_recipients_per_day: int = Field(
        default=1_000_000,
        ge=0,
        description="The same as recipients_per_day, for a system (APP). 0: no limit.",
    )
    submissions_per_hour: int = Field(
        default=500,
        ge=0,
        description="Letters handed over by JMAP in an hour, by one person; then rateLimit. 0: no limit.",
    )
    unknown_patients_per_hour: int = Field(
        default=30,
        ge=0,
        description=(
            "Patients' addresses nobody has that one person may try in an hour: beyond it no patient is answered "
            "for (450 4.7.1), so that nobody finds out by trying who has a space. 0: no limit."
        ),
    )
    system_unknown_patients_per_hour: int = Field(
        default=2_000, ge=0, description="The same, for a system (APP), which writes to many. 0: no limit."
    )
    lookups_per_minute: int = Field(
        default=60, ge=1, description="Addresses that one account may ask certificates of in a minute (page)."
    )
    account_quota: int = Field(
        default=20 * 1024**3,
        ge=0,
        description="Octets that one account may hold; then 452 4.2.2. 0: no limit.",
    )
    imap_connections_of_account: int = Field(
        default=40, ge=1, description="IMAP connections of one account at one time; then NO [LIMIT]."
    )
    requests_of_account: int = Field(
        default=8, ge=4, description="JMAP requests of one account at one time; then 429."
    )
    uploads_of_account: int = Field(
        default=4, ge=1, description="Uploads of one account at one time; then 429."
    )
    listeners_of_account: int = Field(
        default=40, ge=1, description="Event sources (push) of one account at one time; then 429."
    )

    # -- one place of the network: an IPv4 address or an IPv6 /64

    smtp_connections_of_place: int = Field(
        default=200, ge=1, description="SMTP connections from one place at one time; then 421 4.7.0."
    )
    imap_connections_of_place: int = Field(
        default=200,
        ge=1,
        description="IMAP connections from one place (a whole practice may share it); then BYE.",
    )
    failed_login_delay: float = Field(
        default=0.5,
        ge=0,
        le=10,
        description="Seconds a failed login waits for its answer; then doubled. A right one never waits.",
    )
    failed_login_longest_delay: float = Field(
        default=8.0, ge=0, le=60, description="The longest a failed login waits, in seconds."
    )
    failed_login_memory: float = Field(
        default=600.0, gt=0, le=86400, description="Seconds after which a failed login is forgotten."
    )
    failed_logins_free_of_place: int = Field(
        default=20,
        ge=0,
        description="Failed logins of one place, on different addresses, before it is slowed: a hospital is one place.",
    )
    failed_logins_free_of_account: int = Field(
        default=10,
        ge=0,
        description="Failed logins on one address, from different places, before such failures are slowed.",
    )

    # -- one operator, known by its certificate

    operator_letters_per_minute: int = Field(
        default=6_000, ge=0, description="Letters another operator may hand over in a minute. 0: no limit."
    )
    operator_letters_per_hour: int = Field(
        default=100_000, ge=0, description="The same in an hour; then 450 4.7.1. 0: no limit."
    )
    operator_recipients_per_hour: int = Field(
        default=300_000,
        ge=0,
        description="Recipients of an operator's letters in an hour; then 452 4.5.3. 0: no limit.",
    )
    operator_unknown_patients_per_hour: int = Field(
        default=5_000, ge=0, description="As unknown_patients_per_hour, for another operator. 0: no limit."
    )

    # -- the whole node

    smtp_connections: int = Field(
        default=5_000, ge=1, description="SMTP connections at one time; then 421 4.7.0."
    )
    imap_connections: int = Field(default=10_000, ge=1, description="IMAP connections at one time; then BYE.")
    listeners: int = Field(default=10_000, ge=1, description="Event sources (push) at one time; then 429.")


UNLIMITED = LimitsSettings(
    letters_per_hour=0,
    recipients_per_day=0,
    patient_letters_per_hour=0,
    patient_recipients_per_day=0,
    system_letters_per_hour=0,
    system_recipients_per_day=0,
    submissions_per_hour=0,
    unknown_patients_per_hour=0,
    system_unknown_patients_per_hour=0,
    account_quota=0,
    operator_letters_per_minute=0,
    operator_letters_per_hour=0,
    operator_recipients_per_hour=0,
    operator_unknown_patients_per_hour=0,
)
"""Nothing is refused: where letters are handed over by who has no `[limits]`."""
