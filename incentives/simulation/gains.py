"""Who gains by a promotion: the few at the top, the large and the small, regions and segments. Pure."""

from collections.abc import Iterable, Sequence

import msgspec

from incentives.simulation.model import Gains, Share
from marketplace.core.rates import PPM


class Tally(msgspec.Struct):
    """A beneficiary in a replay: what was measured of it, and what it was given; region and segments as first seen."""

    party_id: int
    region: str | None
    segments: frozenset[str]
    measured: int = 0
    granted_minor: int = 0


def gains_of(tallies: Iterable[Tally]) -> Gains:
    """Raises nothing: of nobody, nobody gains."""
    everybody = sorted(tallies, key=lambda tally: (tally.measured, tally.party_id))
    gaining = sorted((tally.granted_minor for tally in everybody if tally.granted_minor > 0), reverse=True)
    top = -(-len(gaining) // 100)
    return Gains(
        parties=len(everybody),
        gaining=len(gaining),
        top_share_ppm=sum(gaining[:top]) * PPM // sum(gaining) if gaining else 0,
        deciles=tuple(_share(str(number + 1), part) for number, part in enumerate(_tenths(everybody))),
        regions=_by((tally.region, tally) for tally in everybody if tally.region is not None),
        segments=_by((segment, tally) for tally in everybody for segment in tally.segments),
    )


def _tenths(everybody: Sequence[Tally]) -> list[Sequence[Tally]]:
    edges = [len(everybody) * number // 10 for number in range(11)]
    return [everybody[edges[number] : edges[number + 1]] for number in range(10)]


def _by(named: Iterable[tuple[str, Tally]]) -> tuple[Share, ...]:
    groups: dict[str, list[Tally]] = {}
    for name, tally in named:
        groups.setdefault(name, []).append(tally)
    return tuple(_share(name, groups[name]) for name in sorted(groups))


def _share(name: str, tallies: Sequence[Tally]) -> Share:
    return Share(
        name=name,
        parties=len(tallies),
        measured=sum(tally.measured for tally in tallies),
        granted_minor=sum(tally.granted_minor for tally in tallies),
    )
