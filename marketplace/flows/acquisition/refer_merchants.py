"""Process: a merchant brings another one; when that is activated in time, both are rewarded, through incentives.

pending -> qualified -> rewarded, or refused: too late, active before it was brought, or because both are the same. A
merchant that is lost before the programme's last day takes both rewards back. A pass may be killed, repeated and run
twice at once.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec

from billing.ledger import store as ledger
from marketplace.core import audit
from marketplace.core.clock import day_begins, local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import AppError, Conflict
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import check_currency
from marketplace.flows.acquisition import refer_merchants_sql as sql
from marketplace.flows.acquisition.note_stages import check_alive
from marketplace.flows.acquisition.work_leads import NewTouch, lock_own, touch_lead
from marketplace.flows.promotions.judge_orders import Plans
from marketplace.flows.promotions.reward_events import Happening, reward_event, unreward_event
from supply import store as merchants
from supply.leads.model import TouchKind
from supply.leads.referrals import store
from supply.leads.referrals.model import (
    Programme,
    ProgrammeTerms,
    Referral,
    ReferralCode,
    ReferralReward,
    ReferralState,
    self_referral,
)

CHANNEL = "online.referral"
_PAGE = 200


class NewReferral(msgspec.Struct, frozen=True, kw_only=True):
    """A lead that came with a code. device: from where, as far as known."""

    code: str
    lead_id: int
    device: str = ""


class ReferralDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A referral, and what either side has got for it."""

    referral: Referral
    rewards: list[ReferralReward]


async def make_programme(tx: Tx, name: str, terms: ProgrammeTerms) -> Programme:
    """Raises Invalid, Conflict."""
    check_currency(terms.currency)
    made = await store.add_programme(tx, name, terms)
    await audit.record(tx, "referral programme made", f"referral_programme:{name}", version_no=made.version_no)
    return made


async def make_code(tx: Tx, code: str, programme: str, merchant_id: int, device: str = "") -> ReferralCode:
    """Give a merchant a code to bring others by. Raises NotFound, Invalid, Conflict."""
    await merchants.get_merchant(tx, merchant_id)
    await store.get_programme(tx, programme)
    return await store.add_code(
        tx,
        ReferralCode(
            code=code, programme=programme, merchant_id=merchant_id, device=device, active=True, version=1
        ),
    )  # fmt: skip


async def refer_lead(tx: Tx, cmd: NewReferral, seller: int | None = None) -> Referral:
    """Note that a lead came with a code, which is a touch of it, too. Raises NotFound, Invalid, Conflict."""
    code = await store.code_of(tx, cmd.code)
    programme = await store.get_programme(tx, code.programme)
    held = await lock_own(tx, cmd.lead_id, seller)
    check_alive(held)
    if await sql.activated_of(tx, held.lead_id) is not None:
        raise Conflict("lead_id: the lead is activated already", pointer="/lead_id")
    new = Referral(
        referral_id=time_ordered_id(tx.now), code=code.code, programme=programme.name, version_no=programme.version_no,
        referrer_id=code.merchant_id, lead_id=held.lead_id, merchant_id=None, device=cmd.device, referred_at=tx.now,
        expires_at=tx.now + timedelta(days=programme.terms.window_days), state=ReferralState.PENDING, reasons=[],
        activated_on=None, version=1,
    )  # fmt: skip
    made = await store.add_referral(tx, new)
    await touch_lead(
        tx, NewTouch(lead_id=held.lead_id, kind=TouchKind.SEEN, channel=CHANNEL, campaign=code.programme)
    )  # fmt: skip
    return made


async def reward_referrals(db: Database, actor: str) -> int:
    """Take every open referral as far as it goes by now; returns how many went on."""
    plans = Plans()
    moved = await each(db, actor, "a referral was not judged", _page(db, sql.judgeable), _judge)
    moved += await each(db, actor, "a referral was not rewarded", _page(db, sql.rewardable), partial(_reward, plans))
    lost = partial(_claw_back, plans)
    return moved + await each(db, actor, "a referral was not clawed back", _page(db, sql.clawable), lost)


def _page(db: Database, query: Any) -> Any:
    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        found: Sequence[Any] = await query(tx, db.clock.now(), last.referral_id if last else FIRST, _PAGE)
        return found

    return page


