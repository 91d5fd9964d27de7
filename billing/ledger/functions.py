"""The few SQL functions of the ledger, IMMUTABLE so that a cluster pushes them down, and the view finance reads."""

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
    # n / d to the nearest integer, ties to even, for n >= 0 and d > 0: `core.rates.divide_half_even`.
    """
CREATE OR REPLACE FUNCTION billing.divide_half_even(n bigint, d bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    n / d + CASE WHEN 2 * (n % d) > d OR (2 * (n % d) = d AND (n / d) % 2 = 1) THEN 1 ELSE 0 END""",
)

POSTING_VIEW = """
CREATE VIEW billing.posting WITH (security_invoker = true) AS
SELECT e.merchant_id, e.entry_no, leg.leg_no::integer AS leg_no, e.kind, e.source_id, e.entity_id, e.currency,
       e.occurred_at, e.effective_on, e.prior_period, leg.account, leg.dimension, leg.amount AS amount_minor
FROM billing.entry e,
     unnest(e.accounts, e.dimensions, e.amounts) WITH ORDINALITY AS leg (account, dimension, amount, leg_no)
"""
