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
    ADD COLUMN counted BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN version INTEGER DEFAULT '1' NOT NULL
;;
ALTER TABLE supply.offer ADD CONSTRAINT uq_offer_merchant_id_sku UNIQUE (merchant_id, sku)
;;
ALTER TABLE supply.offer ADD CONSTRAINT ck_offer_freight CHECK (freight_minor >= 0)
;;
ALTER TABLE core.api_key ADD COLUMN scopes TEXT[]
;;
ALTER TABLE demand.refund
    ADD COLUMN initiator TEXT DEFAULT 'platform' NOT NULL,
    ADD COLUMN platform_minor BIGINT DEFAULT '0' NOT NULL,
    ADD COLUMN fee_base_minor BIGINT DEFAULT '0' NOT NULL,
    ADD COLUMN fee_minor BIGINT DEFAULT '0' NOT NULL,
    ADD COLUMN state TEXT DEFAULT 'booked' NOT NULL,
    ADD COLUMN made_by TEXT DEFAULT '' NOT NULL
;;
ALTER TABLE demand.refund ADD CONSTRAINT ck_refund_state CHECK (state IN ('booked', 'cancelled'))
;;
ALTER TABLE demand.refund ADD CONSTRAINT ck_refund_borne CHECK (platform_minor <= goods_minor + freight_minor AND fee_base_minor >= 0 AND fee_minor >= 0)
;;
ALTER TABLE demand.refund DROP CONSTRAINT ck_refund_amounts
;;
ALTER TABLE demand.refund ADD CONSTRAINT ck_refund_amounts CHECK (goods_minor >= 0 AND freight_minor >= 0 AND (goods_minor + freight_minor > 0 OR platform_minor < 0))
;;
ALTER TABLE billing.commission_line
    ADD COLUMN kept_commission_minor BIGINT DEFAULT '0' NOT NULL,
    ADD COLUMN kept_vat_minor BIGINT DEFAULT '0' NOT NULL
;;
CREATE INDEX ix_refund_refund_id_merchant_id ON demand.refund (refund_id, merchant_id)
;;
ALTER TABLE billing.payout
    ADD COLUMN bank_account_id BIGINT,
    ADD COLUMN bank_ref TEXT,
    ADD COLUMN confirmed_on DATE,
    ADD COLUMN return_ref TEXT,
    ADD COLUMN returned_on DATE,
    ADD COLUMN return_reason TEXT
;;
ALTER TABLE billing.payout ADD CONSTRAINT ck_payout_confirmed CHECK (state <> 'confirmed' OR (confirmed_on IS NOT NULL AND bank_ref IS NOT NULL))
;;
ALTER TABLE billing.payout ADD CONSTRAINT ck_payout_returned CHECK ((state = 'returned') = (returned_on IS NOT NULL))
