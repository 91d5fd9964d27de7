"""Campaigns and promotions from draft to review: written by some, approved by somebody else."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from incentives.budgets import store as budgets
from incentives.budgets.model import Budget, Owner, Scope
from incentives.campaigns import store as campaigns
from incentives.campaigns.model import Campaign, Plan, missing
from incentives.discounts.model import payers_of
from incentives.experiments.store import find_review
from incentives.grants import store as grants
from incentives.grants.rewards import not_payable
from incentives.lifecycle import AGREED, Move, Party, State, check_move
from incentives.promotions import store as promotions
from incentives.promotions.budgets import budgets_of_terms
from incentives.promotions.model import (
    OnPause,
    Promotion,
    Version,
    VersionState,
    changed_parts,
    last_instants,
    unfit_for_live,
    within,
)
from incentives.rules.check import Problem, problems, refuse
from incentives.rules.model import Schedule, Terms, funder_name
from incentives.rules.windows import Span, schedule_span
from incentives.store import hold_campaign
from marketplace.core import audit, users
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.core.policies import check_second_person
from marketplace.core.users import STAFF_ROLES
from marketplace.flows.discounts.issue_codes import words_of_others
from marketplace.flows.promotions.pass_gate import pass_gate


class DraftCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign is called and when it runs; its plan may be filled in later."""

    name: str
    currency: str
    schedule: Schedule
    plan: Plan


class EditCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """The campaign as it is to be; None leaves a field as it is."""

    name: str | None = None
    schedule: Schedule | None = None
    plan: Plan | None = None


class DraftPromotion(msgspec.Struct, frozen=True, kw_only=True):
    campaign_id: int
    terms: Terms
    on_pause: OnPause = "honour"


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """effective_from: when events begin to fall under it; of no account before the promotion is approved."""

    promotion_id: int
    terms: Terms
    effective_from: datetime | None = None


def _span(schedule: Schedule, pointer: str) -> Span:
    try:
        span = schedule_span(schedule)
    except ValueError as fault:
        raise Invalid(f"schedule: {fault}", pointer=pointer) from fault
    if span.ends is not None and span.ends <= span.starts:
        raise Invalid("schedule: the end is not after the start", pointer=f"{pointer}/ends")
    return span


def _with(authors: Iterable[str], actor: str) -> tuple[str, ...]:
    return tuple(sorted({*authors, actor}))


async def check_nobody_approves_own(tx: Tx, authors: Sequence[str], deed: str) -> bool:
    """Whoever has written on a thing does not approve it; see `check_second_person`."""
    return await check_second_person(tx, tx.actor if tx.actor in authors else authors[0], deed)


async def draft_campaign(tx: Tx, cmd: DraftCampaign) -> Campaign:
    """A new draft. Raises Invalid for a schedule that is none, Conflict for a name that is taken."""
    span = _span(cmd.schedule, "/schedule")
    new = Campaign(
        campaign_id=time_ordered_id(tx.now),
        state=State.DRAFT,
        starts_at=span.starts,
        ends_at=span.ends,
        authors=(tx.actor,),
        stopped=(),
        approved_by=None,
        approved_at=None,
        made_at=tx.now,
        version=1,
        **{name: getattr(cmd, name) for name in cmd.__struct_fields__},
    )
    await campaigns.insert_campaign(tx, new)
    await audit.record(tx, "campaign drafted", f"campaign:{new.campaign_id}", after=cmd)
    return new


async def edit_campaign(tx: Tx, held: Campaign, cmd: EditCampaign) -> Campaign:
    """Change a held draft. Raises Conflict for one that is none any more."""
    if held.state is not State.DRAFT:
        raise Conflict(f"state: the campaign is {held.state}; revise makes it a draft again", state=held.state.value)
    given = {name: value for name in cmd.__struct_fields__ if (value := getattr(cmd, name)) is not None}
    new = msgspec.structs.replace(held, **given, authors=_with(held.authors, tx.actor))
    span = _span(new.schedule, "/schedule")
    new = msgspec.structs.replace(new, starts_at=span.starts, ends_at=span.ends)
    before = {name: getattr(held, name) for name in given}
    await audit.record(tx, "campaign edited", f"campaign:{held.campaign_id}", before=before, after=given)
    return await campaigns.save_campaign(tx, new)


