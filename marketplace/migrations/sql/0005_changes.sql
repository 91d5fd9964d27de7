CREATE SCHEMA incentives
;;
GRANT USAGE ON SCHEMA incentives TO app_merchant, app_buyer, app_payer, app_staff, app_worker
;;
ALTER TABLE demand.refund ADD COLUMN promotion_minor BIGINT DEFAULT 0 NOT NULL
;;
ALTER TABLE demand.refund ADD CONSTRAINT ck_refund_promotion
    CHECK (promotion_minor BETWEEN 0 AND goods_minor + freight_minor - payer_minor)
;;
ALTER TABLE billing.payer_back DROP CONSTRAINT pk_payer_back
;;
ALTER TABLE billing.payer_back
    ADD CONSTRAINT pk_payer_back PRIMARY KEY (merchant_id, refund_id, contract_id, undone, source, source_id)
;;
ALTER TABLE billing.credit_movement DROP CONSTRAINT ck_credit_movement_kind
;;
ALTER TABLE billing.credit_movement ADD CONSTRAINT ck_credit_movement_kind
    CHECK (kind IN ('granted', 'used', 'refunded', 'expired', 'rebate'))
