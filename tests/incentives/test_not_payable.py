"""Terms that nothing pays, or that ask what nobody knows where they are decided, are refused naming the field."""

from typing import Any

import pytest

from incentives.discounts.model import is_discount
from incentives.grants.rewards import KNOWN, is_rebate, is_reward, not_payable
from incentives.lifecycle import Move
from incentives.rules.awards import (
    Credit,
    Discount,
    EveryN,
    FeeReduction,
    Fixed,
    NextOrderVoucher,
    Reward,
    ToBoth,
    ToBuyer,
    ToMerchant,
)
from incentives.rules.check import problems
from incentives.rules.events import Event, Line
from incentives.rules.model import (
    Arm,
    ByMerchant,
    ByPayer,
    ByPlatform,
    CustomEvent,
    Experiment,
    ListingPublished,
    OrderPlaced,
    OrderSettled,
    PerEvent,
    Qualify,
    SinceOptIn,
    WholePromotion,
)
from incentives.rules.predicates import EVENT_ATTRIBUTES, LINE_ATTRIBUTES, AllOf, Equals, Exists, Not
from incentives.rules.qualifying import reader
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.flows.discounts.quote_discounts import Shopper
from marketplace.flows.discounts.quote_discounts import _event as at_checkout
from marketplace.flows.payers.bear_order import Merchant as Seller
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.grant_rewards_sql import Earlier, Merchant, Settled
from marketplace.flows.promotions.plan_incentives import NewVersion
from tests.conftest import NOW
from tests.incentives import market as m


def gives(form: Any) -> Reward:
    return Reward(amount=Fixed(amount_minor=100), form=form)


CUT = {"trigger": OrderPlaced(), "window": PerEvent(), "beneficiary": ToBuyer(), "reward": gives(Discount())}
REBATE = {**CUT, "trigger": OrderSettled(), "reward": gives(Credit())}
VOUCHER = NextOrderVoucher(valid_days=30)
JOINED = Qualify(opt_in="from_opt_in")
BOTH = ToBoth(buyer_reward=gives(Credit()))

REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"trigger": OrderPlaced(), "reward": gives(VOUCHER)}, ["/trigger"]),
    ({"reward": Reward(amount=EveryN(every=5, amount_minor=1), form=VOUCHER)}, ["/reward/amount"]),
    ({"trigger": OrderPlaced(), "reward": gives(FeeReduction())}, ["/trigger"]),
    ({"reward": gives(FeeReduction()), "funding": (ByPlatform(), ByMerchant())}, ["/funding"]),
    ({**REBATE, "trigger": OrderPlaced()}, ["/trigger"]),
    ({"beneficiary": BOTH, "window": SinceOptIn(days=7)}, ["/window"]),
    ({"beneficiary": BOTH, "window": PerEvent(), "trigger": CustomEvent(name="visit")}, ["/beneficiary"]),
    ({**REBATE, "trigger": CustomEvent(name="visit")}, ["/beneficiary"]),
    ({**REBATE, "funding": (ByMerchant(),)}, ["/qualify/opt_in"]),
    ({**REBATE, "window": WholePromotion(), "funding": (ByMerchant(),), "qualify": JOINED}, ["/funding/0"]),
    ({**CUT, "funding": (ByPlatform(), ByMerchant())}, ["/qualify/opt_in"]),
    (
        {
            "funding": (ByMerchant(),),
            "experiment": Experiment(salt="s", arms=(Arm(name="a", reward=gives(FeeReduction())),)),
        },
        ["/funding"],
    ),
]


@pytest.mark.parametrize(("changes", "pointers"), REFUSED)
def test_what_nothing_pays_is_named(changes: dict[str, Any], pointers: list[str]) -> None:
    assert [pointer for pointer, _ in not_payable(m.terms(**changes))] == pointers


@pytest.mark.parametrize(
    "changes", [{}, CUT, REBATE, {"trigger": CustomEvent(name="visit")}, {"trigger": ListingPublished()},
                {"funding": (ByPlatform(), ByMerchant())},
                {"beneficiary": BOTH, "window": PerEvent()}, {"trigger": OrderPlaced()},
                {"reward": gives(VOUCHER)}, {**REBATE, "reward": gives(VOUCHER)}, {"reward": gives(FeeReduction())},
                {**CUT, "funding": (ByPayer(contract="brand"),)},
                {**CUT, "funding": (ByMerchant(),), "qualify": JOINED},
                {**REBATE, "funding": (ByMerchant(), ByPayer(contract="brand")), "qualify": JOINED},
                {"beneficiary": BOTH, "window": PerEvent(), "funding": (ByPlatform(), ByPayer(contract="brand"))},
                {**REBATE, "window": SinceOptIn(days=7)},
                {"trigger": OrderPlaced(), "funding": (ByPlatform(), ByPayer(contract="brand"))},
                {"funding": (ByPayer(contract="brand"), ByMerchant())}]
)  # fmt: skip
def test_what_is_paid_is_not_refused_and_is_paid_by_something(changes: dict[str, Any]) -> None:
    terms = m.terms(**changes)
    assert [*problems(terms), *not_payable(terms)] == []
    paid = [is_discount(terms), is_rebate(terms), is_reward(terms)].count(True)
    assert paid == (2 if isinstance(terms.beneficiary, ToBoth) else 1)