async def move_campaign(tx: Tx, campaign_id: int, move: Move, reason: str = "") -> Campaign:
    """Take a campaign on, as the platform. Approved is only what lacks nothing, by somebody who has not written it.

    Raises Invalid naming all that is missing, Forbidden for one's own, Conflict where the state does not allow it.
    """
    await hold_campaign(tx, campaign_id)
    held = await campaigns.get_campaign(tx, campaign_id, lock=True)
    check_move(held.state, move, Party.PLATFORM, "campaign")
    single = False
    if move in {Move.SUBMIT, Move.APPROVE}:
        logins = [user.login for user in await users.list_users(tx) if user.active and STAFF_ROLES & {*user.roles}]
        refuse(missing(held.plan, Span(held.starts_at, held.ends_at), logins))
    if move is Move.APPROVE:
        single = await check_nobody_approves_own(tx, held.authors, "approve a campaign")
        await budgets.open_budgets(tx, _budgets_of_plan(tx, held))
        held = msgspec.structs.replace(held, approved_by=tx.actor, approved_at=tx.now)
    if move is Move.REVIEW:
        _check_reviewer(tx, held)
        if not await campaigns.all_in(tx, campaign_id, State.REVIEWED, State.CANCELLED):
            raise Conflict("state: one of its promotions has not been reviewed yet")
    _check_reason(move, reason)
    return await campaigns.move_campaign(tx, held, move, Party.PLATFORM, reason=reason, single=single)


def _check_reason(move: Move, reason: str) -> None:
    if move in {Move.REJECT, Move.PAUSE, Move.CANCEL} and not reason.strip():
        raise Invalid("reason: say why", pointer="/reason")


def _check_reviewer(tx: Tx, held: Campaign) -> None:
    if tx.actor != held.plan.reviewer:
        raise Forbidden(f"move: {held.plan.reviewer} is the one who reviews this campaign")


def _budgets_of_plan(tx: Tx, of: Campaign) -> list[Budget]:
    """All of it, and each funder's part."""
    plan = of.plan
    parts = [(Scope.TOTAL, "", plan.budget_minor or 0)]
    parts += [(Scope.FUNDER, part.funder, part.amount_minor) for part in plan.funders]
    return [
        Budget(
            budget_id=time_ordered_id(tx.now),
            owner=Owner.CAMPAIGN,
            owner_id=of.campaign_id,
            scope=scope,
            scope_key=key,
            currency=of.currency,
            zone=of.schedule.zone,
            limit_minor=minor,
            shards=8,
        )
        for scope, key, minor in parts
    ]


async def draft_promotion(tx: Tx, cmd: DraftPromotion) -> Promotion:
    """A new draft with its first version. Raises Invalid naming all that is wrong with it, NotFound, Conflict."""
    await hold_campaign(tx, cmd.campaign_id)
    campaign = await campaigns.get_campaign(tx, cmd.campaign_id)
    span = _checked(cmd.terms, campaign)
    if campaign.state not in {State.DRAFT, State.IN_REVIEW, State.REJECTED, *AGREED}:
        raise Conflict(f"campaign_id: the campaign is {campaign.state}", pointer="/campaign_id")
    closes_at, review_at = last_instants(cmd.terms, span.ends)
    new = Promotion(
        promotion_id=time_ordered_id(tx.now),
        campaign_id=cmd.campaign_id,
        name=cmd.terms.name,
        currency=cmd.terms.currency,
        state=State.DRAFT,
        on_pause=cmd.on_pause,
        starts_at=span.starts,
        ends_at=span.ends,
        closes_at=closes_at,
        review_at=review_at,
        authors=(tx.actor,),
        approved_by=None,
        approved_at=None,
        made_at=tx.now,
        version=1,
    )
    await promotions.insert_promotion(tx, new, _version(tx, new.promotion_id, 1, cmd.terms, span.starts))
    await audit.record(tx, "promotion drafted", f"promotion:{new.promotion_id}", version_no=1)
    return new


def _checked(terms: Terms, campaign: Campaign) -> Span:
    """When the promotion runs. Raises Invalid with all that is wrong with its terms."""
    refuse(_wrong(terms))
    span = schedule_span(terms.schedule)
    refuse(within(terms, span.starts, span.ends, campaign))
    return span


