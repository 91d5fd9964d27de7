"""Catalogues: every key in every language, each used; and numbers, dates and money as the languages write them."""

import ast
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import get_args

import pytest
from babel.messages.catalog import Catalog, Message
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import CheckConstraint, Table

from billing.ads.lifecycle import CampaignMove
from billing.ads.model import CampaignState, Pricing
from billing.bank_files.mapping import COLUMNS
from billing.bank_files.model import BankFileState
from billing.breaks.model import BreakKind, BreakState
from billing.documents.model import Category
from billing.documents.model import Kind as DocumentKind
from billing.documents.model import State as DocumentState
from billing.ledger.chart import Account
from billing.matching.model import Book, ItemKind, ResidueKind, Side, Stage
from billing.matching.tables import match_proposal
from billing.payments.tables import payment_part
from billing.periods.checks_sql import CHECKS
from billing.periods.model import CheckState, PeriodState
from billing.runs.model import RunState
from billing.tables import commission_line, payout, statement
from demand.amendments.tables import amendment
from demand.fulfilment.tables import return_request
from demand.lifecycle import Move, Party
from demand.model import OrderState
from demand.refund_policy import Reason
from demand.refunds.tables import dispute
from demand.store import AMEND
from demand.tables import refund
from incentives.experiments.guardrails import Name as Guardrail
from marketplace.consoles.approvals import Kind
from marketplace.consoles.finance_breaks import Deed as BreakDeed
from marketplace.consoles.finance_mappings import DECIMALS, DELIMITERS, KINDS
from marketplace.consoles.finance_workbench import REASONS
from marketplace.consoles.territories import LIMITS
from marketplace.core.money import MINOR_DIGITS, text_from_minor
from marketplace.core.users import UserRole
from marketplace.flows.acquisition.weigh_channels import By
from marketplace.flows.books.check_period import AT_ALL_TIMES
from marketplace.flows.payments.reconcile_payments import MatchKind
from marketplace.flows.people.notify_people import RULES
from marketplace.flows.proofs.verify_books import OPEN_ITEMS, PROOFS
from marketplace.metrics.definitions import DEFINITIONS, Unit
from marketplace.metrics.pace import Weighing
from marketplace.metrics.periods import Grain
from marketplace.metrics.watch import BoundSide, Compared
from marketplace.web.i18n import LANGUAGES, MINUS, keys, negotiate, read_catalogue, speech
from marketplace.web.templating import TEMPLATES, environment
from supply.academy.model import AttemptState, Mode
from supply.content.model import PieceKind, SendState
from supply.funnels.standard import STANDARD
from supply.leads.agents.model import AgentKind, CommissionState
from supply.leads.attribution import AttributionModel
from supply.leads.events.model import FairKind
from supply.leads.lifecycle import Move as LeadMove
from supply.leads.model import CostKind, LeadState, Model, TouchKind
from supply.leads.referrals.model import ReferralState, WhyNot
from supply.leads.visits.model import Oddity, VisitState
from supply.lifecycle import MerchantMove
from supply.model import ListingState, MerchantState
from supply.onboarding.rules import CHECKLIST
from supply.onboarding.rules import State as PointState
from supply.products.hardware.model import HardwareState, WorkKind, WorkState
from supply.products.model import Means
from supply.products.services.model import AgreementState
from supply.products.subscriptions.model import Interval, Per, SubscriptionState
from supply.tables import stock_movement

ROOT = Path(__file__).parents[2]
CONSOLES = ROOT / "marketplace" / "consoles"
ELSEWHERE = [
    ROOT / "marketplace" / "flows" / "documents" / "render_document.py",
    ROOT / "marketplace" / "flows" / "people" / "send_mails.py",
]
"""What speaks to people beside the pages."""

CALL = re.compile(r"""\b(?:t|text)\(\s*"([^"]+)"\s*[,)]""")
COLUMN = re.compile(r"""\bColumn\(\s*"[^"]+",\s*"([^"]+)\"""")
COUNT = re.compile(r"""\bcount\(\s*"([^"]+)\"""")
FAMILY = re.compile(r"""\b(?:label|name_of|pill)\(\s*"([^"]+)\"""")
EMPTY = re.compile(r"""ui\.empty\("([^"]+)"\)""")


