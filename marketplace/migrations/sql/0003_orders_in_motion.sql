CREATE TABLE billing.bank_account (
    merchant_id BIGINT NOT NULL, 
    account_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    holder TEXT NOT NULL, 
    scheme TEXT NOT NULL, 
    number TEXT NOT NULL, 
    routing TEXT DEFAULT '' NOT NULL, 
    state TEXT DEFAULT 'proposed' NOT NULL, 
    proposed_by TEXT NOT NULL, 
    proposed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    code_hash TEXT, 
    tries INTEGER DEFAULT '0' NOT NULL, 
    method TEXT, 
    verified_by TEXT, 
    verified_at TIMESTAMP WITH TIME ZONE, 
    approved_by TEXT, 
    approved_at TIMESTAMP WITH TIME ZONE, 
    active_from TIMESTAMP WITH TIME ZONE, 
    reason TEXT DEFAULT '' NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_bank_account PRIMARY KEY (merchant_id, account_id), 
    CONSTRAINT ck_bank_account_scheme CHECK (scheme IN ('iban', 'other')), 
    CONSTRAINT ck_bank_account_method CHECK (method IN ('micro_transfer', 'document')), 
    CONSTRAINT ck_bank_account_state CHECK (state IN ('proposed', 'verified', 'cooling', 'active', 'rejected', 'replaced', 'cancelled')), 
    CONSTRAINT ck_bank_account_approved CHECK (state NOT IN ('cooling', 'active', 'replaced') OR (verified_at IS NOT NULL AND approved_at IS NOT NULL AND active_from IS NOT NULL))
)
;;
CREATE INDEX ix_bank_account_cooling ON billing.bank_account (active_from) WHERE state = 'cooling'
;;
CREATE UNIQUE INDEX uq_bank_account_active ON billing.bank_account (merchant_id, currency) WHERE state = 'active'
;;
CREATE UNIQUE INDEX uq_bank_account_change ON billing.bank_account (merchant_id, currency) WHERE state IN ('proposed', 'verified', 'cooling')
;;
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
CREATE TABLE billing.credit_grant (
    buyer_id BIGINT NOT NULL, 
    grant_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    left_minor BIGINT NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_credit_grant PRIMARY KEY (buyer_id, grant_id), 
    CONSTRAINT ck_credit_grant_left CHECK (left_minor BETWEEN 0 AND amount_minor)
)
 WITH (fillfactor = 70)
