CREATE TABLE billing.rerating (
    rerating_id BIGINT NOT NULL, 
    from_on DATE NOT NULL, 
    merchant_id BIGINT, 
    state TEXT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    approved_by TEXT, 
    approved_at TIMESTAMP WITH TIME ZONE, 
    single_operator BOOLEAN DEFAULT 'false' NOT NULL, 
    CONSTRAINT pk_rerating PRIMARY KEY (rerating_id), 
    CONSTRAINT ck_rerating_state CHECK (state IN ('proposed', 'posted')), 
    CONSTRAINT ck_rerating_approved CHECK ((state = 'posted') = (approved_at IS NOT NULL))
)
;;
CREATE TABLE billing.rerating_line (
    merchant_id BIGINT NOT NULL, 
    rerating_id BIGINT NOT NULL, 
    month DATE NOT NULL, 
    currency TEXT NOT NULL, 
    orders BIGINT NOT NULL, 
    expected_commission_minor BIGINT NOT NULL, 
    issued_commission_minor BIGINT NOT NULL, 
    expected_vat_minor BIGINT NOT NULL, 
    issued_vat_minor BIGINT NOT NULL, 
    CONSTRAINT pk_rerating_line PRIMARY KEY (merchant_id, rerating_id, month, currency), 
    CONSTRAINT ck_rerating_line_orders CHECK (orders > 0)
)
;;
CREATE INDEX ix_rerating_line_rerating_id_merchant_id ON billing.rerating_line (rerating_id, merchant_id)
;;
CREATE TABLE billing.run_charge (
    merchant_id BIGINT NOT NULL, 
    charge_id BIGINT NOT NULL, 
    run_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    contract_id BIGINT NOT NULL, 
    minimum_minor BIGINT NOT NULL, 
    commission_minor BIGINT NOT NULL, 
    fee_minor BIGINT NOT NULL, 
    vat_minor BIGINT NOT NULL, 
    state TEXT NOT NULL, 
    CONSTRAINT pk_run_charge PRIMARY KEY (merchant_id, charge_id), 
    CONSTRAINT ck_run_charge_amounts CHECK (fee_minor > 0 AND vat_minor >= 0), 
    CONSTRAINT ck_run_charge_state CHECK (state IN ('due', 'posted', 'reversed'))
)
;;
CREATE INDEX ix_run_charge_merchant_id_run_id ON billing.run_charge (merchant_id, run_id)
;;
CREATE TABLE billing.commission_adjustment (
    merchant_id BIGINT NOT NULL, 
    adjustment_id BIGINT NOT NULL, 
    rerating_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    CONSTRAINT pk_commission_adjustment PRIMARY KEY (merchant_id, adjustment_id), 
    CONSTRAINT fk_commission_adjustment_merchant_id_order_id FOREIGN KEY(merchant_id, order_id) REFERENCES demand.merchant_order (merchant_id, order_id)
)
;;
CREATE INDEX ix_commission_adjustment_merchant_id_rerating_id ON billing.commission_adjustment (merchant_id, rerating_id)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.rerating TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.rerating_line TO app_staff, app_worker
;;
ALTER TABLE billing.rerating_line ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.rerating_line FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.rerating_line TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.rerating_line TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.rerating_line TO app_merchant
;;
CREATE POLICY app_merchant ON billing.rerating_line FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.run_charge TO app_staff, app_worker
;;
ALTER TABLE billing.run_charge ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.run_charge FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.run_charge TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.run_charge TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.run_charge TO app_merchant
;;
CREATE POLICY app_merchant ON billing.run_charge FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.commission_adjustment TO app_staff, app_worker
;;
ALTER TABLE billing.commission_adjustment ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.commission_adjustment FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.commission_adjustment TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.commission_adjustment TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.commission_adjustment TO app_merchant
;;
CREATE POLICY app_merchant ON billing.commission_adjustment FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
