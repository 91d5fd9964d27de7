"""Which promotions are paid, and how a clawback falls on what was granted. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from incentives.grants.model import Grant, GrantState
from incentives.rules.awards import (
    Credit,
    FeeReduction,
    Fixed,
    NextOrderVoucher,
    Once,
    Reward,
    ToBuyer,
    ToMerchant,
)
from incentives.rules.check import Problem, nodes_of, rewards_of
from incentives.rules.funders import Bearing, Shares, bearing
from incentives.rules.model import (
    ByMerchant,
    ByPayer,
    ByPlatform,
    CustomEvent,
    ListingPublished,
    OrderPlaced,
    OrderSettled,
    PerEvent,
    SinceOptIn,
    Terms,
    Trigger,
    funder_name,
    merchants_pay,
)
from incentives.rules.parts import Role
from incentives.rules.predicates import AllOf, AnyOf, Not

OWN = "merchant"
"""The funder of what a merchant bears: of its own reward no money moves for it."""
NO_PAYERS = {funder_name(ByMerchant()), funder_name(ByPlatform())}
"""Funders that bear their part without a contract."""
FEE, VOUCHER = "fee_reduction", "next_order_voucher"
"""Forms of rewards that later orders use up."""


def is_reward(terms: Terms) -> bool:
    """Whether merchants are paid by it, when their orders settle or something else happens that has a name; for
    orders that were placed it is promised before that."""
    return (
        isinstance(terms.trigger, OrderPlaced | OrderSettled | ListingPublished | CustomEvent)
        and not isinstance(terms.beneficiary, ToBuyer)
        and all(isinstance(each.form, Credit | NextOrderVoucher | FeeReduction) for each in _rewards(terms, "merchant"))
    )


def is_rebate(terms: Terms) -> bool:
    """Whether buyers are given credit, or a voucher, by it when orders of theirs settle."""
    return (
        isinstance(terms.trigger, OrderSettled)
        and not isinstance(terms.beneficiary, ToMerchant)
        and all(isinstance(each.form, Credit | NextOrderVoucher) for each in _rewards(terms, "buyer"))
    )


def _rewards(terms: Terms, role: Role) -> list[Reward]:
    return [reward for _, whose, reward in rewards_of(terms) if whose == role]


def not_payable(terms: Terms) -> list[Problem]:
    """Pointer and reason of what of the terms nothing pays yet, or what nobody knows where they are decided."""
    return [*_unpaid_reward(terms), *_unpaid_buyer(terms), *_unpaid_funding(terms), *_unknown(terms)]


def _unpaid_reward(terms: Terms) -> Iterator[Problem]:
    for pointer, _, reward in rewards_of(terms):
        match reward.form:
            case NextOrderVoucher() if not (
                isinstance(terms.window, PerEvent) or isinstance(reward.amount, Once | Fixed)
            ):
                yield (
                    f"{pointer}/amount",
                    "a voucher is of one amount: take a window of one event, or once",
                )
            case NextOrderVoucher() | FeeReduction() if isinstance(terms.trigger, OrderPlaced):
                yield "/trigger", "what later orders use up is not promised: take order.settled"
            case FeeReduction() if merchants_pay(terms):
                yield "/funding", "a merchant does not pay for less of its own fees"
            case Credit() if isinstance(terms.trigger, OrderPlaced) and not isinstance(terms.beneficiary, ToMerchant):
                yield "/trigger", "buyers are not promised credit yet: take order.settled"


def _unpaid_buyer(terms: Terms) -> Iterator[Problem]:
    if isinstance(terms.beneficiary, ToMerchant):
        return
    if isinstance(terms.trigger, CustomEvent):
        yield "/beneficiary", "buyers are not paid for anything but orders yet"
    if isinstance(terms.window, SinceOptIn) and not isinstance(terms.beneficiary, ToBuyer):
        yield "/window", "merchant and buyer do not join at once: take days of the calendar"
    if terms.qualify.opt_in == "not_needed" and merchants_pay(terms):
        yield "/qualify/opt_in", "the merchant bears a part of what its buyers get: it must have joined"


def _unpaid_funding(terms: Terms) -> Iterator[Problem]:
    rebate = isinstance(terms.trigger, OrderSettled) and not isinstance(terms.beneficiary, ToMerchant)
    of_many = rebate and not isinstance(terms.window, PerEvent)
    for number, funder in enumerate(terms.funding):
        if of_many and isinstance(funder, ByMerchant):
            yield f"/funding/{number}", "a buyer's orders are of many merchants: one bears a part of one event only"


_EVENT = frozenset({"merchant.id", "merchant.region", "merchant.days"})
_ORDER = _EVENT | {"order.amount", "order.quantity", "market.entity", "buyer.id"}
_LINE = frozenset({"line.amount", "line.quantity", "line.product", "line.category"})
_BUYER = frozenset({"buyer.region", "buyer.orders", "buyer.days", "buyer.idle_days"})
COUNTED = frozenset({"merchant.orders", "merchant.idle_days", "buyer.orders", "buyer.idle_days"})
"""What is looked up of earlier orders only where a promotion asks for it."""
KNOWN: dict[type[Trigger], tuple[str, frozenset[str]]] = {
    OrderPlaced: ("at checkout", _ORDER | _LINE | _BUYER | {"order.code"}),
    OrderSettled: ("when an order settles", _ORDER | _LINE | COUNTED),
    ListingPublished: ("of a new listing", _EVENT | {"line.amount", "line.product", "line.category"}),
    CustomEvent: ("of an event that is no order", _EVENT),
}
"""By trigger where its promotions are decided, and the attributes that are known there."""
PROMISED_KNOWN = "of an order that merchants are promised something for", KNOWN[OrderSettled][1]
"""The same for merchants' rewards of placed orders."""


