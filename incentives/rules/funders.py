"""Who bears what of a running total: the funders of the terms, and those of before that still bear a part. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from incentives.rules.allocation import share_out
from incentives.rules.model import Funder, funder_name

Shares = tuple[Sequence[str], Sequence[int]]
"""Funders, and what each of them bears."""


class Bearing(msgspec.Struct, frozen=True):
    """Funders with their weights, and what each bears so far; one that is not of the terms any more weighs nothing."""

    funders: tuple[str, ...]
    weights: tuple[int, ...]
    held: tuple[int, ...]

    def divide(self, change: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """How a change of the total falls on them; whoever bears nothing of it is left out."""
        shares = share_out(self.held, change, self.weights)
        borne = [(name, share) for name, share in zip(self.funders, shares, strict=True) if share]
        return tuple(name for name, _ in borne), tuple(share for _, share in borne)


def bearing(funding: Sequence[Funder], before: Iterable[Shares] = ()) -> Bearing:
    """As the terms say, after what was divided `before`."""
    held: dict[str, int] = defaultdict(int)
    for names, minors in before:
        for name, minor in zip(names, minors, strict=True):
            held[name] += minor
    weights = {funder_name(funder): funder.weight for funder in funding}
    funders = (*weights, *sorted(held.keys() - weights.keys()))
    return Bearing(funders, tuple(weights.get(name, 0) for name in funders), tuple(held[name] for name in funders))
