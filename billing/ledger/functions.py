"""The few SQL functions of the ledger, IMMUTABLE so that a cluster pushes them down, and the view finance reads."""

# The millions of an amount and the rest of it apart: their product with a rate leaves 64 bits for no amount that fits
# them, and numeric would cost a multiple.
_WHOLE = "(amount / 1000000 * rate_ppm + reached_ppm / 1000000)"
_REST = "(amount % 1000000 * rate_ppm + reached_ppm % 1000000)"

FUNCTIONS = (
    # A loop costs 1.5 % of an insert; the same as a SQL function over unnest doubles it (decision D3).
    """
CREATE OR REPLACE FUNCTION billing.is_balanced(amounts bigint[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    amount bigint;
    total numeric := 0;
BEGIN
    FOREACH amount IN ARRAY amounts LOOP
        IF amount IS NULL OR amount = 0 THEN
            RETURN false;
        END IF;
        total := total + amount;
    END LOOP;
    RETURN total = 0;
END $$""",
    # (reached_ppm + amount * rate_ppm) / 10**6 to the nearest integer, ties to even, for nothing negative and rates up
    # to 10**6: `core.rates.divide_half_even`.
    f"""
CREATE OR REPLACE FUNCTION billing.at_rate(amount bigint, rate_ppm bigint, reached_ppm bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    {_WHOLE} + {_REST} / 1000000
    + CASE WHEN {_REST} % 1000000 > 500000 THEN 1
           WHEN {_REST} % 1000000 = 500000 THEN ({_WHOLE} + {_REST} / 1000000) % 2
           ELSE 0 END""",
    # The sum of what stays within 64 bits, which `sum` would turn into numeric, row by row in a window. For sums within
    # one merchant's rows: a cluster can add up over merchants only what it knows, such as `sum`.
    "CREATE AGGREGATE billing.total(bigint) (sfunc = int8pl, stype = bigint, initcond = 0, parallel = safe)",
    # The difference that `base` makes to `billing.rating.tiered_commission`; tier_reached_ppm as in billing.contract.
    # In plpgsql: as an expression the planner would repeat each step for every use of it.
    """
CREATE OR REPLACE FUNCTION billing.tiered(base bigint, base_before bigint,
    tier_from bigint[], tier_rate_ppm integer[], tier_reached_ppm bigint[]) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    tier integer := width_bucket(base_before + base, tier_from);
    tier_before integer := width_bucket(base_before, tier_from);
BEGIN
    RETURN billing.at_rate(base_before + base - tier_from[tier], tier_rate_ppm[tier], tier_reached_ppm[tier])
        - billing.at_rate(base_before - tier_from[tier_before], tier_rate_ppm[tier_before],
                          tier_reached_ppm[tier_before]);
END $$""",
)

POSTING_VIEW = """
CREATE VIEW billing.posting WITH (security_invoker = true) AS
SELECT e.merchant_id, e.entry_no, leg.leg_no::integer AS leg_no, e.kind, e.source_id, e.entity_id, e.currency,
       e.occurred_at, e.effective_on, e.prior_period, leg.account, leg.dimension, leg.amount AS amount_minor
FROM billing.entry e,
     unnest(e.accounts, e.dimensions, e.amounts) WITH ORDINALITY AS leg (account, dimension, amount, leg_no)
"""
