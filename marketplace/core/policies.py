"""Switches that an administrator sets, never code; each change is audited."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Forbidden, Invalid
from marketplace.core.tables import policy

POLICIES = {
    "single_operator": "one person may both make and approve; every such deed is marked in the audit trail",
    "auto_approve_merchants": "a merchant goes live by itself once nothing of its onboarding is missing",
    "no_merchant_holdout": "promotions reach every merchant: no 5 % are kept out of all, so that all can be measured",
    "staff_second_factor": "the house's people sign in with a second factor, and set one up when they have none",
    "demonstration": "the data are made up, and the sign-in page names the users that come with them",
}


async def is_on(tx: Tx, name: str) -> bool:
    """Whether the switch `name` is on; a switch nobody has set is off."""
    return bool(await tx.scalar(select(policy.c.value).where(policy.c.name == name)))


async def set_since(tx: Tx, name: str) -> tuple[bool, datetime | None]:
    """Whether the switch `name` is on, and since when it stands so; None for one that nobody has set."""
    row = await tx.row("SELECT value, set_at FROM core.policy WHERE name = :name", name=name)
    return (False, None) if row is None else (bool(row.value), row.set_at)


async def switch(tx: Tx, name: str, *, on: bool) -> None:
    """Set a switch; one that stands so already has done so since before. Raises Invalid for a name that is none."""
    if name not in POLICIES:
        raise Invalid(f"policy: {name!r} is none of {', '.join(sorted(POLICIES))}")
    row = {"name": name, "value": on, "set_by": tx.actor, "set_at": tx.now}
    new = insert(policy).values(row)
    changed = policy.c.value != new.excluded.value
    await tx.execute(new.on_conflict_do_update(index_elements=["name"], set_=row, where=changed))
    await audit.record(tx, "policy set", f"policy:{name}", on=on)


async def check_second_person(tx: Tx, made_by: str, deed: str) -> bool:
    """Maker is never checker: returns whether `single_operator` had to allow the transaction's actor both roles.

    Raises Forbidden when the actor made what it wants to approve and the policy is off.
    """
    if made_by != tx.actor:
        return False
    if not await is_on(tx, "single_operator"):
        raise Forbidden(
            f"{deed}: made by {made_by}, so another person must approve it"
            " (the policy single_operator, off here, would allow one person both)"
        )
    return True
