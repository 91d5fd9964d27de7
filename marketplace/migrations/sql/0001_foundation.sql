CREATE SCHEMA core
;;
CREATE SCHEMA supply
;;
CREATE SCHEMA demand
;;
CREATE SCHEMA billing
;;
CREATE OR REPLACE FUNCTION billing.is_balanced(amounts bigint[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    amount bigint;
    total numeric := 0;
BEGIN
    FOREACH amount IN ARRAY amounts LOOP
        IF amount IS NULL OR amount = 0 THEN
            RETURN false;
        END IF;
        total := total + amount;
    END LOOP;
    RETURN total = 0;
END $$
;;
CREATE OR REPLACE FUNCTION billing.at_rate(amount bigint, rate_ppm bigint, reached_ppm bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    (amount / 1000000 * rate_ppm + reached_ppm / 1000000) + (amount % 1000000 * rate_ppm + reached_ppm % 1000000) / 1000000
    + CASE WHEN (amount % 1000000 * rate_ppm + reached_ppm % 1000000) % 1000000 > 500000 THEN 1
           WHEN (amount % 1000000 * rate_ppm + reached_ppm % 1000000) % 1000000 = 500000 THEN ((amount / 1000000 * rate_ppm + reached_ppm / 1000000) + (amount % 1000000 * rate_ppm + reached_ppm % 1000000) / 1000000) % 2
           ELSE 0 END
;;
CREATE AGGREGATE billing.total(bigint) (sfunc = int8pl, stype = bigint, initcond = 0, parallel = safe)
;;
CREATE OR REPLACE FUNCTION billing.tiered(base bigint, base_before bigint,
    tier_from bigint[], tier_rate_ppm integer[], tier_reached_ppm bigint[]) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    tier integer := width_bucket(base_before + base, tier_from);
    tier_before integer := width_bucket(base_before, tier_from);
BEGIN
    RETURN billing.at_rate(base_before + base - tier_from[tier], tier_rate_ppm[tier], tier_reached_ppm[tier])
        - billing.at_rate(base_before - tier_from[tier_before], tier_rate_ppm[tier_before],
                          tier_reached_ppm[tier_before]);
END $$
;;
CREATE TABLE billing.account (
    code INTEGER NOT NULL, 
    name TEXT NOT NULL, 
    nature TEXT NOT NULL, 
    dimension TEXT, 
    CONSTRAINT pk_account PRIMARY KEY (code), 
    CONSTRAINT ck_account_nature CHECK (nature IN ('asset', 'liability', 'revenue', 'expense'))
)
;;
CREATE TABLE billing.account_day (
    merchant_id BIGINT NOT NULL, 
    account INTEGER NOT NULL, 
    dimension BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    effective_on DATE NOT NULL, 
    debit_minor BIGINT NOT NULL, 
    credit_minor BIGINT NOT NULL, 
    lines BIGINT NOT NULL, 
    first_entry_no BIGINT NOT NULL, 
    last_entry_no BIGINT NOT NULL, 
    CONSTRAINT pk_account_day PRIMARY KEY (merchant_id, account, dimension, currency, effective_on)
)
;;
CREATE INDEX ix_account_day_account_effective_on_merchant_id ON billing.account_day (account, effective_on, merchant_id)
;;
CREATE TABLE billing.balance_snapshot (
    merchant_id BIGINT NOT NULL, 
    upto_entry_no BIGINT NOT NULL, 
    account INTEGER NOT NULL, 
    dimension BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    balance_minor BIGINT NOT NULL, 
    CONSTRAINT pk_balance_snapshot PRIMARY KEY (merchant_id, upto_entry_no, account, dimension, currency)
)
;;
CREATE TABLE billing.billing_run (
    run_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    from_on DATE NOT NULL, 
    to_on DATE NOT NULL, 
    payout_on DATE NOT NULL, 
    state TEXT NOT NULL, 
    batch_id BIGINT, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    approved_by TEXT, 
    approved_at TIMESTAMP WITH TIME ZONE, 
    single_operator BOOLEAN DEFAULT 'false' NOT NULL, 
    finalised_at TIMESTAMP WITH TIME ZONE, 
    reversed_by TEXT, 
    reversed_at TIMESTAMP WITH TIME ZONE, 
    closed_before DATE, 
    CONSTRAINT pk_billing_run PRIMARY KEY (run_id), 
    CONSTRAINT ck_billing_run_period CHECK (to_on > from_on), 
    CONSTRAINT ck_billing_run_state CHECK (state IN ('draft', 'previewed', 'approved', 'finalising', 'finalised', 'reversing', 'reversed', 'aborted'))
)
;;
CREATE UNIQUE INDEX uq_billing_run_live ON billing.billing_run (entity_id, from_on) WHERE state NOT IN ('reversed', 'aborted')
;;
CREATE TABLE billing.billing_window (
    merchant_id BIGINT NOT NULL, 
    charge TEXT NOT NULL, 
    to_on DATE NOT NULL, 
    follows_on DATE, 
    from_on DATE NOT NULL, 
    run_id BIGINT NOT NULL, 
    CONSTRAINT pk_billing_window PRIMARY KEY (merchant_id, charge, to_on), 
    CONSTRAINT fk_billing_window_chain FOREIGN KEY(merchant_id, charge, follows_on) REFERENCES billing.billing_window (merchant_id, charge, to_on), 
    CONSTRAINT uq_billing_window_chain UNIQUE NULLS NOT DISTINCT (merchant_id, charge, follows_on), 
    CONSTRAINT ck_billing_window_forward CHECK (to_on > from_on), 
    CONSTRAINT ck_billing_window_contiguous CHECK (follows_on IS NULL OR follows_on = from_on)
)
;;
CREATE TABLE billing.billing_window_history (
    merchant_id BIGINT NOT NULL, 
    charge TEXT NOT NULL, 
    to_on DATE NOT NULL, 
    run_id BIGINT NOT NULL, 
    from_on DATE NOT NULL, 
    reversed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    reversed_by TEXT NOT NULL, 
    CONSTRAINT pk_billing_window_history PRIMARY KEY (merchant_id, charge, to_on, run_id)
)
;;
CREATE TABLE billing.book_day (
    entity_id INTEGER NOT NULL, 
    account INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    effective_on DATE NOT NULL, 
    debit_minor BIGINT NOT NULL, 
    credit_minor BIGINT NOT NULL, 
    lines BIGINT NOT NULL, 
    CONSTRAINT pk_book_day PRIMARY KEY (entity_id, account, currency, effective_on)
)
;;
CREATE TABLE billing.commission_line (
    merchant_id BIGINT NOT NULL, 
    entry_no BIGINT NOT NULL, 
    contract_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    occurred_on DATE NOT NULL, 
    effective_on DATE NOT NULL, 
    currency TEXT NOT NULL, 
    goods_minor BIGINT NOT NULL, 
    freight_minor BIGINT NOT NULL, 
    discount_minor BIGINT NOT NULL, 
    base_minor BIGINT NOT NULL, 
    commission_minor BIGINT NOT NULL, 
    vat_minor BIGINT NOT NULL, 
    CONSTRAINT pk_commission_line PRIMARY KEY (merchant_id, entry_no, contract_id), 
    CONSTRAINT ck_commission_line_kind CHECK (kind IN ('sale', 'refund'))
)
;;
CREATE INDEX ix_commission_line_merchant_id_order_id ON billing.commission_line (merchant_id, order_id)
;;
CREATE TABLE billing.commission_month (
    merchant_id BIGINT NOT NULL, 
    month DATE NOT NULL, 
    contract_id BIGINT NOT NULL, 
    base_minor BIGINT NOT NULL, 
    commission_minor BIGINT NOT NULL, 
    vat_minor BIGINT NOT NULL, 
    CONSTRAINT pk_commission_month PRIMARY KEY (merchant_id, month, contract_id)
)
;;
CREATE TABLE billing.contract (
    contract_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    valid_from DATE NOT NULL, 
    valid_until DATE, 
    negotiated BOOLEAN NOT NULL, 
    categories TEXT[], 
    base TEXT NOT NULL, 
    rate_ppm INTEGER, 
    tier_from_minor BIGINT[], 
    tier_rate_ppm INTEGER[], 
    tier_reached_ppm BIGINT[], 
    fixed_minor BIGINT NOT NULL, 
    min_minor BIGINT, 
    max_minor BIGINT, 
    vat_ppm INTEGER NOT NULL, 
    applied_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    applied_by TEXT NOT NULL, 
    CONSTRAINT pk_contract PRIMARY KEY (contract_id), 
    CONSTRAINT uq_contract_name_valid_from UNIQUE (name, valid_from), 
    CONSTRAINT ck_contract_validity CHECK (valid_until > valid_from), 
    CONSTRAINT ck_contract_base CHECK (base IN ('goods', 'goods_and_freight')), 
    CONSTRAINT ck_contract_rate CHECK ((rate_ppm IS NULL) = (tier_from_minor IS NOT NULL)), 
    CONSTRAINT ck_contract_ppm CHECK (rate_ppm BETWEEN 0 AND 1000000 AND vat_ppm BETWEEN 0 AND 1000000)
)
;;
CREATE TABLE billing.contract_merchant (
    merchant_id BIGINT NOT NULL, 
    contract_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    terms JSONB NOT NULL, 
    CONSTRAINT pk_contract_merchant PRIMARY KEY (merchant_id, contract_id)
)
;;
CREATE TABLE billing.contract_merchant_ref (
    contract_id BIGINT NOT NULL, 
    merchant_ref TEXT NOT NULL, 
    CONSTRAINT pk_contract_merchant_ref PRIMARY KEY (contract_id, merchant_ref)
)
;;
CREATE INDEX ix_contract_merchant_ref_merchant_ref ON billing.contract_merchant_ref (merchant_ref)
;;
CREATE TABLE billing.data_import (
    import_id BIGINT NOT NULL, 
    source TEXT NOT NULL, 
    digest BYTEA NOT NULL, 
    summary TEXT NOT NULL, 
    imported_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    imported_by TEXT NOT NULL, 
    CONSTRAINT pk_data_import PRIMARY KEY (import_id), 
    CONSTRAINT uq_data_import_digest UNIQUE (digest)
)
;;
CREATE TABLE billing.entity (
    entity_id INTEGER NOT NULL, 
    name TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    zone TEXT NOT NULL, 
    house_merchant_id BIGINT NOT NULL, 
    closed_through DATE, 
    CONSTRAINT pk_entity PRIMARY KEY (entity_id), 
    CONSTRAINT uq_entity_house_merchant_id UNIQUE (house_merchant_id)
)
;;
CREATE TABLE billing.entry (
    merchant_id BIGINT NOT NULL, 
    entry_no BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    source_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    effective_on DATE NOT NULL, 
    prior_period BOOLEAN NOT NULL, 
    accounts INTEGER[] NOT NULL, 
    dimensions BIGINT[] NOT NULL, 
    amounts BIGINT[] NOT NULL, 
    posted_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    posted_by TEXT NOT NULL, 
    CONSTRAINT pk_entry PRIMARY KEY (merchant_id, entry_no), 
    CONSTRAINT uq_entry_merchant_id_kind_source_id UNIQUE (merchant_id, kind, source_id), 
    CONSTRAINT ck_entry_legs CHECK (cardinality(accounts) >= 2 AND cardinality(accounts) = cardinality(amounts) AND cardinality(dimensions) = cardinality(amounts)), 
    CONSTRAINT ck_entry_accounts_named CHECK (array_position(accounts, NULL) IS NULL), 
    CONSTRAINT ck_entry_dimensions_named CHECK (array_position(dimensions, NULL) IS NULL), 
    CONSTRAINT ck_entry_balanced CHECK (billing.is_balanced(amounts))
)
;;
CREATE TABLE billing.ledger_head (
    merchant_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    last_entry_no BIGINT DEFAULT '0' NOT NULL, 
    closed_through DATE, 
    CONSTRAINT pk_ledger_head PRIMARY KEY (merchant_id)
)
 WITH (fillfactor = 70)
;;
CREATE TABLE billing.ledger_roll (
    merchant_id BIGINT NOT NULL, 
    rolled_no BIGINT NOT NULL, 
    rolling_no BIGINT NOT NULL, 
    CONSTRAINT pk_ledger_roll PRIMARY KEY (merchant_id)
)
 WITH (fillfactor = 70)
;;
CREATE TABLE billing.parked_order (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    order_ref TEXT NOT NULL, 
    reason TEXT NOT NULL, 
    parked_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_parked_order PRIMARY KEY (merchant_id, order_id)
)
;;
CREATE TABLE billing.payment_line (
    order_ref TEXT NOT NULL, 
    line_no SMALLINT NOT NULL, 
    processor_id BIGINT NOT NULL, 
    method TEXT NOT NULL, 
    instalments SMALLINT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    paid_on DATE NOT NULL, 
    import_id BIGINT NOT NULL, 
    CONSTRAINT pk_payment_line PRIMARY KEY (order_ref, line_no), 
    CONSTRAINT ck_payment_line_amount CHECK (amount_minor >= 0)
)
;;
CREATE TABLE billing.payment_share (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    line_no SMALLINT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    CONSTRAINT pk_payment_share PRIMARY KEY (merchant_id, order_id, line_no)
)
;;
CREATE TABLE billing.payout (
    merchant_id BIGINT NOT NULL, 
    payout_id BIGINT NOT NULL, 
    run_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    instructed_on DATE NOT NULL, 
    state TEXT NOT NULL, 
    CONSTRAINT pk_payout PRIMARY KEY (merchant_id, payout_id), 
    CONSTRAINT ck_payout_amount CHECK (amount_minor > 0), 
    CONSTRAINT ck_payout_state CHECK (state IN ('instructed', 'confirmed', 'returned', 'cancelled'))
)
;;
CREATE TABLE billing.processor (
    processor_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    CONSTRAINT pk_processor PRIMARY KEY (processor_id), 
    CONSTRAINT uq_processor_name UNIQUE (name)
)
;;
CREATE TABLE billing.statement (
    merchant_id BIGINT NOT NULL, 
    run_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    from_on DATE NOT NULL, 
    to_on DATE NOT NULL, 
    to_no BIGINT NOT NULL, 
    orders BIGINT NOT NULL, 
    opening_minor BIGINT NOT NULL, 
    goods_minor BIGINT NOT NULL, 
    freight_minor BIGINT NOT NULL, 
    discount_minor BIGINT NOT NULL, 
    refund_minor BIGINT NOT NULL, 
    commission_minor BIGINT NOT NULL, 
    vat_minor BIGINT NOT NULL, 
    incentive_minor BIGINT NOT NULL, 
    ads_minor BIGINT NOT NULL, 
    products_minor BIGINT NOT NULL, 
    other_minor BIGINT NOT NULL, 
    payout_minor BIGINT NOT NULL, 
    closing_minor BIGINT NOT NULL, 
    state TEXT NOT NULL, 
    reason TEXT, 
    CONSTRAINT pk_statement PRIMARY KEY (merchant_id, run_id, currency), 
    CONSTRAINT ck_statement_state CHECK (state IN ('preview', 'final', 'parked', 'reversed')), 
    CONSTRAINT ck_statement_ties CHECK (state = 'parked' OR closing_minor = opening_minor + goods_minor + freight_minor + discount_minor + refund_minor + commission_minor + vat_minor + incentive_minor + ads_minor + products_minor + other_minor + payout_minor)
)
;;
CREATE INDEX ix_statement_merchant_id_from_on ON billing.statement (merchant_id, from_on)
;;
CREATE INDEX ix_statement_run_id_merchant_id_currency ON billing.statement (run_id, merchant_id, currency)
;;
CREATE TABLE core.app_user (
    user_id BIGINT NOT NULL, 
    login TEXT NOT NULL, 
    name TEXT NOT NULL, 
    password_hash TEXT, 
    roles TEXT[] NOT NULL, 
    merchant_id BIGINT, 
    locale TEXT DEFAULT 'en' NOT NULL, 
    active BOOLEAN DEFAULT 'true' NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_app_user PRIMARY KEY (user_id), 
    CONSTRAINT ck_app_user_has_role CHECK (cardinality(roles) > 0), 
    CONSTRAINT uq_app_user_login UNIQUE (login)
)
;;
CREATE TABLE core.audit (
    audit_id BIGINT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    action TEXT NOT NULL, 
    subject TEXT NOT NULL, 
    detail JSONB NOT NULL, 
    single_operator BOOLEAN DEFAULT 'false' NOT NULL, 
    CONSTRAINT pk_audit PRIMARY KEY (audit_id)
)
;;
CREATE INDEX ix_audit_subject_audit_id ON core.audit (subject, audit_id)
;;
CREATE TABLE core.id_block (
    noun TEXT NOT NULL, 
    last_id BIGINT NOT NULL, 
    CONSTRAINT pk_id_block PRIMARY KEY (noun)
)
;;
CREATE TABLE core.idempotency_key (
    actor TEXT NOT NULL, 
    key TEXT NOT NULL, 
    fingerprint BYTEA NOT NULL, 
    status SMALLINT, 
    headers JSONB, 
    body BYTEA, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_idempotency_key PRIMARY KEY (actor, key)
)
;;
CREATE TABLE core.outbox (
    event_id BIGINT NOT NULL, 
    topic TEXT NOT NULL, 
    merchant_id BIGINT, 
    payload JSONB NOT NULL, 
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    dispatched_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_outbox PRIMARY KEY (event_id)
)
;;
CREATE INDEX ix_outbox_waiting ON core.outbox (event_id) WHERE dispatched_at IS NULL
;;
CREATE TABLE core.policy (
    name TEXT NOT NULL, 
    value JSONB NOT NULL, 
    set_by TEXT NOT NULL, 
    set_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_policy PRIMARY KEY (name)
)
;;
CREATE UNLOGGED TABLE core.sign_in_attempt (
    subject TEXT NOT NULL, 
    window_starts_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    failures INTEGER NOT NULL, 
    CONSTRAINT pk_sign_in_attempt PRIMARY KEY (subject)
)
;;
CREATE TABLE core.work_batch (
    batch_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    parameters JSONB NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    closed_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_work_batch PRIMARY KEY (batch_id)
)
;;
CREATE TABLE demand.buyer (
    buyer_id BIGINT NOT NULL, 
    buyer_ref TEXT NOT NULL, 
    city TEXT DEFAULT '' NOT NULL, 
    region TEXT DEFAULT '' NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_buyer PRIMARY KEY (buyer_id)
)
;;
CREATE TABLE demand.buyer_ref (
    buyer_ref TEXT NOT NULL, 
    buyer_id BIGINT NOT NULL, 
    CONSTRAINT pk_buyer_ref PRIMARY KEY (buyer_ref)
)
;;
CREATE TABLE demand.merchant_order (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    order_ref TEXT NOT NULL, 
    purchase_id BIGINT NOT NULL, 
    buyer_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    store_id BIGINT, 
    currency TEXT NOT NULL, 
    state TEXT NOT NULL, 
    goods_minor BIGINT NOT NULL, 
    freight_minor BIGINT NOT NULL, 
    discount_minor BIGINT DEFAULT '0' NOT NULL, 
    placed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    purchased_on DATE NOT NULL, 
    delivered_at TIMESTAMP WITH TIME ZONE, 
    delivered_on DATE, 
    CONSTRAINT pk_merchant_order PRIMARY KEY (merchant_id, order_id), 
    CONSTRAINT uq_merchant_order_merchant_id_order_ref UNIQUE (merchant_id, order_ref), 
    CONSTRAINT ck_merchant_order_state CHECK (state IN ('placed', 'paid', 'delivered', 'cancelled')), 
    CONSTRAINT ck_merchant_order_delivered CHECK ((delivered_at IS NULL) = (delivered_on IS NULL)), 
    CONSTRAINT ck_merchant_order_amounts CHECK (goods_minor >= 0 AND freight_minor >= 0 AND discount_minor >= 0), 
    CONSTRAINT ck_merchant_order_discount CHECK (discount_minor <= goods_minor)
)
 WITH (fillfactor = 90)
;;
CREATE INDEX ix_merchant_order_merchant_id_placed_at ON demand.merchant_order (merchant_id, placed_at)
;;
CREATE INDEX ix_merchant_order_placed_at_merchant_id_order_id ON demand.merchant_order (placed_at, merchant_id, order_id)
;;
CREATE TABLE demand.order_due (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    contract_id BIGINT NOT NULL, 
    settles_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    settles_on DATE NOT NULL, 
    goods_minor BIGINT NOT NULL, 
    freight_minor BIGINT NOT NULL, 
    discount_minor BIGINT NOT NULL, 
    order_ref TEXT NOT NULL, 
    CONSTRAINT pk_order_due PRIMARY KEY (merchant_id, order_id, contract_id), 
    CONSTRAINT ck_order_due_amounts CHECK (discount_minor BETWEEN 0 AND goods_minor AND freight_minor >= 0)
)
;;
CREATE INDEX ix_order_due_odd ON demand.order_due (merchant_id, order_id) WHERE contract_id = 0 OR goods_minor - discount_minor + freight_minor = 0
;;
CREATE TABLE demand.purchase (
    buyer_id BIGINT NOT NULL, 
    purchase_id BIGINT NOT NULL, 
    order_ref TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    source_state TEXT NOT NULL, 
    placed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_purchase PRIMARY KEY (buyer_id, purchase_id)
)
;;
CREATE TABLE demand.purchase_ref (
    order_ref TEXT NOT NULL, 
    purchase_id BIGINT NOT NULL, 
    buyer_id BIGINT NOT NULL, 
    CONSTRAINT pk_purchase_ref PRIMARY KEY (order_ref)
)
;;
CREATE TABLE supply.category (
    category TEXT NOT NULL, 
    name_en TEXT NOT NULL, 
    CONSTRAINT pk_category PRIMARY KEY (category)
)
;;
CREATE TABLE supply.merchant (
    merchant_id BIGINT NOT NULL, 
    merchant_ref TEXT NOT NULL, 
    name TEXT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    state TEXT DEFAULT 'live' NOT NULL, 
    city TEXT DEFAULT '' NOT NULL, 
    region TEXT DEFAULT '' NOT NULL, 
    joined_on DATE, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_merchant PRIMARY KEY (merchant_id), 
    CONSTRAINT ck_merchant_state CHECK (state IN ('onboarding', 'live', 'suspended', 'closed'))
)
;;
CREATE TABLE supply.merchant_ref (
    merchant_ref TEXT NOT NULL, 
    merchant_id BIGINT NOT NULL, 
    CONSTRAINT pk_merchant_ref PRIMARY KEY (merchant_ref), 
    CONSTRAINT uq_merchant_ref_merchant_id UNIQUE (merchant_id)
)
;;
CREATE TABLE supply.product (
    product_id BIGINT NOT NULL, 
    product_ref TEXT NOT NULL, 
    category TEXT, 
    CONSTRAINT pk_product PRIMARY KEY (product_id), 
    CONSTRAINT uq_product_product_ref UNIQUE (product_ref)
)
;;
CREATE TABLE billing.payout_item (
    merchant_id BIGINT NOT NULL, 
    payout_id BIGINT NOT NULL, 
    run_id BIGINT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    CONSTRAINT pk_payout_item PRIMARY KEY (merchant_id, payout_id, run_id), 
    CONSTRAINT fk_payout_item_merchant_id_payout_id FOREIGN KEY(merchant_id, payout_id) REFERENCES billing.payout (merchant_id, payout_id) ON DELETE CASCADE
)
;;
CREATE TABLE core.api_key (
    key_id TEXT NOT NULL, 
    user_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    secret_hash BYTEA NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE, 
    revoked_at TIMESTAMP WITH TIME ZONE, 
    last_used_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_api_key PRIMARY KEY (key_id), 
    CONSTRAINT fk_api_key_user_id FOREIGN KEY(user_id) REFERENCES core.app_user (user_id) ON DELETE CASCADE
)
;;
CREATE INDEX ix_api_key_user_id ON core.api_key (user_id)
;;
CREATE TABLE core.session (
    token_hash BYTEA NOT NULL, 
    user_id BIGINT NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    last_seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    address TEXT NOT NULL, 
    user_agent TEXT NOT NULL, 
    CONSTRAINT pk_session PRIMARY KEY (token_hash), 
    CONSTRAINT fk_session_user_id FOREIGN KEY(user_id) REFERENCES core.app_user (user_id) ON DELETE CASCADE
)
;;
CREATE INDEX ix_session_user_id ON core.session (user_id)
;;
CREATE TABLE core.work_item (
    batch_id BIGINT NOT NULL, 
    item_no INTEGER NOT NULL, 
    payload JSONB NOT NULL, 
    state TEXT DEFAULT 'todo' NOT NULL, 
    attempts INTEGER DEFAULT '0' NOT NULL, 
    not_before TIMESTAMP WITH TIME ZONE, 
    result JSONB, 
    error TEXT, 
    CONSTRAINT pk_work_item PRIMARY KEY (batch_id, item_no), 
    CONSTRAINT fk_work_item_batch_id FOREIGN KEY(batch_id) REFERENCES core.work_batch (batch_id) ON DELETE CASCADE, 
    CONSTRAINT ck_work_item_state CHECK (state IN ('todo', 'done', 'parked'))
)
;;
CREATE INDEX ix_work_item_todo ON core.work_item (batch_id, item_no) WHERE state = 'todo'
;;
CREATE TABLE demand.order_line (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    line_no SMALLINT NOT NULL, 
    product_id BIGINT, 
    category TEXT, 
    quantity INTEGER NOT NULL, 
    goods_minor BIGINT NOT NULL, 
    freight_minor BIGINT NOT NULL, 
    discount_minor BIGINT DEFAULT '0' NOT NULL, 
    refunded_goods_minor BIGINT DEFAULT '0' NOT NULL, 
    refunded_freight_minor BIGINT DEFAULT '0' NOT NULL, 
    contract_id BIGINT, 
    CONSTRAINT pk_order_line PRIMARY KEY (merchant_id, order_id, line_no), 
    CONSTRAINT fk_order_line_merchant_id_order_id FOREIGN KEY(merchant_id, order_id) REFERENCES demand.merchant_order (merchant_id, order_id), 
    CONSTRAINT ck_order_line_quantity CHECK (quantity > 0), 
    CONSTRAINT ck_order_line_amounts CHECK (goods_minor >= 0 AND freight_minor >= 0 AND discount_minor BETWEEN 0 AND goods_minor), 
    CONSTRAINT ck_order_line_refunded CHECK (refunded_goods_minor BETWEEN 0 AND goods_minor - discount_minor AND refunded_freight_minor BETWEEN 0 AND freight_minor)
)
 WITH (fillfactor = 90)
;;
CREATE INDEX ix_order_line_without_contract ON demand.order_line (merchant_id, order_id) WHERE contract_id IS NULL
;;
CREATE TABLE demand.refund (
    merchant_id BIGINT NOT NULL, 
    refund_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    goods_minor BIGINT NOT NULL, 
    freight_minor BIGINT NOT NULL, 
    reason TEXT NOT NULL, 
    refunded_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_refund PRIMARY KEY (merchant_id, refund_id), 
    CONSTRAINT fk_refund_merchant_id_order_id FOREIGN KEY(merchant_id, order_id) REFERENCES demand.merchant_order (merchant_id, order_id), 
    CONSTRAINT ck_refund_amounts CHECK (goods_minor >= 0 AND freight_minor >= 0 AND goods_minor + freight_minor > 0)
)
;;
CREATE INDEX ix_refund_merchant_id_order_id ON demand.refund (merchant_id, order_id)
;;
CREATE TABLE supply.offer (
    merchant_id BIGINT NOT NULL, 
    product_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    price_minor BIGINT NOT NULL, 
    state TEXT DEFAULT 'listed' NOT NULL, 
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_offer PRIMARY KEY (merchant_id, product_id), 
    CONSTRAINT fk_offer_merchant_id FOREIGN KEY(merchant_id) REFERENCES supply.merchant (merchant_id), 
    CONSTRAINT ck_offer_price CHECK (price_minor >= 0), 
    CONSTRAINT ck_offer_state CHECK (state IN ('listed', 'hidden'))
)
;;
CREATE TABLE supply.store (
    merchant_id BIGINT NOT NULL, 
    store_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    CONSTRAINT pk_store PRIMARY KEY (merchant_id, store_id), 
    CONSTRAINT fk_store_merchant_id FOREIGN KEY(merchant_id) REFERENCES supply.merchant (merchant_id)
)
;;
CREATE VIEW billing.posting WITH (security_invoker = true) AS
SELECT e.merchant_id, e.entry_no, leg.leg_no::integer AS leg_no, e.kind, e.source_id, e.entity_id, e.currency,
       e.occurred_at, e.effective_on, e.prior_period, leg.account, leg.dimension, leg.amount AS amount_minor
FROM billing.entry e,
     unnest(e.accounts, e.dimensions, e.amounts) WITH ORDINALITY AS leg (account, dimension, amount, leg_no)
;;
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_merchant') THEN CREATE ROLE app_merchant LOGIN NOBYPASSRLS; END IF; END $$
;;
GRANT app_merchant TO CURRENT_USER
;;
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_buyer') THEN CREATE ROLE app_buyer LOGIN NOBYPASSRLS; END IF; END $$
;;
GRANT app_buyer TO CURRENT_USER
;;
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_payer') THEN CREATE ROLE app_payer LOGIN NOBYPASSRLS; END IF; END $$
;;
GRANT app_payer TO CURRENT_USER
;;
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_staff') THEN CREATE ROLE app_staff LOGIN NOBYPASSRLS; END IF; END $$
;;
GRANT app_staff TO CURRENT_USER
;;
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_worker') THEN CREATE ROLE app_worker LOGIN NOBYPASSRLS; END IF; END $$
;;
GRANT app_worker TO CURRENT_USER
;;
GRANT USAGE ON SCHEMA core TO app_merchant, app_buyer, app_payer, app_staff, app_worker
;;
GRANT USAGE ON SCHEMA supply TO app_merchant, app_buyer, app_payer, app_staff, app_worker
;;
GRANT USAGE ON SCHEMA demand TO app_merchant, app_buyer, app_payer, app_staff, app_worker
;;
GRANT USAGE ON SCHEMA billing TO app_merchant, app_buyer, app_payer, app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.account TO app_staff, app_worker
;;
GRANT SELECT ON billing.account TO app_merchant
;;
GRANT SELECT ON billing.account TO app_payer
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.account_day TO app_staff, app_worker
;;
ALTER TABLE billing.account_day ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.account_day FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.account_day TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.account_day TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.account_day TO app_merchant
;;
CREATE POLICY app_merchant ON billing.account_day FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.balance_snapshot TO app_staff, app_worker
;;
ALTER TABLE billing.balance_snapshot ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.balance_snapshot FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.balance_snapshot TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.balance_snapshot TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.balance_snapshot TO app_merchant
;;
CREATE POLICY app_merchant ON billing.balance_snapshot FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.billing_run TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.billing_window TO app_staff, app_worker
;;
ALTER TABLE billing.billing_window ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.billing_window FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.billing_window TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.billing_window TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.billing_window TO app_merchant
;;
CREATE POLICY app_merchant ON billing.billing_window FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.billing_window_history TO app_staff, app_worker
;;
ALTER TABLE billing.billing_window_history ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.billing_window_history FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.billing_window_history TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.billing_window_history TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.billing_window_history TO app_merchant
;;
CREATE POLICY app_merchant ON billing.billing_window_history FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.book_day TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.commission_line TO app_staff, app_worker
;;
ALTER TABLE billing.commission_line ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.commission_line FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.commission_line TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.commission_line TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.commission_line TO app_merchant
;;
CREATE POLICY app_merchant ON billing.commission_line FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.commission_month TO app_staff, app_worker
;;
ALTER TABLE billing.commission_month ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.commission_month FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.commission_month TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.commission_month TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.commission_month TO app_merchant
;;
CREATE POLICY app_merchant ON billing.commission_month FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.contract TO app_staff, app_worker
;;
ALTER TABLE billing.contract ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.contract FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.contract TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.contract TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.contract TO app_merchant
;;
CREATE POLICY app_merchant ON billing.contract FOR SELECT TO app_merchant USING (NOT negotiated)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.contract_merchant TO app_staff, app_worker
;;
ALTER TABLE billing.contract_merchant ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.contract_merchant FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.contract_merchant TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.contract_merchant TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.contract_merchant TO app_merchant
;;
CREATE POLICY app_merchant ON billing.contract_merchant FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.contract_merchant_ref TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.data_import TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.entity TO app_staff, app_worker
;;
GRANT SELECT ON billing.entity TO app_merchant
;;
GRANT SELECT, INSERT ON billing.entry TO app_staff, app_worker
;;
ALTER TABLE billing.entry ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.entry FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.entry TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.entry TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.entry TO app_merchant
;;
CREATE POLICY app_merchant ON billing.entry FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ledger_head TO app_staff, app_worker
;;
ALTER TABLE billing.ledger_head ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ledger_head FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ledger_head TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ledger_head TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ledger_head TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ledger_head FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ledger_roll TO app_staff, app_worker
;;
ALTER TABLE billing.ledger_roll ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ledger_roll FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ledger_roll TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ledger_roll TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ledger_roll TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ledger_roll FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.parked_order TO app_staff, app_worker
;;
ALTER TABLE billing.parked_order ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.parked_order FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.parked_order TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.parked_order TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.parked_order TO app_merchant
;;
CREATE POLICY app_merchant ON billing.parked_order FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payment_line TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payment_share TO app_staff, app_worker
;;
ALTER TABLE billing.payment_share ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payment_share FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payment_share TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payment_share TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payment_share TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payment_share FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payout TO app_staff, app_worker
;;
ALTER TABLE billing.payout ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payout FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payout TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payout TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payout TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payout FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.processor TO app_staff, app_worker
;;
GRANT SELECT ON billing.processor TO app_merchant
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.statement TO app_staff, app_worker
;;
ALTER TABLE billing.statement ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.statement FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.statement TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.statement TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.statement TO app_merchant
;;
CREATE POLICY app_merchant ON billing.statement FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint AND state IN ('final', 'reversed'))
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.app_user TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON core.audit TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.id_block TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.idempotency_key TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.outbox TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.policy TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.sign_in_attempt TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.work_batch TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.buyer TO app_staff, app_worker
;;
ALTER TABLE demand.buyer ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.buyer FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.buyer TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.buyer TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.buyer TO app_buyer
;;
CREATE POLICY app_buyer ON demand.buyer FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.buyer_ref TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.merchant_order TO app_staff, app_worker
;;
ALTER TABLE demand.merchant_order ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.merchant_order FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.merchant_order TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.merchant_order TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.merchant_order TO app_merchant
;;
CREATE POLICY app_merchant ON demand.merchant_order FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.order_due TO app_staff, app_worker
;;
ALTER TABLE demand.order_due ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.order_due FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.order_due TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.order_due TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.order_due TO app_merchant
;;
CREATE POLICY app_merchant ON demand.order_due FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.purchase TO app_staff, app_worker
;;
ALTER TABLE demand.purchase ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.purchase FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.purchase TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.purchase TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.purchase TO app_buyer
;;
CREATE POLICY app_buyer ON demand.purchase FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.purchase_ref TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.category TO app_staff, app_worker
;;
GRANT SELECT ON supply.category TO app_merchant
;;
GRANT SELECT ON supply.category TO app_buyer
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.merchant TO app_staff, app_worker
;;
ALTER TABLE supply.merchant ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.merchant FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.merchant TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.merchant TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.merchant TO app_merchant
;;
CREATE POLICY app_merchant ON supply.merchant FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.merchant_ref TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.product TO app_staff, app_worker
;;
GRANT SELECT ON supply.product TO app_merchant
;;
GRANT SELECT ON supply.product TO app_buyer
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payout_item TO app_staff, app_worker
;;
ALTER TABLE billing.payout_item ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payout_item FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payout_item TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payout_item TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payout_item TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payout_item FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.api_key TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.session TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.work_item TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.order_line TO app_staff, app_worker
;;
ALTER TABLE demand.order_line ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.order_line FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.order_line TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.order_line TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.order_line TO app_merchant
;;
CREATE POLICY app_merchant ON demand.order_line FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.refund TO app_staff, app_worker
;;
ALTER TABLE demand.refund ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE demand.refund FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON demand.refund TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON demand.refund TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON demand.refund TO app_merchant
;;
CREATE POLICY app_merchant ON demand.refund FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.offer TO app_staff, app_worker
;;
ALTER TABLE supply.offer ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.offer FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.offer TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.offer TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.offer TO app_merchant
;;
CREATE POLICY app_merchant ON supply.offer FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.store TO app_staff, app_worker
;;
ALTER TABLE supply.store ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.store FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.store TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.store TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.store TO app_merchant
;;
CREATE POLICY app_merchant ON supply.store FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT ON billing.posting TO app_staff, app_worker, app_merchant
