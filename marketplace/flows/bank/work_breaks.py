"""What people do about a break: take it, talk about it, accept it, write it off; of a payout that came back, say so.

Within the limit of a role one person writes off; above it, and for what is accepted, a second person agrees. What is
written off is matched like anything else: it stands on the side that lacks it, and is booked against 6920.
"""

from typing import Any

import msgspec
from sqlalchemy import insert

from billing.breaks import store
from billing.breaks.model import Break, BreakKind, BreakState, Limits, Step, check_limit, check_move
from billing.matching import store as matching
from billing.matching.agreements import store as agreements
from billing.matching.model import Draft, Item, ItemKind, Side, Stage
from billing.matching.rules import explains, residue_of
from billing.matching.tables import match_item
from billing.runs import store as runs
from marketplace.core import audit, blocks, outbox, policies
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.money import text_from_minor
from marketplace.flows.bank.book_matches import make_group
from marketplace.flows.payouts.pay_merchants import ReturnPayout, hold_books, return_payout


class SayOfBreak(msgspec.Struct, frozen=True, kw_only=True):
    """words: a comment or a reason; evidence: where what it says can be looked up."""

    break_id: int
    words: str
    evidence: str = ""
    is_controller: bool = False


async def assign(tx: Tx, break_id: int, owner: str) -> Break:
    """Give a break to somebody, or back to nobody. Raises NotFound, Invalid for a login that is none."""
    await _live(tx, break_id)
    if owner and not await tx.scalar("SELECT 1 FROM core.app_user WHERE login = :login AND active", login=owner):
        raise Invalid(f"owner: there is no user {owner!r}", pointer="/owner")
    await store.add_step(tx, break_id, "assigned", owner=owner)
    return await store.change(tx, break_id, owner=owner or None)


async def comment(tx: Tx, cmd: SayOfBreak) -> Step:
    """Say something about a break, whatever its state. Raises NotFound."""
    await store.get_break(tx, cmd.break_id, lock=True)
    return await store.add_step(tx, cmd.break_id, "commented", cmd.words, **_evidence(cmd))


async def accept(tx: Tx, cmd: SayOfBreak) -> Break:
    """Ask to leave a break as it is, for a reason; a period may close over it once a second person agrees."""
    return await _ask(tx, cmd, BreakState.ACCEPTING)


async def write_off(tx: Tx, cmd: SayOfBreak) -> Break:
    """Write a break off, at once where the role may, else once a second person agrees.

    A limit that one has set oneself lets one do nothing alone, or it would do away with the second person.

    Raises NotFound; Conflict for one that is dealt with; Invalid for one that cannot be written off.
    """
    one = await _live(tx, cmd.break_id)
    await _in_question(tx, one)
    limits = await _limits(tx, one)
    own = await store.set_the_limits(tx, limits.entity_id, limits.currency, tx.actor)
    single = own and await policies.is_on(tx, "single_operator")
    if abs(one.amount_minor) > limits.of(is_controller=cmd.is_controller) or own is not single:
        return await _ask(tx, cmd, BreakState.WRITING_OFF)
    check_move(one, BreakState.WRITTEN_OFF)
    return await _write_off(tx, msgspec.structs.replace(one, reason=cmd.words), single=single, **_evidence(cmd))


async def approve_break(tx: Tx, cmd: SayOfBreak) -> Break:
    """Agree to what was asked for. Raises Forbidden for who asked, and for more than an accountant may; Conflict when
    nothing was asked.
    """
    one = await _live(tx, cmd.break_id)
    if one.state not in {BreakState.ACCEPTING, BreakState.WRITING_OFF}:
        raise Conflict(f"break {cmd.break_id} is {one.state}: nothing waits to be approved", state=one.state.value)
    assert one.asked_by is not None
    single = await policies.check_second_person(tx, one.asked_by, f"break {cmd.break_id}")
    if one.state is BreakState.WRITING_OFF:
        limits = await _limits(tx, one)
        check_limit(f"break {one.break_id}", one.amount_minor, limits, is_controller=cmd.is_controller)
        return await _write_off(tx, one, single=single)
    await store.add_step(tx, cmd.break_id, "accepted", cmd.words)
    await audit.record(tx, "break accepted", f"break:{cmd.break_id}", single_operator=single, reason=one.reason)
    noted = {"state": BreakState.ACCEPTED, "decided_by": tx.actor, "single_operator": single}
    return await store.change(tx, cmd.break_id, **noted)


