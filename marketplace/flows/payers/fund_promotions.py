"""Third parties among the funders of promotions: their contracts, and their caps, which are asked as budgets are."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date

import msgspec

from billing.payers import store as payers
from billing.payers.caps import store as caps
from billing.payers.caps.store import CapKey
from billing.payers.rules import period_from
from billing.payers.terms import CapPeriod
from incentives.budgets.model import Ask, Budget, Draw, Owner, Scope, Shortfall, Slot
from incentives.discounts.model import payers_of
from incentives.rules.model import Terms, funder_name
from marketplace.core.db import Tx


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """What of a payer's contract never changes."""

    contract_id: int
    payer_id: int
    cap_period: CapPeriod

    def key_on(self, on: date) -> CapKey:
        """The cap that a local day belongs to."""
        return CapKey(self.payer_id, self.contract_id, period_from(self.cap_period, on))

    def slot_on(self, on: date) -> Slot:
        """The same among budgets, whose ids are above zero."""
        return -self.contract_id, period_from(self.cap_period, on)


Contracts = Mapping[str, Contract]
"""By name, as funders are named."""


async def contracts_of(tx: Tx, terms: Iterable[Terms], bearing: Iterable[str] = ()) -> dict[str, Contract]:
    """The contracts of payers that bear a part of these promotions, by name. bearing: funders of what was granted, of
    which the newest terms may have no part any more."""
    names = sorted({name for each in terms for name in payers_of(each)}.union(bearing))
    if not names:
        return {}
    rows = await tx.rows(
        """
        SELECT name, contract_id, payer_id, cap_period FROM billing.payer_contract
        WHERE name = ANY(:names) AND pays = 'promotion'
        """,
        names=names,
    )
    return {
        row.name: Contract(contract_id=row.contract_id, payer_id=row.payer_id, cap_period=row.cap_period)
        for row in rows
    }


async def cap_rooms(tx: Tx, contracts: Contracts, days: Collection[date], *, hold: bool = False) -> dict[Slot, int]:
    """What the payers' caps have left on local days; nothing where their contracts are not valid.

    hold: nobody else takes from them, or gives back, until this transaction ends; held in the order of contracts, the
    newest day first, as whoever gives back to a period that is over holds today's before it.
    """
    rooms: dict[Slot, int] = {}
    for contract in sorted(contracts.values(), key=lambda each: each.contract_id):
        for on in sorted(days, reverse=True):
            terms = (await payers.version_on(tx, contract.contract_id, on)).terms
            room = caps.hold if hold else caps.room_of
            left = await room(tx, contract.key_on(on), contract.cap_period)
            rooms.setdefault(contract.slot_on(on), left if terms.is_valid_on(on) else 0)
    return rooms


def cap_draws(contracts: Contracts, terms: Terms, on: date) -> tuple[Draw, ...]:
    """What a grant draws on the caps of its payers. A cap that is short rejects, unless a budget of the terms gives a
    part, or has grants wait."""
    softer = {budget.on_shortfall for budget in terms.budgets}
    shortfall = next((each for each in ("partial", "queue") if each in softer), "reject")
    draws = []
    for number, funder in enumerate(terms.funding):
        contract = contracts.get(funder_name(funder))
        if contract is None or not funder.weight:
            continue
        budget_id, period = contract.slot_on(on)
        cap = Budget(
            budget_id=budget_id,
            owner=Owner.PROMOTION,
            owner_id=0,
            scope=Scope.FUNDER,
            scope_key=funder_name(funder),
            currency=terms.currency,
            limit_minor=0,
            on_shortfall=Shortfall(shortfall),
        )
        draws.append(Draw(cap, period, number))
    return tuple(draws)


def with_caps(contracts: Contracts, terms: Terms, ask: Ask, on: date) -> Ask:
    """What a grant asks, with the caps of its payers."""
    return msgspec.structs.replace(ask, draws=(*ask.draws, *cap_draws(contracts, terms, on)))
