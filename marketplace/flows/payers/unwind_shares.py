"""What a refund takes back of what others than the buyer bear of the order: planned; of payers' shares also booked and
undone, of discounts see `unwind_discounts`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from billing import postings
from billing.ledger.chart import Account
from billing.ledger.model import Leg
from billing.payers import store as payers
from billing.payers.caps import store as caps
from billing.payers.rules import Borne, Going, split_back, unwind
from billing.payers.shares import store as shares
from billing.payers.shares.store import PayerShare
from billing.rating import refund_share
from demand.model import Order
from demand.refund_policy import LineLeft, Reason
from incentives.discounts import store as discounts
from incentives.discounts.model import Back, Discount, back_of
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.flows.payers.book_share import has_recourse, keep_share, post_share
from marketplace.flows.refunds.read_funds import Funds

STANDS = frozenset({Reason.GOODWILL, Reason.DISPUTE_LOST})
"""Reasons that take back nothing of a payer's share: the buyer gets something, what was sold stays sold."""


class ShareBack(msgspec.Struct, frozen=True, kw_only=True):
    """What comes back of a share, by line of the order."""

    share: PayerShare
    lines: dict[int, int]

    @property
    def minor(self) -> int:
        return sum(self.lines.values())


class Backs(msgspec.Struct, frozen=True, kw_only=True):
    """What a refund takes back of what others than the buyer bear: payers' shares, and promotions' discounts."""

    shares: list[ShareBack] = []
    discounts: list[Back] = []


async def plan_back(
    tx: Tx, order: Order, reason: Reason, given: Sequence[LineLeft], borne: dict[int, tuple[int, int]], funds: Funds
) -> Backs:
    """What comes back of the order's shares and discounts with these lines. borne: what the merchant's lines lose.

    Raises Conflict when a refund that leaves them standing gives more than the buyer itself has paid.
    """
    gross = sum(line.goods_minor + line.freight_minor for line in given)
    if reason in STANDS:
        if reason is Reason.GOODWILL and gross > max(0, funds.buyers_minor):
            raise Conflict(
                f"amount: {gross} is more than {max(0, funds.buyers_minor)}, what the buyer has paid itself and not got"
                " back: third parties and promotions paid the rest",
                **msgspec.structs.asdict(funds),
            )
        return Backs()
    held = []
    if funds.payers_minor:
        held = await shares.shares_of(tx, order.merchant_id, shares.ORDER, order.order_id, state="committed")
    taken = await discounts.discounts_of(tx, order.merchant_id, order.order_id, state="committed")
    if not held and not taken:
        return Backs()
    before = await _before(tx, order)
    priced, goods = _going(before, given, borne), _going(before, given, borne, goods_only=True)
    bases = {held_by: (await payers.get_version(tx, held_by)).terms.base for held_by in {of.version_id for of in held}}
    found = unwind(
        [(share.borne, goods if bases[share.version_id] == "goods" else priced) for share in held]
        + [(_borne(discount), goods) for discount in taken],
        given_minor=gross,
        buyers_left_minor=max(0, funds.buyers_minor),
    )
    free = _free_lines(before, given, borne)
    backs = [
        back_of(discount, of, own_back(discount, goods, free))
        for discount, of in zip(taken, found[len(held) :], strict=True)
    ]
    return Backs(
        shares=[
            ShareBack(share=share, lines={line_no: minor for line_no, minor in of.items() if minor})
            for share, of in zip(held, found[: len(held)], strict=True)
            if any(of.values())
        ],
        discounts=[back for back in backs if back is not None],
    )


def _going(
    before: Mapping[int, Any],
    given: Sequence[LineLeft],
    borne: Mapping[int, tuple[int, int]],
    *,
    goods_only: bool = False,
) -> dict[int, Going]:
    """What goes of each line. goods_only: for what was given for the goods, of which freight keeps nothing and takes
    nothing back; of a line whose goods cost nothing, its freight alone says that it goes."""
    of = {line.line_no: line for line in given}
    lines = {}
    for line_no, line in before.items():
        goods = freight = 0
        if line_no in of:
            goods = max(of[line_no].goods_minor, borne[line_no][0])
            freight = max(of[line_no].freight_minor, borne[line_no][1])
        if goods_only and line.goods:
            lines[line_no] = Going(base_minor=line.goods_base, before_minor=line.goods_before, going_minor=goods)
        else:
            lines[line_no] = Going(
                base_minor=line.goods_base + line.freight_base,
                before_minor=line.goods_before + line.freight_before,
                going_minor=goods + freight,
            )
    return lines


def _borne(discount: Discount) -> Borne:
    """What others than the merchant bear of a discount, as what a contract bears of an order."""
    return Borne(
        contract_id=0,
        line_minor=dict(zip(discount.line_nos, discount.borne_minor, strict=True)),
        back_minor=dict(zip(discount.line_nos, discount.borne_back_minor, strict=True)),
    )


def _free_lines(
    before: Mapping[int, Any], given: Sequence[LineLeft], borne: Mapping[int, tuple[int, int]]
) -> frozenset[int]:
    """The lines that their merchant has given away, where this refund leaves nothing of all the others: no money says
    that they go, so they go with the rest of the order."""
    going = {line.line_no: max(line.goods_minor, borne[line.line_no][0]) for line in given}
    if any(line.goods_left > going.get(line_no, 0) for line_no, line in before.items()):
        return frozenset()
    return frozenset(line_no for line_no, line in before.items() if not line.goods)


