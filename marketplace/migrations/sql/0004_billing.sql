CREATE TABLE billing.debtor_account (
    entity_id INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    holder TEXT NOT NULL, 
    scheme TEXT NOT NULL, 
    number TEXT NOT NULL, 
    routing TEXT NOT NULL, 
    set_by TEXT NOT NULL, 
    set_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_debtor_account PRIMARY KEY (entity_id, currency), 
    CONSTRAINT ck_debtor_account_scheme CHECK (scheme IN ('iban', 'other'))
)
;;
CREATE TABLE billing.payout_carried (
    merchant_id BIGINT NOT NULL, 
    run_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    why TEXT NOT NULL, 
    limit_minor BIGINT, 
    CONSTRAINT pk_payout_carried PRIMARY KEY (merchant_id, run_id, currency), 
    CONSTRAINT ck_payout_carried_amount CHECK (amount_minor > 0), 
    CONSTRAINT ck_payout_carried_why CHECK (why IN ('minimum', 'on_hold')), 
    CONSTRAINT ck_payout_carried_minimum CHECK ((why = 'minimum') = (limit_minor IS NOT NULL))
)
;;
CREATE TABLE billing.payout_file (
    file_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    pay_on DATE NOT NULL, 
    holder TEXT NOT NULL, 
    scheme TEXT NOT NULL, 
    number TEXT NOT NULL, 
    routing TEXT NOT NULL, 
    payouts INTEGER NOT NULL, 
    total_minor BIGINT NOT NULL, 
    state TEXT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    approved_by TEXT, 
    approved_at TIMESTAMP WITH TIME ZONE, 
    cancelled_by TEXT, 
    cancelled_at TIMESTAMP WITH TIME ZONE, 
    cancel_reason TEXT, 
    CONSTRAINT pk_payout_file PRIMARY KEY (file_id), 
    CONSTRAINT ck_payout_file_state CHECK (state IN ('made', 'approved', 'cancelled')), 
    CONSTRAINT ck_payout_file_approved CHECK (state <> 'approved' OR approved_at IS NOT NULL), 
    CONSTRAINT ck_payout_file_cancelled CHECK ((state = 'cancelled') = (cancelled_at IS NOT NULL))
)
;;
CREATE TABLE billing.payout_hold (
    merchant_id BIGINT NOT NULL, 
    hold_id BIGINT NOT NULL, 
    reason TEXT NOT NULL, 
    placed_by TEXT NOT NULL, 
    placed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    released_by TEXT, 
    released_at TIMESTAMP WITH TIME ZONE, 
    release_reason TEXT, 
    CONSTRAINT pk_payout_hold PRIMARY KEY (merchant_id, hold_id), 
    CONSTRAINT ck_payout_hold_released CHECK ((released_at IS NULL) = (released_by IS NULL))
)
;;
CREATE UNIQUE INDEX uq_payout_hold_live ON billing.payout_hold (merchant_id) WHERE released_at IS NULL
;;
CREATE TABLE billing.payout_terms (
    merchant_id BIGINT NOT NULL, 
    terms_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    minimum_minor BIGINT NOT NULL, 
    reserve_ppm INTEGER NOT NULL, 
    reserve_days INTEGER NOT NULL, 
    reason TEXT NOT NULL, 
    state TEXT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    approved_by TEXT, 
    approved_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_payout_terms PRIMARY KEY (merchant_id, terms_id), 
    CONSTRAINT ck_payout_terms_minimum CHECK (minimum_minor >= 0), 
    CONSTRAINT ck_payout_terms_reserve CHECK (reserve_ppm BETWEEN 0 AND 999999 AND reserve_days >= 0), 
    CONSTRAINT ck_payout_terms_reserve_days CHECK ((reserve_ppm > 0) = (reserve_days > 0)), 
    CONSTRAINT ck_payout_terms_state CHECK (state IN ('proposed', 'active', 'replaced', 'rejected'))
)
;;
CREATE UNIQUE INDEX uq_payout_terms_active ON billing.payout_terms (merchant_id, currency) WHERE state = 'active'
;;
CREATE UNIQUE INDEX uq_payout_terms_proposed ON billing.payout_terms (merchant_id, currency) WHERE state = 'proposed'
;;
CREATE TABLE billing.payout_file_line (
    merchant_id BIGINT NOT NULL, 
    payout_id BIGINT NOT NULL, 
    file_id BIGINT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    holder TEXT NOT NULL, 
    scheme TEXT NOT NULL, 
    number TEXT NOT NULL, 
    routing TEXT NOT NULL, 
    CONSTRAINT pk_payout_file_line PRIMARY KEY (merchant_id, payout_id, file_id), 
    CONSTRAINT fk_payout_file_line_merchant_id_payout_id FOREIGN KEY(merchant_id, payout_id) REFERENCES billing.payout (merchant_id, payout_id)
)
;;
CREATE INDEX ix_payout_file_line_file_id_merchant_id_payout_id ON billing.payout_file_line (file_id, merchant_id, payout_id)
;;
CREATE TABLE billing.payout_reserve (
    merchant_id BIGINT NOT NULL, 
    payout_id BIGINT NOT NULL, 
    terms_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    base_minor BIGINT NOT NULL, 
    held_minor BIGINT NOT NULL, 
    held_on DATE NOT NULL, 
    release_on DATE NOT NULL, 
    state TEXT NOT NULL, 
    CONSTRAINT pk_payout_reserve PRIMARY KEY (merchant_id, payout_id), 
    CONSTRAINT fk_payout_reserve_merchant_id_payout_id FOREIGN KEY(merchant_id, payout_id) REFERENCES billing.payout (merchant_id, payout_id), 
    CONSTRAINT ck_payout_reserve_amounts CHECK (base_minor >= 0 AND held_minor >= 0), 
    CONSTRAINT ck_payout_reserve_state CHECK (state IN ('held', 'released', 'cancelled'))
)
;;
CREATE INDEX ix_payout_reserve_due ON billing.payout_reserve (release_on) WHERE state = 'held'
;;
CREATE INDEX ix_payout_reserve_merchant_id_terms_id ON billing.payout_reserve (merchant_id, terms_id)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.debtor_account TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payout_carried TO app_staff, app_worker
;;
ALTER TABLE billing.payout_carried ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payout_carried FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payout_carried TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payout_carried TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payout_carried TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payout_carried FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payout_file TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payout_hold TO app_staff, app_worker
;;
ALTER TABLE billing.payout_hold ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payout_hold FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payout_hold TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payout_hold TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payout_hold TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payout_hold FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payout_terms TO app_staff, app_worker
;;
ALTER TABLE billing.payout_terms ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payout_terms FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payout_terms TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payout_terms TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payout_terms TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payout_terms FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payout_file_line TO app_staff, app_worker
;;
ALTER TABLE billing.payout_file_line ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payout_file_line FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payout_file_line TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payout_file_line TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payout_file_line TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payout_file_line FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payout_reserve TO app_staff, app_worker
;;
ALTER TABLE billing.payout_reserve ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payout_reserve FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payout_reserve TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payout_reserve TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payout_reserve TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payout_reserve FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
