ALTER TABLE billing.statement ADD COLUMN rebate_minor bigint DEFAULT 0 NOT NULL
;;
ALTER TABLE billing.statement ALTER COLUMN rebate_minor DROP DEFAULT
;;
ALTER TABLE billing.statement DROP CONSTRAINT ck_statement_ties
;;
ALTER TABLE billing.statement NO FORCE ROW LEVEL SECURITY
;;
ALTER TABLE billing.entry NO FORCE ROW LEVEL SECURITY
;;
UPDATE billing.statement s SET rebate_minor = shared.minor, other_minor = s.other_minor - shared.minor
FROM (
    SELECT t.merchant_id, t.run_id, t.currency, -sum(leg.amount)::bigint AS minor
    FROM billing.statement t
    JOIN billing.entry e ON e.merchant_id = t.merchant_id AND e.currency = t.currency AND e.entry_no <= t.to_no
     AND e.effective_on >= t.from_on AND e.effective_on < t.to_on AND e.kind = 'rebate_shared',
         unnest(e.accounts, e.amounts) AS leg (account, amount)
    WHERE leg.account = 2000 GROUP BY t.merchant_id, t.run_id, t.currency
) AS shared
WHERE shared.merchant_id = s.merchant_id AND shared.run_id = s.run_id AND shared.currency = s.currency
;;
ALTER TABLE billing.entry FORCE ROW LEVEL SECURITY
;;
ALTER TABLE billing.statement FORCE ROW LEVEL SECURITY
;;
ALTER TABLE billing.statement ADD CONSTRAINT ck_statement_ties CHECK (state = 'parked' OR closing_minor = opening_minor + goods_minor + freight_minor + discount_minor + refund_minor + commission_minor + vat_minor + incentive_minor + rebate_minor + ads_minor + products_minor + other_minor + payout_minor)
;;
CREATE INDEX ix_offer_listed_at ON supply.offer (listed_at)
