CREATE SCHEMA metrics
;;
GRANT USAGE ON SCHEMA metrics TO app_merchant, app_buyer, app_payer, app_sales, app_staff, app_worker
;;
CREATE INDEX ix_merchant_order_delivered ON demand.merchant_order (merchant_id, delivered_on) WHERE delivered_on IS NOT NULL
;;
CREATE INDEX ix_refund_merchant_id_refunded_at ON demand.refund (merchant_id, refunded_at)
;;
CREATE INDEX ix_stage_entry_model_version_no_entered_on ON supply.stage_entry (model, version_no, entered_on)
