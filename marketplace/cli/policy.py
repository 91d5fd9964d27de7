"""`marketplace policy`: the switches that an administrator sets."""

import rich_click as click

from marketplace.cli.base import Outcome, Session, command
from marketplace.cli.root import cli
from marketplace.core import policies
from marketplace.core.db import STAFF


@cli.group()
def policy() -> None:
    """Show and set the switches that decide who may do what."""


@command(policy, "list")
async def list_policies(session: Session) -> Outcome:
    """Show every policy, whether it is on, and what it allows."""
    async with session.db.read(STAFF) as tx:
        value = {
            name: {"on": await policies.is_on(tx, name), "allows": policies.POLICIES[name]}
            for name in policies.POLICIES
        }
    return Outcome(value)


@command(policy, "set", roles=("admin",))
@click.argument("name")
@click.argument("state", type=click.Choice(["on", "off"]))
async def set_policy(session: Session, name: str, state: str) -> Outcome:
    """Switch the policy NAME on or off; the change is audited."""
    await session.db.write(STAFF, session.actor, policies.switch, name, on=state == "on")
    return Outcome({"policy": name, "on": state == "on", "set_by": session.actor})
