"""The root group. A command's module is imported when the command is asked for, so that no command pays for another.

Each module adds its commands to `cli` when it is imported; MODULES says where to look for a name.
"""

import sys
from importlib import import_module
from typing import Any

import msgspec
import rich_click as click

MODULES = {
    "demo": "demo",
    "serve": "serve",
    "worker": "system",
    "simulator": "simulator",
    "migrate": "system",
    "import": "data",
    "reconcile": "data",
    "funnel": "acquisition",
    "channels": "channels",
    "territories": "field",
    "pools": "field",
    "fairs": "field",
    "metrics": "metrics",
    "apply": "billing",
    "contracts": "contracts",
    "settle": "billing",
    "billing": "billing",
    "period": "period",
    "report": "period",
    "payouts": "payouts",
    "documents": "documents",
    "promotion": "promotion",
    "verify": "billing",
    "export": "export",
    "user": "user",
    "policy": "policy",
    "db": "db",
}
"""Command name to module of `marketplace.cli`, in the order that help lists them."""


class CommandsOnDemand(click.RichGroup):
    """A group that knows its commands by name and imports them by need.

    Wrong usage of a command that was asked for `--json` is told as one JSON object, too. Groups in it know theirs.
    """

    group_class = click.RichGroup

    def main(self, *args: Any, **kwargs: Any) -> Any:
        if "--json" not in (kwargs.get("args") or sys.argv[1:]):
            return super().main(*args, **kwargs)
        try:
            return super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.ClickException as fault:
            error = {"code": "usage", "title": "The command was called wrongly", "detail": fault.format_message()}
            sys.stdout.write(msgspec.json.encode({"error": error}).decode() + "\n")
            sys.exit(fault.exit_code)
        except click.Abort:
            sys.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in MODULES:
            import_module(f"marketplace.cli.{MODULES[cmd_name]}")
        return super().get_command(ctx, cmd_name)


@click.group(cls=CommandsOnDemand)
def cli() -> None:
    """The operations backend of a two-sided marketplace."""
