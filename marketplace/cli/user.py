"""`marketplace user`: people who sign in, their passwords, and the API keys of their programs."""

import sys
from datetime import timedelta

import rich_click as click
from rich.table import Table

from marketplace.cli.base import Outcome, Session, acting_user, command, out
from marketplace.cli.root import cli
from marketplace.core import sessions, users
from marketplace.core.db import STAFF
from marketplace.core.errors import Invalid

_FIRST = "bootstrap"
"""Who makes the first user of a database that has none: whoever can reach it with the owner's address."""


@cli.group()
def user() -> None:
    """Add users, list them, shut them out, and give them passwords and API keys."""


def _password(from_stdin: bool) -> str:
    """A password typed twice, or the first line of standard input; never an argument, which others could read."""
    if from_stdin:
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise Invalid("password: standard input was empty")
        return line
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


async def _maker(session: Session, login: str | None) -> str:
    async with session.db.read(STAFF) as tx:
        known = await users.list_users(tx)
    return _FIRST if not known else await acting_user(session.db, session.settings, login, ("admin",))


@command(user, "add")
@click.argument("login")
@click.option("--as", "maker", metavar="LOGIN", help="The user who acts; not needed for the very first user.")
@click.option("--name", help="The person's name; the login when not given.")
@click.option(
    "--role", "roles", multiple=True, required=True, type=click.Choice([role.value for role in users.UserRole])
)
@click.option("--merchant-id", type=int, help="The merchant, for a merchant's roles.")
@click.option("--payer-id", type=int, help="The third-party payer, for a payer's role.")
@click.option("--locale", default="en", show_default=True, type=click.Choice(users.LOCALES))
@click.option("--password", "with_password", is_flag=True, help="Ask for a password, so that the user can sign in.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
async def add(
    session: Session,
    login: str,
    maker: str | None,
    name: str | None,
    roles: tuple[str, ...],
    merchant_id: int | None,
    payer_id: int | None,
    locale: str,
    with_password: bool,
    password_stdin: bool,
) -> Outcome:
    """Create the user LOGIN. The first user of a database must be an administrator."""
    actor = await _maker(session, maker)
    if actor == _FIRST and "admin" not in roles:
        raise Invalid("role: the first user of a database must be an admin, who can then add the others")
    password = _password(password_stdin) if with_password or password_stdin else None
    made = await session.db.write(
        STAFF,
        actor,
        users.create_user,
        login,
        name or login,
        list(roles),
        merchant_id=merchant_id,
        payer_id=payer_id,
        locale=locale,
        password=password,
    )
    return Outcome(made)


@command(user, "list")
async def list_all(session: Session) -> Outcome:
    """Show every user."""
    async with session.db.read(STAFF) as tx:
        found = await users.list_users(tx)

    def show() -> None:
        table = Table("login", "name", "roles", "merchant", "active")
        for one in found:
            merchant_id = "" if one.merchant_id is None else str(one.merchant_id)
            table.add_row(one.login, one.name, ", ".join(one.roles), merchant_id, "yes" if one.active else "no")
        out.print(table)

    return Outcome({"users": found}, show=show)


@command(user, "disable", roles=("admin",))
@click.argument("login")
async def disable(session: Session, login: str) -> Outcome:
    """Shut the user LOGIN out: sessions end at once, API keys stop working."""
    await session.db.write(STAFF, session.actor, users.set_active, login, active=False)
    return Outcome({"login": login, "active": False})


@command(user, "enable", roles=("admin",))
@click.argument("login")
async def enable(session: Session, login: str) -> Outcome:
    """Let the user LOGIN in again."""
    await session.db.write(STAFF, session.actor, users.set_active, login, active=True)
    return Outcome({"login": login, "active": True})


@command(user, "password", roles=("admin",))
@click.argument("login")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read it from the first line of standard input.")
async def password(session: Session, login: str, from_stdin: bool) -> Outcome:
    """Give the user LOGIN a new password and end its sessions; its API keys go on working."""
    await session.db.write(STAFF, session.actor, users.set_password, login, _password(from_stdin))
    return Outcome({"login": login, "password": "set"})


@command(user, "key", roles=("admin",))
@click.argument("login")
@click.argument("name")
@click.option("--days", type=click.IntRange(min=1), help="Let it expire after so many days.")
@click.option(
    "--scope", "scopes", multiple=True, help="Narrow it, such as to `read` or `orders:write`; may be given again."
)
async def key(session: Session, login: str, name: str, days: int | None, scopes: tuple[str, ...]) -> Outcome:
    """Make an API key called NAME for the user LOGIN; it is shown this once."""
    async with session.db.read(STAFF) as tx:
        owner = await users.get_user(tx, login)
    expires_at = session.db.clock.now() + timedelta(days=days) if days else None
    made = await session.db.write(
        STAFF, session.actor, sessions.create_api_key, owner.user_id, name, expires_at, list(scopes) or None
    )
    return Outcome(made)