async def take_payout_back(tx: Tx, cmd: SayOfBreak) -> Break:
    """Book that the payout which a line returns came back with it, so that it is owed again, and match both.

    What the rules explain of a difference, such as a charge for the return, is booked with the match. No pass lists or
    names anything meanwhile. Raises NotFound; Conflict for a break that is about no returned payout, a payout that came
    back already, and a line that brings another amount.
    """
    await matching.lock_pass(tx)
    one = await _live(tx, cmd.break_id)
    if one.kind is not BreakKind.PAYOUT_RETURNED or one.item_id is None:
        raise Conflict(f"break {cmd.break_id} is of kind {one.kind}: no payout came back with it")
    [line] = await matching.items_of(tx, [one.item_id])
    paid = await matching.payout_named(tx, line)
    version = await agreements.rules_in_force(tx)
    minor, residue = -paid.amount_minor, line.amount_minor + paid.amount_minor
    if not explains(version.rules, line.book, line.amount_minor, minor):
        brings, wanted = (text_from_minor(each, line.currency) for each in (line.amount_minor, minor))
        raise Conflict(
            f"item {line.item_id} brings {brings} {line.currency}, payout {paid.source_id} was {wanted}: "
            "record its return as a payout, then match by hand"
        )
    await hold_books(tx, paid.owner_id, paid.source_id)
    payout = await runs.get_payout(tx, paid.owner_id, paid.source_id)
    if payout.state == "returned":
        raise Conflict(f"payout {payout.payout_id} came back on {payout.returned_on} already", state=payout.state)
    back = ReturnPayout(
        merchant_id=paid.owner_id,
        payout_id=paid.source_id,
        on=line.day,
        reason=cmd.words,
        bank_ref=line.reference or f"line {line.source_id}",
    )
    await return_payout(tx, back)
    item_id = await _returned(tx, paid, line, minor)
    draft = Draft(
        stage=Stage.MANUAL,
        theirs=(line.item_id,),
        ours=(item_id,),
        residue_minor=residue,
        residue_kind=residue_of(version.rules, line.book, line.amount_minor, minor) if residue else None,
        reasons=(cmd.words,),
    )
    await make_group(tx, draft, rules_version=version.version)
    await store.add_step(tx, cmd.break_id, "commented", cmd.words, **_evidence(cmd))
    await store.close_matched(tx, [line.item_id])
    return await store.get_break(tx, cmd.break_id)


async def reopen_break(tx: Tx, cmd: SayOfBreak) -> Break:
    """Do not agree to what was asked for, or think again about what was accepted."""
    one = await _live(tx, cmd.break_id)
    check_move(one, BreakState.OPEN)
    await store.add_step(tx, cmd.break_id, "reopened", cmd.words)
    await audit.record(tx, "break reopened", f"break:{cmd.break_id}", reason=cmd.words)
    return await store.change(tx, cmd.break_id, state=BreakState.OPEN, asked_by=None, decided_by=None, reason="")


async def set_limits(tx: Tx, limits: Limits) -> Limits:
    """Set up to how much a role writes off alone. Raises Invalid where an accountant may more than a controller."""
    if limits.accountant_minor > limits.controller_minor:
        raise Invalid("accountant_minor: is more than a controller may", pointer="/accountant_minor")
    await store.set_limits(tx, limits)
    subject = f"write_off_limit:{limits.entity_id}/{limits.currency}"
    await audit.record(
        tx, "write-off limits set", subject, accountant=limits.accountant_minor, controller=limits.controller_minor
    )
    return limits


async def _live(tx: Tx, break_id: int) -> Break:
    one = await store.get_break(tx, break_id, lock=True)
    if one.closed_at is not None:
        raise Conflict(f"break {break_id} is {one.state}", state=one.state.value)
    return one


async def _ask(tx: Tx, cmd: SayOfBreak, state: BreakState) -> Break:
    one = await _live(tx, cmd.break_id)
    check_move(one, state)
    await store.add_step(tx, cmd.break_id, state.value, cmd.words, **_evidence(cmd))
    await audit.record(tx, f"break {state}", f"break:{cmd.break_id}", reason=cmd.words)
    return await store.change(tx, cmd.break_id, state=state, asked_by=tx.actor, reason=cmd.words)


def _evidence(cmd: SayOfBreak) -> dict[str, str]:
    return {"evidence": cmd.evidence} if cmd.evidence else {}


async def _limits(tx: Tx, one: Break) -> Limits:
    assert one.entity_id is not None
    return await store.limits_of(tx, one.entity_id, one.currency)