def source() -> str:
    files = [*TEMPLATES.rglob("*.html"), *CONSOLES.glob("*.py"), *ELSEWHERE]
    return "\n".join(path.read_text() for path in files)


def messages(catalogue: Catalog) -> dict[str, Message]:
    return {(m.id[0] if isinstance(m.id, tuple) else str(m.id)): m for m in catalogue if m.id}


def written(message: Message) -> list[str]:
    """The message's text, or each of its plural forms."""
    return [str(message.string)] if isinstance(message.id, str) else [str(form) for form in message.string or ()]


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_has_every_key_with_the_same_places(code: str) -> None:
    ours, english = messages(read_catalogue(code)), messages(read_catalogue("en"))
    assert ours.keys() == english.keys()
    for key, message in ours.items():
        forms = written(message)
        assert all(forms), key
        places = {frozenset(re.findall(r"\{(\w+)\}", form)) for form in forms}
        assert places == {frozenset(re.findall(r"\{(\w+)\}", written(english[key])[-1]))}, key


def test_every_key_that_is_used_exists_and_every_key_is_used() -> None:
    text, known = source(), set(keys(read_catalogue("en")))
    direct, families = set().union(*(found.findall(text) for found in (CALL, COLUMN, COUNT))), set(FAMILY.findall(text))
    assert direct <= known
    assert {key.split(".")[0] for key in known - direct} <= families | {"empty", "empty_next"}
    assert set(EMPTY.findall(text)) | {"runs"} == {k.split(".")[1] for k in known if k.startswith("empty.")}


def states(table: Table, column: str = "state") -> set[str]:
    """The values that a table's CHECK allows in a column."""
    checks = [c for c in table.constraints if isinstance(c, CheckConstraint)]
    clause = next(str(c.sqltext) for c in checks if str(c.sqltext).startswith(f"{column} IN"))
    return set(re.findall(r"'(\w+)'", clause))


ANNEXES: dict[str, Table | None] = {
    "payment": payment_part,
    "shipment": None,
    "return": return_request,
    "amendment": amendment,
    "refund": refund,
    "dispute": dispute,
}
"""What the page of an order shows beside its lines; a shipment has no states but shipped and delivered."""

