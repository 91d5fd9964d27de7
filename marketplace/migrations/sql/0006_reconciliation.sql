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
GRANT SELECT, INSERT, UPDATE (state, format, mapping_id, flaws, statements, lines, stored_lines, new_lines, moved_at) ON billing.bank_file TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.bank_line TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.bank_mapping TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.bank_file_part TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.bank_statement TO app_staff, app_worker