def _wrong(terms: Terms) -> list[Problem]:
    return [(f"/terms{pointer}", reason) for pointer, reason in (*problems(terms), *not_payable(terms))]


async def _unfit(tx: Tx, promotion_id: int, terms: Terms) -> list[Problem]:
    return [*await _unfit_payers(tx, terms), *await words_of_others(tx, promotion_id, terms)]


async def _unfit_payers(tx: Tx, terms: Terms) -> list[Problem]:
    """Pointer and reason of payers that cannot bear a part of it: no contract, one that pays other things, or one whose
    payer is waited for: it would hold what the merchant has already been promised by the sale."""
    rows = await tx.rows(
        """
        SELECT c.name, c.pays, c.currency,
               EXISTS (SELECT 1 FROM billing.payer_version v WHERE v.contract_id = c.contract_id
                       AND CAST(v.terms ->> 'pay_when_paid' AS boolean)) AS pay_when_paid
        FROM billing.payer_contract c WHERE c.name = ANY(:names)
        """,
        names=payers_of(terms),
    )
    known = {row.name: row for row in rows}
    found = []
    for number, funder in enumerate(terms.funding):
        name = funder_name(funder)
        if name not in payers_of(terms):
            continue
        pointer = f"/terms/funding/{number}/contract"
        if name not in known:
            found.append((pointer, f"there is no payer contract {name!r}"))
        elif known[name].pays != "promotion":
            found.append((pointer, f"contract {name!r} pays {known[name].pays}"))
        elif known[name].currency != terms.currency:
            found.append((pointer, f"contract {name!r} is in {known[name].currency}"))
        elif known[name].pay_when_paid:
            found.append((pointer, f"contract {name!r} is pay_when_paid: nobody waits for a promotion's payer"))
    return found


def _version(tx: Tx, promotion_id: int, version_no: int, terms: Terms, effective_from: datetime) -> Version:
    return Version(
        promotion_id=promotion_id,
        version_no=version_no,
        terms=terms,
        effective_from=effective_from,
        state=VersionState.PROPOSED,
        author=tx.actor,
        made_at=tx.now,
        approved_by=None,
        approved_at=None,
    )


async def add_version(tx: Tx, cmd: NewVersion) -> Version:
    """New terms: of a draft the ones to be reviewed, of an approved promotion a proposal for what comes.

    Raises Invalid naming what is wrong or may not change any more, Conflict in review or when it is over.
    """
    promotion = await promotions.get_promotion(tx, cmd.promotion_id)
    await hold_campaign(tx, promotion.campaign_id)
    held = await promotions.get_promotion(tx, cmd.promotion_id, lock=True)
    newest = await promotions.get_version(tx, cmd.promotion_id)
    campaign = await campaigns.get_campaign(tx, held.campaign_id)
    if held.state is State.DRAFT:
        span = _checked(cmd.terms, campaign)
        closes_at, review_at = last_instants(cmd.terms, span.ends)
        times = {"starts_at": span.starts, "ends_at": span.ends, "closes_at": closes_at, "review_at": review_at}
        changed = msgspec.structs.replace(held, name=cmd.terms.name, currency=cmd.terms.currency, **times)
        effective_from = span.starts
    elif held.state in AGREED:
        [now] = await promotions.in_force(tx, tx.now, promotion_ids=[cmd.promotion_id])
        refuse(_wrong(cmd.terms))
        refuse([*unfit_for_live(now.terms, cmd.terms), *await _unfit_payers(tx, cmd.terms)])
        effective_from = _to_come(tx, cmd.effective_from)
        changed = held
    else:
        raise Conflict(f"state: the promotion is {held.state}", state=held.state.value)
    new = _version(tx, cmd.promotion_id, newest.version_no + 1, cmd.terms, effective_from)
    await promotions.insert_version(tx, new)
    await promotions.save_promotion(tx, msgspec.structs.replace(changed, authors=_with(held.authors, tx.actor)))
    await audit.record(
        tx,
        "promotion version added",
        f"promotion:{cmd.promotion_id}",
        version_no=new.version_no,
        parts=changed_parts(newest.terms, cmd.terms),
    )
    return new