FAMILIES: dict[str, set[str]] = {
    "account": {str(int(account)) for account in Account},
    "nature": {account.nature.name for account in Account},
    "order_state": {str(state) for state in OrderState},
    "order_move": {*(str(move) for move in Move), AMEND},
    "document_kind": {str(kind) for kind in DocumentKind},
    "document_line": {str(category) for category in Category},
    "party": {str(party) for party in Party},
    "order_annex": set(ANNEXES),
    "annex_state": {"shipped", "delivered"}.union(*(states(table) for table in ANNEXES.values() if table is not None)),
    "refund_reason": {str(reason) for reason in Reason},
    "payout_state": states(payout),
    "statement_state": states(statement),
    "commission_kind": states(commission_line, "kind"),
    "run_state": {str(state) for state in RunState},
    "campaign_state": {str(state) for state in CampaignState},
    "campaign_do": {str(move) for move in CampaignMove},
    "pricing": {str(pricing) for pricing in Pricing},
    "document_now": {str(state) for state in DocumentState},
    "role": {str(role) for role in UserRole},
    "proposal": {str(kind) for kind in Kind},
    "rec_kind": {str(kind) for kind in MatchKind},
    "metric": set(DEFINITIONS),
    "lead_model": {str(model) for model in Model},
    "lead_state": {str(state) for state in LeadState},
    "lead_move": {*(str(move) for move in LeadMove), "add", "edit"},
    "touch_kind": {str(kind) for kind in TouchKind},
    "visit_state": {str(state) for state in VisitState},
    "oddity": {str(oddity) for oddity in Oddity},
    "stage": {stage.key for funnel in STANDARD for stage in funnel.stages},
    "grain": {str(grain) for grain in Grain},
    "compared": {str(way) for way in Compared},
    "bound_side": {str(side) for side in BoundSide},
    "metric_unit": {str(unit) for unit in Unit},
    "agent_kind": {str(kind) for kind in AgentKind},
    "agent_commission": {str(state) for state in CommissionState},
    "referral_state": {str(state) for state in ReferralState},
    "referral_why_not": {str(why) for why in WhyNot},
    "economics_by": set(get_args(By)),
    "attribution": {str(model) for model in AttributionModel},
    "fair_kind": {str(kind) for kind in FairKind},
    "pool_rule": set(LIMITS),
    "cost_kind": {str(kind) for kind in CostKind},
    "weighing": {str(method) for method in Weighing},
    "proof": {name for name, _, _ in PROOFS},
    "open_item": set(OPEN_ITEMS),
    "period_state": {str(state) for state in PeriodState},
    "check_state": {str(state) for state in CheckState},
    "item_kind": {str(kind) for kind in ItemKind},
    "bench_book": {str(book) for book in Book},
    "bench_side": {str(side) for side in Side},
    "bench_about": {str(side) for side in Side},
    "bench_verdict": {"none", "even", "part", "apart", *(str(kind) for kind in ResidueKind)},
    "bench_stage": {str(stage) for stage in Stage},
    "bench_action": states(match_proposal, "action"),
    "bench_state": states(match_proposal),
    "bench_why": set(REASONS.values()),
    "break_kind": {str(kind) for kind in BreakKind},
    "guardrail": {*get_args(Guardrail)},
    "break_state": {str(state) for state in BreakState},
    "break_do": {str(deed) for deed in BreakDeed} - {"approve"},
    "means": {str(means) for means in Means},
    "plan_per": {f"{per}_{every}" for per in Per for every in Interval},
    "subscription_state": {str(state) for state in SubscriptionState},
    "hardware_state": {str(state) for state in HardwareState},
    "agreement_state": {str(state) for state in AgreementState},
    "work_kind": {str(kind) for kind in WorkKind},
    "work_state": {str(state) for state in WorkState},
    "course_mode": {str(mode) for mode in Mode},
    "attempt_state": {str(state) for state in AttemptState},
    "certificate": {"counts", "ended", "revoked"},
    "piece_kind": {str(kind) for kind in PieceKind},
    "send_state": {str(state) for state in SendState},
    "checklist": {point.key for point in CHECKLIST},
    "point_state": {str(state) for state in PointState},
    "merchant_state": {str(state) for state in MerchantState},
    "merchant_do": {str(move) for move in MerchantMove},
    "notice": {rule.kind for rule in RULES.values()},
    "listing_state": {str(state) for state in ListingState},
    "stock_move": states(stock_movement, "kind"),
    "file_state": {str(state) for state in BankFileState},
    "line_state": {"matched", "suspended", "open", "waiting", "unlisted"},
    "mapping_kind": set(KINDS),
    "mapping_delimiter": set(DELIMITERS),
    "mapping_decimal": set(DECIMALS),
    "mapping_tick": {"minor", "negated"},
    "mapping_column": set(COLUMNS),
    "period_check": {name for name, *_ in (*CHECKS, *AT_ALL_TIMES)},
}
"""Words that are chosen by a member of a closed list, by what they begin with: every member, and nothing else."""


def test_every_member_of_a_closed_family_has_a_word() -> None:
    known = set(keys(read_catalogue("en")))
    for family, members in FAMILIES.items():
        assert {key.partition(".")[2] for key in known if key.startswith(f"{family}.")} == members, family


POSTING = {"NewEntry", "_entry", "post", "_move", "format"}
"""What is called with the kind of an entry to be posted."""


def entry_kinds() -> set[str]:
    """The kinds that code posts entries under, where they stand as they are in such a call or as `KIND = …`."""
    found = set[str]()
    for path in (*(ROOT / "marketplace" / "flows").rglob("*.py"), *(ROOT / "billing").rglob("*.py")):
        code = path.read_text()
        for node in ast.walk(ast.parse(code)):
            match node:
                case ast.Assign(targets=[ast.Name(id="KIND")], value=ast.Constant(value=str(kind))) if (
                    "NewEntry" in code
                ):
                    found.add(kind)
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in POSTING:
                    given = [*node.args, *(word.value for word in node.keywords if word.arg == "kind")]
                    found |= {
                        one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)
                    }
    return {kind for kind in found if re.fullmatch(r"[a-z]+(_[a-z]+)+", kind)}


