"""What is promised for orders that have not settled: budgets hold it until it is earned, falls away, or takes too long.

A window's promises are spent from the first on and given back from the last, so that each is of the day and the budgets
that it was made of.
"""

from collections.abc import Callable, Sequence, Set
from datetime import timedelta

import msgspec

from incentives.budgets.model import Budget
from incentives.budgets.reservations import promises_sql as promises
from incentives.budgets.reservations import store as reservations
from incentives.grants.model import Grant, Progress
from incentives.grants.rewards import borne
from incentives.rules.model import Terms
from marketplace.core.db import Tx
from marketplace.flows.promotions.cover_promises import Promised

PROMISED = "order.placed"
"""The trigger whose rewards are promised before they are earned."""
PROMISED_FOR = timedelta(days=90)
"""An order that has not settled by then is not waited for: its promise goes back to the budgets, and is made again out
of what they have left should the order settle after all."""

Make = Callable[[int, str, list[Grant], dict[str, int]], Grant]
"""A grant of an amount, under a key, after others; and what of it payers bear, by name."""


async def drop_promises(
    tx: Tx,
    progress: Progress,
    due_minor: int,
    terms: Terms,
    granted: Sequence[Grant],
    kept: Sequence[Budget],
    covers: Promised,
) -> Progress:
    """The promises of a window without those that have expired, and without what is not due any more."""
    ids = [budget.budget_id for budget in kept]
    progress = await without(tx, progress, await promises.lapsed(tx, ids, progress.promise_keys), covers)
    held = list(zip(progress.promise_keys, progress.promise_minor, strict=True))
    surplus = sum(minor for _, minor in held) - due_minor
    while surplus > 0:
        key, minor = held.pop()
        await covers.give_back(tx, key, minor, min(minor, surplus))
        if minor <= surplus:
            await reservations.release(tx, ids, [key])
        else:
            shares = borne(terms, granted).divide(surplus)
            parts = {budget.budget_id: budget.concerned(*shares) for budget in kept}
            await promises.give_back_part(tx, key, surplus, parts)
            held.append((key, minor - surplus))
        surplus -= minor
    return _holding(progress, held)


async def without(tx: Tx, progress: Progress, gone: Set[str], covers: Promised) -> Progress:
    """A window without the promises that have lapsed: the caps of payers, which are held, have their parts again."""
    held = list(zip(progress.promise_keys, progress.promise_minor, strict=True))
    for key, minor in held:
        if key in gone:
            await covers.give_back(tx, key, minor, minor)
    return _holding(progress, [each for each in held if each[0] not in gone])


async def spend_promises(
    tx: Tx, progress: Progress, minor: int, terms: Terms, kept: Sequence[Budget], covers: Promised, make: Make
) -> tuple[Progress, list[Grant]]:
    """Grants out of what is promised, as far as it goes: one for each promise that they are spent of."""
    ids = [budget.budget_id for budget in kept]
    held = list(zip(progress.promise_keys, progress.promise_minor, strict=True))
    new: list[Grant] = []
    whole: list[str] = []
    while minor and held:
        key, has = held.pop(0)
        part = min(has, minor)
        under = key if part == has else f"{key}:{progress.grants + len(new) + 1}"
        new.append(make(part, under, new, covers.parts(key, has, part)))
        await covers.hand_over(tx, key, has, new[-1], terms.name)
        if part == has:
            whole.append(key)
        else:
            shares = new[-1].funders, new[-1].funder_minor
            parts = {budget.budget_id: budget.concerned(*shares) for budget in kept}
            await promises.spend_part(tx, key, new[-1].reservation_key or "", minor, parts)
            held.insert(0, (key, has - minor))
        minor -= part
    if whole:
        await reservations.commit(tx, ids, whole)
    return _holding(progress, held), new


def promised(progress: Progress, key: str, minor: int) -> Progress:
    """A window with another promise."""
    held = [*zip(progress.promise_keys, progress.promise_minor, strict=True), (key, minor)]
    return msgspec.structs.replace(_holding(progress, held), promises=progress.promises + 1)


def _holding(progress: Progress, held: Sequence[tuple[str, int]]) -> Progress:
    keys, minors = tuple(key for key, _ in held), tuple(minor for _, minor in held)
    return msgspec.structs.replace(progress, promise_keys=keys, promise_minor=minors)
