"""Where each requirement on identity, rights, exchanges and the trace is held: the rows of reference/mssante.md §9 and
reference/mes_dmp.md (m), each with the tests that show it. A list to read; this test sees that every one still exists.
What `policies explain` answers to these rows is in tests/policies/test_explain.py (ROWS).
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

ROWS: dict[str, tuple[str, ...]] = {
    "17 tokens by XOAUTH2 and OAUTHBEARER, challenge on failure": (
        "mail_server/accounts/oidc/test_access_tokens.py::test_a_good_token_speaks_for_its_person",
        "mail_server/accounts/oidc/test_access_tokens.py::test_a_claim_that_is_not_as_it_must_be",
        "mail_server/accounts/oidc/test_access_tokens.py::test_the_failure_challenge_names_scope_and_configuration",
        "peers/test_tokens.py::test_a_fresh_token_opens_imap_and_submission",
        "peers/test_tokens.py::test_neomutt_reads_and_sends_with_a_token",
    ),
    "18 the token's person owns the mailbox or reads it": (
        "mail_server/accounts/test_token_logins.py::test_another_professionals_token_opens_nothing_and_says_whose_it_was",
        "peers/test_tokens.py::test_a_member_names_the_wards_mailbox_and_is_in_as_themselves",
        "peers/test_tokens.py::test_another_professionals_token_is_refused_and_in_the_trace",
    ),
    "19 no session outlives the provider's; no token is kept": (
        "mail_server/accounts/test_token_logins.py::test_what_was_opened_ends_with_its_half_hour_its_session_and_its_account",
        "mail_server/accounts/test_token_logins.py::test_a_session_of_more_than_four_hours_opens_nothing",
        "mail_server/smtp/test_login_ends.py::test_a_session_opened_by_a_token_ends_with_its_half_hour",
        "peers/test_tokens.py::test_a_logout_at_the_provider_ends_the_connections_it_opened_at_once",
        "peers/test_tokens.py::test_no_token_is_in_the_log_or_under_the_nodes_home",
    ),
    "20 software comes by certificate": (
        "mail_server/accounts/test_authenticator.py::test_a_bound_certificate_speaks_for_its_account",
        "mail_server/delivery/test_rules_asked.py::test_software_with_a_password_path_is_listed",
    ),
    "23 sender and From are the person's": (
        "peers/test_refusals.py::test_mail_from_someone_else",
        "peers/test_refusals.py::test_a_forged_from",
        "mail_server/delivery/test_forgeries.py::test_an_author_that_programs_may_read_differently_is_refused",
    ),
    "24 names are shown as ECO.2.2.7 says": (
        "mail_server/accounts/test_profiles.py::test_a_person_is_title_given_name_capitals_and_entity_joined_by_underscores",
        "mail_server/accounts/test_profiles.py::test_a_service_or_software_is_its_functional_entity",
    ),
    "25 kinds have their fields; address and kind stay": (
        "mail_server/accounts/test_profiles.py::test_a_kind_takes_its_own_fields_and_no_others",
        "mail_server/accounts/test_profiles.py::test_address_and_kind_never_change",
        "mail_server/accounts/test_profiles.py::test_rank_and_red_list_may_be_edited_for_every_kind",
    ),
    "26 members come in as themselves, every act is theirs": (
        "peers/test_readers.py::test_imapclient_reads_the_holders_folder_as_the_delegate_who_stands_in_the_trace",
        "peers/test_ward.py::test_a_session_open_on_the_ward_is_cut_within_about_a_second",
        "peers/test_ward.py::test_what_comes_after_holds_no_key_packet_for_him",
        "peers/test_ward.py::test_the_trace_tells_who_left_and_when",
    ),
    "27 the practice's software gets a copy of documents, of no other letter": (
        (
            "mail_server/delivery/test_structured.py::"
            "test_the_software_s_copy_is_readable_while_the_doctor_s_own_stays_sealed"
        ),
        (
            "mail_server/delivery/test_structured.py::"
            "test_an_ordinary_letter_and_one_sealed_by_its_sender_are_not_copied"
        ),
    ),
    "33, m13 a patient writes first only where it is offered, never to a patient": (
        "mail_server/delivery/test_patients.py::test_a_patient_writes_to_nobody_who_did_not_write_first",
        "mail_server/delivery/test_patients.py::test_two_patients_never_write_to_each_other_whatever_the_tables_say",
        (
            "mail_server/delivery/test_exchanges.py::"
            "test_a_patient_writes_first_where_the_pharmacy_takes_it_and_dispensed_within_a_year"
        ),
    ),
    "34, m12 a patient writes to who wrote and did not close": (
        "mail_server/delivery/test_patients.py::test_a_patient_answers_who_wrote_and_is_seen_by_the_alias_alone",
        "mail_server/delivery/test_exchanges.py::test_closing_one_exchange_leaves_another_with_the_same_person_open",
    ),
    "35 [FIN] exactly closes": (
        (
            "mail_server/delivery/test_patients.py::"
            "test_fin_as_subject_closes_all_that_its_sender_opened_and_nothing_of_others"
        ),
        "mail_server/delivery/test_patients.py::test_a_subject_that_only_holds_fin_closes_nothing",
    ),
    "36 X-MSS-MES: FIN takes the answer to that message; patients' is taken off": (
        "mail_server/delivery/test_exchanges.py::test_x_mss_mes_takes_the_answer_to_that_message_alone",
        "mail_server/delivery/test_patients.py::test_a_patient_s_own_fin_is_taken_off_also_what_came_sealed",
    ),
    "37 who closed is said; no answer by SMTP or JMAP": (
        "peers/test_thunderbird_closes.py::test_an_answer_by_raw_jmap_is_refused_and_says_who_closed_it",
        "peers/test_thunderbird_closes.py::test_an_answer_by_smtp_is_refused_at_every_door",
        (
            "mail_server/jmap/test_exchanges.py::"
            "test_filing_the_patient_s_letter_in_clos_closes_and_the_patient_is_told_by_whom"
        ),
    ),
    "38 Reply-To is whom one may answer": (
        "mail_server/delivery/test_patients.py::test_a_reply_to_is_whom_the_patient_answers_instead_of_the_robot",
    ),
    "39 a receipt at the first opening": (
        (
            "mail_server/delivery/test_receipts.py::"
            "test_the_first_opening_sends_one_receipt_sealed_that_tells_nothing_of_the_letter"
        ),
        (
            "mail_server/jmap/test_exchanges.py::"
            "test_the_patient_is_told_of_a_receipt_before_opening_and_a_download_sends_it"
        ),
    ),
    "45 X-MSS-* set by composers, checked against the real archive": (
        "mail_server/payloads/record/test_mss_fields.py::test_a_letter_with_cda_names_the_product_the_codes_and_the_ins",
        "mail_server/payloads/record/test_mss_fields.py::test_fields_that_say_otherwise_than_the_archive_are_flagged",
    ),
    "46 X-MSS-INS is O only for a qualified INS; absent without CDA": (
        (
            "mail_server/payloads/record/test_mss_fields.py::"
            "test_an_identity_that_is_no_qualified_ins_is_never_said_to_be_one"
        ),
        "mail_server/payloads/record/test_mss_fields.py::test_a_letter_without_cda_names_the_product_alone",
    ),
    "47 IHE_XDM.zip is built right and read back, also foreign ones": (
        "mail_server/payloads/record/test_xdm.py::test_an_archive_holds_what_iti_32_asks_for",
        "mail_server/payloads/record/test_xdm.py::test_a_document_comes_back_octet_for_octet",
        "mail_server/payloads/record/test_xdm.py::test_the_metadata_bear_every_attribute_that_is_required",
        (
            "mail_server/payloads/record/test_hostile.py::"
            "test_each_has_its_verdict_at_once_and_in_words_that_tell_nothing_of_it"
        ),
        "webmail/test_xdm_page.py::test_the_page_reads_the_values_that_the_server_reads",
    ),
    "48 subjects XDM/1.0/DDM+ are built, parsed, shown without the prefix": (
        (
            "mail_server/payloads/record/test_mss_fields.py::"
            "test_a_subject_has_its_label_the_name_in_capitals_and_the_date"
        ),
        "mail_server/payloads/record/test_mss_fields.py::test_a_subject_is_taken_apart_whoever_wrote_it",
        (
            "mail_server/payloads/record/test_mss_fields.py::"
            "test_a_subject_is_shown_without_its_prefix_and_with_what_it_warns_of"
        ),
    ),
    "49 one patient in a structured message, the CDA's that of METADATA.XML (904)": (
        (
            "mail_server/payloads/record/test_xdm.py::"
            "test_a_cda_about_another_patient_than_the_metadata_is_refused_as_904"
        ),
        "mail_server/payloads/record/test_xdm.py::test_two_patients_in_one_archive_are_refused_as_904",
        (
            "mail_server/delivery/test_structured.py::"
            "test_an_archive_about_two_people_is_refused_with_the_code_software_knows"
        ),
    ),
    "50 the PDF copy bears the required name": (
        "mail_server/payloads/record/test_mss_fields.py::test_a_pdf_copy_is_named_by_date_type_and_name",
    ),
    "51 hostile archives, XML and programs are refused with a reason": (
        (
            "mail_server/payloads/record/test_hostile.py::"
            "test_each_has_its_verdict_at_once_and_in_words_that_tell_nothing_of_it"
        ),
        "mail_server/payloads/record/test_hostile.py::test_at_least_two_hundred_hostile_ones_have_their_verdict",
        "webmail/test_xdm_page.py::test_the_page_gives_the_verdicts_of_the_table",
    ),
    "52 answers of integration, codes 900 to 906": (
        (
            "mail_server/payloads/record/test_integration.py::"
            "test_documents_taken_in_give_a_receipt_that_says_processed"
        ),
        (
            "mail_server/payloads/record/test_integration.py::"
            "test_documents_that_could_not_be_taken_in_give_code_and_words_and_come_back"
        ),
        "mail_server/payloads/record/test_integration.py::test_an_answer_of_ours_is_read_as_it_was_meant",
    ),
    "53 a version replaces the one before, which stays history": (
        "mail_server/payloads/record/test_life_cycle.py::test_documents_stand_as_the_page_says",
        "mail_server/payloads/record/test_life_cycle.py::test_the_order_of_arrival_never_matters_nor_how_often",
        (
            "mail_server/payloads/record/test_life_cycle.py::"
            "test_a_stranger_s_letter_changes_no_document_that_they_did_not_send"
        ),
    ),
    "54 the national tables are data; 34105-7 is mapped": (
        (
            "mail_server/payloads/record/test_value_sets.py::"
            "test_every_table_tells_where_it_comes_from_and_of_what_day"
        ),
        (
            "mail_server/payloads/record/test_value_sets.py::"
            "test_34105_7_is_no_type_to_write_and_is_read_as_what_took_its_place"
        ),
    ),
    "55 hidden documents go to whom they may": (
        (
            "mail_server/payloads/record/test_confidentiality.py::"
            "test_what_the_patient_must_not_see_yet_never_goes_to_the_patient"
        ),
        (
            "mail_server/payloads/record/test_confidentiality.py::"
            "test_what_is_masked_to_professionals_goes_to_the_patient_alone"
        ),
        "mail_server/payloads/record/test_confidentiality.py::test_codes_that_contradict_each_other_go_to_nobody",
        (
            "mail_server/delivery/test_structured.py::"
            "test_a_document_not_announced_yet_does_not_go_to_the_patient_but_to_their_doctor"
        ),
        (
            "mail_server/delivery/test_structured.py::"
            "test_what_the_patient_masks_goes_to_the_patient_alone_and_one_recipient_refuses_for_all"
        ),
    ),
    "61 answers of providers are checked": (
        "webmail/login/test_oidc_attacks.py::test_an_id_token_that_is_not_as_it_must_be",
        "webmail/login/test_oidc_attacks.py::test_an_answer_that_names_another_issuer_is_a_mix_up",
        "webmail/login/test_oidc_attacks.py::test_a_state_that_served_serves_no_more",
        "webmail/login/test_oidc_attacks.py::test_a_code_that_served_serves_no_more",
    ),
    "62 the trace: chained, never content": (
        "policies/audit/test_verify.py::test_an_entry_that_was_changed_is_found",
        "policies/audit/test_verify.py::test_a_tail_cut_with_the_node_s_own_head_shows_against_the_file",
        "policies/audit/test_verify.py::test_a_clock_put_back_is_found_where_it_stepped",
    ),
    "63, m33 the holder and the auditor read it": (
        "webmail/spaces/test_access_exports.py::test_the_holder_takes_the_log_as_csv_in_human_words",
        "webmail/spaces/test_access_exports.py::test_the_pdf_is_tagged_titled_and_says_its_language",
        (
            "deploy/test_audit_console.py::"
            "test_an_export_tells_all_that_concerns_a_person_in_a_period_and_is_told_itself"
        ),
    ),
    "68 a block is immediate, reasoned, traced": (
        (
            "mail_server/delivery/test_rules_asked.py::"
            "test_a_blocked_operator_is_refused_at_its_next_mail_from_and_the_block_is_traced"
        ),
        "mail_server/delivery/test_rules_asked.py::test_a_block_needs_a_name_and_a_reason",
        "peers/test_console.py::test_suspend_and_reinstate",
    ),
    "m28 a patient blocks a professional or an organisation": (
        "mail_server/delivery/test_exchanges.py::test_a_patient_receives_nothing_from_whom_they_blocked_who_is_told_so",
        (
            "mail_server/delivery/test_exchanges.py::"
            "test_a_blocked_organisation_is_blocked_for_its_members_who_write_for_it_alone"
        ),
    ),
}


@cache
def shown_in(path: str) -> frozenset[str]:
    nodes = ast.walk(ast.parse((TESTS / path).read_text("utf-8")))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_the_tests_that_are_named_for_it(row: str) -> None:
    named = [one.partition("::") for one in ROWS[row]]
    assert named
    missing = [f"{path}::{name}" for path, _, name in named if name not in shown_in(path)]
    assert missing == []
