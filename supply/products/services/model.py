"""What managed services speak of: agreements, and what a month of one costs. Pure. Amounts in minor units, net of VAT.

Two kinds: a retainer that is paid first, month by month, and a share of what the merchant turns over above a baseline
that was measured before and is frozen in the agreement.
"""

from datetime import date, datetime
from enum import StrEnum

import msgspec

from marketplace.core.errors import Conflict
from marketplace.core.rates import apply_half_even, divide_half_even
from supply.products.model import Means


class ServiceKind(StrEnum):
    RETAINER = "retainer"
    SHARE = "share"


class AgreementState(StrEnum):
    PROPOSED = "proposed"
    ACTIVE = "active"
    ENDED = "ended"
    DECLINED = "declined"


class AgreementMove(StrEnum):
    ACCEPT = "accept"
    DECLINE = "decline"
    END = "end"


class Rule(msgspec.Struct, frozen=True):
    """From this state a move leads to that one."""

    source: AgreementState
    target: AgreementState


RULES: dict[AgreementMove, Rule] = {
    AgreementMove.ACCEPT: Rule(AgreementState.PROPOSED, AgreementState.ACTIVE),
    AgreementMove.DECLINE: Rule(AgreementState.PROPOSED, AgreementState.DECLINED),
    AgreementMove.END: Rule(AgreementState.ACTIVE, AgreementState.ENDED),
}

SOURCE = "settled orders, by the month of their settlement, less what was refunded of them"
"""How turnover is measured, for a baseline as for every month after it."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """A service for a merchant, from the first of a month to the first of another (None: until it is ended).

    baseline_minor: the average month's turnover in [baseline_from, baseline_to), measured as baseline_source says when
    the agreement was proposed. next_month: the month that is charged next.
    """

    merchant_id: int
    agreement_id: int
    kind: ServiceKind
    name: str
    currency: str
    retainer_minor: int
    share_ppm: int
    vat_ppm: int
    due_days: int
    baseline_minor: int
    baseline_from: date | None
    baseline_to: date | None
    baseline_source: str
    starts_on: date
    ends_on: date | None
    state: AgreementState
    pays_by: Means | None
    next_month: date
    version: int
    made_by: str
    made_at: datetime
    decided_by: str | None


class ServiceMonth(msgspec.Struct, frozen=True, kw_only=True):
    """A month of a share that is closed, as it was when it was closed.

    restated_minor: by how much refunds since have changed what earlier months cost. The two sum to what was charged
    (or credited, below zero) for this month.
    """

    merchant_id: int
    agreement_id: int
    month: date
    turnover_minor: int
    fee_minor: int
    restated_minor: int
    closed_at: datetime

    @property
    def due_minor(self) -> int:
        return self.fee_minor + self.restated_minor


def check_move(state: AgreementState, move: AgreementMove) -> AgreementState:
    """The state that the move leads to. Raises Conflict."""
    rule = RULES[move]
    if state is not rule.source:
        raise Conflict(f"state: the agreement is {state}; {move} needs one that is {rule.source}", state=state.value)
    return rule.target


def share(turnover_minor: int, baseline_minor: int, share_ppm: int) -> int:
    """What a month costs: the share of what the merchant turned over above the baseline, half-even; never below 0."""
    return apply_half_even(max(0, turnover_minor - baseline_minor), share_ppm)


def baseline(turnovers_minor: int, months: int) -> int:
    """The average month, half-even; nothing when more was refunded than sold."""
    return max(0, divide_half_even(turnovers_minor, months))
