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
