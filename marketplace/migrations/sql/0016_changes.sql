CREATE INDEX ix_merchant_order_open ON demand.merchant_order (merchant_id, state)
    INCLUDE (entity_id, currency, goods_minor)
    WHERE state IN ('placed', 'paid', 'accepted', 'fulfilling', 'partly_delivered')
;;
CREATE INDEX ix_order_day_placed ON metrics.order_day (day, merchant_id)
    INCLUDE (entity_id, currency, placed, placed_goods_minor, placed_completed)
;;
DROP INDEX metrics.ix_order_day_day
