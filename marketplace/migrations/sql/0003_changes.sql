ALTER TABLE demand.buyer
    ADD COLUMN name TEXT DEFAULT '' NOT NULL,
    ADD COLUMN version INTEGER DEFAULT '1' NOT NULL
;;
ALTER TABLE demand.merchant_order
    ADD COLUMN refund_policy_id BIGINT DEFAULT '1' NOT NULL,
    ADD COLUMN expires_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN completes_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN version INTEGER DEFAULT '1' NOT NULL
;;
ALTER TABLE demand.merchant_order DROP CONSTRAINT ck_merchant_order_state
;;
ALTER TABLE demand.merchant_order ADD CONSTRAINT ck_merchant_order_state CHECK (state IN ('placed', 'paid', 'accepted', 'fulfilling', 'partly_delivered', 'delivered', 'returned', 'cancelled'))
;;
CREATE INDEX ix_merchant_order_expiring ON demand.merchant_order (expires_at) WHERE state = 'placed'
;;
CREATE INDEX ix_merchant_order_completing ON demand.merchant_order (completes_at) WHERE state IN ('fulfilling', 'partly_delivered') AND completes_at IS NOT NULL
;;
CREATE INDEX ix_merchant_order_buyer_id_purchase_id ON demand.merchant_order (buyer_id, purchase_id)
;;
ALTER TABLE demand.order_line
    ADD COLUMN title TEXT DEFAULT '' NOT NULL,
    ADD COLUMN cancelled_quantity INTEGER DEFAULT '0' NOT NULL,
    ADD COLUMN shipped_quantity INTEGER DEFAULT '0' NOT NULL,
    ADD COLUMN delivered_quantity INTEGER DEFAULT '0' NOT NULL,
    ADD COLUMN returned_quantity INTEGER DEFAULT '0' NOT NULL,
    ADD COLUMN amendment_id BIGINT,
    ADD COLUMN carried_goods_minor BIGINT DEFAULT '0' NOT NULL,
    ADD COLUMN carried_freight_minor BIGINT DEFAULT '0' NOT NULL
;;
ALTER TABLE demand.order_line ADD CONSTRAINT ck_order_line_carried CHECK (carried_goods_minor BETWEEN 0 AND refunded_goods_minor AND carried_freight_minor BETWEEN 0 AND refunded_freight_minor)
;;
ALTER TABLE demand.order_line ADD CONSTRAINT ck_order_line_quantities CHECK (cancelled_quantity >= 0 AND shipped_quantity >= 0 AND cancelled_quantity + shipped_quantity <= quantity AND delivered_quantity BETWEEN 0 AND shipped_quantity AND returned_quantity BETWEEN 0 AND quantity)
;;
ALTER TABLE supply.merchant ADD COLUMN version INTEGER DEFAULT '1' NOT NULL
;;
ALTER TABLE supply.store ADD COLUMN version INTEGER DEFAULT '1' NOT NULL
;;
ALTER TABLE supply.offer
    ADD COLUMN sku TEXT,
    ADD COLUMN title TEXT DEFAULT '' NOT NULL,
    ADD COLUMN category TEXT,
    ADD COLUMN freight_minor BIGINT DEFAULT '0' NOT NULL,
    ADD COLUMN version INTEGER DEFAULT '1' NOT NULL
;;
ALTER TABLE supply.offer ADD CONSTRAINT uq_offer_merchant_id_sku UNIQUE (merchant_id, sku)
;;
ALTER TABLE supply.offer ADD CONSTRAINT ck_offer_freight CHECK (freight_minor >= 0)
