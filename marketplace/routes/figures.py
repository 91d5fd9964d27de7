"""What an operator watches, read from the database on each scrape; every query touches few rows."""

from marketplace.web.system import Figure

FIGURES = (
    Figure(
        "marketplace_work_items_open",
        "Items of exactly-once work that are waiting or were given up on.",
        "state",
        "SELECT count(*), state FROM core.work_item WHERE state <> 'done' GROUP BY state",
    ),
    Figure(
        "marketplace_outbox_waiting",
        "Events that are stored and not yet handed on.",
        "topic",
        "SELECT count(*), topic FROM core.outbox WHERE dispatched_at IS NULL GROUP BY topic",
    ),
    Figure(
        "marketplace_ledger_imbalance_minor",
        "Debits less credits of the rolled-up journal; anything but 0 means that books and journal differ.",
        "currency",
        "SELECT sum(debit_minor - credit_minor), currency FROM billing.book_day GROUP BY currency",
    ),
    Figure(
        "marketplace_ledger_entries_unrolled",
        "Journal entries that the daily roll-up has not reached.",
        "entity",
        "SELECT sum(h.last_entry_no - r.rolled_no), h.entity_id"
        " FROM billing.ledger_head h JOIN billing.ledger_roll r USING (merchant_id) GROUP BY h.entity_id",
    ),
    Figure(
        "marketplace_orders_parked",
        "Delivered orders that no contract covers.",
        "kind",
        "SELECT count(*), 'uncovered' FROM billing.parked_order",
    ),
)
