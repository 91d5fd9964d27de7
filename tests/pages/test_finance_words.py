"""Every member of the closed families that the pages of finance and payers speak of has a word."""

from typing import get_args

from billing.bank_accounts.model import Scheme
from billing.exchange.model import RateState
from billing.exports.model import JournalFormat
from billing.line_disputes.model import CaseState
from billing.line_disputes.model import Side as CaseSide
from billing.payers.tables import payer_claim_line
from billing.payers.terms import PAYER_KINDS, CapPeriod, Pays
from billing.payout_files.model import FileState
from billing.payout_terms.model import PayoutDays, TermsState
from billing.payout_terms.tables import payout_due, payout_reserve
from marketplace.consoles.finance_disputes import Deed as CaseDeed
from marketplace.consoles.finance_payouts import BankDeed
from marketplace.consoles.finance_schedules import CADENCES
from marketplace.consoles.payers_queries import BUCKETS
from marketplace.flows.books.show_report import REPORTS, Report
from marketplace.web.i18n import keys, read_catalogue
from tests.pages.test_words import states


def test_every_member_of_a_family_of_finance_has_a_word() -> None:
    known = set(keys(read_catalogue("en")))
    wanted = {
        "payer_kind": set(PAYER_KINDS),
        "payer_pays": set(get_args(Pays)),
        "cap_period": set(get_args(CapPeriod)),
        "claim_age": set(BUCKETS),
        "claim_source": states(payer_claim_line, "source"),
        "rejection_kind": {"rejected", "reclaimed"},
        "payout_file_state": {str(state) for state in FileState},
        "payout_do": {str(deed) for deed in BankDeed},
        "payout_days": {str(days) for days in PayoutDays},
        "terms_state": {str(state) for state in TermsState},
        "due_state": states(payout_due),
        "reserve_state": states(payout_reserve),
        "account_scheme": {str(scheme) for scheme in Scheme},
        "weekday": {str(day) for day in range(1, 8)},
        "cadence": {str(cadence) for cadence in CADENCES},
        "compare_flag": {"new", "vanished"},
        "rate_state": {str(state) for state in RateState},
        "case_state": {str(state) for state in CaseState},
        "case_do": {str(deed) for deed in CaseDeed},
        "case_side": {str(side) for side in CaseSide},
        "report": {str(report) for report in Report},
        "report_col": {name for row, _ in REPORTS.values() for name in row.__struct_fields__},
        "journal_format": {str(kind) for kind in JournalFormat} - {"erp"},
    }
    for family, members in wanted.items():
        assert {key.partition(".")[2] for key in known if key.startswith(f"{family}.")} == members, family
