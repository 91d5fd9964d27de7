"""From the first entry to the day a merchant sells, as rules and as a flow."""

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.bank_accounts.store import order_transfer
from billing.ledger import store as ledger
from marketplace.core import policies
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Forbidden, Invalid, NotFound
from marketplace.flows.acquisition.onboard_merchant import (
    NotReady,
    OnboardMerchant,
    go_live,
    move_merchant,
    onboard_merchant,
    read_checklist,
    tick,
    verify_by_code,
)
from marketplace.flows.orders.list_goods import Goods, list_goods
from supply import store
from supply.lifecycle import RULES, MerchantMove, check_move
from supply.model import Merchant, MerchantState
from supply.onboarding import rules
from supply.onboarding.rules import Act, Checklist, Fact, Kind, Record, Requirement, State
from tests.billing.accounts import CLERK, OWNER, cooling, propose
from tests.billing.market import MAY, billed, order, settled_market
from tests.builders import add_market
from tests.conftest import NOW

OPS = "ops"
VERIFIED = Fact(State.VERIFIED, None)
ATTESTED_POINTS = ("legal_name_and_address", "terms", "identity_document")


def record(state: State, attested_by: str | None = OWNER) -> Record:
    return Record(key="k", state=state, reason="", note="", attested_by=attested_by, actor="x", at=NOW, version=1)


# --- rules ----------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from([Kind.ATTESTED, Kind.VERIFIED]),
    st.lists(st.sampled_from(list(Act)), max_size=8),
)
def test_a_point_is_met_exactly_when_its_last_word_is_enough(kind: Kind, acts: list[Act]) -> None:
    """Against a model: what each act makes of each state, written out."""
    point = Requirement("k", kind, "…")
    model = {
        (State.MISSING, Act.ATTEST): State.ATTESTED,
        (State.MISSING, Act.WAIVE): State.WAIVED,
        (State.ATTESTED, Act.ATTEST): State.ATTESTED,
        (State.ATTESTED, Act.VERIFY): State.VERIFIED,
        (State.ATTESTED, Act.REJECT): State.REJECTED,
        (State.ATTESTED, Act.WAIVE): State.WAIVED,
        (State.VERIFIED, Act.REJECT): State.REJECTED,
        (State.REJECTED, Act.ATTEST): State.ATTESTED,
        (State.REJECTED, Act.WAIVE): State.WAIVED,
        (State.WAIVED, Act.REJECT): State.REJECTED,
    }
    state = State.MISSING
    for act in acts:
        known = None if state is State.MISSING else record(state)
        if (state, act) in model:
            assert rules.check_act(point, known, act, "because") is model[state, act]
            state = model[state, act]
        else:
            with pytest.raises(Conflict, match=f"k is {state}"):
                rules.check_act(point, known, act, "because")
    enough = {State.VERIFIED, State.WAIVED} | ({State.ATTESTED} if kind is Kind.ATTESTED else set())
    assert (rules._missing(point, state) is None) is (state in enough)


def test_nobody_ticks_what_is_computed_but_it_may_be_waived() -> None:
    computed = next(point for point in rules.CHECKLIST if point.kind is Kind.COMPUTED)
    for act in (Act.ATTEST, Act.VERIFY):
        with pytest.raises(Conflict, match="nobody ticks it"):
            rules.check_act(computed, None, act, "")
    with pytest.raises(Conflict, match="only its waiver"):
        rules.check_act(computed, None, Act.REJECT, "because")
    assert rules.check_act(computed, None, Act.WAIVE, "paid by hand") is State.WAIVED
    assert rules.check_act(computed, record(State.WAIVED), Act.REJECT, "not any more") is State.REJECTED


def test_a_rejected_waiver_of_a_computed_point_leaves_what_is_computed() -> None:
    facts = {"bank_account": Fact(State.MISSING, "a bank account"), "listing": VERIFIED, "courses": VERIFIED}
    found = rules.checklist(1, {"bank_account": record(State.REJECTED)}, facts)
    [item] = [item for item in found.items if item.key == "bank_account"]
    assert (item.state, item.missing) == (State.MISSING, "a bank account")


@pytest.mark.parametrize("act", [Act.REJECT, Act.WAIVE])
def test_a_refusal_and_a_waiver_need_a_reason(act: Act) -> None:
    with pytest.raises(Invalid, match="say why"):
        rules.check_act(rules.find("terms"), record(State.ATTESTED), act, "  ")


def test_a_point_that_is_none_is_not_found() -> None:
    with pytest.raises(NotFound, match="it has legal_name_and_address, terms"):
        rules.find("1")


