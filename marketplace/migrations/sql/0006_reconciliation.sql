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
CREATE TABLE billing.fee_schedule (
    processor_id BIGINT NOT NULL, 
    version INTEGER NOT NULL, 
    from_on DATE NOT NULL, 
    fees JSONB NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    approved_by TEXT, 
    approved_at TIMESTAMP WITH TIME ZONE, 
    single_operator BOOLEAN DEFAULT 'false' NOT NULL, 
    CONSTRAINT pk_fee_schedule PRIMARY KEY (processor_id, version), 
    CONSTRAINT ck_fee_schedule_approved CHECK ((approved_by IS NULL) = (approved_at IS NULL))
)
;;
CREATE TABLE billing.match_account (
    account TEXT NOT NULL, 
    book TEXT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    processor_id BIGINT, 
    calendar TEXT NOT NULL, 
    lag_days INTEGER NOT NULL, 
    from_on DATE NOT NULL, 
    set_by TEXT NOT NULL, 
    set_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_match_account PRIMARY KEY (account), 
    CONSTRAINT ck_match_account_book CHECK (book IN ('bank', 'processor')), 
    CONSTRAINT ck_match_account_processor CHECK ((book = 'processor') = (processor_id IS NOT NULL)), 
    CONSTRAINT ck_match_account_lag CHECK (lag_days BETWEEN 0 AND 60)
)
;;
CREATE TABLE billing.match_group (
    group_id BIGINT NOT NULL, 
    run_id BIGINT, 
    proposal_id BIGINT, 
    stage TEXT NOT NULL, 
    rules_version INTEGER NOT NULL, 
    score INTEGER NOT NULL, 
    reasons TEXT[] NOT NULL, 
    book TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    theirs BIGINT[] NOT NULL, 
    ours BIGINT[] NOT NULL, 
    residue_minor BIGINT NOT NULL, 
    residue_kind TEXT DEFAULT '' NOT NULL, 
    reverses_id BIGINT, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_match_group PRIMARY KEY (group_id), 
    CONSTRAINT ck_match_group_stage CHECK (stage IN ('exact', 'explained', 'batch', 'subset', 'likely', 'manual', 'unmatch')), 
    CONSTRAINT ck_match_group_reverses CHECK ((stage = 'unmatch') = (reverses_id IS NOT NULL)), 
    CONSTRAINT ck_match_group_residue_kind CHECK (residue_kind IN ('', 'fee', 'exchange', 'rounding')), 
    CONSTRAINT ck_match_group_residue CHECK ((residue_minor = 0) = (residue_kind = '')), 
    CONSTRAINT ck_match_group_sides CHECK (cardinality(theirs) > 0 AND cardinality(ours) > 0)
)
;;
CREATE UNIQUE INDEX uq_match_group_reverses ON billing.match_group (reverses_id) WHERE reverses_id IS NOT NULL
;;
CREATE TABLE billing.match_holiday (
    calendar TEXT NOT NULL, 
    day DATE NOT NULL, 
    CONSTRAINT pk_match_holiday PRIMARY KEY (calendar, day)
)
;;
CREATE TABLE billing.match_item (
    item_id BIGINT NOT NULL, 
    book TEXT NOT NULL, 
    side TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    owner_id BIGINT NOT NULL, 
    source_id BIGINT NOT NULL, 
    part INTEGER DEFAULT '0' NOT NULL, 
    entity_id INTEGER NOT NULL, 
    processor_id BIGINT, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    fee_minor BIGINT, 
    reference TEXT NOT NULL, 
    batch_ref TEXT NOT NULL, 
    keys TEXT[] NOT NULL, 
    party TEXT NOT NULL, 
    party_account TEXT NOT NULL, 
    words TEXT NOT NULL, 
    day DATE NOT NULL, 
    expected_on DATE NOT NULL, 
    sort_key TEXT NOT NULL, 
    booked BOOLEAN NOT NULL, 
    booked_as BIGINT, 
    suspense_id BIGINT, 
    group_id BIGINT, 
    CONSTRAINT pk_match_item PRIMARY KEY (item_id), 
    CONSTRAINT ck_match_item_book CHECK (book IN ('bank', 'processor')), 
    CONSTRAINT ck_match_item_side CHECK (side IN ('theirs', 'ours')), 
    CONSTRAINT ck_match_item_suspense CHECK (suspense_id IS NULL OR (side = 'theirs' AND group_id IS NULL)), 
    CONSTRAINT uq_match_item_kind_owner_id_source_id_part UNIQUE (kind, owner_id, source_id, part)
)
;;
CREATE INDEX ix_match_item_batch ON billing.match_item (batch_ref) WHERE batch_ref <> '' AND side = 'ours'
;;
CREATE INDEX ix_match_item_open ON billing.match_item (book, side, currency) WHERE group_id IS NULL
;;
CREATE INDEX ix_match_item_reference ON billing.match_item (reference)
;;
CREATE TABLE billing.match_proposal (
    proposal_id BIGINT NOT NULL, 
    action TEXT NOT NULL, 
    theirs BIGINT[] NOT NULL, 
    ours BIGINT[] NOT NULL, 
    group_id BIGINT, 
    reason TEXT NOT NULL, 
    state TEXT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    decided_by TEXT, 
    decided_at TIMESTAMP WITH TIME ZONE, 
    single_operator BOOLEAN DEFAULT 'false' NOT NULL, 
    CONSTRAINT pk_match_proposal PRIMARY KEY (proposal_id), 
    CONSTRAINT ck_match_proposal_action CHECK (action IN ('match', 'unmatch')), 
    CONSTRAINT ck_match_proposal_state CHECK (state IN ('proposed', 'approved', 'rejected')), 
    CONSTRAINT ck_match_proposal_decided CHECK ((state = 'proposed') = (decided_by IS NULL))
)
;;
CREATE TABLE billing.match_rules (
    version INTEGER NOT NULL, 
    rules JSONB NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    approved_by TEXT, 
    approved_at TIMESTAMP WITH TIME ZONE, 
    single_operator BOOLEAN DEFAULT 'false' NOT NULL, 
    CONSTRAINT pk_match_rules PRIMARY KEY (version), 
    CONSTRAINT ck_match_rules_approved CHECK ((approved_by IS NULL) = (approved_at IS NULL))
)
;;
CREATE TABLE billing.match_run (
    run_id BIGINT NOT NULL, 
    rules_version INTEGER NOT NULL, 
    state TEXT NOT NULL, 
    found JSONB NOT NULL, 
    started_by TEXT NOT NULL, 
    started_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    ended_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_match_run PRIMARY KEY (run_id), 
    CONSTRAINT ck_match_run_state CHECK (state IN ('running', 'done'))
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
CREATE TABLE billing.recon_break (
    break_id BIGINT NOT NULL, 
    subject TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    state TEXT NOT NULL, 
    item_id BIGINT, 
    other_id BIGINT, 
    entity_id INTEGER, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    detail TEXT NOT NULL, 
    expected_on DATE NOT NULL, 
    respond_by TIMESTAMP WITH TIME ZONE NOT NULL, 
    owner TEXT, 
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    closed_at TIMESTAMP WITH TIME ZONE, 
    asked_by TEXT, 
    reason TEXT DEFAULT '' NOT NULL, 
    decided_by TEXT, 
    single_operator BOOLEAN DEFAULT 'false' NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_recon_break PRIMARY KEY (break_id), 
    CONSTRAINT ck_recon_break_kind CHECK (kind IN ('expected', 'missing_external', 'missing_internal', 'amount', 'fee_variance', 'fx_variance', 'currency', 'status', 'duplicate_external', 'duplicate_internal', 'split_incomplete', 'cut_off', 'unidentified_receipt', 'payout_returned', 'control_imbalance', 'statement_gap')), 
    CONSTRAINT ck_recon_break_state CHECK (state IN ('open', 'accepting', 'accepted', 'writing_off', 'written_off', 'closed')), 
    CONSTRAINT ck_recon_break_closed CHECK ((state IN ('closed', 'written_off')) = (closed_at IS NOT NULL))
)
;;
CREATE INDEX ix_recon_break_state_break_id ON billing.recon_break (state, break_id)
;;
CREATE UNIQUE INDEX uq_recon_break_live ON billing.recon_break (subject) WHERE closed_at IS NULL
;;
CREATE TABLE billing.write_off_limit (
    entity_id INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    accountant_minor BIGINT NOT NULL, 
    controller_minor BIGINT NOT NULL, 
    set_by TEXT NOT NULL, 
    set_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_write_off_limit PRIMARY KEY (entity_id, currency), 
    CONSTRAINT ck_write_off_limit_order CHECK (accountant_minor BETWEEN 0 AND controller_minor)
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
CREATE TABLE billing.recon_break_step (
    break_id BIGINT NOT NULL, 
    step_no INTEGER NOT NULL, 
    what TEXT NOT NULL, 
    words TEXT NOT NULL, 
    detail JSONB NOT NULL, 
    actor TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_recon_break_step PRIMARY KEY (break_id, step_no), 
    CONSTRAINT fk_recon_break_step_break_id FOREIGN KEY(break_id) REFERENCES billing.recon_break (break_id)
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
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.fee_schedule TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.match_account TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.match_group TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.match_holiday TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.match_item TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.match_proposal TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.match_rules TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.match_run TO app_staff, app_worker
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
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.recon_break TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.write_off_limit TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.bank_file_part TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.bank_statement TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.period_seal TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.recon_break_step TO app_staff, app_worker