def own_back(discount: Discount, going: Mapping[int, Going], free: Collection[int] = ()) -> dict[int, int]:
    """What comes back of the merchant's own part: in the proportion in which the lines go, by cumulative amounts.

    free: lines that cost nothing and go now.
    """
    backs = {}
    for line_no, own, back in zip(discount.line_nos, discount.own_minor, discount.own_back_minor, strict=True):
        line = going[line_no]
        if line_no in free:
            backs[line_no] = own - back
        elif own and line.going_minor and line.base_minor:
            gone = min(line.before_minor + line.going_minor, line.base_minor)
            backs[line_no] = min(max(0, refund_share(own, back, gone, line.base_minor)), own - back)
    return backs


async def _before(tx: Tx, order: Order) -> dict[int, Any]:
    """By line, of its goods and of its freight: the price, less what standing refunds took of it from the merchant, and
    what went by the others; the price of its goods, and what is left of that."""
    rows = await tx.rows(
        """
        SELECT l.line_no, (l.goods_minor - l.discount_minor)::bigint AS goods,
               (l.goods_minor - l.discount_minor - coalesce(g.goods, 0))::bigint AS goods_left,
               (l.goods_minor - l.discount_minor - coalesce(g.goods_standing, 0))::bigint AS goods_base,
               (l.freight_minor - coalesce(g.freight_standing, 0))::bigint AS freight_base,
               coalesce(g.goods_before, 0)::bigint AS goods_before,
               coalesce(g.freight_before, 0)::bigint AS freight_before
        FROM demand.order_line l
        LEFT JOIN (
            SELECT b.line_no, sum(greatest(b.goods_minor, b.merchant_goods_minor)) AS goods,
                   sum(b.merchant_goods_minor) FILTER (WHERE r.reason = ANY(s.stands)) AS goods_standing,
                   sum(b.merchant_freight_minor) FILTER (WHERE r.reason = ANY(s.stands)) AS freight_standing,
                   sum(greatest(b.goods_minor, b.merchant_goods_minor))
                       FILTER (WHERE r.reason <> ALL(s.stands)) AS goods_before,
                   sum(greatest(b.freight_minor, b.merchant_freight_minor))
                       FILTER (WHERE r.reason <> ALL(s.stands)) AS freight_before
            FROM demand.refund_line b
            JOIN demand.refund r ON r.merchant_id = b.merchant_id AND r.refund_id = b.refund_id
            CROSS JOIN (SELECT CAST(:stands AS text[]) AS stands) AS s
            WHERE b.merchant_id = :merchant AND b.order_id = :order AND r.state = 'booked' GROUP BY b.line_no
        ) AS g ON g.line_no = l.line_no
        WHERE l.merchant_id = :merchant AND l.order_id = :order
        """,
        merchant=order.merchant_id,
        order=order.order_id,
        stands=[reason.value for reason in sorted(STANDS)],
    )
    return {row.line_no: row for row in rows}


def share_legs(backs: Sequence[ShareBack]) -> list[Leg]:
    """What the payers need not pay any more."""
    return [Leg(int(Account.PAYER_RECEIVABLE), -back.minor, back.share.contract_id) for back in backs]


async def take_back(tx: Tx, refund_id: int, backs: Sequence[ShareBack]) -> None:
    """Book what a refund takes back: on the shares and their caps; the refund's own entry has the receivables.

    What the payer had rejected goes to whoever bore that, and stays where it was on the payer's receivable.
    """
    for back in backs:
        _, to_bearer = split_back(back.share.standing, back.minor)
        await shares.add_back(tx, back.share, refund_id, back.lines, to_bearer)
        await move_share(tx, back.share, back.lines, to_bearer)


async def undo_back(tx: Tx, order: Order, refund_id: int) -> None:
    """The refund is cancelled: the payers bear again what it took back. Raises Conflict when a cap has no room."""
    for row in await shares.backs_of(tx, order.merchant_id, refund_id):
        share = await shares.get_share(tx, order.merchant_id, shares.ORDER, order.order_id, row.contract_id)
        assert share is not None
        lines = {line_no: -minor for line_no, minor in zip(row.line_nos, row.line_minor, strict=True)}
        await shares.add_back(tx, share, refund_id, lines, -row.rejected_back_minor, undone=True)
        await move_share(tx, share, lines, -row.rejected_back_minor)


async def move_share(
    tx: Tx,
    share: PayerShare,
    lines: dict[int, int],
    to_bearer: int,
    *,
    on: date | None = None,
    cap_moved: bool = False,
) -> None:
    """Bring a share and its cap level with what came back of it, by line, and of that to whoever bore a rejection.

    on: the day that its entries count for, by default today. cap_moved: the cap is where it belongs already.
    """
    moved = msgspec.structs.replace(
        share,
        back_minor=share.back_minor + sum(lines.values()),
        rejected_back_minor=share.rejected_back_minor + to_bearer,
        line_back_minor=[
            back + lines.get(line_no, 0) for line_no, back in zip(share.line_nos, share.line_back_minor, strict=True)
        ],
    )
    if not cap_moved:
        await caps.give_back(tx, share.cap, share.shard, sum(lines.values()))
    legs = postings.payer_rejected(-to_bearer, share.contract_id, recourse=await has_recourse(tx, share))
    await post_share(tx, share, "payer_rejection_returned", legs, on=on)
    await keep_share(tx, moved, on=on)
