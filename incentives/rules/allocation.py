"""Divides a reward over lines, units and funders, and takes it back from them: every minor unit, and none twice. Pure.

Whatever is divided over funders, be it asked of a budget, granted or taken back, is divided by `share_out`.

`marketplace.core.money.allocate` divides once; its shares are stored, because dividing a changed amount anew would move
cents between lines that nobody touched.
"""

from collections.abc import Sequence

from marketplace.core.money import allocate


def slice_of(share_minor: int, units: int, before: int, now: int) -> int:
    """What `now` units of a line carry of its share, when `before` of its units have gone already.

    Cumulative: one by one or together, in whatever order, all units together carry the share exactly.
    """
    return share_minor * (before + now) // units - share_minor * before // units


def share_out(held: Sequence[int], change: int, weights: Sequence[int]) -> list[int]:
    """How a change of a running total moves what each funder bears, by its weight: all of it in one direction.

    held: what each bears so far, never negative; change: of the total, which must not fall below zero. Each funder goes
    towards its share of the new total (largest remainder) and never past it, so that many small changes come to the
    same as a large one, give or take a minor unit, and what is taken back entirely leaves nothing with anybody.
    """
    if not any(held):
        return allocate(change, weights)
    wanted = allocate(sum(held) + change, weights)
    if change < 0:
        return [-part for part in allocate(-change, [max(0, has - due) for has, due in zip(held, wanted, strict=True)])]
    return allocate(change, [max(0, due - has) for has, due in zip(held, wanted, strict=True)])
