"""What third-party payers bear of discounts: looked at in a quote, reserved where the order is placed, owed once it is
paid, released or taken back with it. Their caps are asked as budgets are: what they do not give falls on nobody else.

Whoever holds both takes caps before budgets.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from billing.payers.rules import split_back
from billing.payers.shares import store as shares
from incentives.discounts.model import Back, Discount
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.flows.payers.bear_order import Merchant
from marketplace.flows.payers.book_share import zone_of
from marketplace.flows.payers.cover_cost import CoverCost, commit_cost, release_cost, reserve_costs
from marketplace.flows.payers.unwind_shares import move_share


def _parts(of: Discount, funder_minor: Sequence[int]) -> list[tuple[int, int]]:
    """What each payer bears of an amount, by contract."""
    return sorted(
        (contract_id, minor)
        for contract_id, minor in zip(of.contracts, funder_minor, strict=True)
        if contract_id and minor
    )


def _by_contract(taken: Iterable[Discount]) -> list[tuple[int, Discount, int]]:
    """What payers bear of discounts, in the order in which caps are taken: of the contracts, and then of the grants."""
    parts = [(contract_id, of, minor) for of in taken for contract_id, minor in _parts(of, of.funder_minor)]
    return sorted(parts, key=lambda part: (part[0], part[1].grant_id))


async def reserve_covers(tx: Tx, taken: Sequence[Discount], merchants: Mapping[int, Merchant], order_ref: str) -> None:
    """Take what payers bear of these discounts from their caps. Raises Conflict when one does not give it any more."""
    cmds = [
        CoverCost(
            contract_id=contract_id,
            merchant_id=of.merchant_id,
            entity_id=merchants[of.merchant_id].entity_id,
            source=shares.PROMOTION,
            source_id=of.grant_id,
            source_ref=order_ref,
            amount_minor=minor,
            on=local_date(tx.now, merchants[of.merchant_id].zone),
        )
        for contract_id, of, minor in _by_contract(taken)
    ]
    await reserve_costs(tx, cmds)


async def commit_covers(tx: Tx, taken: Sequence[Discount], entity_id: int) -> None:
    """The orders are paid: the payers owe it from today, and the next claims ask for it."""
    covered = _by_contract(taken)
    if covered:
        on = local_date(tx.now, await zone_of(tx, entity_id))
        for contract_id, of, _ in covered:
            await commit_cost(tx, of.merchant_id, shares.PROMOTION, of.grant_id, contract_id, on=on)


async def release_covers(tx: Tx, taken: Sequence[Discount]) -> None:
    for contract_id, of, _ in _by_contract(taken):
        await release_cost(tx, of.merchant_id, shares.PROMOTION, of.grant_id, contract_id)


async def take_covers_back(tx: Tx, refund_id: int, backs: Sequence[Back]) -> None:
    """The payers need not bear it any more; what they had rejected goes to whoever bore that."""
    parts = [(*part, back.discount) for back in backs for part in _parts(back.discount, back.funder_minor)]
    for contract_id, minor, of in sorted(parts, key=lambda part: (part[0], part[2].grant_id)):
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
