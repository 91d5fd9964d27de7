CREATE TABLE billing.bank_file (
    file_id BIGINT NOT NULL, 
    content_hash BYTEA NOT NULL, 
    name TEXT NOT NULL, 
    size_bytes BIGINT NOT NULL, 
    state TEXT NOT NULL, 
    format TEXT, 
    mapping_id BIGINT, 
    flaws TEXT[] DEFAULT '{}' NOT NULL, 
    statements INTEGER DEFAULT '0' NOT NULL, 
    lines INTEGER DEFAULT '0' NOT NULL, 
    stored_lines INTEGER DEFAULT '0' NOT NULL, 
    new_lines INTEGER DEFAULT '0' NOT NULL, 
    received_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    received_by TEXT NOT NULL, 
    moved_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_bank_file PRIMARY KEY (file_id), 
    CONSTRAINT ck_bank_file_state CHECK (state IN ('arriving', 'kept', 'storing', 'read', 'failed', 'unreadable')), 
    CONSTRAINT ck_bank_file_lines CHECK (new_lines <= stored_lines AND stored_lines <= lines), 
    CONSTRAINT ck_bank_file_whole CHECK (state <> 'read' OR stored_lines = lines), 
    CONSTRAINT uq_bank_file_content_hash UNIQUE (content_hash)
)
;;
CREATE INDEX ix_bank_file_unfinished ON billing.bank_file (moved_at) WHERE state IN ('kept', 'storing')
;;
CREATE TABLE billing.bank_line (
    fingerprint BYTEA NOT NULL, 
    occurrence INTEGER NOT NULL, 
    line_id BIGINT NOT NULL, 
    file_id BIGINT NOT NULL, 
    line_no INTEGER NOT NULL, 
    statement_no INTEGER NOT NULL, 
    position INTEGER NOT NULL, 
    kind TEXT NOT NULL, 
    account TEXT NOT NULL, 
    day DATE NOT NULL, 
    value_day DATE, 
    amount_minor BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    gross_minor BIGINT, 
    fee_minor BIGINT, 
    bank_ref TEXT NOT NULL, 
    end_to_end TEXT NOT NULL, 
    batch_ref TEXT NOT NULL, 
    party TEXT NOT NULL, 
    party_account TEXT NOT NULL, 
    text TEXT NOT NULL, 
    type_code TEXT NOT NULL, 
    booked BOOLEAN NOT NULL, 
    CONSTRAINT pk_bank_line PRIMARY KEY (fingerprint, occurrence), 
    CONSTRAINT ck_bank_line_net CHECK (gross_minor IS NULL OR gross_minor - coalesce(fee_minor, 0) = amount_minor)
)
;;
CREATE INDEX ix_bank_line_account_day ON billing.bank_line (account, day)
;;
CREATE INDEX ix_bank_line_file_id_line_no ON billing.bank_line (file_id, line_no)
;;
CREATE INDEX ix_bank_line_line_id ON billing.bank_line (line_id)
;;
CREATE TABLE billing.bank_mapping (
    mapping_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    version INTEGER NOT NULL, 
    mapping JSONB NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_bank_mapping PRIMARY KEY (mapping_id), 
    CONSTRAINT uq_bank_mapping_name_version UNIQUE (name, version)
)
;;
CREATE TABLE billing.erp_account (
    entity_id INTEGER NOT NULL, 
    account INTEGER NOT NULL, 
    number TEXT NOT NULL, 
    name TEXT NOT NULL, 
    cost_center TEXT NOT NULL, 
    tax_code TEXT NOT NULL, 
    set_by TEXT NOT NULL, 
    set_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_erp_account PRIMARY KEY (entity_id, account), 
    CONSTRAINT ck_erp_account_number CHECK (number <> '')
)
;;
CREATE TABLE billing.period (
    entity_id INTEGER NOT NULL, 
    month_on DATE NOT NULL, 
    state TEXT NOT NULL, 
    prepared_by TEXT, 
    reopening_by TEXT, 
    reopening_reason TEXT, 
    seal_no INTEGER NOT NULL, 
    moved_by TEXT NOT NULL, 
    moved_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_period PRIMARY KEY (entity_id, month_on), 
    CONSTRAINT ck_period_state CHECK (state IN ('open', 'soft_closed', 'closed', 'reopened')), 
    CONSTRAINT ck_period_sealed CHECK (state <> 'closed' OR seal_no > 0), 
    CONSTRAINT ck_period_reopening CHECK ((reopening_by IS NULL) = (reopening_reason IS NULL)), 
    CONSTRAINT ck_period_month CHECK (extract(day FROM month_on) = 1)
)
;;
CREATE TABLE billing.period_approval (
    approval_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    month_on DATE NOT NULL, 
    "check" TEXT NOT NULL, 
    fingerprint TEXT NOT NULL, 
    reason TEXT NOT NULL, 
    asked_by TEXT NOT NULL, 
    asked_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    approved_by TEXT, 
    approved_at TIMESTAMP WITH TIME ZONE, 
    single_operator BOOLEAN NOT NULL, 
    CONSTRAINT pk_period_approval PRIMARY KEY (approval_id), 
    CONSTRAINT ck_period_approval_approved CHECK ((approved_by IS NULL) = (approved_at IS NULL)), 
    CONSTRAINT ck_period_approval_month CHECK (extract(day FROM month_on) = 1)
)
;;
CREATE TABLE billing.period_block (
    merchant_id BIGINT NOT NULL, 
    month_on DATE NOT NULL, 
    seal_no INTEGER NOT NULL, 
    block_no BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    entry_nos BIGINT[] NOT NULL, 
    hashes BYTEA NOT NULL, 
    CONSTRAINT pk_period_block PRIMARY KEY (merchant_id, month_on, seal_no, block_no), 
    CONSTRAINT ck_period_block_hashes CHECK (octet_length(hashes) = 32 * cardinality(entry_nos))
)
;;
CREATE TABLE billing.bank_file_part (
    file_id BIGINT NOT NULL, 
    part_no INTEGER NOT NULL, 
    content BYTEA NOT NULL, 
    CONSTRAINT pk_bank_file_part PRIMARY KEY (file_id, part_no), 
    CONSTRAINT fk_bank_file_part_file_id FOREIGN KEY(file_id) REFERENCES billing.bank_file (file_id)
)
;;
CREATE TABLE billing.bank_statement (
    file_id BIGINT NOT NULL, 
    statement_no INTEGER NOT NULL, 
    kind TEXT NOT NULL, 
    account TEXT NOT NULL, 
    currency TEXT, 
    number TEXT NOT NULL, 
    reference TEXT NOT NULL, 
    from_day DATE, 
    to_day DATE, 
    opening_minor BIGINT, 
    closing_minor BIGINT, 
    lines INTEGER NOT NULL, 
    sum_minor BIGINT, 
    flaws TEXT[] NOT NULL, 
    CONSTRAINT pk_bank_statement PRIMARY KEY (file_id, statement_no), 
    CONSTRAINT ck_bank_statement_kind CHECK (kind IN ('statement', 'interim', 'notification', 'processor')), 
    CONSTRAINT fk_bank_statement_file_id FOREIGN KEY(file_id) REFERENCES billing.bank_file (file_id)
)
;;
CREATE INDEX ix_bank_statement_account_to_day ON billing.bank_statement (account, to_day)
;;
CREATE TABLE billing.period_seal (
    entity_id INTEGER NOT NULL, 
    month_on DATE NOT NULL, 
    seal_no INTEGER NOT NULL, 
    from_on DATE, 
    entries BIGINT NOT NULL, 
    previous BYTEA NOT NULL, 
    digest BYTEA NOT NULL, 
    sealed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    sealed_by TEXT NOT NULL, 
    single_operator BOOLEAN NOT NULL, 
    CONSTRAINT pk_period_seal PRIMARY KEY (entity_id, month_on, seal_no), 
    CONSTRAINT ck_period_seal_sha256 CHECK (octet_length(digest) = 32 AND octet_length(previous) IN (0, 32)), 
    CONSTRAINT fk_period_seal_entity_id_month_on FOREIGN KEY(entity_id, month_on) REFERENCES billing.period (entity_id, month_on)
)
;;
GRANT SELECT, INSERT, UPDATE (state, format, mapping_id, flaws, statements, lines, stored_lines, new_lines, moved_at) ON billing.bank_file TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.bank_line TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.bank_mapping TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.erp_account TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.period TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.period_approval TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.period_block TO app_staff, app_worker
;;
ALTER TABLE billing.period_block ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.period_block FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.period_block TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.period_block TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.period_block TO app_merchant
;;
CREATE POLICY app_merchant ON billing.period_block FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint AND false)
;;
GRANT SELECT, INSERT ON billing.bank_file_part TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.bank_statement TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.period_seal TO app_staff, app_worker