def test_whatever_is_not_refused_is_paid_by_something() -> None:
    for trigger in (OrderPlaced(), OrderSettled(), ListingPublished(), CustomEvent(name="visit")):
        for to in (ToMerchant(), ToBuyer(), ToBoth(buyer_reward=gives(Credit()))):
            for form in (Credit(), VOUCHER, FeeReduction(), Discount()):
                for window in (PerEvent(), WholePromotion()):
                    terms = m.terms(trigger=trigger, beneficiary=to, reward=gives(form), window=window)
                    if not problems(terms) and not not_payable(terms):
                        assert is_discount(terms) or is_rebate(terms) or is_reward(terms), terms


def _events() -> dict[type, Event]:
    """An order as each of the two sees it, with everything that is known of it."""
    line = Line(line_no=1, amount_minor=100, quantity=2, product_id=7, category="care")
    shopper = Shopper(
        buyer_id=1, region="n", since=NOW, orders=1, last_at=NOW, used={}, windows=0, words=frozenset({"SUMMER"})
    )  # fmt: skip
    seller = Seller(merchant_ref="m1", entity_id=1, zone="UTC", region="n", since=NOW)
    of = Merchant(merchant_id=1, region="n", since=NOW, zone="UTC", house_merchant_id=2, entity_id=1)
    settled = Settled(
        order_id=1, buyer_id=1, entity_id=1, currency="EUR", placed_at=NOW, settled_at=NOW, sold_at=NOW,
        changed_at=NOW, ordered=(line,), left=(line,), earlier={"order.settled": Earlier(3, 2, 1, 4)},
    )  # fmt: skip
    quote: Any = type("Q", (), {"currency": "EUR"})()
    quoted: Any = type("L", (), {"goods_minor": 100, "quantity": 2, "product_id": 7, "category": "care"})()
    return {
        OrderPlaced: at_checkout(quote, 1, [quoted], seller, shopper, shopper.words, NOW),
        OrderSettled: settled.event(of),
    }


@pytest.mark.parametrize("trigger", [OrderPlaced, OrderSettled])
def test_what_is_said_to_be_known_is_what_the_events_carry(trigger: type) -> None:
    event = _events()[trigger]
    known = {name for name, each in EVENT_ATTRIBUTES.items() if reader(each)(event) not in (None, frozenset())}
    known |= {name for name, each in LINE_ATTRIBUTES.items() if reader(each)(event.lines[0]) is not None}
    assert known == KNOWN[trigger][1]


@pytest.mark.parametrize(
    "attribute",
    [
        "merchant.orders",
        "merchant.idle_days",
        "merchant.segment",
        "merchant.level",
        "buyer.segment",
        "buyer.level",
        "order.channel",
    ],
)
def test_an_attribute_that_checkout_does_not_know_is_named(attribute: str) -> None:
    tree = AllOf(of=(Equals(attribute="order.code", value="SUMMER"), Not(of=Exists(attribute=attribute))))
    [(pointer, reason)] = not_payable(m.terms(**CUT, qualify=Qualify(event=tree)))
    assert pointer == "/qualify/event/of/1/of/attribute"
    assert attribute in reason
    assert "at checkout" in reason
    brand = Qualify(lines=Equals(attribute="line.brand", value="b"))
    assert [pointer for pointer, _ in not_payable(m.terms(**CUT, qualify=brand))] == ["/qualify/lines/attribute"]


async def test_they_are_refused_as_a_draft_and_as_a_new_version(db: Database, clock: FixedClock) -> None:
    campaign, promotion = await m.live(db, clock)
    wrong = m.terms(beneficiary=BOTH, window=SinceOptIn(days=7))
    with pytest.raises(Invalid, match=r"terms.window: merchant and buyer do not join at once"):
        await m.drafted(db, campaign, wrong)
    cmd = NewVersion(promotion_id=promotion.promotion_id, terms=wrong)
    with pytest.raises(Invalid, match=r"terms.window"):
        await db.write(WORKER, m.MAKER, flow.add_version, cmd)


_SPOIL = """
UPDATE incentives.promotion_version
SET terms = terms || '{"qualify": {"event": {"is": "exists", "attribute": "merchant.level"}}}'
"""


async def test_a_draft_from_before_is_refused_when_it_is_submitted(db: Database) -> None:
    """One that was stored when nobody looked."""
    await m.people(db)
    campaign = await m.move_campaign(db, await m.drafted_campaign(db), Move.SUBMIT, Move.APPROVE)
    drafted = await m.drafted(db, campaign)
    await db.write(WORKER, "test", Tx.execute, _SPOIL)
    with pytest.raises(Invalid, match="is not known when an order settles"):
        await m.move(db, drafted, Move.SUBMIT)