def test_a_merchant_moves_as_the_table_says() -> None:
    for state in MerchantState:
        for move, rule in RULES.items():
            if state in rule.sources:
                assert check_move(state, move) is rule.target
            else:
                with pytest.raises(Conflict, match=f"the merchant is {state}"):
                    check_move(state, move)


# --- the flow -------------------------------------------------------------------------------------------------------


async def new_merchant(db: Database, ref: str | None = "newcomer") -> Merchant:
    return await db.write(WORKER, OPS, onboard_merchant, OnboardMerchant(name="Newcomer", merchant_ref=ref))


async def ticked(db: Database, by: str, merchant_id: int, key: str, act: Act, reason: str = "") -> Checklist:
    return await db.write(WORKER, by, tick, merchant_id, key, act, reason=reason)


async def shown(db: Database, merchant_id: int) -> Checklist:
    async with db.read(WORKER) as tx:
        return await read_checklist(tx, merchant_id)


async def state_of(db: Database, merchant_id: int) -> MerchantState:
    async with db.read(WORKER) as tx:
        return (await store.get_merchant(tx, merchant_id)).state


async def test_a_merchant_is_onboarding_with_open_books_from_the_first_moment(db: Database) -> None:
    await settled_market(db, [order(1, 1, date(2018, 5, 10))])
    await billed(db)
    made = await new_merchant(db)
    assert (made.state, made.version, made.joined_on) == (MerchantState.ONBOARDING, 1, None)
    async with db.read(WORKER) as tx:
        closed = await tx.scalar(
            "SELECT closed_through FROM billing.ledger_head WHERE merchant_id = :m", m=made.merchant_id
        )
        assert await ledger.balances(tx, made.merchant_id) == []
    assert closed == MAY.last_on
    with pytest.raises(Conflict, match="'newcomer' is another merchant's"):
        await new_merchant(db)
    nameless = await new_merchant(db, ref=None)
    assert nameless.merchant_ref == f"m{nameless.merchant_id}"


async def test_the_entity_is_named_where_it_is_not_clear(db: Database) -> None:
    with pytest.raises(Invalid, match="none yet"):
        await new_merchant(db)
    await db.write(WORKER, "test", add_market, [1])
    with pytest.raises(Invalid, match="entity_id: name one of the legal entities, 1"):
        await db.write(WORKER, OPS, onboard_merchant, OnboardMerchant(name="x", entity_id=9))
    assert (await new_merchant(db)).entity_id == 1


async def test_going_live_is_refused_naming_all_that_is_missing_and_why(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1])
    m = (await new_merchant(db)).merchant_id
    with pytest.raises(NotReady) as refused:
        await db.write(WORKER, OPS, go_live, m)
    everything = [point.key for point in rules.CHECKLIST]
    assert refused.value.extra["missing"] == [key for key in everything if key != "courses"]  # none is required
    for key in ATTESTED_POINTS:
        await ticked(db, OWNER, m, key, Act.ATTEST)
    await db.write(WORKER, OWNER, list_goods, m, Goods(sku="A-1", title="Lamp", price_minor=900))
    account = await propose(db, m)
    found = await shown(db, m)
    assert {item.key: item.missing for item in found.items if item.missing} == {
        "identity_document": "somebody of the house has to look at it",
        "bank_account": "the bank account that was proposed has to be verified",
    }
    await ticked(db, OPS, m, "identity_document", Act.REJECT, "not readable")
    assert [i.missing for i in (await shown(db, m)).items if i.key == "identity_document"] == [
        "it was rejected: the merchant has to attest it anew"
    ]
    await ticked(db, OPS, m, "identity_document", Act.WAIVE, "known for years")
    with pytest.raises(NotReady, match="bank_account: the bank account that was proposed has to be verified"):
        await db.write(WORKER, OPS, go_live, m)
    await db.write(WORKER, CLERK, _vouch, m, account.account_id)
    assert await _listed_at(db, m) is None
    live = await db.write(WORKER, OPS, go_live, m)
    assert (live.state, live.joined_on, await _listed_at(db, m)) == (MerchantState.LIVE, NOW.date(), NOW)
    with pytest.raises(Conflict, match="the merchant is live"):
        await db.write(WORKER, OPS, go_live, m)


async def _listed_at(db: Database, merchant_id: int) -> datetime | None:
    """Since when its only listing can be bought."""
    async with db.read(WORKER) as tx:
        at: datetime | None = await tx.scalar(
            "SELECT listed_at FROM supply.offer WHERE merchant_id = :merchant", merchant=merchant_id
        )
    return at


async def _vouch(tx: Tx, merchant_id: int, account_id: int) -> None:
    await tx.execute(
        "UPDATE billing.bank_account SET state = 'verified' WHERE merchant_id = :m AND account_id = :a",
        {"m": merchant_id, "a": account_id},
    )


