"""What `test_verify` plants to have the proofs of closed months fail."""

from billing.periods.seal_sql import CHAINED

_PERIOD = "INSERT INTO billing.period VALUES (1, '{month}', 'closed', 'x', NULL, NULL, 1, 'x', now())"
_SEAL = """
INSERT INTO billing.period_seal
SELECT entity_id, month_on, 1, month_on, entries, previous, {digest}, now(), 'x', false
FROM (SELECT 1 AS entity_id, DATE '{month}' AS month_on, 0::bigint AS entries, ''::bytea AS previous,
             ''::bytea AS root) AS new"""


def _sealed(month: str, digest: str = CHAINED) -> list[str]:
    """A month that was closed when it was empty."""
    return [_PERIOD.format(month=month), _SEAL.format(month=month, digest=digest)]


PERIOD_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "entries in a month that was sealed without them": (_sealed("2018-05-01"), {"sealed-stays-sealed"}),
    "a seal that does not follow from its entries": (_sealed("2016-01-01", "sha256('x')"), {"seals-are-chained"}),
    "a seal that does not follow the one before": (
        [*_sealed("2016-01-01"), *_sealed("2016-02-01")], {"seals-are-chained"},
    ),
}  # fmt: skip
