"""The ledger as anyone would write it without a database: a list of entries, and every question a loop over it."""

from collections import Counter
from datetime import date, timedelta

from billing.ledger.model import AccountLine, Balance, NewEntry, TrialLine


class ModelLedger:
    """Answers what `billing.ledger.store` answers; posted entries stand as (number, day, entry, entity)."""

    def __init__(self, entities: dict[int, int]) -> None:
        self.entities = entities
        self.closed: dict[int, date] = {}
        self.posted: dict[int, list[tuple[int, date, NewEntry]]] = {merchant: [] for merchant in entities}
        self.facts: set[tuple[int, str, int]] = set()

    def post(self, entries: list[NewEntry]) -> list[int] | None:
        """The numbers given, or None (and nothing posted) when a fact is booked already."""
        facts = [(new.merchant_id, new.kind, new.source_id) for new in entries]
        if len(set(facts)) < len(facts) or self.facts & set(facts):
            return None
        self.facts |= set(facts)
        return [self._append(new) for new in entries]

    def _append(self, new: NewEntry) -> int:
        book = self.posted[new.merchant_id]
        closed = self.closed.get(new.merchant_id)
        on = new.effective_on if closed is None else max(new.effective_on, closed + timedelta(days=1))
        book.append((len(book) + 1, on, new))
        return len(book)

    def balances(self, merchant: int, as_of: date | None, upto_no: int | None) -> list[Balance]:
        sums: Counter[tuple[int, int, str]] = Counter()
        for number, on, new in self.posted[merchant]:
            if (as_of is None or on <= as_of) and (upto_no is None or number <= upto_no):
                for leg in new.legs:
                    sums[leg.account, leg.dimension, new.currency] += leg.amount_minor
        return [Balance(*key, amount) for key, amount in sorted(sums.items()) if amount]

    def trial_balance(self, entity: int | None, as_of: date | None) -> list[TrialLine]:
        debited: Counter[tuple[int, str, int]] = Counter()
        credited: Counter[tuple[int, str, int]] = Counter()
        for merchant, book in self.posted.items():
            for _, on, new in book:
                if (as_of is None or on <= as_of) and entity in {None, self.entities[merchant]}:
                    for leg in new.legs:
                        key = (self.entities[merchant], new.currency, leg.account)
                        debited[key] += max(leg.amount_minor, 0)
                        credited[key] += max(-leg.amount_minor, 0)
        return [
            TrialLine(entity_id, account, currency, debited[entity_id, currency, account], amount)
            for (entity_id, currency, account), amount in sorted(credited.items())
        ]

    def account_lines(self, account: int, merchant: int | None) -> list[AccountLine]:
        """Every line, newest day first, then merchant and number descending; legs of one entry by dimension."""
        lines = [
            AccountLine(
                book, number, on, new.occurred_at, new.kind, new.source_id, new.currency, leg.dimension,
                leg.amount_minor,
            )
            for book, entries in self.posted.items()
            if merchant in {None, book}
            for number, on, new in entries
            for leg in new.legs
            if leg.account == account
        ]  # fmt: skip
        return sorted(lines, key=line_key)


def line_key(line: AccountLine) -> tuple[int, ...]:
    """Sorts lines as the ledger pages them; legs of one entry, whose order is nobody's business, by what they are."""
    return (-line.effective_on.toordinal(), -line.merchant_id, -line.entry_no, line.dimension, line.amount_minor)
