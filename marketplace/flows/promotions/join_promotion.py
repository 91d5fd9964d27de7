"""A merchant, or a buyer, joins a promotion: what it does from then on counts."""

from incentives.experiments.store import get_holdout
from incentives.promotions import store
from incentives.promotions.joins import store as joins
from incentives.promotions.joins.store import JoinablePromotion
from incentives.promotions.store import PublicPromotion
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from supply.model import MerchantState
from supply.store import get_merchant


async def join_promotion(tx: Tx, merchant_id: int, promotion_id: int) -> PublicPromotion:
    """Raises NotFound for a promotion that is not live or not for this merchant, Conflict where none is joined."""
    merchant = await get_merchant(tx, merchant_id)
    if merchant.state is not MerchantState.LIVE:
        raise Conflict(f"state: the merchant is {merchant.state}, only a live one joins promotions")
    found = await _find(tx, merchant_id, promotion_id)
    if found.terms.opt_in == "not_needed" and found.terms.window.__struct_config__.tag != "opt_in":
        raise Conflict("promotion_id: everybody takes part in this promotion, nobody has to join it")
    if found.joined_at is None:
        await joins.join(tx, "merchant", merchant_id, promotion_id)
        await audit.record(tx, "promotion joined", f"promotion:{promotion_id}", merchant_id=merchant_id)
    return await _find(tx, merchant_id, promotion_id)


async def _find(tx: Tx, merchant_id: int, promotion_id: int) -> PublicPromotion:
    holdout = await get_holdout(tx)
    found = await store.public_promotions(tx, merchant_id, holdout=holdout, promotion_id=promotion_id, limit=1)
    if not found:
        raise NotFound(f"there is no promotion {promotion_id} for merchant {merchant_id}")
    return found[0]


async def join_as_buyer(tx: Tx, buyer_id: int, promotion_id: int) -> JoinablePromotion:
    """Raises NotFound for a buyer there is not, and for a promotion that is not live or that buyers do not join."""
    if await tx.scalar("SELECT 1 FROM demand.buyer WHERE buyer_id = :buyer", buyer=buyer_id) is None:
        raise NotFound(f"there is no buyer {buyer_id}")
    found = await _joinable(tx, buyer_id, promotion_id)
    if found.joined_at is None:
        await joins.join(tx, "buyer", buyer_id, promotion_id)
        await audit.record(tx, "promotion joined", f"promotion:{promotion_id}", buyer_id=buyer_id)
    return await _joinable(tx, buyer_id, promotion_id)


async def _joinable(tx: Tx, buyer_id: int, promotion_id: int) -> JoinablePromotion:
    found = await joins.joinable(tx, buyer_id, promotion_id=promotion_id, limit=1)
    if not found:
        raise NotFound(f"there is no promotion {promotion_id} for buyers to join")
    return found[0]
