"""The gate before an approval: what is approved is what was simulated, and whoever approves has seen what warns."""

from collections.abc import Mapping

from incentives.promotions.model import Passed, Version
from incentives.rules.model import Terms
from incentives.simulation import store
from incentives.simulation.report import Warned, blocking
from incentives.simulation.store import Stored
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.promotions.simulate_promotion import not_recorded


def warnings_of(terms: Terms, simulated: Stored | None) -> list[Warned]:
    """What speaks against terms: what their simulation warns of, or that there can be none."""
    if simulated is not None and simulated.result is not None:
        return list(simulated.result.warnings)
    return [Warned(name="unsimulated", detail=why) for _, why in not_recorded(terms)[:1]]


async def pass_gate(tx: Tx, version: Version, acknowledged: Mapping[str, str]) -> Passed:
    """What a version is approved on. acknowledged: why a warning does not matter, by its name.

    Raises Conflict for a version that was not simulated and could be, Invalid naming each warning that nobody has
    acknowledged with a reason; a breach of what must always hold cannot be.
    """
    simulated = await store.newest_done(tx, version.promotion_id, version.version_no)
    if simulated is None and not not_recorded(version.terms):
        raise Conflict(f"simulation: version {version.version_no} has not been simulated", pointer="/simulation")
    warnings = warnings_of(version.terms, simulated)
    if left := blocking(warnings, acknowledged):
        errors = [{"pointer": f"/acknowledged/{each.name}", "detail": each.detail} for each in left]
        named = "; ".join(f"{each.name}: {each.detail}" for each in left)
        raise Invalid(f"acknowledged: say why this does not matter: {named}", errors=errors)
    names = {each.name for each in warnings}
    return Passed(
        simulation_id=None if simulated is None else simulated.simulation_id,
        simulation_digest=None if simulated is None else simulated.digest,
        acknowledged={name: why.strip() for name, why in acknowledged.items() if name in names},
    )
