"""Where each invariant and each reported bug of the research on billing (sections 5 and 6), and each posting of
domain.md, is put to the test. Names only: that the tests exist is checked here, what they say is theirs.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

INVARIANTS: dict[int, tuple[str, ...]] = {
    1: ("test_the_ledger_answers_as_the_reference", "test_the_database_itself_refuses_a_broken_entry"),
    2: ("test_no_role_changes_or_removes_what_is_append_only",),
    3: ("test_sixteen_posters_to_one_merchant_leave_no_gap", "test_killed_and_started_again"),
    4: ("test_rolling_next_to_posting_counts_every_entry_once", "test_the_roll_up_is_rebuilt_next_to_a_roller"),
    5: ("test_a_fact_is_booked_once", "test_an_order_is_refunded_once", "test_a_cart_is_placed_once"),
    6: (
        "test_no_limit_is_passed_however_many_write_and_rate",
        "test_what_is_credited_comes_back_in_the_parts_that_were_charged",
        "test_a_payout_above_the_balance_is_refused_with_both_amounts",
        "test_a_balance_is_never_exchanged_twice",
    ),
    7: (
        "test_what_is_posted_while_a_period_closes_is_in_the_period_and_its_statement_or_in_neither",
        "test_a_closed_period_is_refused_when_proposed_and_when_it_closed_meanwhile",
    ),
    8: (
        "test_d1_the_platforms_fee_and_d2_the_remittance",
        "test_the_batch_is_even_after_every_part",
        "test_a_confirmed_payout_leaves_transit_for_the_bank_and_the_control_account_at_zero",
    ),
    9: (
        "test_days_follow_each_other_without_a_gap",
        "test_bug_3_periods_tile_ten_years_from_every_start_day_without_gap_or_overlap",
    ),
    10: (
        "test_the_preview_is_what_becomes_final",
        "test_a_run_issues_an_invoice_to_each_merchant_as_it_was_previewed",
    ),
    11: (
        "test_a_month_billed_in_thirds_is_the_month_billed_in_one",
        "test_in_however_many_windows_it_is_billed_it_comes_to_the_same",
        "test_an_hour_in_parts_costs_what_it_costs_at_once",
    ),
    12: (
        "test_what_a_batch_in_any_order_and_any_cut_comes_to",
        "test_late_clicks_are_charged_by_the_difference_and_what_was_beyond_a_limit_stays_unbilled",
        "test_any_order_any_number_of_times",
    ),
    13: (
        "test_killed_and_started_again",
        "test_eight_at_once_of_which_some_die_leave_no_gap",
        "test_killed_after_a_part_it_goes_on_with_the_same_batch",
        "test_killed_anywhere_it_has_stored_nothing_and_runs_again",
    ),
    14: (
        "test_a_reversed_run_leaves_every_balance_as_it_was_and_can_be_run_again",
        "test_finalise_then_reverse_returns_every_balance",
        "test_a_reversed_run_takes_its_documents_back_and_may_issue_them_again",
    ),
    15: (
        "test_a_document_credited_in_any_parts_is_credited_exactly",
        "test_a_mirror_leaves_nothing",
        "test_what_is_rejected_is_credited_to_the_last_cent",
    ),
    16: (
        "test_any_partition_of_a_full_refund_returns_exactly_what_was_earned",
        "test_any_partition_of_a_full_refund_returns_exactly_what_was_borne",
    ),
    17: (
        "test_a_document_is_the_sum_of_what_it_says",
        "test_order_vat_sums_to_document_vat",
        "test_the_vat_of_a_claim_is_rounded_once_and_taken_back_to_nothing",
        "test_minor_units_of_0_2_and_3_decimals",
    ),
    18: (
        "test_payers_never_bear_more_than_any_line_costs_nor_more_than_their_caps",
        "test_sixteen_connections_use_a_cap_to_the_last_cent_and_never_a_cent_over",
    ),
    19: (
        "test_every_sequence_of_words_of_the_bank_leaves_what_the_model_says",
        "test_a_payout_that_comes_back_is_owed_again_and_paid_by_the_next_run",
        "test_of_many_makers_at_once_each_payout_goes_into_one_file",
    ),
    20: (
        "test_two_people_match_the_same_line_at_once",
        "test_a_group_is_taken_back_and_nothing_that_was_booked_is_lost",
        "test_a_residue_that_the_rules_explain_is_booked",
        "test_the_order_in_which_items_come_changes_nothing",
    ),
}

BUGS: dict[int, tuple[str, ...]] = {
    1: ("test_bug_1_a_run_is_opened_when_its_last_day_is_over_where_the_entity_is_and_once",),
    2: ("test_bug_2_of_many_workers_one_opens_the_run_though_the_first_is_still_at_it",),
    3: (
        "test_bug_3_periods_tile_ten_years_from_every_start_day_without_gap_or_overlap",
        "test_periods_follow_each_other_without_gap",
    ),
    4: ("test_bug_4_a_part_of_a_month_is_a_part_of_its_own_days", "test_within_a_month_every_day_counts_the_same"),
    5: ("test_334_99_credited_in_four_parts_is_334_99",),
    6: ("test_eight_finalise_one_run_at_once", "test_many_may_preview_finalise_and_reverse_at_once"),
    7: (
        "test_the_months_of_a_charge_sum_to_it_whatever_is_credited_on_the_way",
        "test_vat_of_one_currency_does_not_round_into_another",
        "test_a_capture_is_divided_without_losing_a_cent",
    ),
    8: ("test_bug_8_the_clock_opens_each_run_of_the_days_missed_and_then_changes_nothing",),
    9: (
        "test_a_refund_after_the_payout_is_netted_by_the_next_statement",
        "test_k_a_payout_is_confirmed_comes_back_after_its_month_was_closed_and_is_paid_once",
        "test_every_sequence_of_words_of_the_bank_leaves_what_the_model_says",
    ),
    10: ("test_pain_06_a_new_rate_changes_no_commission_of_the_past",),
    11: (
        "test_a_worker_killed_between_sending_and_noting_loses_and_doubles_nothing",
        "test_of_many_tries_at_once_one_pays",
    ),
    12: ("test_the_line_does_break", "test_an_order_is_refunded_once", "test_a_shipment_leaves_once"),
    13: ("test_a_fact_is_booked_once", "test_a_receipt_is_booked_once_for_whomever"),
    14: ("test_no_float_is_near_money", "test_the_database_itself_refuses_a_broken_entry"),
    15: ("test_a_line_is_booked_once_whatever_files_bring_it", "test_the_same_word_of_the_bank_twice_is_booked_once"),
}

POSTINGS: dict[str, tuple[str, ...]] = {
    "A": ("test_a_and_a1_paid_by_card_and_settled",),
    "B": ("test_b_a_live_discount_is_quoted_placed_paid_settled_and_refunded_in_part",),
    "C": ("test_c_the_merchants_own_discount_is_not_paid_and_bears_no_commission",),
    "D": ("test_d_the_buyer_pays_what_the_payer_leaves_and_pending_holds_both",),
    "D1": ("test_d1_the_platforms_fee_and_d2_the_remittance",),
    "D3": ("test_d3_what_the_payer_rejects_and_claims_again",),
    "E": ("test_e_a_full_refund_before_settlement_leaves_every_account_at_zero",),
    "E1": ("test_e1_a_full_refund_after_settlement_and_in_another_month",),
    "E2": ("test_e2_a_third_before_settlement_and_two_thirds_are_settled",),
    "E3": ("test_e3_the_same_third_after_settlement",),
    "F": ("test_posting_f_a_reward_is_earned_vested_and_clawed_back",),
    "G": ("test_g_credit_pays_a_part_and_comes_back_as_credit", "test_g_credit_that_is_not_used_in_time_expires"),
    "H": ("test_h_and_h1_to_the_cent", "test_h_by_card_by_bank_and_from_earnings"),
    "I": ("test_a_yearly_subscription_is_netted_and_earned_month_by_month",),
    "J": ("test_hardware_is_shipped_and_its_cost_leaves_the_stock",),
    "K": ("test_k_a_payout_is_confirmed_comes_back_after_its_month_was_closed_and_is_paid_once",),
    "L": ("test_l_the_processor_settles_and_keeps_its_fee", "test_posting_l_to_the_cent"),
    "M": (
        "test_m_lost_with_recourse_the_merchant_gives_back_what_it_got",
        "test_m_a_dispute_is_won_and_only_its_fee_is_gone",
    ),
    "N": ("test_posting_n_write_off_and_residue",),
    "O": ("test_posting_o_a_self_operated_sale_and_its_return",),
    "P": ("test_posting_p_goodwill_to_a_merchant",),
    "Q": ("test_posting_q_is_one_entry_per_currency_with_the_rate_on_both",),
}

SHOWN: dict[str, tuple[str, ...]] = {
    "billing in k windows is billing in one": INVARIANTS[11],
    "preview is final": INVARIANTS[10],
    "finalise then reverse returns every balance": INVARIANTS[14],
    "order VAT sums to document VAT": ("test_order_vat_sums_to_document_vat",),
    "a payer's cap under 16 connections": (
        "test_sixteen_connections_use_a_cap_to_the_last_cent_and_never_a_cent_over",
    ),
    "refused: a slot sold twice": (
        "test_a_slot_sold_twice_is_refused_naming_the_booking_that_has_it",
        "test_of_many_that_want_a_slot_at_once_one_has_it",
    ),
    "refused: a payout above the balance": ("test_a_payout_above_the_balance_is_refused_with_both_amounts",),
    "refused: approval by the maker": (
        "test_the_maker_approves_only_where_the_policy_says_so_and_is_marked",
        "test_maker_is_not_checker_unless_the_policy_says_so",
        "test_maker_is_never_checker_unless_one_person_is_all",
        "test_void_by_two_people_and_issued_again_with_todays_details",
    ),
    "refused: a period already closed": ("test_a_closed_period_is_refused_when_proposed_and_when_it_closed_meanwhile",),
    "refused: a payer cap below what is committed": (
        "test_a_cap_below_what_is_committed_is_refused_with_a_clear_word",
        "test_a_reversal_is_refused_whole_when_a_cap_has_no_room_for_what_comes_back",
    ),
}
"""What billing must show beside: that it comes to the same, and what it refuses with a clear word."""


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    """The name of every test there is, and what it says of itself."""
    trees = (ast.parse(file.read_text()) for file in TESTS.rglob("test_*.py"))
    return {
        node.name: ast.get_docstring(node) or ""
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("of", [INVARIANTS, BUGS, POSTINGS, SHOWN], ids=["invariants", "bugs", "postings", "shown"])
def test_each_has_tests_that_exist(of: dict[int | str, tuple[str, ...]], known: dict[str, str]) -> None:
    assert {key: missing for key, names in of.items() if (missing := set(names) - known.keys())} == {}


def test_each_posting_is_named_by_its_letter(known: dict[str, str]) -> None:
    """In the test's name, or in the first words that it says of itself."""
    assert [
        (letter, name)
        for letter, names in POSTINGS.items()
        for name in names
        if letter.lower() not in name.split("_") and not known[name].startswith((f"{letter}:", f"Posting {letter}"))
    ] == []


def test_none_is_left_out() -> None:
    assert list(INVARIANTS) == list(range(1, 21))
    assert list(BUGS) == list(range(1, 16))
    assert {key[0] for key in POSTINGS} == set("ABCDEFGHIJKLMNOPQ")
