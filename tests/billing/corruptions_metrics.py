"""What `test_verify` plants to have the proofs of rolled up figures fail. There nothing is rolled up yet: all waits."""

from marketplace.metrics.tables import ORDER_COUNTS

_COUNTS = ", ".join("1" for _ in ORDER_COUNTS)
_DAYS = {"days-are-orders"}

METRIC_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "changes of orders that nobody counted": (["DELETE FROM demand.order_change"], _DAYS),
    "a market's day of no merchant": (
        [f"INSERT INTO metrics.market_day VALUES (1, 'EUR', '2018-05-01', {_COUNTS})"], {"market-is-merchants"},
    ),
    "a day of a merchant that sold nothing on it": (
        [f"INSERT INTO metrics.order_day VALUES (77, '2018-05-01', 'EUR', 1, {_COUNTS})"],
        _DAYS | {"market-is-merchants", "spans-are-days"},
    ),
    "a merchant that was active without an order": (
        ["INSERT INTO metrics.merchant_span VALUES (77, 'active', '2018-05-01', '2018-05-01', '2018-05-29', true, 1)"],
        {"spans-are-days"},
    ),
    "a counted lead that there is not": (
        ["INSERT INTO supply.funnel_month VALUES ('tool', 1, 'stage', 0, '2018-05-01', 1, 'on', 3, 1, 0, 0)"],
        {"months-are-entries"},
    ),
    "a stage that no lead entered on the day": (
        ["INSERT INTO supply.stage_day VALUES ('tool', 'lead', '2018-05-01', 1, 1, 1)"], {"stage-days-are-entries"},
    ),
}  # fmt: skip
