"""The command line: `marketplace …`. Every command takes `--json`; what writes takes `--as LOGIN`."""

from marketplace.cli import data, serve
from marketplace.cli.root import cli


def main() -> None:
    cli()


__all__ = ["data", "main", "serve"]