class _Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is there of a break by its sides, and by how much one of them is lacking."""

    sides: dict[Side, list[Item]]
    lacking: Side
    minor: int


async def _in_question(tx: Tx, one: Break) -> _Question:
    """What may be written off of a break. What a line of the bank pays with another amount is booked by that.

    Raises Invalid for a break that is no item, is of two currencies, or is of what nobody has paid or been paid yet;
    Conflict where more than it is in question.
    """
    if one.item_id is None or one.entity_id is None or one.subject.startswith("fee:"):
        raise Invalid(f"break {one.break_id}: there is nothing to write off of a {one.kind}; accept it, or mend it")
    items = await matching.items_of(tx, [each for each in (one.item_id, one.other_id) if each is not None])
    if len({item.currency for item in items}) > 1:
        raise Invalid(f"break {one.break_id}: its sides are in two currencies, and nothing makes up for that")
    sides = {side: [item for item in items if item.side is side] for side in Side}
    for item in sides[Side.OURS]:
        if not item.booked and (item.kind is ItemKind.REFUND or not sides[Side.THEIRS]):
            raise Invalid(
                f"break {one.break_id}: {item.kind} {item.source_id} is not booked yet; take that back instead"
            )
    sums = {side: sum(item.amount_minor for item in of_side) for side, of_side in sides.items()}
    lacking = Side.OURS if sides[Side.THEIRS] else Side.THEIRS
    minor = sums[Side.THEIRS] - sums[Side.OURS] if lacking is Side.OURS else sums[Side.OURS]
    if minor != one.amount_minor:
        raise Conflict(f"break {one.break_id}: more than two items are in question; match those that fit by hand first")
    return _Question(sides=sides, lacking=lacking, minor=minor)


async def _write_off(tx: Tx, one: Break, *, single: bool, **detail: str) -> Break:
    """Match what is there with what is missing, which is booked."""
    asked = await _in_question(tx, one)
    like = next(item for side in Side for item in asked.sides[side])
    ids = {side: [item.item_id for item in of_side] for side, of_side in asked.sides.items()}
    ids[asked.lacking].append(await _missing(tx, one, like, asked.lacking, asked.minor))
    draft = Draft(stage=Stage.MANUAL, theirs=tuple(ids[Side.THEIRS]), ours=tuple(ids[Side.OURS]), reasons=(one.reason,))
    version = await agreements.rules_in_force(tx)
    group = await make_group(tx, draft, rules_version=version.version)
    await store.add_step(tx, one.break_id, "written_off", one.reason, group=str(group.group_id), **detail)
    subject = f"break:{one.break_id}"
    await audit.record(tx, "break written off", subject, single_operator=single, minor=one.amount_minor)
    noted = {"state": BreakState.WRITTEN_OFF, "closed_at": tx.now, "decided_by": tx.actor, "single_operator": single}
    done = await store.change(tx, one.break_id, reason=one.reason, **noted)
    await outbox.emit(tx, "billing.break_written_off.v1", done)
    return done


async def _missing(tx: Tx, one: Break, like: Item, side: Side, minor: int) -> int:
    """What makes up for what a side lacks, as an item of its own; returns its id. It is booked on the day of the other
    side, so that the book is right by the end of every day, or on the first open one after it."""
    row = {"side": side, "kind": ItemKind.WRITE_OFF, "owner_id": 0, "source_id": one.break_id, "currency": one.currency}
    row |= {"amount_minor": minor, "reference": "", "keys": [], "words": one.reason}
    row |= {"expected_on": await runs.local_today(tx, like.entity_id)}
    return await _add_item(tx, like, **row, booked=False, sort_key=f"break-{one.break_id}")


async def _returned(tx: Tx, paid: Item, line: Item, minor: int) -> int:
    """What our books expect of a payout that came back, as a pass would list it; returns its id."""
    row = {"side": Side.OURS, "kind": ItemKind.PAYOUT_RETURN, "owner_id": paid.owner_id, "source_id": paid.source_id}
    row |= {"currency": paid.currency, "amount_minor": minor, "reference": paid.reference, "words": ""}
    row |= {"keys": [paid.reference, line.reference], "expected_on": line.day}
    return await _add_item(tx, line, **row, booked=True, sort_key=paid.reference)


async def _add_item(tx: Tx, like: Item, **row: Any) -> int:
    item_id = await blocks.reserve(tx, "match_item", 1) + 1
    row |= {"item_id": item_id, "book": like.book, "entity_id": like.entity_id, "processor_id": like.processor_id}
    row |= {"batch_ref": "", "party": "", "party_account": "", "day": like.day}
    await tx.execute(insert(match_item), row)
    return item_id
