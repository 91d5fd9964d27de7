"""The journal as plain-text accounting: the syntax of Beancount and of hledger. Pure.

Both state at each month's end where our own roll-up says that every account stands, so `bean-check` and `hledger check`
hold the journal against the balances that our screens show.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from billing.exports.model import JournalEntry, account_name
from billing.ledger.model import TrialLine
from marketplace.core.money import MINOR_DIGITS, text_from_minor

OPENING = "opening balances"


def beancount_head(opened_on: date | None, currencies: Mapping[str, Sequence[str]]) -> str:
    """The title, and each account with its currencies opened on the ledger's first day."""
    lines = ['option "title" "Marketplace journal"']
    lines += [f"{opened_on} open {name} {','.join(currencies[name])}" for name in sorted(currencies)]
    return "\n".join(lines) + "\n"


def beancount_entry(entry: JournalEntry) -> str:
    ref = entry.merchant_ref.replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        f'\n{entry.effective_on} * "{entry.kind}" "{ref} {entry.entry_no}"',
        f'  merchant: "{ref}"',
        f"  entry: {entry.entry_no}",
        f'  source: "{entry.source_id}"',
        *(f"  {name}  {amount}" for name, amount in _legs(entry)),
    ]
    return "\n".join(lines) + "\n"


def beancount_opening(on: date, lines: Sequence[TrialLine]) -> str:
    """One transaction for each entity and currency, of where its accounts stand."""
    return "".join(
        "\n".join([f'\n{on} * "{OPENING}" "{entity}"', *(f"  {name}  {amount}" for name, amount in legs)]) + "\n"
        for entity, legs in _opened(lines)
    )


def beancount_balances(first_of_next: date, lines: Iterable[TrialLine]) -> str:
    """Assertions of a month's end. They hold at the beginning of a day, so that is the next first.

    Without a tolerance of its own (`~ 0`) an assertion would let two last digits pass.
    """
    asserted = [
        f"{first_of_next} balance {account_name(line.entity_id, line.account)}"
        f"  {text_from_minor(line.balance_minor, line.currency)} ~ 0 {line.currency}"
        for line in lines
    ]
    return "\n" + "\n".join(asserted) + "\n"


def hledger_head(currencies: Mapping[str, Sequence[str]]) -> str:
    """How each currency is written, and every account: so `hledger check --strict` finds what is neither."""
    used = sorted({currency for each in currencies.values() for currency in each})
    lines = ["; Marketplace journal"]
    lines += [f"commodity 1000.{'0' * MINOR_DIGITS[currency]} {currency}" for currency in used]
    lines += [f"account {name}" for name in sorted(currencies)]
    return "\n".join(lines) + "\n"


def hledger_entry(entry: JournalEntry) -> str:
    """The merchant's own id is in the description and in a tag, without what would end either."""
    ref = "".join(" " if char in ";|,\t" or not char.isprintable() else char for char in entry.merchant_ref)
    lines = [
        f"\n{entry.effective_on} * ({entry.entry_no}) {entry.kind} | {ref}",
        f"    ; merchant: {ref}, merchant_id: {entry.merchant_id}, entry: {entry.entry_no}, source: {entry.source_id}",
        *(f"    {name}  {amount}" for name, amount in _legs(entry)),
    ]
    return "\n".join(lines) + "\n"


def hledger_opening(on: date, lines: Sequence[TrialLine]) -> str:
    return "".join(
        "\n".join([f"\n{on} * {OPENING} {entity}", *(f"    {name}  {amount}" for name, amount in legs)]) + "\n"
        for entity, legs in _opened(lines)
    )


def hledger_balances(first_of_next: date, lines: Iterable[TrialLine]) -> str:
    """Assertions of a month's end, on postings of nothing: they hold behind whatever the file has of that day."""
    asserted = [
        f"    {account_name(line.entity_id, line.account)}  0 {line.currency}"
        f" = {text_from_minor(line.balance_minor, line.currency)} {line.currency}"
        for line in lines
    ]
    return "\n".join([f"\n{first_of_next - timedelta(days=1)} * balances", *asserted]) + "\n" if asserted else ""


def _legs(entry: JournalEntry) -> list[tuple[str, str]]:
    return [
        (account_name(entry.entity_id, account), f"{text_from_minor(amount, entry.currency)} {entry.currency}")
        for account, _, amount in entry.legs()
    ]


def _opened(lines: Sequence[TrialLine]) -> list[tuple[str, list[tuple[str, str]]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for line in lines:
        if line.balance_minor:
            amount = f"{text_from_minor(line.balance_minor, line.currency)} {line.currency}"
            legs = found.setdefault(f"E{line.entity_id} {line.currency}", [])
            legs.append((account_name(line.entity_id, line.account), amount))
    return list(found.items())