async def _judge(tx: Tx, row: Any) -> bool:
    """Whether a referral whose lead is activated, or whose time is over, is to be rewarded."""
    held = await store.get_referral(tx, row.referral_id, lock=True)
    if held.state is not ReferralState.PENDING:
        return False
    found = await sql.activated_of(tx, held.lead_id)
    if found is None or found.merchant_id is None or day_begins(found.activated_on, found.zone) > held.expires_at:
        if tx.now <= held.expires_at:
            return False
        terms = (await store.get_programme(tx, held.programme, held.version_no)).terms
        reasons = [f"not activated within {terms.window_days} days"]
        await store.move_referral(tx, held, ReferralState.REFUSED, reasons=reasons)
        return True
    reasons = self_referral(
        await sql.referrer_identity(tx, held), await sql.referee_identity(tx, held, found.merchant_id)
    )  # fmt: skip
    if found.activated_on < local_date(held.referred_at, found.zone):
        reasons.append("it was active before it was brought")
    if await store.brought_already(tx, found.merchant_id, held.referral_id):
        reasons.append("somebody else has brought this merchant")
    state = ReferralState.REFUSED if reasons else ReferralState.QUALIFIED
    values = {"merchant_id": found.merchant_id, "activated_on": found.activated_on, "reasons": reasons}
    await store.move_referral(tx, held, state, **values)
    return True


async def _reward(plans: Plans, tx: Tx, row: Any) -> bool:
    """Reward both sides in one commit, as soon as promotions give either side something; until then, say why not."""
    await _hold_books(tx, row)
    held = await store.get_referral(tx, row.referral_id, lock=True)
    if held.state is not ReferralState.QUALIFIED:
        return False
    try:
        async with tx.connection.begin_nested():
            rewards = await _rewards(plans, tx, held)
    except AppError as refusal:
        if held.reasons != [refusal.detail]:
            await store.move_referral(tx, held, held.state, reasons=[refusal.detail])
        return False
    await store.add_rewards(tx, rewards)
    await store.move_referral(tx, held, ReferralState.REWARDED, reasons=[])
    return True


async def _rewards(plans: Plans, tx: Tx, held: Referral) -> list[dict[str, Any]]:
    """What either side is given. Raises Conflict where one of them gets nothing."""
    assert held.merchant_id is not None
    terms = (await store.get_programme(tx, held.programme, held.version_no)).terms
    sides = (
        ("referrer", held.referrer_id, terms.referrer_trigger),
        ("referee", held.merchant_id, terms.referee_trigger),
    )
    rewards = []
    for side, merchant_id, trigger in sides:
        event_id = f"{side}:{held.referral_id}"
        what = Happening(
            merchant_id=merchant_id, name=trigger, event_id=event_id, currency=terms.currency, at=tx.now
        )  # fmt: skip
        promotions = await reward_event(tx, plans, what)
        if not promotions:
            raise Conflict(f"no live promotion gives a {side} anything ({trigger}, {terms.currency})")
        key = {"referral_id": held.referral_id, "side": side, "merchant_id": merchant_id, "event_id": event_id}
        rewards += [{**key, "promotion_id": promotion, "currency": terms.currency} for promotion in promotions]
    return rewards


async def _claw_back(plans: Plans, tx: Tx, row: Any) -> bool:
    """The merchant that was brought is lost in time: neither side keeps its reward."""
    await _hold_books(tx, row)
    held = await store.get_referral(tx, row.referral_id, lock=True)
    if held.state is not ReferralState.REWARDED:
        return False
    for reward in await sql.rewards_of(tx, held.referral_id):
        await unreward_event(tx, plans, reward.merchant_id, reward.event_id)
    await store.move_referral(tx, held, ReferralState.CLAWED_BACK, reasons=[row.why])
    return True


async def _hold_books(tx: Tx, row: Any) -> None:
    """Both merchants' books, in the order of their ids, before anything else."""
    for merchant_id in sorted({row.referrer_id, row.merchant_id}):
        await ledger.lock_books(tx, merchant_id)


async def read_referral(tx: Tx, referral_id: int) -> ReferralDetail:
    """Raises NotFound."""
    found = await store.get_referral(tx, referral_id)
    return ReferralDetail(referral=found, rewards=await sql.rewards_of(tx, referral_id))
