CREATE TABLE billing.payer (
    payer_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    email TEXT DEFAULT '' NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    created_by TEXT NOT NULL, 
    CONSTRAINT pk_payer PRIMARY KEY (payer_id), 
    CONSTRAINT uq_payer_name UNIQUE (name), 
    CONSTRAINT ck_payer_kind CHECK (kind IN ('brand', 'bank', 'insurer', 'government', 'distributor'))
)
;;
CREATE TABLE billing.payer_cap (
    payer_id BIGINT NOT NULL, 
    contract_id BIGINT NOT NULL, 
    period_from DATE NOT NULL, 
    limit_minor BIGINT NOT NULL, 
    leased_minor BIGINT NOT NULL, 
    CONSTRAINT pk_payer_cap PRIMARY KEY (payer_id, contract_id, period_from), 
    CONSTRAINT ck_payer_cap_leased CHECK (leased_minor BETWEEN 0 AND limit_minor)
)
;;
CREATE TABLE billing.payer_claim (
    payer_id BIGINT NOT NULL, 
    claim_id BIGINT NOT NULL, 
    contract_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    claim_no INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    through DATE NOT NULL, 
    lines INTEGER NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    fee_minor BIGINT NOT NULL, 
    vat_minor BIGINT NOT NULL, 
    rejected_minor BIGINT DEFAULT '0' NOT NULL, 
    remitted_minor BIGINT DEFAULT '0' NOT NULL, 
    sent_on DATE NOT NULL, 
    due_on DATE NOT NULL, 
    dunning_level SMALLINT DEFAULT '0' NOT NULL, 
    dunned_at TIMESTAMP WITH TIME ZONE, 
    sent_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    sent_by TEXT NOT NULL, 
    CONSTRAINT pk_payer_claim PRIMARY KEY (payer_id, claim_id), 
    CONSTRAINT uq_payer_claim_payer_id_entity_id_claim_no UNIQUE (payer_id, entity_id, claim_no)
)
;;
CREATE INDEX ix_payer_claim_due_on_claim_id ON billing.payer_claim (due_on, claim_id)
;;
CREATE TABLE billing.payer_series (
    payer_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    last_no INTEGER NOT NULL, 
    CONSTRAINT pk_payer_series PRIMARY KEY (payer_id, entity_id)
)
;;
CREATE TABLE billing.payer_claim_line (
    payer_id BIGINT NOT NULL, 
    claim_id BIGINT NOT NULL, 
    line_no INTEGER NOT NULL, 
    merchant_id BIGINT NOT NULL, 
    source TEXT NOT NULL, 
    source_id BIGINT NOT NULL, 
    source_ref TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    fee_minor BIGINT NOT NULL, 
    vat_minor BIGINT NOT NULL, 
    rejected_minor BIGINT DEFAULT '0' NOT NULL, 
    fee_back_minor BIGINT DEFAULT '0' NOT NULL, 
    reclaimed_minor BIGINT DEFAULT '0' NOT NULL, 
    remitted_minor BIGINT DEFAULT '0' NOT NULL, 
    CONSTRAINT pk_payer_claim_line PRIMARY KEY (payer_id, claim_id, line_no), 
    CONSTRAINT fk_payer_claim_line_payer_id_claim_id FOREIGN KEY(payer_id, claim_id) REFERENCES billing.payer_claim (payer_id, claim_id), 
    CONSTRAINT ck_payer_claim_line_source CHECK (source IN ('order', 'charge', 'promotion', 'claim')), 
    CONSTRAINT ck_payer_claim_line_rejected CHECK (rejected_minor BETWEEN 0 AND greatest(amount_minor, 0) AND reclaimed_minor BETWEEN 0 AND rejected_minor)
)
;;
CREATE TABLE billing.payer_contract (
    contract_id BIGINT NOT NULL, 
    payer_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    pays TEXT NOT NULL, 
    cap_period TEXT NOT NULL, 
    CONSTRAINT pk_payer_contract PRIMARY KEY (contract_id), 
    CONSTRAINT uq_payer_contract_name UNIQUE (name), 
    CONSTRAINT fk_payer_contract_payer_id FOREIGN KEY(payer_id) REFERENCES billing.payer (payer_id), 
    CONSTRAINT ck_payer_contract_pays CHECK (pays IN ('order', 'charges', 'promotion')), 
    CONSTRAINT ck_payer_contract_cap_period CHECK (cap_period IN ('day', 'month', 'whole'))
)
;;
CREATE TABLE billing.payer_lease (
    payer_id BIGINT NOT NULL, 
    contract_id BIGINT NOT NULL, 
    period_from DATE NOT NULL, 
    shard SMALLINT NOT NULL, 
    granted_minor BIGINT NOT NULL, 
    used_minor BIGINT NOT NULL, 
    CONSTRAINT pk_payer_lease PRIMARY KEY (payer_id, contract_id, period_from, shard), 
    CONSTRAINT fk_payer_lease_payer_id_contract_id_period_from FOREIGN KEY(payer_id, contract_id, period_from) REFERENCES billing.payer_cap (payer_id, contract_id, period_from), 
    CONSTRAINT ck_payer_lease_used CHECK (used_minor BETWEEN 0 AND granted_minor)
)
 WITH (fillfactor = 50)
