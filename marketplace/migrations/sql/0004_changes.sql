ALTER TABLE billing.commission_line DROP CONSTRAINT ck_commission_line_kind
;;
ALTER TABLE billing.commission_line ADD CONSTRAINT ck_commission_line_kind CHECK (kind IN ('sale', 'refund', 'adjustment'))
