"""People match what no rule does, and take back what one should not have: proposed by one, approved by another."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from billing.breaks import store as breaks
from billing.breaks.model import BreakKind, check_limit
from billing.matching import rules as pure
from billing.matching import store
from billing.matching.agreements import store as agreements
from billing.matching.model import (
    Account,
    Draft,
    FeeLine,
    FeeSchedule,
    Item,
    PayoutBack,
    Proposal,
    ResidueKind,
    Rules,
    RulesVersion,
    Side,
    Stage,
    Suggestion,
    check_fees,
)
from billing.payments import store as payments
from marketplace.core import audit, policies
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.flows.bank.book_matches import check_sides, make_group, take_back

CANDIDATES_MAX = 2_000
_WAITING = """
SELECT p.proposal_id, p.made_by, p.action, i.item_id
FROM billing.match_proposal p CROSS JOIN LATERAL unnest(p.theirs || p.ours) AS i (item_id)
WHERE p.state = 'proposed' AND i.item_id = ANY(CAST(:items AS bigint[])) ORDER BY p.proposal_id, i.item_id LIMIT 1
"""


class ProposeMatch(msgspec.Struct, frozen=True, kw_only=True):
    """Items of both sides that belong together, and why. residue_kind: what explains their difference, where the rules
    say nothing of it."""

    theirs: tuple[int, ...]
    ours: tuple[int, ...]
    reason: str
    residue_kind: ResidueKind | None = None


class SetAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account and whose it is; processor: its name, where the account is at one."""

    account: Account
    processor: str = ""


async def suggest(tx: Tx, item_id: int) -> list[Suggestion]:
    """What may be the other side of an open line, the likeliest first, each with its reasons. Raises NotFound."""
    [line] = await store.items_of(tx, [item_id])
    if line.side is not Side.THEIRS or line.group_id is not None:
        raise Conflict(f"item {item_id} is no open line")
    version = await agreements.rules_in_force(tx)
    items = await store.open_items(
        tx,
        book=line.book,
        side=Side.OURS,
        entity_id=line.entity_id,
        currency=line.currency,
        until=line.day + timedelta(days=pure.HINT_DAYS),
        limit=CANDIDATES_MAX,
    )
    found = pure.suggestions(line, items, version.rules)
    back = await _payout_back(tx, line, version.rules)
    return [back, *found] if back else found


async def _payout_back(tx: Tx, line: Item, rules: Rules) -> Suggestion | None:
    """That a payout came back with the line, where that is what its break is about."""
    about = await breaks.live_of_item(tx, line.item_id)
    if about is None or about.kind is not BreakKind.PAYOUT_RETURNED:
        return None
    paid = await store.find_payout(tx, line)
    if paid is None or not pure.explains(rules, line.book, line.amount_minor, -paid.amount_minor):
        return None
    payout = PayoutBack(merchant_id=paid.owner_id, payout_id=paid.source_id, break_id=about.break_id)
    return Suggestion(ours=(), score=100, reasons=("a payout that was paid came back",), payout_back=payout)


async def propose_match(tx: Tx, cmd: ProposeMatch) -> Proposal:
    """Raises NotFound, Conflict for what is matched or proposed already, Invalid for sides whose difference nothing
    explains."""
    await _draft(tx, cmd.theirs, cmd.ours, cmd.residue_kind)
    await _check_unproposed(tx, (*cmd.theirs, *cmd.ours))
    proposal = await store.add_proposal(tx, "match", cmd.theirs, cmd.ours, cmd.reason, residue_kind=cmd.residue_kind)
    await audit.record(tx, "match proposed", f"match_proposal:{proposal.proposal_id}", reason=cmd.reason)
    return proposal


