CREATE TABLE supply.own_sale (
    receipt_ref TEXT NOT NULL, 
    sale_id BIGINT NOT NULL, 
    house_merchant_id BIGINT NOT NULL, 
    buyer TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    processor_id BIGINT NOT NULL, 
    net_minor BIGINT NOT NULL, 
    vat_ppm INTEGER NOT NULL, 
    vat_minor BIGINT NOT NULL, 
    cost_minor BIGINT NOT NULL, 
    serials TEXT[] NOT NULL, 
    sold_on DATE NOT NULL, 
    sold_by TEXT NOT NULL, 
    returned_on DATE, 
    returned_by TEXT, 
    return_reason TEXT, 
    CONSTRAINT pk_own_sale PRIMARY KEY (receipt_ref), 
    CONSTRAINT ck_own_sale_amounts CHECK (net_minor > 0 AND vat_minor >= 0 AND cost_minor > 0), 
    CONSTRAINT ck_own_sale_returned CHECK ((returned_on IS NULL) = (returned_by IS NULL)), 
    CONSTRAINT ck_own_sale_reason CHECK ((returned_on IS NULL) = (return_reason IS NULL))
)
;;
CREATE INDEX ix_own_sale_sale_id ON supply.own_sale (sale_id)
;;
CREATE TABLE billing.payer_document (
    payer_id BIGINT NOT NULL, 
    document_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    claim_id BIGINT NOT NULL, 
    rejection_id BIGINT, 
    kind TEXT NOT NULL, 
    series TEXT NOT NULL, 
    serial BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    from_on DATE NOT NULL, 
    to_on DATE NOT NULL, 
    issued_on DATE NOT NULL, 
    due_on DATE, 
    net_minor BIGINT NOT NULL, 
    vat_minor BIGINT NOT NULL, 
    seller JSONB NOT NULL, 
    buyer JSONB NOT NULL, 
    lines JSONB NOT NULL, 
    taxes JSONB NOT NULL, 
    corrects_id BIGINT, 
    replaces_id BIGINT, 
    state TEXT DEFAULT 'issued' NOT NULL, 
    void_reason TEXT, 
    void_asked_by TEXT, 
    voided_by TEXT, 
    voided_at TIMESTAMP WITH TIME ZONE, 
    issued_by TEXT NOT NULL, 
    issued_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_payer_document PRIMARY KEY (payer_id, document_id), 
    CONSTRAINT fk_payer_document_payer_id_claim_id FOREIGN KEY(payer_id, claim_id) REFERENCES billing.payer_claim (payer_id, claim_id), 
    CONSTRAINT fk_payer_document_payer_id_corrects_id FOREIGN KEY(payer_id, corrects_id) REFERENCES billing.payer_document (payer_id, document_id), 
    CONSTRAINT fk_payer_document_payer_id_replaces_id FOREIGN KEY(payer_id, replaces_id) REFERENCES billing.payer_document (payer_id, document_id), 
    CONSTRAINT uq_payer_document_payer_id_series_serial UNIQUE (payer_id, series, serial), 
    CONSTRAINT uq_payer_document_payer_id_replaces_id UNIQUE (payer_id, replaces_id), 
    CONSTRAINT ck_payer_document_kind CHECK (kind IN ('invoice', 'credit_note')), 
    CONSTRAINT ck_payer_document_gross CHECK (net_minor + vat_minor >= 0), 
    CONSTRAINT ck_payer_document_state CHECK (state IN ('issued', 'void')), 
    CONSTRAINT ck_payer_document_void CHECK ((state = 'void') = (voided_by IS NOT NULL)), 
    CONSTRAINT ck_payer_document_asked CHECK ((void_asked_by IS NULL) = (void_reason IS NULL)), 
    CONSTRAINT ck_payer_document_period CHECK (to_on > from_on)
)
;;
CREATE INDEX ix_payer_document_payer_id_claim_id ON billing.payer_document (payer_id, claim_id)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.own_sale TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE (state, void_reason, void_asked_by, voided_by, voided_at) ON billing.payer_document TO app_staff, app_worker
;;
ALTER TABLE billing.payer_document ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_document FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_document TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_document TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_document TO app_payer
;;
CREATE POLICY app_payer ON billing.payer_document FOR SELECT TO app_payer USING (payer_id = nullif(current_setting('app.payer_id', true), '')::bigint)
