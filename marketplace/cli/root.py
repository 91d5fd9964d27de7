"""The root group; each module of commands adds itself to it on import."""

import rich_click as click


@click.group()
def cli() -> None:
    """The operations backend of a two-sided marketplace."""
