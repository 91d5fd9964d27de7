"""The command line: `marketplace …`. Every command takes `--json`; what writes takes `--as LOGIN`."""

from marketplace.cli.root import cli
from marketplace.core.log import configure_logging


def main() -> None:
    configure_logging()
    cli()


__all__ = ["main"]