;;
CREATE INDEX ix_credit_grant_left ON billing.credit_grant (expires_at) WHERE left_minor > 0
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
CREATE TABLE billing.inbox_event (
    inbox_id BIGINT NOT NULL, 
    processor_id BIGINT NOT NULL, 
    event_ref TEXT NOT NULL, 
    body BYTEA NOT NULL, 
    state TEXT DEFAULT 'waiting' NOT NULL, 
    attempts INTEGER DEFAULT '0' NOT NULL, 
    not_before TIMESTAMP WITH TIME ZONE, 
    error TEXT, 
    received_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    applied_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_inbox_event PRIMARY KEY (inbox_id), 
    CONSTRAINT ck_inbox_event_state CHECK (state IN ('waiting', 'applied', 'parked')), 
    CONSTRAINT ck_inbox_event_applied CHECK ((state = 'applied') = (applied_at IS NOT NULL)), 
    CONSTRAINT uq_inbox_event_processor_id_event_ref UNIQUE (processor_id, event_ref)
)
;;
CREATE INDEX ix_inbox_event_parked ON billing.inbox_event (inbox_id) WHERE state = 'parked'
;;
CREATE INDEX ix_inbox_event_waiting ON billing.inbox_event (inbox_id) WHERE state = 'waiting'
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
CREATE INDEX ix_payment_payment_id ON billing.payment (payment_id)
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
    capture_asked BOOLEAN DEFAULT 'false' NOT NULL, 
    captured_minor BIGINT DEFAULT '0' NOT NULL, 
    fee_minor BIGINT DEFAULT '0' NOT NULL, 
    CONSTRAINT pk_payment_part PRIMARY KEY (merchant_id, payment_id, order_id), 
    CONSTRAINT ck_payment_part_state CHECK (state IN ('open', 'captured', 'released')), 
    CONSTRAINT ck_payment_part_amounts CHECK (amount_minor >= 0 AND credit_minor >= 0 AND amount_minor + credit_minor > 0), 
    CONSTRAINT ck_payment_part_captured CHECK (captured_minor BETWEEN 0 AND amount_minor), 
    CONSTRAINT ck_payment_part_fee CHECK (fee_minor >= 0)
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_payment_part_merchant_id_order_id ON billing.payment_part (merchant_id, order_id)
;;
CREATE INDEX ix_payment_part_payment_id ON billing.payment_part (payment_id)
;;
CREATE TABLE billing.processor_file (
    file_id BIGINT NOT NULL, 
    processor_id BIGINT NOT NULL, 
    batch_ref TEXT NOT NULL, 
    paid_on DATE NOT NULL, 
    currency TEXT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    state TEXT NOT NULL, 
    new_lines INTEGER NOT NULL, 
    lines INTEGER NOT NULL, 
    gross_minor BIGINT NOT NULL, 
    fee_minor BIGINT NOT NULL, 
    net_minor BIGINT NOT NULL, 
    imported_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    imported_by TEXT NOT NULL, 
    CONSTRAINT pk_processor_file PRIMARY KEY (file_id), 
    CONSTRAINT ck_processor_file_state CHECK (state IN ('booking', 'booked'))
)
;;
CREATE INDEX ix_processor_file_processor_id_batch_ref ON billing.processor_file (processor_id, batch_ref)
;;
CREATE UNIQUE INDEX uq_processor_file_booking ON billing.processor_file (processor_id, batch_ref, currency) WHERE state = 'booking'
;;
CREATE TABLE billing.processor_line (
    line_ref TEXT NOT NULL, 
    processor_id BIGINT NOT NULL, 
    line_id BIGINT NOT NULL, 
    file_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    reference TEXT NOT NULL, 
    dispute_ref TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    gross_minor BIGINT NOT NULL, 
    fee_minor BIGINT NOT NULL, 
    net_minor BIGINT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_processor_line PRIMARY KEY (line_ref, processor_id), 
    CONSTRAINT ck_processor_line_net CHECK (net_minor = gross_minor - fee_minor)
)
;;
CREATE INDEX ix_processor_line_reference ON billing.processor_line (reference)
;;
CREATE TABLE billing.refund_payment (
    merchant_id BIGINT NOT NULL, 
    refund_id BIGINT NOT NULL, 
    payment_id BIGINT NOT NULL, 
    way TEXT NOT NULL, 
    attempt SMALLINT NOT NULL, 
    transfer_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    buyer_id BIGINT NOT NULL, 
    processor_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    covered_minor BIGINT DEFAULT '0' NOT NULL, 
    state TEXT NOT NULL, 
    failure TEXT, 
    due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    said_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_refund_payment PRIMARY KEY (merchant_id, refund_id, payment_id, way, attempt), 
    CONSTRAINT uq_refund_payment_merchant_id_transfer_id UNIQUE (merchant_id, transfer_id), 
    CONSTRAINT ck_refund_payment_way CHECK (way IN ('card', 'credit')), 
    CONSTRAINT ck_refund_payment_state CHECK (state IN ('due', 'paid', 'failed', 'retried', 'credited', 'covered', 'cancelled', 'stray')), 
    CONSTRAINT ck_refund_payment_amounts CHECK (amount_minor > 0 AND covered_minor BETWEEN 0 AND amount_minor)
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_refund_payment_merchant_id_order_id ON billing.refund_payment (merchant_id, order_id)
;;
CREATE UNLOGGED TABLE core.request_window (
    caller TEXT NOT NULL, 
    window_starts_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    taken INTEGER NOT NULL, 
    granted INTEGER NOT NULL, 
    CONSTRAINT pk_request_window PRIMARY KEY (caller)
)
;;
CREATE TABLE core.webhook_endpoint (
    endpoint_id BIGINT NOT NULL, 
    merchant_id BIGINT, 
    url TEXT NOT NULL, 
    description TEXT NOT NULL, 
    topics TEXT[] NOT NULL, 
    state TEXT DEFAULT 'active' NOT NULL, 
    disabled_because TEXT, 
    secret TEXT NOT NULL, 
    previous_secret TEXT, 
    previous_until TIMESTAMP WITH TIME ZONE, 
    failing_since TIMESTAMP WITH TIME ZONE, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_webhook_endpoint PRIMARY KEY (endpoint_id), 
    CONSTRAINT ck_webhook_endpoint_state CHECK (state IN ('active', 'disabled')), 
    CONSTRAINT ck_webhook_endpoint_previous CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
)
;;
CREATE INDEX ix_webhook_endpoint_merchant_id_endpoint_id ON core.webhook_endpoint (merchant_id, endpoint_id)
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
CREATE TABLE demand.refund_policy (
    policy_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    rules JSONB NOT NULL, 
    valid_from DATE NOT NULL, 
    created_by TEXT NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_refund_policy PRIMARY KEY (policy_id)
)
;;
CREATE TABLE core.webhook_delivery (
    endpoint_id BIGINT NOT NULL, 
    event_id BIGINT NOT NULL, 
    topic TEXT NOT NULL, 
    state TEXT DEFAULT 'pending' NOT NULL, 
    attempts INTEGER DEFAULT '0' NOT NULL, 
    attempts_before INTEGER DEFAULT '0' NOT NULL, 
    not_before TIMESTAMP WITH TIME ZONE, 
    leased_until TIMESTAMP WITH TIME ZONE, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    ended_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_webhook_delivery PRIMARY KEY (endpoint_id, event_id), 
    CONSTRAINT fk_webhook_delivery_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES core.webhook_endpoint (endpoint_id) ON DELETE CASCADE, 
    CONSTRAINT ck_webhook_delivery_state CHECK (state IN ('pending', 'delivered', 'failed')), 
    CONSTRAINT ck_webhook_delivery_due CHECK ((state = 'pending') = (not_before IS NOT NULL))
)
;;
CREATE INDEX ix_webhook_delivery_due ON core.webhook_delivery (endpoint_id, not_before) WHERE state = 'pending'
;;
CREATE INDEX ix_webhook_delivery_failed ON core.webhook_delivery (endpoint_id, event_id) WHERE state = 'failed'
;;
CREATE INDEX ix_webhook_delivery_leased ON core.webhook_delivery (endpoint_id) WHERE leased_until IS NOT NULL
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
CREATE TABLE demand.dispute (
    merchant_id BIGINT NOT NULL, 
    dispute_id BIGINT NOT NULL, 
    dispute_ref TEXT NOT NULL, 
    order_id BIGINT NOT NULL, 
    buyer_id BIGINT NOT NULL, 
    payment_id BIGINT NOT NULL, 
    processor_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    fee_minor BIGINT NOT NULL, 
    excess_minor BIGINT DEFAULT '0' NOT NULL, 
    covered_minor BIGINT DEFAULT '0' NOT NULL, 
    state TEXT NOT NULL, 
    recourse BOOLEAN NOT NULL, 
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    due_on DATE NOT NULL, 
    closed_at TIMESTAMP WITH TIME ZONE, 
    evidence TEXT DEFAULT '' NOT NULL, 
    evidence_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_dispute PRIMARY KEY (merchant_id, dispute_id), 
    CONSTRAINT uq_dispute_merchant_id_dispute_ref_order_id UNIQUE (merchant_id, dispute_ref, order_id), 
    CONSTRAINT fk_dispute_merchant_id_order_id FOREIGN KEY(merchant_id, order_id) REFERENCES demand.merchant_order (merchant_id, order_id), 
    CONSTRAINT ck_dispute_state CHECK (state IN ('open', 'won', 'lost')), 
    CONSTRAINT ck_dispute_closed CHECK ((state = 'open') = (closed_at IS NULL)), 
    CONSTRAINT ck_dispute_amounts CHECK (amount_minor >= 0 AND fee_minor >= 0 AND amount_minor + fee_minor > 0 AND excess_minor BETWEEN 0 AND amount_minor AND covered_minor BETWEEN 0 AND excess_minor)
)
;;
CREATE INDEX ix_dispute_merchant_id_order_id ON demand.dispute (merchant_id, order_id)
;;
CREATE INDEX ix_dispute_opened_at_merchant_id_dispute_id ON demand.dispute (opened_at, merchant_id, dispute_id)
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
CREATE TABLE demand.return_request (
    merchant_id BIGINT NOT NULL, 
    return_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    state TEXT NOT NULL, 
    initiator TEXT NOT NULL, 
    reason TEXT NOT NULL, 
    note TEXT DEFAULT '' NOT NULL, 
    decision_note TEXT DEFAULT '' NOT NULL, 
    restock BOOLEAN DEFAULT 'false' NOT NULL, 
    refund_id BIGINT, 
    requested_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    requested_by TEXT NOT NULL, 
    decided_at TIMESTAMP WITH TIME ZONE, 
    decided_by TEXT, 
    received_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_return_request PRIMARY KEY (merchant_id, return_id), 
    CONSTRAINT fk_return_request_merchant_id_order_id FOREIGN KEY(merchant_id, order_id) REFERENCES demand.merchant_order (merchant_id, order_id), 
    CONSTRAINT ck_return_request_state CHECK (state IN ('requested', 'approved', 'refused', 'received', 'refunded', 'cancelled')), 
    CONSTRAINT ck_return_request_received CHECK ((state IN ('received', 'refunded')) = (received_at IS NOT NULL)), 
    CONSTRAINT ck_return_request_refunded CHECK ((state = 'refunded') = (refund_id IS NOT NULL)), 
    CONSTRAINT ck_return_request_decided CHECK ((decided_at IS NULL) = (decided_by IS NULL))
)
;;
CREATE INDEX ix_return_request_merchant_id_order_id ON demand.return_request (merchant_id, order_id)
;;
CREATE TABLE demand.shipment (
    merchant_id BIGINT NOT NULL, 
    shipment_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    carrier TEXT DEFAULT '' NOT NULL, 
    tracking TEXT DEFAULT '' NOT NULL, 
    shipped_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    delivered_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_shipment PRIMARY KEY (merchant_id, shipment_id), 
    CONSTRAINT fk_shipment_merchant_id_order_id FOREIGN KEY(merchant_id, order_id) REFERENCES demand.merchant_order (merchant_id, order_id)
)
;;
CREATE INDEX ix_shipment_merchant_id_order_id ON demand.shipment (merchant_id, order_id)
;;
CREATE TABLE supply.requirement (
    merchant_id BIGINT NOT NULL, 
    key TEXT NOT NULL, 
    state TEXT NOT NULL, 
    reason TEXT DEFAULT '' NOT NULL, 
    note TEXT DEFAULT '' NOT NULL, 
    attested_by TEXT, 
    actor TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_requirement PRIMARY KEY (merchant_id, key), 
    CONSTRAINT fk_requirement_merchant_id FOREIGN KEY(merchant_id) REFERENCES supply.merchant (merchant_id), 
    CONSTRAINT ck_requirement_state CHECK (state IN ('attested', 'verified', 'rejected', 'waived'))
)
;;
CREATE TABLE core.webhook_attempt (
    endpoint_id BIGINT NOT NULL, 
    event_id BIGINT NOT NULL, 
    attempt_no INTEGER NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    status SMALLINT, 
    duration_ms INTEGER NOT NULL, 
    answer TEXT NOT NULL, 
    error TEXT, 
    CONSTRAINT pk_webhook_attempt PRIMARY KEY (endpoint_id, event_id, attempt_no), 
    CONSTRAINT fk_webhook_attempt_endpoint_id_event_id FOREIGN KEY(endpoint_id, event_id) REFERENCES core.webhook_delivery (endpoint_id, event_id) ON DELETE CASCADE
)
;;
CREATE TABLE demand.refund_line (
    merchant_id BIGINT NOT NULL, 
    refund_id BIGINT NOT NULL, 
    line_no SMALLINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    goods_minor BIGINT NOT NULL, 
    freight_minor BIGINT NOT NULL, 
    merchant_goods_minor BIGINT NOT NULL, 
    merchant_freight_minor BIGINT NOT NULL, 
    CONSTRAINT pk_refund_line PRIMARY KEY (merchant_id, refund_id, line_no), 
    CONSTRAINT fk_refund_line_merchant_id_refund_id FOREIGN KEY(merchant_id, refund_id) REFERENCES demand.refund (merchant_id, refund_id), 
    CONSTRAINT ck_refund_line_amounts CHECK (goods_minor >= 0 AND freight_minor >= 0 AND merchant_goods_minor >= 0 AND merchant_freight_minor >= 0)
)
;;
CREATE INDEX ix_refund_line_merchant_id_order_id ON demand.refund_line (merchant_id, order_id)
;;
CREATE TABLE demand.return_line (
    merchant_id BIGINT NOT NULL, 
    return_id BIGINT NOT NULL, 
    line_no SMALLINT NOT NULL, 
    quantity INTEGER NOT NULL, 
    CONSTRAINT pk_return_line PRIMARY KEY (merchant_id, return_id, line_no), 
    CONSTRAINT fk_return_line_merchant_id_return_id FOREIGN KEY(merchant_id, return_id) REFERENCES demand.return_request (merchant_id, return_id), 
    CONSTRAINT ck_return_line_quantity CHECK (quantity > 0)
)
;;
CREATE TABLE demand.shipment_line (
    merchant_id BIGINT NOT NULL, 
    shipment_id BIGINT NOT NULL, 
    line_no SMALLINT NOT NULL, 
    quantity INTEGER NOT NULL, 
    CONSTRAINT pk_shipment_line PRIMARY KEY (merchant_id, shipment_id, line_no), 
    CONSTRAINT fk_shipment_line_merchant_id_shipment_id FOREIGN KEY(merchant_id, shipment_id) REFERENCES demand.shipment (merchant_id, shipment_id), 
    CONSTRAINT ck_shipment_line_quantity CHECK (quantity > 0)
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
CREATE TABLE supply.stock_movement (
    merchant_id BIGINT NOT NULL, 
    product_id BIGINT NOT NULL, 
    movement_no INTEGER NOT NULL, 
    kind TEXT NOT NULL, 
    delta INTEGER NOT NULL, 
    on_hand INTEGER, 
    reserved INTEGER NOT NULL, 
    reason TEXT DEFAULT '' NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_stock_movement PRIMARY KEY (merchant_id, product_id, movement_no), 
    CONSTRAINT fk_stock_movement_merchant_id_product_id FOREIGN KEY(merchant_id, product_id) REFERENCES supply.offer (merchant_id, product_id), 
    CONSTRAINT ck_stock_movement_kind CHECK (kind IN ('counted', 'adjusted', 'uncounted')), 
    CONSTRAINT ck_stock_movement_uncounted CHECK ((kind = 'uncounted') = (on_hand IS NULL))
)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.bank_account TO app_staff, app_worker
;;
ALTER TABLE billing.bank_account ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.bank_account FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.bank_account TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.bank_account TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.bank_account TO app_merchant
;;
CREATE POLICY app_merchant ON billing.bank_account FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
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
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.credit_grant TO app_staff, app_worker
;;
ALTER TABLE billing.credit_grant ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.credit_grant FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.credit_grant TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.credit_grant TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.credit_grant TO app_buyer
;;
CREATE POLICY app_buyer ON billing.credit_grant FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON billing.credit_movement TO app_staff, app_worker
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
GRANT SELECT, INSERT, UPDATE (state, attempts, not_before, error, applied_at) ON billing.inbox_event TO app_staff, app_worker
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
GRANT SELECT, INSERT, UPDATE (state, new_lines, lines, gross_minor, fee_minor, net_minor) ON billing.processor_file TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.processor_line TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.refund_payment TO app_staff, app_worker
;;
ALTER TABLE billing.refund_payment ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.refund_payment FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.refund_payment TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.refund_payment TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.refund_payment TO app_merchant
;;
CREATE POLICY app_merchant ON billing.refund_payment FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.request_window TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.webhook_endpoint TO app_staff, app_worker
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
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.refund_policy TO app_staff, app_worker
;;
GRANT SELECT ON demand.refund_policy TO app_merchant
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.webhook_delivery TO app_staff, app_worker
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
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.dispute TO app_staff, app_worker
;;
ALTER TABLE demand.dispute ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.dispute FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.dispute TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.dispute TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.dispute TO app_merchant
;;
CREATE POLICY app_merchant ON demand.dispute FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON demand.order_event TO app_staff, app_worker
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
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.return_request TO app_staff, app_worker
;;
ALTER TABLE demand.return_request ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.return_request FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.return_request TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.return_request TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.return_request TO app_merchant
;;
CREATE POLICY app_merchant ON demand.return_request FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.shipment TO app_staff, app_worker
;;
ALTER TABLE demand.shipment ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.shipment FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.shipment TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.shipment TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.shipment TO app_merchant
;;
CREATE POLICY app_merchant ON demand.shipment FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.requirement TO app_staff, app_worker
;;
ALTER TABLE supply.requirement ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.requirement FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.requirement TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.requirement TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.requirement TO app_merchant
;;
CREATE POLICY app_merchant ON supply.requirement FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.webhook_attempt TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON demand.refund_line TO app_staff, app_worker
;;
ALTER TABLE demand.refund_line ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.refund_line FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.refund_line TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.refund_line TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.refund_line TO app_merchant
;;
CREATE POLICY app_merchant ON demand.refund_line FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON demand.return_line TO app_staff, app_worker
;;
ALTER TABLE demand.return_line ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.return_line FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.return_line TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.return_line TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.return_line TO app_merchant
;;
CREATE POLICY app_merchant ON demand.return_line FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON demand.shipment_line TO app_staff, app_worker
;;
ALTER TABLE demand.shipment_line ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.shipment_line FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.shipment_line TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.shipment_line TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.shipment_line TO app_merchant
;;
CREATE POLICY app_merchant ON demand.shipment_line FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
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
;;
GRANT SELECT, INSERT ON supply.stock_movement TO app_staff, app_worker
;;
ALTER TABLE supply.stock_movement ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.stock_movement FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.stock_movement TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.stock_movement TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.stock_movement TO app_merchant
;;
CREATE POLICY app_merchant ON supply.stock_movement FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