def _unknown(terms: Terms) -> Iterator[Problem]:
    """What a predicate asks that nobody knows there: it would never hold, or with `not` always."""
    promised = isinstance(terms.trigger, OrderPlaced) and isinstance(terms.beneficiary, ToMerchant)
    where, known = PROMISED_KNOWN if promised else KNOWN[type(terms.trigger)]
    for pointer, attribute in _asked(terms):
        if attribute not in known:
            yield f"{pointer}/attribute", f"{attribute!r} is not known {where} yet"


def _asked(terms: Terms) -> Iterator[tuple[str, str]]:
    for part in ("event", "lines"):
        predicate = getattr(terms.qualify, part)
        for node, pointer, _ in nodes_of(predicate, f"/qualify/{part}", 1) if predicate else ():
            if not isinstance(node, AllOf | AnyOf | Not):
                yield pointer, node.attribute


def asked(terms: Terms) -> set[str]:
    """The attributes that terms ask for."""
    return {attribute for _, attribute in _asked(terms)}


def borne(terms: Terms, granted: Sequence[Grant]) -> Bearing:
    """How a window's funders bear what was granted in it: the next grant, or clawback, is divided by it."""
    return bearing(terms.funding, [(grant.funders, grant.funder_minor) for grant in granted])


def of_promise(terms: Terms, granted: Sequence[Grant], minor: int, payers: Mapping[str, int]) -> Shares:
    """How a grant out of a promise is divided: payers bear what was promised by them, the others the rest."""
    others = [each for each in terms.funding if each.weight and not isinstance(each, ByPayer)] or [ByPlatform()]
    before = []
    for grant in granted:
        ours = [each for each in zip(grant.funders, grant.funder_minor, strict=True) if each[0] in NO_PAYERS]
        before.append(([name for name, _ in ours], [part for _, part in ours]))
    names, minors = bearing(others, before).divide(minor - sum(payers.values()))
    return (*payers, *names), (*payers.values(), *minors)


def taken_from(granted: Sequence[Grant], back_minor: int) -> list[tuple[int, datetime | None]]:
    """What is taken back of what has not vested yet, the last to vest first, and then of what was paid (None)."""
    pending: dict[datetime, int] = defaultdict(int)
    for grant in granted:
        if grant.state is GrantState.PENDING and grant.vests_at is not None:
            pending[grant.vests_at] += grant.amount_minor
    parts: list[tuple[int, datetime | None]] = []
    for vests_at in sorted(pending, reverse=True):
        part = min(pending[vests_at], back_minor)
        if part > 0:
            parts.append((part, vests_at))
            back_minor -= part
    return [*parts, (back_minor, None)] if back_minor else parts


def moves_minor(grant: Grant) -> int:
    """What of a grant others than the merchant bear."""
    return sum(m for name, m in zip(grant.funders, grant.funder_minor, strict=True) if name != OWN)
