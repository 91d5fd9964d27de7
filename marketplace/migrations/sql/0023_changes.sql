CREATE INDEX ix_merchant_order_delivered_at ON demand.merchant_order (delivered_at) WHERE delivered_at IS NOT NULL
