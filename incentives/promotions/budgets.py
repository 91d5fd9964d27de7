"""The budgets that a promotion's terms ask for, and what a grant under them draws on. Pure."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from incentives.budgets.model import Ask, Budget, Control, Draw, Owner, Scope, Shortfall
from incentives.rules.funders import Bearing, bearing
from incentives.rules.model import Budget as AgreedBudget
from incentives.rules.model import DayBudget, FunderBudget, RegionBudget, Terms, TotalBudget

SHARDS = 8


def budgets_of_terms(promotion_id: int, terms: Terms, new_id: Callable[[], int]) -> list[Budget]:
    """One budget for each that the terms name."""
    return [
        Budget(
            budget_id=new_id(),
            owner=Owner.PROMOTION,
            owner_id=promotion_id,
            scope=scope,
            scope_key=key,
            currency=agreed.currency,
            zone=terms.schedule.zone,
            limit_minor=agreed.limit_minor,
            on_shortfall=Shortfall(agreed.on_shortfall),
            control=Control.ADVISORY if agreed.advisory else Control.ABSOLUTE,
            shards=SHARDS,
        )
        for agreed in terms.budgets
        for scope, key in [_scope(agreed)]
    ]


def _scope(agreed: AgreedBudget) -> tuple[Scope, str]:
    match agreed:
        case TotalBudget():
            return Scope.TOTAL, ""
        case DayBudget():
            return Scope.DAY, ""
        case RegionBudget(region=region):
            return Scope.REGION, region
        case FunderBudget(funder=funder):
            return Scope.FUNDER, funder


def ask_for(
    key: str,
    amount_minor: int,
    terms: Terms,
    budgets: Iterable[Budget],
    at: datetime,
    region: str | None,
    borne: Bearing | None = None,
) -> Ask:
    """What a grant asks of the budgets of its promotion and of its campaign. at: of the event; region: the merchant's.

    A region's budget is asked only for merchants of the region, a funder's only where the funder bears a part. borne:
    how the funders bear the window so far; none: nothing was granted in it.
    """
    borne = borne or bearing(terms.funding)
    draws = [draw for each in budgets for draw in _draws(each, borne.funders, at, region)]
    return Ask(key=key, amount_minor=amount_minor, draws=tuple(draws), weights=borne.weights, held=borne.held)


def _draws(of: Budget, funders: Sequence[str], at: datetime, region: str | None) -> list[Draw]:
    if of.scope is Scope.FUNDER:
        return [Draw(of, of.period_on(at), funders.index(of.scope_key))] if of.scope_key in funders else []
    if of.scope is Scope.REGION and of.scope_key != region:
        return []
    return [Draw(of, of.period_on(at))]
