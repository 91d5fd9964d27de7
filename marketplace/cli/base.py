"""What every command shares: options, one JSON object on standard output, exit status, who acts."""

import asyncio
import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import select

from marketplace.bootstrap import OPERATOR, open_database
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError, Forbidden
from marketplace.core.tables import app_user
from marketplace.settings import Settings, load_settings

_WIDE = 1_000


def _console() -> Console:
    """Standard output. What goes into a file or another program is cut by no screen."""
    return Console(width=None if sys.stdout.isatty() else _WIDE)


out = _console()
err = Console(stderr=True)

EXIT_REFUSED = 1
PERIOD = "The calendar month, or YYYY-MM-DD..YYYY-MM-DD: its first and its last day."
EXIT_INCOMPLETE = 3
"""The command did its work and left something for a person: parked orders, failed proofs."""


class Session(msgspec.Struct, frozen=True):
    """What a command works with: the open database, who acts, the settings."""

    db: Database
    actor: str
    settings: Settings


class Outcome(msgspec.Struct, frozen=True):
    """A command's answer: what `--json` prints, the exit status, and how a person reads it (a table by default)."""

    value: Any
    exit_status: int = 0
    show: Callable[[], None] | None = None


Command = Callable[..., Awaitable[Outcome]]
Register = Callable[[Command], click.Command]


def command(group: click.Group, name: str, *, roles: Sequence[str] = (), migrating: bool = False) -> Register:
    """Register an async function `(session, **options) -> Outcome` as a command of `group`.

    roles: who may act; naming any makes it a write, which takes `--as`. An administrator may always act.
    """

    def register(function: Command) -> click.Command:
        @functools.wraps(function)
        def run(as_json: bool, **options: Any) -> None:
            user = options.pop("as_user", None)
            sys.exit(asyncio.run(_run(function, as_json, user, roles, migrating, options)))

        wrapped = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")(run)
        if roles:
            wrapped = click.option("--as", "as_user", metavar="LOGIN", help="The user who acts.")(wrapped)
        return group.command(name, help=inspect.getdoc(function))(wrapped)

    return register


def bare_command(group: click.Group, name: str) -> Register:
    """Register an async function `(settings, **options) -> Outcome` about the database itself, not opened yet."""

    def register(function: Command) -> click.Command:
        @functools.wraps(function)
        def run(as_json: bool, **options: Any) -> None:
            sys.exit(asyncio.run(_answer(lambda settings: function(settings, **options), as_json)))

        wrapped = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")(run)
        return group.command(name, help=inspect.getdoc(function))(wrapped)

    return register


async def _run(
    function: Command, as_json: bool, user: str | None, roles: Sequence[str], migrating: bool, options: dict[str, Any]
) -> int:
    async def open_and_run(settings: Settings) -> Outcome:
        async with open_database(settings, migrating=migrating) as db:
            actor = await acting_user(db, settings, user, roles) if roles else ""
            return await function(Session(db, actor, settings), **options)

    return await _answer(open_and_run, as_json)


async def _answer(work: Callable[[Settings], Awaitable[Outcome]], as_json: bool) -> int:
    """Do the work, print its outcome or why it was refused, and return the exit status."""
    try:
        outcome = await work(load_settings())
    except AppError as refusal:
        return report_refusal(refusal, as_json)
    if as_json:
        print_json(outcome.value)
    elif outcome.show:
        outcome.show()
    else:
        show_value(outcome.value)
    return outcome.exit_status


async def acting_user(db: Database, settings: Settings, user: str | None, roles: Sequence[str]) -> str:
    """The login that acts: `--as`, else MARKETPLACE_USER, else the embedded database's own operator.

    Raises Forbidden when there is no such active user or it has none of `roles`.
    """
    login = user or settings.user or (OPERATOR if settings.database_url is None else None)
    if login is None:
        raise Forbidden("who acts? name a user with --as LOGIN or MARKETPLACE_USER")
    async with db.read(WORKER) as tx:
        row = await tx.row(select(app_user.c.roles, app_user.c.active).where(app_user.c.login == login))
    if row is None or not row.active:
        raise Forbidden(f"--as: there is no active user {login!r} (`marketplace user list` shows them)")
    if not {"admin", *roles} & set(row.roles):
        raise Forbidden(f"--as: {login!r} is {', '.join(row.roles)}; this needs one of {', '.join(roles)}")
    return login


def report_refusal(refusal: AppError, as_json: bool) -> int:
    """Say why something was refused, in the form asked for; returns the exit status."""
    if as_json:
        print_json({"error": {"code": refusal.code, "title": refusal.title, "detail": refusal.detail}, **refusal.extra})
    else:
        err.print(f"[bold red]{refusal.title}:[/]", refusal.detail, highlight=False)
        for line in refusal.extra.get("rejections", []):
            err.print(f"  {line['file']}:{line['line']}: {line['reason']}", highlight=False, markup=False)
    return EXIT_REFUSED


def print_json(value: Any) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def show_value(value: Any) -> None:
    """A two-column table of an object's members, nested ones by their path; of a list one for each of its objects."""
    if isinstance(value, list):
        for each in value:
            show_value(each)
            out.print()
        if not value:
            out.print("none")
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, member in _flat(msgspec.to_builtins(value)):
        counted = isinstance(member, int) and not isinstance(member, bool) and not name.endswith("_id")
        table.add_row(name, f"{member:,}" if counted else str(member))  # an id is copied, not counted
    out.print(table)


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, member in value.items():
        if isinstance(member, dict):
            yield from _flat(member, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", member


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error; the block calls what it gets with (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
