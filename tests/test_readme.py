"""README's tables are what the code says: who moves an order, who bears a refund, what can be set, which commands are.

`python -m tests.test_readme` prints the first two, to be put in when a rule has changed.
"""

import re
from collections.abc import Iterable
from importlib import import_module
from itertools import groupby
from pathlib import Path

import msgspec
import rich_click as click

from demand.lifecycle import RULES, Party
from demand.refund_policy import DEFAULT, Bearer, Commission, Reason, Rule
from marketplace.cli.root import MODULES, cli
from marketplace.settings import Settings

README = (Path(__file__).parents[1] / "README.md").read_text()
FOR_TESTS = {"DATA", "CITUS_URL", "TESTS_MUST_RUN"}
"""Variables that only tests read."""


PARTIES = (Party.BUYER, Party.MERCHANT, Party.PLATFORM, Party.PROCESSOR, Party.CLOCK)


def moves() -> list[str]:
    """A row for each move and rule: from which states it leads to which, and who makes it."""
    rows = ["| move | from | to | who |", "|---|---|---|---|"]
    for (move, rule), keys in groupby(RULES, lambda key: (key[0], RULES[key])):
        sources = ", ".join(state.value for state in type(rule.targets[0]) if state in rule.sources)
        targets = ", ".join(rule.targets)
        parties = {party for _, party in keys}
        who = ", ".join(party for party in PARTIES if party in parties)
        rows.append(f"| {words(move)} | {words(sources)} | {words(targets)} | {who} |")
    return rows


BEARS = {
    (Bearer.MERCHANT, Bearer.MERCHANT, Commission.RETURNED, Bearer.PLATFORM): "merchant",
    (Bearer.MERCHANT, Bearer.BUYER, Commission.RETURNED, Bearer.PLATFORM): "merchant, no freight",
    (Bearer.MERCHANT, Bearer.MERCHANT, Commission.RETURNED, Bearer.MERCHANT): "merchant, and the fee",
    (Bearer.PLATFORM, Bearer.PLATFORM, Commission.KEPT, Bearer.PLATFORM): "platform",
}
"""README's words for who bears goods, freight, commission and the processor's fee."""


def policy() -> list[str]:
    """The default refund policy, a row for each reason."""

    def cell(reason: Reason, party: Party) -> str:
        found = [rule for rule in DEFAULT.rules if (rule.reason, rule.initiator) == (reason, party)]
        return BEARS[bearers(found[0])] if found else ""

    rows = [f"| reason | {' | '.join(PARTIES)} |", "|---|" + "---|" * len(PARTIES)]
    return rows + [f"| {words(each)} | {' | '.join(cell(each, party) for party in PARTIES)} |" for each in Reason]


def bearers(rule: Rule) -> tuple[Bearer, Bearer, Commission, Bearer]:
    return rule.goods, rule.freight, rule.commission, rule.processor_fee


def words(code: str) -> str:
    return code.replace("_", " ")


def table(heading: str) -> list[str]:
    """The rows of the first table behind a heading."""
    section = README.partition(f"\n{heading}\n")[2]
    return section[section.index("\n|") + 1 :].partition("\n\n")[0].splitlines()


def test_help_of_a_group_lists_all_its_commands() -> None:
    for name in MODULES:
        group = cli.get_command(click.Context(cli), name)
        if isinstance(group, click.Group):
            assert group.list_commands(click.Context(group)) == sorted(group.commands), name


def test_who_moves_an_order() -> None:
    assert table("### The life of an order") == moves()


def test_who_bears_a_refund() -> None:
    assert table("### Refunds") == policy()


def test_every_setting_is_explained() -> None:
    known = {field.name.upper() for field in msgspec.structs.fields(Settings)} | FOR_TESTS
    listed = [name for row in table("### Settings") for name in re.findall(r"`MARKETPLACE_(\w+)`", row.split("|")[1])]
    assert sorted(listed) == sorted(known)


def commands(group: click.Group) -> Iterable[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from (f"{name} {inner}" for inner in commands(command))
        else:
            yield name


def test_every_command_is_listed() -> None:
    rows = README.partition("| command | what it does |")[2].partition("\n\n")[0].splitlines()
    listed = [
        set(re.findall(r"[a-z]+", quoted))
        for row in rows
        for quoted in re.findall(r"`([^`]*)`", row[: row.rfind(" | ")])
    ]
    for module in MODULES.values():
        import_module(f"marketplace.cli.{module}")  # its commands add themselves
    missing = [path for path in commands(cli) if not any(set(re.findall(r"[a-z]+", path)) <= words for words in listed)]
    assert missing == []


if __name__ == "__main__":
    print("\n".join(moves()), "\n\n" + "\n".join(policy()))
