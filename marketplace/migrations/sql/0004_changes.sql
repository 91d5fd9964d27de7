ALTER TABLE core.app_user ADD COLUMN payer_id BIGINT
;;
ALTER TABLE demand.refund ADD COLUMN payer_minor BIGINT DEFAULT '0' NOT NULL
;;
ALTER TABLE demand.refund ADD CONSTRAINT ck_refund_payer CHECK (payer_minor BETWEEN 0 AND goods_minor + freight_minor)
;;
ALTER TABLE billing.payment DROP CONSTRAINT ck_payment_amounts
;;
ALTER TABLE billing.payment ADD CONSTRAINT ck_payment_amounts CHECK (amount_minor >= 0 AND credit_minor >= 0)
;;
ALTER TABLE billing.payment_part DROP CONSTRAINT ck_payment_part_amounts
;;
ALTER TABLE billing.payment_part ADD CONSTRAINT ck_payment_part_amounts CHECK (amount_minor >= 0 AND credit_minor >= 0)
;;
UPDATE billing.account SET dimension = 'charge' WHERE code IN (1100, 2200)
;;
UPDATE billing.account SET dimension = 'item' WHERE code = 1200
;;
ALTER TABLE billing.commission_line DROP CONSTRAINT ck_commission_line_kind
;;
ALTER TABLE billing.commission_line ADD CONSTRAINT ck_commission_line_kind CHECK (kind IN ('sale', 'refund', 'adjustment'))
;;
ALTER TABLE billing.contract
    ADD COLUMN month_min_minor BIGINT,
    ADD COLUMN first_months INTEGER
;;
ALTER TABLE billing.contract ADD CONSTRAINT ck_contract_month_min CHECK (month_min_minor IS NULL OR (negotiated AND categories IS NULL))
;;
ALTER TABLE billing.contract ADD CONSTRAINT ck_contract_first_months CHECK (first_months BETWEEN 1 AND 120)
;;
ALTER TABLE billing.payout ADD COLUMN file_id bigint
;;
CREATE INDEX ix_payout_file_id ON billing.payout (file_id) WHERE file_id IS NOT NULL
;;
ALTER TABLE billing.payout ADD COLUMN retry_of bigint
;;
CREATE UNIQUE INDEX uq_payout_retry_of ON billing.payout (merchant_id, retry_of)
;;
UPDATE billing.account SET dimension = 'rate' WHERE code = 1900
;;
ALTER TABLE billing.account DROP CONSTRAINT ck_account_nature
;;
ALTER TABLE billing.account ADD CONSTRAINT ck_account_nature CHECK (nature IN ('asset', 'liability', 'equity', 'revenue', 'expense'))
;;
ALTER TABLE billing.billing_run ADD COLUMN parent_run_id BIGINT
;;
DROP INDEX billing.uq_billing_run_live
;;
CREATE UNIQUE INDEX uq_billing_run_live ON billing.billing_run (entity_id, from_on) WHERE parent_run_id IS NULL AND state NOT IN ('reversed', 'aborted')
;;
CREATE UNIQUE INDEX uq_billing_run_live_child ON billing.billing_run (parent_run_id) WHERE state NOT IN ('reversed', 'aborted')