def test_every_kind_of_entry_has_a_word_and_no_word_is_left_over() -> None:
    known = {key.partition(".")[2] for key in keys(read_catalogue("en")) if key.startswith("entry_kind.")}
    posted = entry_kinds()
    assert {"order_paid", "refund_paid", "dispute_opened", "payout_confirmed", "processor_settled"} <= posted
    assert posted <= known
    code = "\n".join(
        path.read_text() for top in ("marketplace/flows", "billing") for path in (ROOT / top).rglob("*.py")
    )
    assert {kind for kind in known if not re.search(rf"""["']{kind}["']""", code)} == set()


def test_no_words_outside_the_catalogue() -> None:
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text()
        for code in (r"\{#.*?#\}", r"\{%.*?%\}", r"\{\{.*?\}\}", r"<[^>]*>"):
            text = re.sub(code, " ", text, flags=re.DOTALL)
        assert not re.findall(r"[^\W\d_]{2,}", text), path


def test_an_unknown_key_is_loud() -> None:
    with pytest.raises(KeyError, match=r"no message 'nothing\.here'"):
        speech("en").text("nothing.here")
    assert speech("en").name("entry_kind", "something_new") == "something new"


@given(st.integers(-(10**15), 10**15), st.sampled_from(sorted(MINOR_DIGITS)), st.sampled_from(sorted(LANGUAGES)))
def test_an_amount_keeps_every_digit_in_every_language(minor: int, currency: str, code: str) -> None:
    say = speech(code)
    point = {"en": ".", "zh": ".", "pt": ","}[code]
    written = say.amount(minor, currency)
    assert re.fullmatch(r"−?\d{1,3}([.,]\d{3})*([.,]\d+)?", written)
    plain = "".join(c for c in written.replace(MINUS, "-") if c.isdigit() or c in {"-", point}).replace(point, ".")
    assert plain == text_from_minor(minor, currency)
    assert written in say.money(minor, currency).replace(MINUS, "") or minor < 0


def test_forms_of_the_languages() -> None:
    on, at = date(2026, 9, 3), datetime(2026, 9, 3, 23, 30, tzinfo=UTC)
    shown = {
        code: (
            say.money(-123456, "BRL"),
            say.percent(123_456),
            say.change(-400),
            say.day(on),
            say.month(on),
            say.count("count.orders", 1),
            say.count("count.orders", 1234),
            say.instant(at, "Asia/Shanghai").replace("\N{NARROW NO-BREAK SPACE}", " "),
        )
        for code, say in ((code, speech(code)) for code in LANGUAGES)
    }
    assert shown == {
        "en": ("−R$1,234.56", "12.3%", "0.0%", "Sep 3, 2026", "September 2026", "1 order", "1,234 orders",
               "Sep 4, 2026 7:30 AM"),
        "zh": ("−R$1,234.56", "12.3%", "0.0%", "2026年9月3日", "2026年9月", "1 笔订单", "1,234 笔订单",
               "2026年9月4日 07:30"),
        "pt": ("−R$\N{NO-BREAK SPACE}1.234,56", "12,3%", "0,0%", "3 de set. de 2026", "setembro de 2026", "1 pedido",
               "1.234 pedidos", "4 de set. de 2026 07:30"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("header", "code"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("fr, pt-BR;q=0.5, en;q=0.1", "pt"), ("", "en"), ("zh;q=0, pt;q=oops", "en")],
)
def test_a_browser_gets_the_language_it_asks_for_first(header: str, code: str) -> None:
    assert negotiate(header) == code


def test_a_month_goes_by_its_name_and_other_days_from_the_first_to_the_last() -> None:
    assert speech("en").period(date(2024, 2, 1), date(2024, 2, 29)) == "February 2024"
    assert speech("en").period(date(2024, 2, 21), date(2024, 2, 29)) == "Feb 21, 2024 to Feb 29, 2024"


def test_every_template_compiles() -> None:
    for path in TEMPLATES.rglob("*.html"):
        environment().get_template(str(path.relative_to(TEMPLATES)))