async def propose_unmatch(tx: Tx, group_id: int, reason: str) -> Proposal:
    """Raises NotFound, Conflict for a group that is taken back already, or is proposed to be."""
    group = await store.get_group(tx, group_id)
    if group.reversed_by is not None or group.stage is Stage.UNMATCH:
        raise Conflict(f"group {group_id} is not live any more")
    await _check_unproposed(tx, (*group.theirs, *group.ours))
    proposal = await store.add_proposal(tx, "unmatch", group.theirs, group.ours, reason, group_id=group_id)
    await audit.record(tx, "unmatch proposed", f"match_proposal:{proposal.proposal_id}", reason=reason)
    return proposal


async def approve_match(tx: Tx, proposal_id: int, *, is_controller: bool = False) -> Proposal:
    """Do what was proposed. Raises NotFound; Forbidden for who proposed it, and for who may not write off as much as a
    person has explained; Conflict when it is decided, or an item has been matched meanwhile.
    """
    proposal = await _undecided(tx, proposal_id)
    single = await policies.check_second_person(tx, proposal.made_by, f"match proposal {proposal_id}")
    if proposal.action == "unmatch":
        assert proposal.group_id is not None
        group = await store.get_group(tx, proposal.group_id)
        group_id = await take_back(tx, group, proposal_id=proposal_id, reason=proposal.reason)
    else:
        draft = await _draft(
            tx, proposal.theirs, proposal.ours, ResidueKind(kind) if (kind := proposal.residue_kind) else None
        )
        if proposal.residue_kind:
            await _check_limit(tx, draft, is_controller=is_controller)
        version = await agreements.rules_in_force(tx)
        await breaks.close_matched(tx, [*proposal.theirs, *proposal.ours])
        made = await make_group(
            tx,
            msgspec.structs.replace(draft, reasons=(proposal.reason,)),
            rules_version=version.version,
            proposal_id=proposal_id,
        )
        group_id = made.group_id
    await _lock_undecided(tx, proposal_id)
    decided = await store.decide_proposal(tx, proposal_id, "approved", group_id=group_id, single_operator=single)
    await audit.record(
        tx, f"{proposal.action} approved", f"match_proposal:{proposal_id}", single_operator=single, group_id=group_id
    )
    return decided


async def reject_match(tx: Tx, proposal_id: int) -> Proposal:
    """Do not do it. Raises NotFound, Conflict when it is decided."""
    proposal = await _lock_undecided(tx, proposal_id)
    await audit.record(tx, f"{proposal.action} rejected", f"match_proposal:{proposal_id}")
    return await store.decide_proposal(tx, proposal_id, "rejected", group_id=None)


