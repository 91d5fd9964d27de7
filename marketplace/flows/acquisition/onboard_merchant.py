"""From a merchant's first entry to the day it sells: open its books, tick its checklist, let it go live."""

from collections.abc import Sequence
from datetime import date

import msgspec

from billing.bank_accounts import store as bank_accounts
from billing.bank_accounts.model import AccountState, BankAccount
from billing.ledger import store as ledger
from marketplace.core import audit, policies
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.promotions.reward_listings import ask_rewards
from supply import store
from supply.lifecycle import MerchantMove
from supply.listings import store as listings
from supply.model import Merchant, MerchantState
from supply.onboarding import rules
from supply.onboarding import store as points
from supply.onboarding.rules import Act, Checklist, Fact, State


class OnboardMerchant(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant to be. merchant_ref: its id in another system; entity_id: needed where there are several."""

    name: str
    merchant_ref: str | None = None
    city: str = ""
    region: str = ""
    entity_id: int | None = None


class NotReady(Conflict):
    """Something of the checklist is missing; `missing` names every point, `needs` what each waits for."""

    code = "onboarding-not-complete"
    title = "Something is missing before the merchant can go live"


async def onboard_merchant(tx: Tx, cmd: OnboardMerchant) -> Merchant:
    """Take a merchant in: its books are open from the first moment, so nothing that happens to it is lost.

    Raises Invalid for an entity that is none, Conflict for a merchant_ref in use.
    """
    entity_id = await _entity(tx, cmd.entity_id)
    new = await store.add_merchant(
        tx, ref=cmd.merchant_ref, name=cmd.name, city=cmd.city, region=cmd.region, entity_id=entity_id
    )
    await ledger.open_books(tx, [new.merchant_id], entity_id)
    await audit.record(tx, "merchant onboarded", f"merchant:{new.merchant_id}", merchant_ref=new.merchant_ref)
    return new


async def _entity(tx: Tx, entity_id: int | None) -> int:
    known: Sequence[int] = [row.entity_id for row in await tx.rows("SELECT entity_id FROM billing.entity ORDER BY 1")]
    if entity_id is None and len(known) == 1:
        return known[0]
    if entity_id not in known:
        there_are = ", ".join(map(str, known)) or "none yet"
        raise Invalid(f"entity_id: name one of the legal entities, {there_are}", pointer="/entity_id")
    assert entity_id is not None
    return entity_id


async def read_checklist(tx: Tx, merchant_id: int) -> Checklist:
    """Every point of a merchant's checklist and what each still waits for. Raises NotFound."""
    await store.get_merchant(tx, merchant_id)
    facts = {
        "bank_account": await _bank_fact(tx, merchant_id),
        "listing": await points.listing_fact(tx, merchant_id),
        "courses": await points.courses_fact(tx, merchant_id),
    }
    return rules.checklist(merchant_id, await points.read_records(tx, merchant_id), facts)


async def _bank_fact(tx: Tx, merchant_id: int) -> Fact:
    match await bank_accounts.best_state(tx, merchant_id):
        case AccountState.VERIFIED | AccountState.COOLING | AccountState.ACTIVE:
            return Fact(State.VERIFIED, None)
        case AccountState.PROPOSED:
            return Fact(State.ATTESTED, "the bank account that was proposed has to be verified")
        case AccountState.REJECTED:
            return Fact(State.REJECTED, "the bank account was rejected: the merchant has to propose another")
        case _:
            return Fact(State.MISSING, "a bank account, proposed by the merchant")


async def tick(tx: Tx, merchant_id: int, key: str, act: Act, *, reason: str = "", note: str = "") -> Checklist:
    """Attest, verify, reject or waive a point of the checklist, and go live if that was the last and policy says so.

    Raises NotFound, Conflict and Invalid as the rules say, and Forbidden for judging one's own word.
    """
    requirement = rules.find(key)
    merchant = await store.lock_merchant(tx, merchant_id)
    if merchant.state is MerchantState.CLOSED:
        raise Conflict("state: the merchant is closed", state=merchant.state.value)
    record = (await points.read_records(tx, merchant_id)).get(key)
    state = rules.check_act(requirement, record, act, reason)
    single = False
    vouched = rules.needs_second_person(record, act)
    if vouched is not None:
        single = await policies.check_second_person(tx, vouched, f"{key} of merchant {merchant_id}")
    await points.write_record(tx, merchant_id, key, act, state, reason=reason, note=note)
    subject = f"merchant:{merchant_id}"
    await audit.record(tx, f"requirement {state}", subject, single_operator=single, key=key, reason=reason, note=note)
    await go_live_if_ready(tx, merchant_id)
    return await read_checklist(tx, merchant_id)


async def go_live(tx: Tx, merchant_id: int) -> Merchant:
    """Let a merchant sell. Raises NotFound, NotReady naming what is missing, Conflict unless it is onboarding."""
    merchant = await store.lock_merchant(tx, merchant_id)
    found = await read_checklist(tx, merchant_id)
    if merchant.state is MerchantState.ONBOARDING and not found.ready:
        needs = {item.key: item.missing for item in found.items if item.missing is not None}
        said = "; ".join(f"{key}: {what}" for key, what in needs.items())
        raise NotReady(f"merchant {merchant_id} is not ready: {said}", missing=found.missing, needs=needs)
    return await _live(tx, merchant, by_policy=False)


async def go_live_if_ready(tx: Tx, merchant_id: int) -> bool:
    """With the policy `auto_approve_merchants` on, let a merchant go live once nothing is missing.

    To be called by whatever may have been the last thing missing: a point ticked, a listing made, an account verified.
    """
    if not await policies.is_on(tx, "auto_approve_merchants"):
        return False
    merchant = await store.lock_merchant(tx, merchant_id)
    if merchant.state is not MerchantState.ONBOARDING or not (await read_checklist(tx, merchant_id)).ready:
        return False
    await _live(tx, merchant, by_policy=True)
    return True


async def _live(tx: Tx, merchant: Merchant, *, by_policy: bool) -> Merchant:
    moved = await store.move_merchant(tx, merchant, MerchantMove.GO_LIVE, reason="")
    await store.join(tx, merchant.merchant_id, await _today(tx, merchant))
    await _publish(tx, merchant.merchant_id)
    await audit.record(tx, "merchant live", f"merchant:{merchant.merchant_id}", by_policy=by_policy)
    return await store.get_merchant(tx, moved.merchant_id)


async def _publish(tx: Tx, merchant_id: int) -> None:
    """What a merchant has listed can be bought from now on."""
    if first := await listings.publish_listings(tx, merchant_id):
        await ask_rewards(tx, merchant_id, first)


async def _today(tx: Tx, merchant: Merchant) -> date:
    """The day in the market of the merchant's legal entity."""
    zone = await tx.scalar("SELECT zone FROM billing.entity WHERE entity_id = :entity", entity=merchant.entity_id)
    return local_date(tx.now, zone)


async def move_merchant(tx: Tx, merchant_id: int, move: MerchantMove, reason: str) -> Merchant:
    """Suspend, reinstate or close a merchant, for a reason. Raises NotFound, Conflict, Invalid."""
    if not reason.strip():
        raise Invalid("reason: say why", pointer="/reason")
    merchant = await store.lock_merchant(tx, merchant_id)
    moved = await store.move_merchant(tx, merchant, move, reason=reason)
    if moved.state is MerchantState.LIVE:
        await _publish(tx, merchant_id)
    elif moved.state is MerchantState.CLOSED:
        await store.leave(tx, merchant_id, await _today(tx, moved))
    await audit.record(tx, f"merchant {moved.state}", f"merchant:{merchant_id}", move=move, reason=reason)
    return moved


async def verify_by_code(tx: Tx, merchant_id: int, account_id: int, code: str) -> BankAccount:
    """As `billing.bank_accounts.store` does it; a verified account may be the last thing that was missing."""
    account = await bank_accounts.verify_by_code(tx, merchant_id, account_id, code)
    if account.state is AccountState.VERIFIED:
        await go_live_if_ready(tx, merchant_id)
    return account


async def verify_by_document(tx: Tx, merchant_id: int, account_id: int, note: str) -> BankAccount:
    """As `billing.bank_accounts.store` does it; a verified account may be the last thing that was missing."""
    account = await bank_accounts.verify_by_document(tx, merchant_id, account_id, note)
    await go_live_if_ready(tx, merchant_id)
    return account
