"""What the outside can be told of: every topic of the outbox, and what has happened when it comes. Pure."""

TOPICS: dict[str, str] = {
    "billing.bank_account_changed.v1": "A merchant's bank account has been proposed, activated, refused or withdrawn.",
    "billing.payout_confirmed.v1": "The bank has paid a payout.",
    "billing.payout_returned.v1": "A payout has come back; the merchant is owed it again.",
    "supply.merchant_moved.v1": "A merchant has gone live, been suspended, reinstated or closed.",
    "billing.orders_settled.v1": "A settlement pass has made delivered orders payable.",
    "billing.payment_ended.v1": "A payment has been captured, or will never be: it failed or was given up.",
    "billing.processor_settled.v1": "A processor's settlement file has been booked.",
    "billing.run_finalised.v1": "A billing run is final: its statements stand and its payouts are instructed.",
    "billing.run_reversed.v1": "A billing run has been reversed: its statements no longer stand.",
    "billing.rerating_booked.v1": "Settled orders were rated anew, and what they should have earned less is booked.",
    "demand.dispute_changed.v1": "A dispute of an order has been opened, won or lost.",
    "demand.return_moved.v1": "A return has been asked for, decided on, received or withdrawn.",
    "demand.refund_failed.v1": "A processor could not pay a refund out; the buyer is still owed it.",
    "demand.refund_paid.v1": "A refund has reached the buyer.",
    "demand.order_amended.v1": "A change of an order has been agreed on, and paid where it cost more.",
    "demand.order_moved.v1": "An order has gone from one state to the next.",
    "demand.purchase_placed.v1": "A cart has been placed: a purchase with its orders and its payment, not paid yet.",
    "demand.order_refunded.v1": "A refund of an order has been granted.",
}
"""A topic that is emitted anywhere must stand here (a test compares). A new version of a payload is a new topic."""

HOUSE_ONLY = frozenset(
    {
        "billing.orders_settled.v1",
        "billing.payment_ended.v1",
        "billing.processor_settled.v1",
        "billing.rerating_booked.v1",
        "billing.run_finalised.v1",
        "billing.run_reversed.v1",
        "demand.purchase_placed.v1",
    }
)
"""Topics of events that are about no one merchant, which no merchant is therefore told of (a test compares)."""

FOR_OPS = ("demand.", "supply.")
"""How the topics begin that operations may have sent somewhere; the others tell of the house's money."""

TEST_TOPIC = "core.webhook_test.v1"
"""What `POST /webhooks/{endpoint_id}/test` sends to that one endpoint; nothing has happened."""