async def test_whoever_gave_the_word_does_not_judge_it(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1])
    m = (await new_merchant(db)).merchant_id
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    await ticked(db, "two hats", m, "terms", Act.ATTEST)
    for act in (Act.VERIFY, Act.REJECT, Act.WAIVE):
        with pytest.raises(Forbidden, match="made by two hats"):
            await ticked(db, "two hats", m, "terms", act, "because")
    await ticked(db, OPS, m, "terms", Act.REJECT, "old version")
    with pytest.raises(Forbidden, match="made by two hats"):  # the word is still the same person's
        await ticked(db, "two hats", m, "terms", Act.WAIVE, "because")
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=True)
    await ticked(db, "two hats", m, "terms", Act.WAIVE, "because")
    async with db.read(WORKER) as tx:
        marked = await tx.rows("SELECT action FROM core.audit WHERE single_operator")
    assert [row.action for row in marked] == ["requirement waived"]


@pytest.mark.parametrize("last", ["attest", "listing", "account"])
async def test_with_the_policy_on_a_merchant_goes_live_by_the_last_thing_that_was_missing(
    db: Database, last: str
) -> None:
    await db.write(WORKER, "test", add_market, [1])
    await db.write(WORKER, "admin", policies.switch, "auto_approve_merchants", on=True)
    m = (await new_merchant(db)).merchant_id
    await ticked(db, OPS, m, "identity_document", Act.WAIVE, "known")

    async def attest() -> None:
        await ticked(db, OWNER, m, "legal_name_and_address", Act.ATTEST)
        await ticked(db, OWNER, m, "terms", Act.ATTEST)

    async def listing() -> None:
        await db.write(WORKER, OWNER, list_goods, m, Goods(sku="A-1", title="Lamp", price_minor=900))

    async def account() -> None:
        proposed = await propose(db, m)
        order = await db.write(WORKER, CLERK, order_transfer, m, proposed.account_id, lambda _: 1)
        await db.write(WORKER, OWNER, verify_by_code, m, proposed.account_id, order.code)

    steps = {"attest": attest, "listing": listing, "account": account}
    for name in [name for name in steps if name != last]:
        await steps[name]()
    assert await state_of(db, m) is MerchantState.ONBOARDING
    await steps[last]()
    assert await state_of(db, m) is MerchantState.LIVE


async def test_with_the_policy_off_somebody_lets_it_go_live(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1])
    m = (await new_merchant(db)).merchant_id
    await cooling(db, m)
    await db.write(WORKER, OWNER, list_goods, m, Goods(sku="A-1", title="Lamp", price_minor=900))
    for key in ATTESTED_POINTS:
        await ticked(db, OWNER, m, key, Act.ATTEST)
    await ticked(db, OPS, m, "identity_document", Act.VERIFY)
    assert (await shown(db, m)).ready
    assert await state_of(db, m) is MerchantState.ONBOARDING
    await db.write(WORKER, OPS, go_live, m)


async def test_a_merchant_is_suspended_reinstated_and_closed_each_for_a_reason(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1])
    for move, reason in (
        (MerchantMove.SUSPEND, "complaints"),
        (MerchantMove.REINSTATE, "settled"),
        (MerchantMove.CLOSE, "gave up"),
    ):
        with pytest.raises(Invalid, match="say why"):
            await db.write(WORKER, OPS, move_merchant, 1, move, " ")
        await db.write(WORKER, OPS, move_merchant, 1, move, reason)
    async with db.read(WORKER) as tx:
        done = await tx.rows(
            "SELECT action, detail ->> 'reason' AS reason FROM core.audit WHERE actor = 'ops' ORDER BY 1 DESC"
        )
        told = await tx.rows("SELECT payload ->> 'state' AS s FROM core.outbox ORDER BY event_id")
    assert [tuple(row) for row in done] == [
        ("merchant suspended", "complaints"), ("merchant live", "settled"), ("merchant closed", "gave up"),
    ]  # fmt: skip
    assert [row.s for row in told] == ["suspended", "live", "closed"]
    with pytest.raises(Conflict, match="the merchant is closed"):
        await db.write(WORKER, OPS, move_merchant, 1, MerchantMove.REINSTATE, "again")
    with pytest.raises(Conflict, match="the merchant is closed"):
        await db.write(WORKER, OWNER, list_goods, 1, Goods(sku="A-1", title="Lamp", price_minor=900))
    with pytest.raises(Conflict, match="the merchant is closed"):
        await ticked(db, OWNER, 1, "terms", Act.ATTEST)
