CREATE TABLE billing.credit_account (
    buyer_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    balance_minor BIGINT NOT NULL, 
    reserved_minor BIGINT DEFAULT '0' NOT NULL, 
    CONSTRAINT pk_credit_account PRIMARY KEY (buyer_id, currency), 
    CONSTRAINT ck_credit_account_never_overdrawn CHECK (reserved_minor >= 0 AND reserved_minor <= balance_minor)
)
 WITH (fillfactor = 70)
;;
CREATE TABLE billing.credit_movement (
    buyer_id BIGINT NOT NULL, 
    movement_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    source_id BIGINT NOT NULL, 
    reason TEXT DEFAULT '' NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_credit_movement PRIMARY KEY (buyer_id, movement_id), 
    CONSTRAINT ck_credit_movement_kind CHECK (kind IN ('granted', 'used', 'refunded', 'expired')), 
    CONSTRAINT ck_credit_movement_amount CHECK (amount_minor <> 0), 
    CONSTRAINT uq_credit_movement_buyer_id_kind_source_id UNIQUE (buyer_id, kind, source_id)
)
;;
CREATE TABLE billing.payment (
    buyer_id BIGINT NOT NULL, 
    payment_id BIGINT NOT NULL, 
    purchase_id BIGINT NOT NULL, 
    merchant_id BIGINT, 
    amendment_id BIGINT, 
    processor_id BIGINT NOT NULL, 
    method TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    credit_minor BIGINT DEFAULT '0' NOT NULL, 
    state TEXT NOT NULL, 
    processor_ref TEXT, 
    failure TEXT, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    authorised_at TIMESTAMP WITH TIME ZONE, 
    captured_at TIMESTAMP WITH TIME ZONE, 
    captured_minor BIGINT DEFAULT '0' NOT NULL, 
    CONSTRAINT pk_payment PRIMARY KEY (buyer_id, payment_id), 
    CONSTRAINT ck_payment_state CHECK (state IN ('created', 'authorised', 'captured', 'failed', 'voided')), 
    CONSTRAINT ck_payment_amounts CHECK (amount_minor >= 0 AND credit_minor >= 0 AND amount_minor + credit_minor > 0), 
    CONSTRAINT ck_payment_captured CHECK (captured_minor BETWEEN 0 AND amount_minor)
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_payment_buyer_id_purchase_id ON billing.payment (buyer_id, purchase_id)
;;
CREATE TABLE billing.payment_command (
    command_id BIGINT NOT NULL, 
    processor_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    buyer_id BIGINT NOT NULL, 
    payment_id BIGINT NOT NULL, 
    merchant_id BIGINT, 
    refund_id BIGINT, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    method TEXT DEFAULT '' NOT NULL, 
    state TEXT DEFAULT 'todo' NOT NULL, 
    attempts INTEGER DEFAULT '0' NOT NULL, 
    not_before TIMESTAMP WITH TIME ZONE, 
    error TEXT, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_payment_command PRIMARY KEY (command_id), 
    CONSTRAINT ck_payment_command_kind CHECK (kind IN ('authorise', 'capture', 'void', 'refund')), 
    CONSTRAINT ck_payment_command_state CHECK (state IN ('todo', 'sent', 'parked'))
)
;;
CREATE INDEX ix_payment_command_payment_id ON billing.payment_command (payment_id)
;;
CREATE INDEX ix_payment_command_todo ON billing.payment_command (command_id) WHERE state = 'todo'
;;
CREATE TABLE billing.payment_part (
    merchant_id BIGINT NOT NULL, 
    payment_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    buyer_id BIGINT NOT NULL, 
    processor_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    credit_minor BIGINT DEFAULT '0' NOT NULL, 
    state TEXT DEFAULT 'open' NOT NULL, 
    fee_minor BIGINT DEFAULT '0' NOT NULL, 
    CONSTRAINT pk_payment_part PRIMARY KEY (merchant_id, payment_id, order_id), 
    CONSTRAINT ck_payment_part_state CHECK (state IN ('open', 'captured', 'released')), 
    CONSTRAINT ck_payment_part_amounts CHECK (amount_minor >= 0 AND credit_minor >= 0 AND amount_minor + credit_minor > 0), 
    CONSTRAINT ck_payment_part_fee CHECK (fee_minor >= 0)
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_payment_part_merchant_id_order_id ON billing.payment_part (merchant_id, order_id)
;;
CREATE TABLE demand.cart (
    buyer_id BIGINT NOT NULL, 
    cart_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    state TEXT DEFAULT 'open' NOT NULL, 
    purchase_id BIGINT, 
    version INTEGER DEFAULT '1' NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_cart PRIMARY KEY (buyer_id, cart_id), 
    CONSTRAINT ck_cart_state CHECK (state IN ('open', 'placed', 'dropped')), 
    CONSTRAINT ck_cart_purchase CHECK ((state = 'placed') = (purchase_id IS NOT NULL))
)
 WITH (fillfactor = 80)
;;
CREATE TABLE demand.amendment (
    merchant_id BIGINT NOT NULL, 
    amendment_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    state TEXT NOT NULL, 
    base_version INTEGER NOT NULL, 
    changes JSONB NOT NULL, 
    delta_minor BIGINT NOT NULL, 
    carried_goods_minor BIGINT DEFAULT '0' NOT NULL, 
    carried_freight_minor BIGINT DEFAULT '0' NOT NULL, 
    party TEXT NOT NULL, 
    proposed_by TEXT NOT NULL, 
    proposed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    reason TEXT NOT NULL, 
    method TEXT DEFAULT '' NOT NULL, 
    decided_party TEXT, 
    decided_by TEXT, 
    decided_at TIMESTAMP WITH TIME ZONE, 
    outcome TEXT DEFAULT '' NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    payment_id BIGINT, 
    refund_id BIGINT, 
    CONSTRAINT pk_amendment PRIMARY KEY (merchant_id, amendment_id), 
    CONSTRAINT fk_amendment_merchant_id_order_id FOREIGN KEY(merchant_id, order_id) REFERENCES demand.merchant_order (merchant_id, order_id), 
    CONSTRAINT ck_amendment_state CHECK (state IN ('proposed', 'awaiting_payment', 'applied', 'declined', 'expired', 'cancelled')), 
    CONSTRAINT ck_amendment_party CHECK (party IN ('buyer', 'merchant', 'platform')), 
    CONSTRAINT ck_amendment_carried CHECK (carried_goods_minor >= 0 AND carried_freight_minor >= 0), 
    CONSTRAINT ck_amendment_carried_applied CHECK (state = 'applied' OR carried_goods_minor + carried_freight_minor = 0), 
    CONSTRAINT ck_amendment_payment CHECK (state <> 'awaiting_payment' OR (delta_minor > 0 AND payment_id IS NOT NULL))
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_amendment_expiring ON demand.amendment (expires_at) WHERE state IN ('proposed', 'awaiting_payment')
;;
CREATE INDEX ix_amendment_merchant_id_order_id ON demand.amendment (merchant_id, order_id)
;;
CREATE UNIQUE INDEX uq_amendment_open ON demand.amendment (merchant_id, order_id) WHERE state IN ('proposed', 'awaiting_payment')
;;
CREATE TABLE demand.cart_line (
    buyer_id BIGINT NOT NULL, 
    cart_id BIGINT NOT NULL, 
    merchant_id BIGINT NOT NULL, 
    product_id BIGINT NOT NULL, 
    quantity INTEGER NOT NULL, 
    CONSTRAINT pk_cart_line PRIMARY KEY (buyer_id, cart_id, merchant_id, product_id), 
    CONSTRAINT fk_cart_line_buyer_id_cart_id FOREIGN KEY(buyer_id, cart_id) REFERENCES demand.cart (buyer_id, cart_id) ON DELETE CASCADE, 
    CONSTRAINT ck_cart_line_quantity CHECK (quantity > 0)
)
;;
CREATE TABLE demand.order_event (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    event_no INTEGER NOT NULL, 
    move TEXT NOT NULL, 
    party TEXT NOT NULL, 
    state TEXT NOT NULL, 
    detail JSONB NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_order_event PRIMARY KEY (merchant_id, order_id, event_no), 
    CONSTRAINT fk_order_event_merchant_id_order_id FOREIGN KEY(merchant_id, order_id) REFERENCES demand.merchant_order (merchant_id, order_id)
)
;;
CREATE TABLE supply.stock (
    merchant_id BIGINT NOT NULL, 
    product_id BIGINT NOT NULL, 
    on_hand INTEGER NOT NULL, 
    reserved INTEGER DEFAULT '0' NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_stock PRIMARY KEY (merchant_id, product_id), 
    CONSTRAINT fk_stock_merchant_id_product_id FOREIGN KEY(merchant_id, product_id) REFERENCES supply.offer (merchant_id, product_id), 
    CONSTRAINT ck_stock_never_oversold CHECK (reserved >= 0 AND reserved <= on_hand)
)
 WITH (fillfactor = 50)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.credit_account TO app_staff, app_worker
;;
ALTER TABLE billing.credit_account ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.credit_account FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.credit_account TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.credit_account TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.credit_account TO app_buyer
;;
CREATE POLICY app_buyer ON billing.credit_account FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.credit_movement TO app_staff, app_worker
;;
ALTER TABLE billing.credit_movement ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.credit_movement FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.credit_movement TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.credit_movement TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.credit_movement TO app_buyer
;;
CREATE POLICY app_buyer ON billing.credit_movement FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payment TO app_staff, app_worker
;;
ALTER TABLE billing.payment ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payment FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payment TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payment TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payment TO app_buyer
;;
CREATE POLICY app_buyer ON billing.payment FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payment_command TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payment_part TO app_staff, app_worker
;;
ALTER TABLE billing.payment_part ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payment_part FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payment_part TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payment_part TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payment_part TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payment_part FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.cart TO app_staff, app_worker
;;
ALTER TABLE demand.cart ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.cart FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.cart TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.cart TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.cart TO app_buyer
;;
CREATE POLICY app_buyer ON demand.cart FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.amendment TO app_staff, app_worker
;;
ALTER TABLE demand.amendment ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.amendment FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.amendment TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.amendment TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.amendment TO app_merchant
;;
CREATE POLICY app_merchant ON demand.amendment FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.cart_line TO app_staff, app_worker
;;
ALTER TABLE demand.cart_line ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.cart_line FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.cart_line TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.cart_line TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.cart_line TO app_buyer
;;
CREATE POLICY app_buyer ON demand.cart_line FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.order_event TO app_staff, app_worker
;;
ALTER TABLE demand.order_event ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.order_event FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.order_event TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.order_event TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.order_event TO app_merchant
;;
CREATE POLICY app_merchant ON demand.order_event FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.stock TO app_staff, app_worker
;;
ALTER TABLE supply.stock ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.stock FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.stock TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.stock TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.stock TO app_merchant
;;
CREATE POLICY app_merchant ON supply.stock FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