def _to_come(tx: Tx, effective_from: datetime | None) -> datetime:
    if effective_from is not None and effective_from < tx.now:
        raise Invalid("effective_from: lies in the past", pointer="/effective_from")
    return effective_from or tx.now


async def decide_version(
    tx: Tx, promotion_id: int, version_no: int, then: VersionState, acknowledged: Mapping[str, str] | None = None
) -> Version:
    """Approve or reject a proposed version of a promotion that has been approved before, see `pass_gate`.

    It is in force from the instant that was proposed, or from now on where that has passed: never for what was.
    """
    found = await promotions.get_promotion(tx, promotion_id)
    await hold_campaign(tx, found.campaign_id)
    held = await promotions.get_promotion(tx, promotion_id, lock=True)
    version = await promotions.get_version(tx, promotion_id, version_no)
    if held.state not in AGREED:
        raise Conflict(f"state: the promotion is {held.state}; its first version is approved with it")
    if version.state is not VersionState.PROPOSED:
        raise Conflict(f"state: the version is {version.state}", state=version.state.value)
    single, passed = False, None
    if then is VersionState.APPROVED:
        refuse([*_wrong(version.terms), *await _unfit(tx, promotion_id, version.terms)])
        single = await check_nobody_approves_own(tx, [version.author], "approve a version")
        passed = await pass_gate(tx, version, acknowledged or {})
    decided = await promotions.decide_version(tx, version, then, max(version.effective_from, tx.now), passed)
    if then is VersionState.APPROVED and decided.terms.name != held.name:
        held = msgspec.structs.replace(held, name=decided.terms.name)
    saved = await promotions.save_promotion(tx, held)
    await promotions.publish(tx, saved)
    subject = f"promotion:{promotion_id}"
    action = f"promotion version {then}"
    await audit.record(tx, action, subject, single_operator=single, version_no=version_no, passed=passed)
    return decided


async def move_promotion(
    tx: Tx, promotion_id: int, move: Move, reason: str = "", acknowledged: Mapping[str, str] | None = None
) -> Promotion:
    """Take a promotion on, as the platform. Once this has committed, a paused one reserves nothing any more.

    Approved is only what fits into a campaign that is itself approved, by somebody who has not written it, and what
    was simulated, see `pass_gate`; its budgets are opened with it. Raises Invalid, Forbidden for one's own, Conflict
    where the state does not allow it.
    """
    found = await promotions.get_promotion(tx, promotion_id)
    await hold_campaign(tx, found.campaign_id)
    held = await promotions.get_promotion(tx, promotion_id, lock=True)
    check_move(held.state, move, Party.PLATFORM, "promotion")
    _check_reason(move, reason)
    campaign = await campaigns.get_campaign(tx, held.campaign_id)
    single = False
    if move in {Move.SUBMIT, Move.APPROVE}:
        newest = await promotions.get_version(tx, promotion_id)
        _checked(newest.terms, campaign)
        refuse(await _unfit(tx, promotion_id, newest.terms))
        if move is Move.APPROVE:
            if campaign.state not in AGREED:
                raise Conflict(f"campaign_id: its campaign is {campaign.state}, and must be approved first")
            single = await check_nobody_approves_own(tx, held.authors, "approve a promotion")
            passed = await pass_gate(tx, newest, acknowledged or {})
            await promotions.decide_version(tx, newest, VersionState.APPROVED, held.starts_at, passed)
            await audit.record(tx, "promotion approved on", f"promotion:{promotion_id}", passed=passed)
            await budgets.open_budgets(
                tx, budgets_of_terms(promotion_id, newest.terms, lambda: time_ordered_id(tx.now))
            )
            held = msgspec.structs.replace(held, approved_by=tx.actor, approved_at=tx.now)
    if move is Move.RESUME and held.on_pause == "void" and await grants.unvested(tx, promotion_id):
        raise Conflict("state: what it had promised is still being made void; try again in a minute")
    if move is Move.REVIEW:
        _check_reviewer(tx, campaign)
        if held.review_at is not None and tx.now < held.review_at:
            raise Conflict(f"state: refunds count until {held.review_at:%Y-%m-%dT%H:%MZ}")
        if await find_review(tx, promotion_id) is None:
            raise Conflict("review: say first what was learned and what comes of it")
    return await promotions.move_promotion(tx, held, move, Party.PLATFORM, reason=reason, single=single)
