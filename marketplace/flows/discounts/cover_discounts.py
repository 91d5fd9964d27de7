"""What third-party payers bear of discounts: looked at in a quote, reserved where the order is placed, owed once it is
paid, released or taken back with it. Their caps are asked as budgets are: what they do not give falls on nobody else.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from billing.payers import store as payers
from billing.payers.caps import store as caps
from billing.payers.caps.store import CapKey
from billing.payers.rules import period_from, split_back
from billing.payers.shares import store as shares
from incentives.budgets.model import Ask, Budget, Draw, Owner, Scope, Shortfall, Slot
from incentives.discounts.model import Back, Discount
from incentives.rules.model import Terms, funder_name
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.flows.discounts.read_live import Contract, Live
from marketplace.flows.payers.bear_order import Merchant
from marketplace.flows.payers.book_share import zone_of
from marketplace.flows.payers.cover_cost import CoverCost, commit_cost, release_cost, reserve_cost
from marketplace.flows.payers.unwind_shares import move_share


def _slot(contract: Contract, on: date) -> Slot:
    """A cap among budgets, whose ids are above zero."""
    return -contract.contract_id, period_from(contract.cap_period, on)


async def cap_rooms(tx: Tx, live: Live, days: Collection[date]) -> dict[Slot, int]:
    """What the payers' caps have left on local days; nothing where their contracts are not valid."""
    rooms = {}
    for contract in live.contracts.values():
        for on in days:
            terms = (await payers.version_on(tx, contract.contract_id, on)).terms
            valid = terms.valid_from <= on and (terms.valid_until is None or on < terms.valid_until)
            slot = _slot(contract, on)
            key = CapKey(contract.payer_id, contract.contract_id, slot[1])
            rooms[slot] = await caps.room_of(tx, key, contract.cap_period) if valid else 0
    return rooms


def with_caps(live: Live, terms: Terms, ask: Ask, on: date) -> Ask:
    """What a discount asks, with the caps of its payers. A cap that is short rejects, unless a budget of the terms
    gives a part."""
    partial = any(budget.on_shortfall == "partial" for budget in terms.budgets)
    draws = []
    for number, funder in enumerate(terms.funding):
        contract = live.contracts.get(funder_name(funder))
        if contract is None or not funder.weight:
            continue
        budget_id, period = _slot(contract, on)
        cap = Budget(
            budget_id=budget_id,
            owner=Owner.PROMOTION,
            owner_id=0,
            scope=Scope.FUNDER,
            scope_key=funder_name(funder),
            currency=terms.currency,
            limit_minor=0,
            on_shortfall=Shortfall.PARTIAL if partial else Shortfall.REJECT,
        )
        draws.append(Draw(cap, period, number))
    return msgspec.structs.replace(ask, draws=(*ask.draws, *draws))


def _parts(of: Discount, funder_minor: Sequence[int]) -> list[tuple[int, int]]:
    """What each payer bears of an amount, by contract."""
    return sorted(
        (contract_id, minor)
        for contract_id, minor in zip(of.contracts, funder_minor, strict=True)
        if contract_id and minor
    )


async def reserve_covers(tx: Tx, taken: Sequence[Discount], merchants: Mapping[int, Merchant], order_ref: str) -> None:
    """Take what payers bear of these discounts from their caps. Raises Conflict when one does not give it any more."""
    wanted: list[tuple[int, int, Discount, int]] = [
        (contract_id, of.grant_id, of, minor) for of in taken for contract_id, minor in _parts(of, of.funder_minor)
    ]
    for contract_id, grant_id, of, minor in sorted(wanted, key=lambda each: each[:2]):
        merchant = merchants[of.merchant_id]
        cmd = CoverCost(
            contract_id=contract_id,
            merchant_id=of.merchant_id,
            entity_id=merchant.entity_id,
            source=shares.PROMOTION,
            source_id=grant_id,
            source_ref=order_ref,
            amount_minor=minor,
            on=local_date(tx.now, merchant.zone),
        )
        await reserve_cost(tx, cmd)


async def commit_covers(tx: Tx, taken: Sequence[Discount], entity_id: int) -> None:
    """The orders are paid: the payers owe it from today, and the next claims ask for it."""
    covered = [(of, contract_id) for of in taken for contract_id, _ in _parts(of, of.funder_minor)]
    if covered:
        on = local_date(tx.now, await zone_of(tx, entity_id))
        for of, contract_id in covered:
            await commit_cost(tx, of.merchant_id, shares.PROMOTION, of.grant_id, contract_id, on=on)


async def release_covers(tx: Tx, taken: Sequence[Discount]) -> None:
    for of in taken:
        for contract_id, _ in _parts(of, of.funder_minor):
            await release_cost(tx, of.merchant_id, shares.PROMOTION, of.grant_id, contract_id)


async def take_covers_back(tx: Tx, refund_id: int, back: Back) -> None:
    """The payers need not bear it any more; what they had rejected goes to whoever bore that."""
    of = back.discount
    for contract_id, minor in _parts(of, back.funder_minor):
        share = await shares.get_share(tx, of.merchant_id, shares.PROMOTION, of.grant_id, contract_id)
        assert share is not None
        _, to_bearer = split_back(share.standing, minor)
        await shares.add_back(tx, share, refund_id, {1: minor}, to_bearer)
        await move_share(tx, share, {1: minor}, to_bearer)


async def undo_covers_back(tx: Tx, merchant_id: int, refund_id: int) -> None:
    """The refund is cancelled: the payers bear it again. Raises Conflict when a cap has no room."""
    rows: Sequence[Any] = await shares.backs_of(tx, merchant_id, refund_id, shares.PROMOTION)
    for row in rows:
        share = await shares.get_share(tx, merchant_id, shares.PROMOTION, row.source_id, row.contract_id)
        assert share is not None
        lines = {line_no: -minor for line_no, minor in zip(row.line_nos, row.line_minor, strict=True)}
        await shares.add_back(tx, share, refund_id, lines, -row.rejected_back_minor, undone=True)
        await move_share(tx, share, lines, -row.rejected_back_minor)
