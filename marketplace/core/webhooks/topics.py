"""What the outside can be told of: every topic of the outbox, and what has happened when it comes. Pure."""

TOPICS: dict[str, str] = {
    "billing.ad_balance_changed.v1": "A merchant's prepaid ads have been topped up, granted or given back.",
    "billing.ad_campaign_moved.v1": "An ad campaign has gone from one state to the next.",
    "billing.ad_order_line_ended.v1": "A line of an insertion order is over and billed: delivered in full, or short.",
    "billing.ad_order_moved.v1": "An insertion order for ads has gone from one state to the next.",
    "billing.bank_account_changed.v1": "A merchant's bank account has been proposed, activated, refused or withdrawn.",
    "billing.bank_file_read.v1": "A file of a bank or processor has been read, or is kept because it does not hold.",
    "billing.charge_made.v1": "A merchant has been charged for a product.",
    "billing.charge_dunned.v1": "A merchant has been asked again for a charge that is past due.",
    "billing.line_dispute_moved.v1": "A merchant's dispute of a line has been opened, taken up, decided or withdrawn.",
    "billing.document_voided.v1": "A tax document is void; its number stays.",
    "billing.document_reissued.v1": "A void tax document has been issued again, under a new number.",
    "billing.payout_confirmed.v1": "The bank has paid a payout.",
    "billing.payout_returned.v1": "A payout has come back; the merchant is owed it again.",
    "supply.agreement_moved.v1": "A service agreement has been proposed, accepted, declined or ended.",
    "supply.hardware_order_moved.v1": "Hardware has been quoted, ordered, shipped or returned.",
    "supply.work_order_moved.v1": "Work at a merchant's has been planned, appointed, done or cancelled.",
    "supply.subscription_moved.v1": "A subscription has begun, been converted, changed, renewed, suspended or ended.",
    "supply.lead_moved.v1": "A lead has come in, been taken, gone a step on, been signed, lost or merged.",
    "supply.stage_reached.v1": "A lead has been seen in a stage of its funnel.",
    "supply.task_raised.v1": "Somebody of the house has something to take up with a merchant.",
    "supply.merchant_moved.v1": "A merchant has gone live, been suspended, reinstated or closed.",
    "billing.orders_settled.v1": "A settlement pass has made delivered orders payable.",
    "billing.payment_ended.v1": "A payment has been captured, or will never be: it failed or was given up.",
    "billing.payer_claim_dunned.v1": "A claim on a third-party payer is overdue, and stands at the next dunning level.",
    "billing.payer_claim_sent.v1": "A third-party payer has been asked for what it bears.",
    "billing.payer_rejected.v1": "A third-party payer will not pay a part of a claim.",
    "billing.payer_remitted.v1": "A third-party payer's money for a claim is in the bank.",
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
    "incentives.campaign_moved.v1": "A campaign of promotions has gone from one state to the next.",
    "metrics.alert_changed.v1": "A figure has gone out of its bounds, or is back within them.",
    "metrics.goal_set.v1": "A goal has been set, or its target or owner changed.",
    "metrics.review_held.v1": "A week has been talked over, with decisions and their owners.",
    "incentives.promotion_moved.v1": "A promotion has gone from one state to the next.",
}
"""A topic that is emitted anywhere must stand here (a test compares). A new version of a payload is a new topic."""

HOUSE_ONLY = frozenset(
    {
        "billing.bank_file_read.v1",
        "billing.orders_settled.v1",
        "billing.payment_ended.v1",
        "billing.payer_claim_dunned.v1",
        "billing.payer_claim_sent.v1",
        "billing.payer_rejected.v1",
        "billing.payer_remitted.v1",
        "billing.processor_settled.v1",
        "billing.rerating_booked.v1",
        "billing.run_finalised.v1",
        "billing.run_reversed.v1",
        "demand.purchase_placed.v1",
        "incentives.campaign_moved.v1",
        "incentives.promotion_moved.v1",
        "metrics.alert_changed.v1",
        "metrics.goal_set.v1",
        "metrics.review_held.v1",
        "supply.lead_moved.v1",
        "supply.stage_reached.v1",
        "supply.task_raised.v1",
    }
)
"""Topics of events that are about no one merchant, which no merchant is therefore told of (a test compares)."""

FOR_OPS = ("demand.", "incentives.", "metrics.", "supply.")
"""How the topics begin that operations may have sent somewhere; the others tell of the house's money."""

TEST_TOPIC = "core.webhook_test.v1"
"""What `POST /webhooks/{endpoint_id}/test` sends to that one endpoint; nothing has happened."""
