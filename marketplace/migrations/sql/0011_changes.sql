ALTER TABLE billing.payer ADD COLUMN address text DEFAULT '' NOT NULL
;;
ALTER TABLE billing.payer ADD COLUMN country text DEFAULT '' NOT NULL
;;
ALTER TABLE billing.payer ADD COLUMN tax_id text DEFAULT '' NOT NULL
;;
CREATE INDEX ix_entry_beside_orders ON billing.entry (merchant_id, entry_no) WHERE kind NOT IN ('order_paid', 'order_settled', 'order_refunded', 'refund_cancelled', 'dispute_lost', 'commission_adjusted')
;;
CREATE INDEX ix_commission_line_changes ON billing.commission_line (merchant_id, entry_no) WHERE kind <> 'sale'
;;
ALTER TABLE supply.hardware_unit DROP CONSTRAINT ck_hardware_unit_state
;;
ALTER TABLE supply.hardware_unit ADD CONSTRAINT ck_hardware_unit_state CHECK (state IN ('in_stock', 'delivered', 'sold', 'scrapped'))