async def _check_unproposed(tx: Tx, items: Sequence[int]) -> None:
    """Raises Conflict where somebody has proposed what becomes of one of these, and nobody has decided it."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('billing.match_proposal'))")  # two may propose at once
    waiting = await tx.row(_WAITING, items=list(items))
    if waiting is not None:
        raise Conflict(
            f"items: item {waiting.item_id} waits for a decision: {waiting.made_by} proposed to {waiting.action} it",
            proposal_id=waiting.proposal_id,
        )


async def _check_limit(tx: Tx, draft: Draft, *, is_controller: bool) -> None:
    """What a person explains is within the limits of writing off."""
    [line] = await store.items_of(tx, draft.theirs[:1])
    limits = await breaks.limits_of(tx, line.entity_id, line.currency)
    check_limit("the difference", draft.residue_minor, limits, is_controller=is_controller)


async def _draft(tx: Tx, theirs: Sequence[int], ours: Sequence[int], explained_as: ResidueKind | None = None) -> Draft:
    """The group that these would be; a residue is what a person says that it is, else must be one that the rules
    explain."""
    items = {item.item_id: item for item in await store.items_of(tx, [*theirs, *ours])}
    sides = [[items[item_id] for item_id in side] for side in (theirs, ours)]
    residue = _sum(sides[0]) - _sum(sides[1])
    draft = Draft(stage=Stage.MANUAL, theirs=tuple(theirs), ours=tuple(ours))
    if residue and sides[0]:
        rules = (await agreements.rules_in_force(tx)).rules
        kind = explained_as or pure.residue_of(rules, sides[0][0].book, _sum(sides[0]), _sum(sides[1]))
        if kind is not None:
            draft = msgspec.structs.replace(draft, residue_minor=residue, residue_kind=kind)
    check_sides(draft, sides[0], sides[1])
    return draft


def _sum(items: Sequence[Item]) -> int:
    return sum(item.amount_minor for item in items)


async def _undecided(tx: Tx, proposal_id: int) -> Proposal:
    proposal = await store.get_proposal(tx, proposal_id)
    if proposal.state != "proposed":
        raise Conflict(f"state: the proposal was {proposal.state} by {proposal.decided_by}", state=proposal.state)
    return proposal


async def _lock_undecided(tx: Tx, proposal_id: int) -> Proposal:
    """Hold a proposal, behind the books that it touches. Raises Conflict when somebody has decided it meanwhile."""
    await store.get_proposal(tx, proposal_id, lock=True)
    return await _undecided(tx, proposal_id)


async def propose_rules(tx: Tx, rules: Rules) -> RulesVersion:
    """The next version of the rules; it holds once somebody else approves it."""
    version = await agreements.add_rules(tx, rules)
    await audit.record(tx, "matching rules proposed", f"match_rules:{version.version}")
    return version


async def approve_rules(tx: Tx, version: int) -> RulesVersion:
    """Raises NotFound, Forbidden for who made them, Conflict when they are approved already."""
    proposed = await agreements.get_rules(tx, version, lock=True)
    if proposed.approved_at is not None:
        raise Conflict(f"version: {proposed.approved_by} approved these rules already")
    single = await policies.check_second_person(tx, proposed.made_by, f"matching rules {version}")
    await audit.record(tx, "matching rules approved", f"match_rules:{version}", single_operator=single)
    return await agreements.approve_rules(tx, version, single_operator=single)


async def propose_fees(tx: Tx, processor: str, from_on: date, fees: tuple[FeeLine, ...]) -> FeeSchedule:
    """What a processor may charge from a day on; it counts once somebody else approves it. Raises NotFound, Invalid."""
    check_fees(fees)
    processor_id = await _processor(tx, processor)
    made = await agreements.add_schedule(tx, processor_id, from_on, fees)
    await audit.record(tx, "fee schedule proposed", f"fee_schedule:{processor_id}/{made.version}")
    return made


async def approve_fees(tx: Tx, processor_id: int, version: int) -> FeeSchedule:
    """Raises NotFound, Forbidden for who made it, Conflict when it is approved already."""
    proposed = await agreements.get_schedule(tx, processor_id, version, lock=True)
    if proposed.approved_at is not None:
        raise Conflict(f"version: {proposed.approved_by} approved this schedule already")
    single = await policies.check_second_person(tx, proposed.made_by, f"fee schedule {version}")
    subject = f"fee_schedule:{processor_id}/{version}"
    await audit.record(tx, "fee schedule approved", subject, single_operator=single)
    return await agreements.approve_schedule(tx, processor_id, version, single_operator=single)


async def set_account(tx: Tx, cmd: SetAccount) -> Account:
    """Say whose an account is; from then on its lines are matched.

    Raises NotFound for a processor that is none, Invalid for an entity that is none.
    """
    account = cmd.account
    if cmd.processor:
        account = msgspec.structs.replace(account, processor_id=await _processor(tx, cmd.processor))
    known = await tx.scalar("SELECT 1 FROM billing.entity WHERE entity_id = :entity", entity=account.entity_id)
    if known is None:
        raise Invalid(f"entity_id: there is no entity {account.entity_id}", pointer="/entity_id")
    await agreements.set_account(tx, account)
    await audit.record(tx, "account named", f"match_account:{account.account}", entity_id=account.entity_id)
    return account


async def _processor(tx: Tx, name: str) -> int:
    processor_id = await payments.processor_id(tx, name)
    if processor_id is None:
        raise NotFound(f"processor: there is no processor {name!r}")
    return processor_id