;;
CREATE TABLE billing.payer_rejection (
    payer_id BIGINT NOT NULL, 
    rejection_id BIGINT NOT NULL, 
    claim_id BIGINT NOT NULL, 
    line_no INTEGER NOT NULL, 
    kind TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    fee_minor BIGINT NOT NULL, 
    reason TEXT NOT NULL, 
    booked_on DATE NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_payer_rejection PRIMARY KEY (payer_id, rejection_id), 
    CONSTRAINT fk_payer_rejection_payer_id_claim_id FOREIGN KEY(payer_id, claim_id) REFERENCES billing.payer_claim (payer_id, claim_id), 
    CONSTRAINT ck_payer_rejection_kind CHECK (kind IN ('rejected', 'reclaimed') AND amount_minor > 0)
)
;;
CREATE INDEX ix_payer_rejection_payer_id_claim_id ON billing.payer_rejection (payer_id, claim_id)
;;
CREATE TABLE billing.payer_remittance (
    payer_id BIGINT NOT NULL, 
    remittance_id BIGINT NOT NULL, 
    claim_id BIGINT NOT NULL, 
    bank_ref TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    received_on DATE NOT NULL, 
    line_nos INTEGER[] NOT NULL, 
    line_minor BIGINT[] NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_payer_remittance PRIMARY KEY (payer_id, remittance_id), 
    CONSTRAINT fk_payer_remittance_payer_id_claim_id FOREIGN KEY(payer_id, claim_id) REFERENCES billing.payer_claim (payer_id, claim_id), 
    CONSTRAINT uq_payer_remittance_payer_id_bank_ref_claim_id UNIQUE (payer_id, bank_ref, claim_id), 
    CONSTRAINT ck_payer_remittance_amount CHECK (amount_minor > 0)
)
;;
CREATE TABLE billing.payer_version (
    version_id BIGINT NOT NULL, 
    contract_id BIGINT NOT NULL, 
    payer_id BIGINT NOT NULL, 
    valid_from DATE NOT NULL, 
    valid_until DATE, 
    terms JSONB NOT NULL, 
    applied_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    applied_by TEXT NOT NULL, 
    CONSTRAINT pk_payer_version PRIMARY KEY (version_id), 
    CONSTRAINT uq_payer_version_contract_id_valid_from UNIQUE (contract_id, valid_from), 
    CONSTRAINT fk_payer_version_contract_id FOREIGN KEY(contract_id) REFERENCES billing.payer_contract (contract_id), 
    CONSTRAINT ck_payer_version_validity CHECK (valid_until > valid_from)
)
;;
CREATE TABLE billing.payer_share (
    merchant_id BIGINT NOT NULL, 
    source TEXT NOT NULL, 
    source_id BIGINT NOT NULL, 
    contract_id BIGINT NOT NULL, 
    version_id BIGINT NOT NULL, 
    payer_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    source_ref TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    state TEXT NOT NULL, 
    period_from DATE NOT NULL, 
    shard SMALLINT NOT NULL, 
    line_nos SMALLINT[] NOT NULL, 
    line_minor BIGINT[] NOT NULL, 
    line_back_minor BIGINT[] NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    back_minor BIGINT DEFAULT '0' NOT NULL, 
    rejected_minor BIGINT DEFAULT '0' NOT NULL, 
    rejected_back_minor BIGINT DEFAULT '0' NOT NULL, 
    claimed_minor BIGINT DEFAULT '0' NOT NULL, 
    fee_minor BIGINT DEFAULT '0' NOT NULL, 
    vat_minor BIGINT DEFAULT '0' NOT NULL, 
    remitted_minor BIGINT DEFAULT '0' NOT NULL, 
    held_minor BIGINT DEFAULT '0' NOT NULL, 
    claimable_on DATE, 
    reserved_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_payer_share PRIMARY KEY (merchant_id, source, source_id, contract_id), 
    CONSTRAINT fk_payer_share_contract_id FOREIGN KEY(contract_id) REFERENCES billing.payer_contract (contract_id), 
    CONSTRAINT fk_payer_share_version_id FOREIGN KEY(version_id) REFERENCES billing.payer_version (version_id), 
    CONSTRAINT ck_payer_share_source CHECK (source IN ('order', 'charge', 'promotion')), 
    CONSTRAINT ck_payer_share_state CHECK (state IN ('reserved', 'committed', 'released')), 
    CONSTRAINT ck_payer_share_amounts CHECK (amount_minor > 0 AND back_minor BETWEEN 0 AND amount_minor), 
    CONSTRAINT ck_payer_share_rejected CHECK (rejected_back_minor BETWEEN 0 AND rejected_minor AND rejected_minor <= amount_minor AND held_minor >= 0), 
    CONSTRAINT ck_payer_share_lines CHECK (cardinality(line_nos) = cardinality(line_minor) AND cardinality(line_nos) = cardinality(line_back_minor))
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_payer_share_claimable ON billing.payer_share (contract_id, claimable_on) WHERE claimable_on IS NOT NULL
;;
CREATE INDEX ix_payer_share_version ON billing.payer_share (version_id)
;;
CREATE TABLE billing.payer_back (
    merchant_id BIGINT NOT NULL, 
    refund_id BIGINT NOT NULL, 
    contract_id BIGINT NOT NULL, 
    undone BOOLEAN NOT NULL, 
    source TEXT NOT NULL, 
    source_id BIGINT NOT NULL, 
    line_nos SMALLINT[] NOT NULL, 
    line_minor BIGINT[] NOT NULL, 
    payer_minor BIGINT NOT NULL, 
    rejected_back_minor BIGINT NOT NULL, 
    CONSTRAINT pk_payer_back PRIMARY KEY (merchant_id, refund_id, contract_id, undone), 
    CONSTRAINT fk_payer_back_merchant_id_source_source_id_contract_id FOREIGN KEY(merchant_id, source, source_id, contract_id) REFERENCES billing.payer_share (merchant_id, source, source_id, contract_id)
)
;;
CREATE INDEX ix_payer_back_merchant_id_source_id ON billing.payer_back (merchant_id, source_id)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payer TO app_staff, app_worker
;;
ALTER TABLE billing.payer ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer TO app_payer
;;
CREATE POLICY app_payer ON billing.payer FOR SELECT TO app_payer USING (payer_id = nullif(current_setting('app.payer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payer_cap TO app_staff, app_worker
;;
ALTER TABLE billing.payer_cap ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_cap FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_cap TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_cap TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_cap TO app_payer
;;
CREATE POLICY app_payer ON billing.payer_cap FOR SELECT TO app_payer USING (payer_id = nullif(current_setting('app.payer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payer_claim TO app_staff, app_worker
;;
ALTER TABLE billing.payer_claim ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_claim FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_claim TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_claim TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_claim TO app_payer
;;
CREATE POLICY app_payer ON billing.payer_claim FOR SELECT TO app_payer USING (payer_id = nullif(current_setting('app.payer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payer_series TO app_staff, app_worker
;;
ALTER TABLE billing.payer_series ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_series FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_series TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_series TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_series TO app_payer
;;
CREATE POLICY app_payer ON billing.payer_series FOR SELECT TO app_payer USING (payer_id = nullif(current_setting('app.payer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payer_claim_line TO app_staff, app_worker
;;
ALTER TABLE billing.payer_claim_line ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_claim_line FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_claim_line TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_claim_line TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_claim_line TO app_payer
;;
CREATE POLICY app_payer ON billing.payer_claim_line FOR SELECT TO app_payer USING (payer_id = nullif(current_setting('app.payer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payer_contract TO app_staff, app_worker
;;
ALTER TABLE billing.payer_contract ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_contract FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_contract TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_contract TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_contract TO app_payer
;;
CREATE POLICY app_payer ON billing.payer_contract FOR SELECT TO app_payer USING (payer_id = nullif(current_setting('app.payer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payer_lease TO app_staff, app_worker
;;
ALTER TABLE billing.payer_lease ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_lease FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_lease TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_lease TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_lease TO app_payer
;;
CREATE POLICY app_payer ON billing.payer_lease FOR SELECT TO app_payer USING (payer_id = nullif(current_setting('app.payer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON billing.payer_rejection TO app_staff, app_worker
;;
ALTER TABLE billing.payer_rejection ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_rejection FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_rejection TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_rejection TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_rejection TO app_payer
;;
CREATE POLICY app_payer ON billing.payer_rejection FOR SELECT TO app_payer USING (payer_id = nullif(current_setting('app.payer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payer_remittance TO app_staff, app_worker
;;
ALTER TABLE billing.payer_remittance ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_remittance FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_remittance TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_remittance TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_remittance TO app_payer
;;
CREATE POLICY app_payer ON billing.payer_remittance FOR SELECT TO app_payer USING (payer_id = nullif(current_setting('app.payer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payer_version TO app_staff, app_worker
;;
ALTER TABLE billing.payer_version ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_version FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_version TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_version TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_version TO app_payer
;;
CREATE POLICY app_payer ON billing.payer_version FOR SELECT TO app_payer USING (payer_id = nullif(current_setting('app.payer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payer_share TO app_staff, app_worker
;;
ALTER TABLE billing.payer_share ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_share FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_share TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_share TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_share TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payer_share FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON billing.payer_back TO app_staff, app_worker
;;
ALTER TABLE billing.payer_back ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_back FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_back TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_back TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_back TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payer_back FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
