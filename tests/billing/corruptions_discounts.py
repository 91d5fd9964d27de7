"""What `test_verify` plants to have the proofs of discounts fail, and the order that has one."""

from datetime import timedelta

import msgspec

from billing.payments.facts import PaymentFact, PaymentState, payment_reference
from demand.carts import store as carts
from demand.carts.model import CartLine
from incentives.lifecycle import Move
from incentives.promotions.joins import store as joins
from incentives.rules.model import ByMerchant, ByPlatform, Qualify, Schedule
from incentives.rules.predicates import Equals
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.idempotency import Ticket
from marketplace.flows.discounts.issue_codes import IssueCodes, issue_codes
from marketplace.flows.orders.place_order import place_order
from marketplace.flows.orders.placement import PlaceOrder
from marketplace.flows.orders.quote_cart import quote_cart
from marketplace.flows.orders.read_placed import Placed
from marketplace.flows.payments.take_payment import payment_changed
from marketplace.flows.promotions.advance_incentives import advance_incentives
from marketplace.flows.promotions.plan_incentives import DraftCampaign, draft_campaign
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from tests.discounts.market import RICH, off
from tests.incentives.market import MAKER, drafted, move, move_campaign

SCHEDULE = Schedule(zone="UTC", starts="2018-05-01", ends="2018-09-30")
MERCHANT, BUYER, PRODUCT, NAME = 2, 777, 777, "till"


async def add_discounts(db: Database) -> None:
    """An order with 10 % off that a code unlocks, which platform and merchant share; a third of it refunded."""
    plan = msgspec.structs.replace(RICH, stops=RICH.stops[1:])
    drafting = DraftCampaign(name="ten off", currency="EUR", schedule=SCHEDULE, plan=plan)
    campaign = await db.write(WORKER, MAKER, draft_campaign, drafting)
    campaign = await move_campaign(db, campaign, Move.SUBMIT, Move.APPROVE, Move.SCHEDULE)
    terms = off(
        100_000, ByPlatform(weight=2), ByMerchant(weight=1), limit_minor=5_000, name="ten off",
        schedule=SCHEDULE,
        qualify=Qualify(event=Equals(attribute="order.code", value="once:ten")),
    )  # fmt: skip
    made = await drafted(db, campaign, terms)
    await move(db, made, Move.SUBMIT, Move.APPROVE, Move.SCHEDULE)
    await advance_incentives(db, "worker")
    await db.write(WORKER, "test", joins.join, "merchant", MERCHANT, made.promotion_id)
    await db.write(WORKER, "test", _list_goods)
    wanted = IssueCodes(promotion_id=made.promotion_id, count=1, expires_at=db.clock.now() + timedelta(days=9))
    [code] = (await db.write(WORKER, MAKER, issue_codes, wanted)).codes
    line = CartLine(merchant_id=MERCHANT, product_id=PRODUCT, quantity=1)
    cart = await db.write(WORKER, "shop", carts.insert_cart, BUYER, "EUR", [line])
    async with db.read(WORKER) as tx:
        quote = await quote_cart(tx, cart, [code.code])
    cmd = PlaceOrder(
        buyer_id=BUYER, cart_id=cart.cart_id, quote=quote.quote, method="tok", codes=(code.code,), processor=NAME
    )  # fmt: skip
    answer = await db.write(WORKER, "shop", place_order, Ticket("shop", "d1", b"." * 32, 201), cmd)
    placed = msgspec.json.decode(answer.body, type=Placed)
    fact = PaymentFact(
        reference=payment_reference(BUYER, placed.payment_id), state=PaymentState.CAPTURED,
        amount_minor=placed.pay_minor, currency="EUR", processor_ref="d1", occurred_at=db.clock.now(), failure=None,
    )  # fmt: skip
    await db.write(WORKER, "processor", payment_changed, PRODUCT, fact)
    order_id = placed.orders[0].order_id
    lines = (RefundLine(1, 3_000),)
    cmd_back = RefundOrder(merchant_id=MERCHANT, order_id=order_id, reason="damaged", lines=lines)
    await db.write(WORKER, MAKER, refund_order, cmd_back)


async def _list_goods(tx: Tx) -> None:
    await tx.execute("INSERT INTO billing.processor VALUES (777, 'till')")
    await tx.execute(
        "INSERT INTO demand.buyer (buyer_id, buyer_ref, created_at) VALUES (777, 'dan', :now)", {"now": tx.now}
    )
    await tx.execute(
        """
        INSERT INTO supply.offer (merchant_id, product_id, currency, price_minor, title, updated_at, counted)
        VALUES (2, 777, 'EUR', 9000, 'Pot', :now, false)
        """,
        {"now": tx.now},
    )


_ENTRIES, _SHARES, _PRICES = {"discounts-are-entries"}, {"discounts-are-shares"}, {"discounts-are-prices"}
_BACKS, _GRANTS, _BUDGETS = {"discount-backs-are-refunds"}, {"discounts-are-grants"}, {"discounts-are-budgets"}
_REBATE = """
INSERT INTO incentives.buyer_grant
SELECT buyer_id, promotion_id, 'x', 1, 1, campaign_id, version_no, 'x', 'credit', currency, amount_minor, ARRAY[{}],
       ARRAY[amount_minor], '{{}}', '{{}}', 'paid', NULL, NULL, at, at
FROM incentives.buyer_grant WHERE form = 'discount' AND grant_no = 1
"""

DISCOUNT_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "a discount that costs the platform something else than was booked": (
        ["UPDATE incentives.order_discount SET funder_minor = ARRAY[funder_minor[1] + 1, funder_minor[2] - 1]"],
        _ENTRIES | _SHARES,
    ),
    "a discount whose lines do not come to it": (
        ["UPDATE incentives.order_discount SET line_minor = ARRAY[line_minor[1] + 1]"],
        _SHARES | {"payer-shares-are-prices"},
    ),
    "more of a merchant's own part taken back than of its lines": (
        ["UPDATE incentives.order_discount SET own_back_minor = ARRAY[own_back_minor[1] + 1]"], _SHARES,
    ),
    "a discount of a paid order that is said to be reserved": (
        ["UPDATE incentives.order_discount SET state = 'reserved'"], _ENTRIES | _PRICES | _BUDGETS | _GRANTS,
    ),
    "a refund that says promotions got back more": (
        ["UPDATE demand.refund SET promotion_minor = promotion_minor + 1 WHERE promotion_minor > 0"],
        _BACKS | {"refunds-are-entries", "refund-payments-are-refunds"},
    ),
    "a grant of another amount than the discount": (
        ["UPDATE incentives.buyer_grant SET amount_minor = amount_minor + 1 WHERE form = 'discount' AND grant_no = 1"],
        _GRANTS,
    ),
    "a buyer's window that says something else was granted": (
        ["UPDATE incentives.buyer_progress SET granted_minor = granted_minor + 1"], _GRANTS,
    ),
    "a budget from which less came back": (
        ["UPDATE incentives.budget_reservation SET key = 'x' || key WHERE key LIKE '777:%'"], _BUDGETS,
    ),
    "a rebate that nobody was given": (
        ["""INSERT INTO billing.entry SELECT merchant_id, entry_no + 1000, 'rebate_earned', 9, entity_id, currency,
            occurred_at, effective_on, prior_period, ARRAY[5000, 6920], ARRAY[9, 0]::bigint[], ARRAY[5, -5]::bigint[],
            posted_at, posted_by FROM billing.entry WHERE merchant_id = 1 AND kind = 'goodwill'"""],
        {"rebates-are-entries", "numbers-dense"},
    ),
    "a rebate that a payer is said to bear": (
        ["UPDATE billing.payer_contract SET pays = 'promotion'",
         _REBATE.format("(SELECT name FROM billing.payer_contract LIMIT 1)")],
        {"rebates-are-shares", "rebates-are-budgets"},
    ),
    "a rebate that its merchant is said to bear": (
        [_REBATE.format("'merchant'")], {"rebates-are-shared", "rebates-are-budgets"},
    ),
    "a code used for nothing": (
        ["UPDATE incentives.promotion_code SET used_for = 1"], {"codes-are-used-once"},
    ),
}  # fmt: skip
