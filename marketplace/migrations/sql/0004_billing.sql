CREATE TABLE billing.ad_account (
    merchant_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    paid_minor BIGINT DEFAULT '0' NOT NULL, 
    granted_minor BIGINT DEFAULT '0' NOT NULL, 
    held_minor BIGINT DEFAULT '0' NOT NULL, 
    topped_minor BIGINT DEFAULT '0' NOT NULL, 
    vat_minor BIGINT DEFAULT '0' NOT NULL, 
    refunded_minor BIGINT DEFAULT '0' NOT NULL, 
    refunded_vat_minor BIGINT DEFAULT '0' NOT NULL, 
    CONSTRAINT pk_ad_account PRIMARY KEY (merchant_id, currency), 
    CONSTRAINT ck_ad_account_never_overspent CHECK (paid_minor >= 0 AND granted_minor >= 0), 
    CONSTRAINT ck_ad_account_held CHECK (held_minor >= 0 AND held_minor <= paid_minor + granted_minor), 
    CONSTRAINT ck_ad_account_refunded CHECK (refunded_minor <= topped_minor AND refunded_vat_minor <= vat_minor)
)
 WITH (fillfactor = 70)
;;
CREATE TABLE billing.ad_bucket (
    merchant_id BIGINT NOT NULL, 
    campaign_id BIGINT NOT NULL, 
    hour_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    on_day DATE NOT NULL, 
    impressions BIGINT DEFAULT '0' NOT NULL, 
    invalid_impressions BIGINT DEFAULT '0' NOT NULL, 
    clicks BIGINT DEFAULT '0' NOT NULL, 
    invalid_clicks BIGINT DEFAULT '0' NOT NULL, 
    judged_clicks BIGINT DEFAULT '0' NOT NULL, 
    gross_milli BIGINT DEFAULT '0' NOT NULL, 
    invalid_milli BIGINT DEFAULT '0' NOT NULL, 
    rated_milli BIGINT DEFAULT '0' NOT NULL, 
    billed_minor BIGINT DEFAULT '0' NOT NULL, 
    unbilled_minor BIGINT DEFAULT '0' NOT NULL, 
    events_kept TEXT DEFAULT 'all' NOT NULL, 
    CONSTRAINT pk_ad_bucket PRIMARY KEY (merchant_id, campaign_id, hour_at), 
    CONSTRAINT ck_ad_bucket_amounts CHECK (billed_minor >= 0 AND unbilled_minor >= 0), 
    CONSTRAINT ck_ad_bucket_events_kept CHECK (events_kept IN ('all', 'clicks', 'none'))
)
 WITH (fillfactor = 50)
;;
CREATE INDEX ix_ad_bucket_due ON billing.ad_bucket (merchant_id, hour_at) WHERE clicks <> judged_clicks OR gross_milli - invalid_milli <> rated_milli
;;
CREATE INDEX ix_ad_bucket_events ON billing.ad_bucket (hour_at, merchant_id) WHERE events_kept <> 'none'
;;
CREATE INDEX ix_ad_bucket_merchant_id_campaign_id_on_day ON billing.ad_bucket (merchant_id, campaign_id, on_day)
;;
CREATE TABLE billing.ad_campaign_event (
    merchant_id BIGINT NOT NULL, 
    campaign_id BIGINT NOT NULL, 
    event_no INTEGER NOT NULL, 
    move TEXT NOT NULL, 
    state TEXT NOT NULL, 
    party TEXT NOT NULL, 
    actor TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    reason TEXT NOT NULL, 
    CONSTRAINT pk_ad_campaign_event PRIMARY KEY (merchant_id, campaign_id, event_no)
)
;;
CREATE TABLE billing.ad_charge (
    merchant_id BIGINT NOT NULL, 
    charge_id BIGINT NOT NULL, 
    campaign_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    hour_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    on_day DATE NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    granted_minor BIGINT NOT NULL, 
    paid_minor BIGINT NOT NULL, 
    credits_charge_id BIGINT, 
    booking_id BIGINT, 
    rules_version INTEGER NOT NULL, 
    entry_no BIGINT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_ad_charge PRIMARY KEY (merchant_id, charge_id), 
    CONSTRAINT ck_ad_charge_kind CHECK (kind IN ('use', 'slot', 'credit')), 
    CONSTRAINT ck_ad_charge_parts CHECK (amount_minor = granted_minor + paid_minor AND amount_minor <> 0), 
    CONSTRAINT ck_ad_charge_sign CHECK ((kind = 'credit') = (amount_minor < 0)), 
    CONSTRAINT ck_ad_charge_credit CHECK ((kind = 'credit') = (credits_charge_id IS NOT NULL))
)
;;
CREATE INDEX ix_ad_charge_merchant_id_campaign_id_hour_at ON billing.ad_charge (merchant_id, campaign_id, hour_at)
;;
CREATE TABLE billing.ad_event (
    merchant_id BIGINT NOT NULL, 
    event_id TEXT NOT NULL, 
    campaign_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    hour_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    viewer BIGINT NOT NULL, 
    buyer_id BIGINT, 
    price_milli BIGINT NOT NULL, 
    position SMALLINT NOT NULL, 
    verdict TEXT NOT NULL, 
    received_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_ad_event PRIMARY KEY (merchant_id, event_id)
)
;;
CREATE INDEX ix_ad_event_buyer ON billing.ad_event (merchant_id, buyer_id, at) WHERE kind = 'click' AND buyer_id IS NOT NULL
;;
CREATE INDEX ix_ad_event_clicks ON billing.ad_event (merchant_id, campaign_id, hour_at) WHERE kind = 'click'
;;
CREATE INDEX ix_ad_event_hour ON billing.ad_event USING brin (hour_at)
;;
CREATE TABLE billing.ad_grant (
    merchant_id BIGINT NOT NULL, 
    grant_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    reason TEXT NOT NULL, 
    state TEXT DEFAULT 'proposed' NOT NULL, 
    proposed_by TEXT NOT NULL, 
    proposed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    decided_by TEXT, 
    decided_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_ad_grant PRIMARY KEY (merchant_id, grant_id), 
    CONSTRAINT ck_ad_grant_state CHECK (state IN ('proposed', 'approved', 'rejected')), 
    CONSTRAINT ck_ad_grant_amount CHECK (amount_minor > 0)
)
;;
CREATE TABLE billing.ad_key (
    key_id INTEGER NOT NULL, 
    secret BYTEA NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_ad_key PRIMARY KEY (key_id)
)
;;
CREATE TABLE billing.ad_movement (
    merchant_id BIGINT NOT NULL, 
    movement_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    source TEXT NOT NULL, 
    paid_minor BIGINT NOT NULL, 
    granted_minor BIGINT NOT NULL, 
    vat_minor BIGINT NOT NULL, 
    ref TEXT NOT NULL, 
    reason TEXT NOT NULL, 
    entry_no BIGINT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_ad_movement PRIMARY KEY (merchant_id, movement_id), 
    CONSTRAINT ck_ad_movement_kind CHECK (kind IN ('top_up', 'grant', 'refund')), 
    CONSTRAINT ck_ad_movement_source CHECK (source IN ('bank', 'processor', 'earnings', ''))
)
;;
CREATE TABLE billing.ad_order (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    owner TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    zone TEXT NOT NULL, 
    expected_minor BIGINT, 
    expected_on DATE, 
    due_days INTEGER NOT NULL, 
    valid_until DATE, 
    state TEXT DEFAULT 'opportunity' NOT NULL, 
    quoted_at TIMESTAMP WITH TIME ZONE, 
    edited_by TEXT NOT NULL, 
    submitted_by TEXT, 
    pays_by TEXT, 
    evidence TEXT DEFAULT '' NOT NULL, 
    reason TEXT DEFAULT '' NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_ad_order PRIMARY KEY (merchant_id, order_id), 
    CONSTRAINT ck_ad_order_state CHECK (state IN ('opportunity', 'in_review', 'quoted', 'ordered', 'delivering', 'closed', 'lost', 'cancelled')), 
    CONSTRAINT ck_ad_order_pays_by CHECK (pays_by IN ('netting', 'transfer')), 
    CONSTRAINT ck_ad_order_amounts CHECK (expected_minor >= 0 AND due_days >= 0), 
    CONSTRAINT ck_ad_order_quote CHECK (quoted_at IS NULL OR valid_until IS NOT NULL)
)
;;
CREATE INDEX ix_ad_order_pipeline ON billing.ad_order (owner, order_id)
;;
CREATE INDEX ix_ad_order_waiting ON billing.ad_order (state, valid_until) WHERE state IN ('quoted', 'ordered')
;;
CREATE TABLE billing.ad_order_event (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    event_no INTEGER NOT NULL, 
    move TEXT NOT NULL, 
    state TEXT NOT NULL, 
    party TEXT NOT NULL, 
    actor TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    reason TEXT NOT NULL, 
    CONSTRAINT pk_ad_order_event PRIMARY KEY (merchant_id, order_id, event_no)
)
;;
CREATE TABLE billing.ad_placement (
    placement_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    pricing TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    positions INTEGER NOT NULL, 
    reserve_minor BIGINT NOT NULL, 
    slot_minutes INTEGER NOT NULL, 
    slot_price_minor BIGINT NOT NULL, 
    list_price_minor BIGINT DEFAULT '0' NOT NULL, 
    open BOOLEAN NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_ad_placement PRIMARY KEY (placement_id), 
    CONSTRAINT ck_ad_placement_pricing CHECK (pricing IN ('click', 'thousand', 'slot')), 
    CONSTRAINT ck_ad_placement_amounts CHECK (positions >= 0 AND reserve_minor >= 0 AND slot_price_minor >= 0 AND list_price_minor >= 0), 
    CONSTRAINT ck_ad_placement_slots CHECK ((pricing = 'slot') = (slot_minutes > 0)), 
    CONSTRAINT uq_ad_placement_name UNIQUE (name)
)
;;
CREATE TABLE billing.ad_receipt (
    receipt_ref TEXT NOT NULL, 
    merchant_id BIGINT NOT NULL, 
    movement_id BIGINT NOT NULL, 
    CONSTRAINT pk_ad_receipt PRIMARY KEY (receipt_ref)
)
;;
CREATE TABLE billing.ad_slot (
    placement_id BIGINT NOT NULL, 
    slot_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    merchant_id BIGINT NOT NULL, 
    booking_id BIGINT NOT NULL, 
    CONSTRAINT pk_ad_slot PRIMARY KEY (placement_id, slot_at)
)
;;
CREATE TABLE billing.ad_terms (
    entity_id INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    valid_from DATE NOT NULL, 
    vat_ppm INTEGER NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_ad_terms PRIMARY KEY (entity_id, currency, valid_from), 
    CONSTRAINT ck_ad_terms_vat CHECK (vat_ppm BETWEEN 0 AND 1000000)
)
;;
CREATE TABLE billing.billing_party (
    merchant_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    address TEXT NOT NULL, 
    country TEXT NOT NULL, 
    tax_id TEXT NOT NULL, 
    self_billed TEXT[] NOT NULL, 
    self_billed_vat_ppm INTEGER NOT NULL, 
    version INTEGER NOT NULL, 
    set_by TEXT NOT NULL, 
    set_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_billing_party PRIMARY KEY (merchant_id), 
    CONSTRAINT ck_billing_party_self_billed CHECK (self_billed <@ ARRAY['goods', 'incentive']), 
    CONSTRAINT ck_billing_party_vat CHECK (self_billed_vat_ppm BETWEEN 0 AND 1000000)
)
;;
CREATE TABLE billing.charge (
    merchant_id BIGINT NOT NULL, 
    charge_id BIGINT NOT NULL, 
    source TEXT NOT NULL, 
    source_id BIGINT NOT NULL, 
    part TEXT NOT NULL, 
    description TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    net_minor BIGINT NOT NULL, 
    vat_ppm INTEGER NOT NULL, 
    vat_minor BIGINT NOT NULL, 
    pays_by TEXT NOT NULL, 
    charged_on DATE NOT NULL, 
    due_on DATE NOT NULL, 
    deferred BOOLEAN NOT NULL, 
    service_from DATE, 
    service_to DATE, 
    anchored_on DATE, 
    anchored_minor BIGINT DEFAULT '0' NOT NULL, 
    recognised_minor BIGINT NOT NULL, 
    credited_minor BIGINT DEFAULT '0' NOT NULL, 
    credited_vat_minor BIGINT DEFAULT '0' NOT NULL, 
    written_off_minor BIGINT DEFAULT '0' NOT NULL, 
    regained_minor BIGINT DEFAULT '0' NOT NULL, 
    open_minor BIGINT NOT NULL, 
    dunning_step SMALLINT DEFAULT '0' NOT NULL, 
    entry_no BIGINT NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_charge PRIMARY KEY (merchant_id, charge_id), 
    CONSTRAINT uq_charge_merchant_id_source_source_id_part UNIQUE (merchant_id, source, source_id, part), 
    CONSTRAINT ck_charge_source CHECK (source IN ('subscription', 'hardware', 'work_order', 'service', 'ad_order')), 
    CONSTRAINT ck_charge_pays_by CHECK (pays_by IN ('netting', 'transfer')), 
    CONSTRAINT ck_charge_amounts CHECK (net_minor > 0 AND vat_minor >= 0), 
    CONSTRAINT ck_charge_regained CHECK (regained_minor BETWEEN 0 AND written_off_minor), 
    CONSTRAINT ck_charge_open CHECK (open_minor BETWEEN 0 AND net_minor + vat_minor), 
    CONSTRAINT ck_charge_credited CHECK (credited_minor BETWEEN 0 AND net_minor), 
    CONSTRAINT ck_charge_recognised CHECK (recognised_minor BETWEEN 0 AND net_minor - credited_minor), 
    CONSTRAINT ck_charge_service CHECK (service_to > service_from AND (service_from IS NULL) = (service_to IS NULL))
)
;;
CREATE INDEX ix_charge_open ON billing.charge (merchant_id, due_on) WHERE open_minor > 0
;;
CREATE INDEX ix_charge_waiting ON billing.charge (merchant_id, charge_id) WHERE service_to IS NOT NULL AND recognised_minor < net_minor - credited_minor
;;
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
CREATE TABLE billing.document (
    merchant_id BIGINT NOT NULL, 
    document_id BIGINT NOT NULL, 
    run_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    kind TEXT NOT NULL, 
    subject TEXT NOT NULL, 
    source_id BIGINT NOT NULL, 
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
    corrects_id BIGINT, 
    reverses_id BIGINT, 
    replaces_id BIGINT, 
    state TEXT DEFAULT 'issued' NOT NULL, 
    void_reason TEXT, 
    void_asked_by TEXT, 
    voided_by TEXT, 
    voided_at TIMESTAMP WITH TIME ZONE, 
    issued_by TEXT NOT NULL, 
    issued_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_document PRIMARY KEY (merchant_id, document_id), 
    CONSTRAINT fk_document_merchant_id_corrects_id FOREIGN KEY(merchant_id, corrects_id) REFERENCES billing.document (merchant_id, document_id), 
    CONSTRAINT fk_document_merchant_id_reverses_id FOREIGN KEY(merchant_id, reverses_id) REFERENCES billing.document (merchant_id, document_id), 
    CONSTRAINT fk_document_merchant_id_replaces_id FOREIGN KEY(merchant_id, replaces_id) REFERENCES billing.document (merchant_id, document_id), 
    CONSTRAINT uq_document_merchant_id_series_serial UNIQUE (merchant_id, series, serial), 
    CONSTRAINT uq_document_merchant_id_replaces_id UNIQUE (merchant_id, replaces_id), 
    CONSTRAINT ck_document_kind CHECK (kind IN ('invoice', 'credit_note', 'self_billed_invoice', 'self_billed_credit_note')), 
    CONSTRAINT ck_document_gross CHECK (net_minor + vat_minor >= 0), 
    CONSTRAINT ck_document_state CHECK (state IN ('issued', 'reversed', 'void')), 
    CONSTRAINT ck_document_void CHECK ((state = 'void') = (voided_by IS NOT NULL)), 
    CONSTRAINT ck_document_asked CHECK ((void_asked_by IS NULL) = (void_reason IS NULL)), 
    CONSTRAINT ck_document_period CHECK (to_on > from_on)
)
;;
CREATE INDEX ix_document_corrects ON billing.document (merchant_id, corrects_id) WHERE corrects_id IS NOT NULL
;;
CREATE INDEX ix_document_merchant_id_subject_source_id ON billing.document (merchant_id, subject, source_id)
;;
CREATE INDEX ix_document_newest ON billing.document (issued_on, document_id, merchant_id)
;;
CREATE INDEX ix_document_run_id_merchant_id ON billing.document (run_id, merchant_id)
;;
CREATE TABLE billing.document_series (
    series TEXT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    last_serial BIGINT NOT NULL, 
    CONSTRAINT pk_document_series PRIMARY KEY (series)
)
;;
CREATE TABLE billing.entity_currency (
    entity_id INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    opened_by TEXT NOT NULL, 
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_entity_currency PRIMARY KEY (entity_id, currency)
)
;;
CREATE TABLE billing.exchange (
    merchant_id BIGINT NOT NULL, 
    exchange_id BIGINT NOT NULL, 
    account INTEGER NOT NULL, 
    from_currency TEXT NOT NULL, 
    from_minor BIGINT NOT NULL, 
    to_currency TEXT NOT NULL, 
    to_minor BIGINT NOT NULL, 
    rate_id BIGINT NOT NULL, 
    numerator BIGINT NOT NULL, 
    denominator BIGINT NOT NULL, 
    exchanged_on DATE NOT NULL, 
    reason TEXT NOT NULL, 
    bank_ref TEXT, 
    sold_entry_no BIGINT NOT NULL, 
    bought_entry_no BIGINT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_exchange PRIMARY KEY (merchant_id, exchange_id), 
    CONSTRAINT uq_exchange_merchant_id_bank_ref UNIQUE (merchant_id, bank_ref), 
    CONSTRAINT ck_exchange_account CHECK (account IN (1010, 2000)), 
    CONSTRAINT ck_exchange_amounts CHECK (from_minor > 0 AND to_minor > 0), 
    CONSTRAINT ck_exchange_bank CHECK ((account = 1010) = (bank_ref IS NOT NULL))
)
;;
CREATE TABLE billing.exchange_rate (
    rate_id BIGINT NOT NULL, 
    from_currency TEXT NOT NULL, 
    to_currency TEXT NOT NULL, 
    rate_on DATE NOT NULL, 
    rate TEXT NOT NULL, 
    numerator BIGINT NOT NULL, 
    denominator BIGINT NOT NULL, 
    source TEXT NOT NULL, 
    state TEXT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    decided_by TEXT, 
    decided_at TIMESTAMP WITH TIME ZONE, 
    single_operator BOOLEAN DEFAULT 'false' NOT NULL, 
    CONSTRAINT pk_exchange_rate PRIMARY KEY (rate_id), 
    CONSTRAINT ck_exchange_rate_ratio CHECK (numerator > 0 AND denominator > 0), 
    CONSTRAINT ck_exchange_rate_currencies CHECK (from_currency <> to_currency), 
    CONSTRAINT ck_exchange_rate_state CHECK (state IN ('proposed', 'approved', 'rejected', 'replaced'))
)
;;
CREATE UNIQUE INDEX uq_exchange_rate_approved ON billing.exchange_rate (from_currency, to_currency, rate_on) WHERE state = 'approved'
;;
CREATE TABLE billing.exchange_revaluation (
    merchant_id BIGINT NOT NULL, 
    revaluation_id BIGINT NOT NULL, 
    revalued_on DATE NOT NULL, 
    currency TEXT NOT NULL, 
    result_minor BIGINT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_exchange_revaluation PRIMARY KEY (merchant_id, revaluation_id), 
    CONSTRAINT ck_exchange_revaluation_result CHECK (result_minor <> 0)
)
;;
CREATE TABLE billing.journal (
    merchant_id BIGINT NOT NULL, 
    journal_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    effective_on DATE NOT NULL, 
    accounts INTEGER[] NOT NULL, 
    dimensions BIGINT[] NOT NULL, 
    amounts BIGINT[] NOT NULL, 
    goodwill_reason TEXT, 
    reason TEXT NOT NULL, 
    evidence TEXT NOT NULL, 
    reversal_of BIGINT, 
    dispute_id BIGINT, 
    state TEXT NOT NULL, 
    entry_no BIGINT, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    decided_by TEXT, 
    decided_at TIMESTAMP WITH TIME ZONE, 
    decision_reason TEXT, 
    single_operator BOOLEAN DEFAULT 'false' NOT NULL, 
    CONSTRAINT pk_journal PRIMARY KEY (merchant_id, journal_id), 
    CONSTRAINT fk_journal_merchant_id_reversal_of FOREIGN KEY(merchant_id, reversal_of) REFERENCES billing.journal (merchant_id, journal_id), 
    CONSTRAINT ck_journal_state CHECK (state IN ('proposed', 'posted', 'rejected', 'withdrawn')), 
    CONSTRAINT ck_journal_posted CHECK ((state = 'posted') = (entry_no IS NOT NULL)), 
    CONSTRAINT ck_journal_decided CHECK ((state = 'proposed') = (decided_at IS NULL)), 
    CONSTRAINT ck_journal_balanced CHECK (billing.is_balanced(amounts))
)
;;
CREATE INDEX ix_journal_state_journal_id ON billing.journal (state, journal_id)
;;
CREATE UNIQUE INDEX uq_journal_reversal_of ON billing.journal (merchant_id, reversal_of) WHERE state IN ('proposed', 'posted')
;;
CREATE TABLE billing.journal_limit (
    entity_id INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    accountant_minor BIGINT NOT NULL, 
    residue_minor BIGINT NOT NULL, 
    set_by TEXT NOT NULL, 
    set_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_journal_limit PRIMARY KEY (entity_id, currency), 
    CONSTRAINT ck_journal_limit_amounts CHECK (accountant_minor >= 0 AND residue_minor >= 0)
)
;;
CREATE TABLE billing.line_dispute (
    merchant_id BIGINT NOT NULL, 
    line_dispute_id BIGINT NOT NULL, 
    entry_no BIGINT NOT NULL, 
    charge_id BIGINT, 
    currency TEXT NOT NULL, 
    line_minor BIGINT NOT NULL, 
    disputed_minor BIGINT NOT NULL, 
    accepted_minor BIGINT DEFAULT '0' NOT NULL, 
    text TEXT NOT NULL, 
    state TEXT NOT NULL, 
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    opened_by TEXT NOT NULL, 
    due_on DATE NOT NULL, 
    journal_id BIGINT, 
    settled_entry_no BIGINT, 
    decided_by TEXT, 
    decided_at TIMESTAMP WITH TIME ZONE, 
    decision_reason TEXT, 
    CONSTRAINT pk_line_dispute PRIMARY KEY (merchant_id, line_dispute_id), 
    CONSTRAINT ck_line_dispute_state CHECK (state IN ('open', 'in_review', 'accepted', 'declined', 'withdrawn')), 
    CONSTRAINT ck_line_dispute_disputed CHECK (disputed_minor BETWEEN 1 AND line_minor), 
    CONSTRAINT ck_line_dispute_accepted CHECK (accepted_minor BETWEEN 0 AND disputed_minor), 
    CONSTRAINT ck_line_dispute_settled CHECK ((state = 'accepted') = (settled_entry_no IS NOT NULL))
)
;;
CREATE INDEX ix_line_dispute_merchant_id_entry_no ON billing.line_dispute (merchant_id, entry_no)
;;
CREATE INDEX ix_line_dispute_state_due_on ON billing.line_dispute (state, due_on)
;;
CREATE TABLE billing.opening_line (
    merchant_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    account INTEGER NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    opening_id BIGINT NOT NULL, 
    import_id BIGINT NOT NULL, 
    line INTEGER NOT NULL, 
    opened_on DATE NOT NULL, 
    CONSTRAINT pk_opening_line PRIMARY KEY (merchant_id, currency, account), 
    CONSTRAINT ck_opening_line_amount CHECK (amount_minor <> 0)
)
;;
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
CREATE TABLE billing.payer_entry (
    merchant_id BIGINT NOT NULL, 
    source TEXT NOT NULL, 
    source_id BIGINT NOT NULL, 
    contract_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    entry_id BIGINT NOT NULL, 
    CONSTRAINT pk_payer_entry PRIMARY KEY (merchant_id, source, source_id, contract_id, kind, entry_id)
)
;;
CREATE TABLE billing.payer_series (
    payer_id BIGINT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    last_no INTEGER NOT NULL, 
    CONSTRAINT pk_payer_series PRIMARY KEY (payer_id, entity_id)
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
    days TEXT NOT NULL, 
    weekday SMALLINT, 
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
    CONSTRAINT ck_payout_terms_days CHECK (days IN ('every_run', 'daily', 'weekly', 'ten_days', 'monthly', 'manual')), 
    CONSTRAINT ck_payout_terms_weekday CHECK ((days = 'weekly') = (weekday IS NOT NULL) AND weekday BETWEEN 1 AND 7), 
    CONSTRAINT ck_payout_terms_state CHECK (state IN ('proposed', 'active', 'replaced', 'rejected'))
)
;;
CREATE UNIQUE INDEX uq_payout_terms_active ON billing.payout_terms (merchant_id, currency) WHERE state = 'active'
;;
CREATE UNIQUE INDEX uq_payout_terms_proposed ON billing.payout_terms (merchant_id, currency) WHERE state = 'proposed'
;;
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
CREATE TABLE billing.run_schedule (
    entity_id INTEGER NOT NULL, 
    cadence TEXT NOT NULL, 
    weekday SMALLINT, 
    starts_on DATE NOT NULL, 
    payout_days INTEGER NOT NULL, 
    active BOOLEAN NOT NULL, 
    set_by TEXT NOT NULL, 
    set_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_run_schedule PRIMARY KEY (entity_id), 
    CONSTRAINT ck_run_schedule_cadence CHECK (cadence IN ('weekly', 'ten_days', 'monthly')), 
    CONSTRAINT ck_run_schedule_weekday CHECK ((cadence = 'weekly') = (weekday IS NOT NULL) AND weekday BETWEEN 1 AND 7), 
    CONSTRAINT ck_run_schedule_payout_days CHECK (payout_days BETWEEN 1 AND 365)
)
;;
CREATE TABLE supply.hardware_item (
    item_id BIGINT NOT NULL, 
    sku TEXT NOT NULL, 
    name TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    price_minor BIGINT NOT NULL, 
    warranty_months INTEGER NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_hardware_item PRIMARY KEY (item_id), 
    CONSTRAINT ck_hardware_item_terms CHECK (price_minor >= 0 AND warranty_months >= 0), 
    CONSTRAINT uq_hardware_item_sku UNIQUE (sku)
)
;;
CREATE TABLE supply.hardware_unit (
    serial TEXT NOT NULL, 
    item_id BIGINT NOT NULL, 
    house_merchant_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    cost_minor BIGINT NOT NULL, 
    state TEXT NOT NULL, 
    merchant_id BIGINT, 
    order_id BIGINT, 
    received_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_hardware_unit PRIMARY KEY (serial), 
    CONSTRAINT ck_hardware_unit_state CHECK (state IN ('in_stock', 'delivered', 'scrapped')), 
    CONSTRAINT ck_hardware_unit_place CHECK ((state = 'delivered') = (merchant_id IS NOT NULL AND order_id IS NOT NULL)), 
    CONSTRAINT ck_hardware_unit_cost CHECK (cost_minor > 0)
)
;;
CREATE TABLE supply.plan (
    plan_id BIGINT NOT NULL, 
    code TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    name TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    price_minor BIGINT NOT NULL, 
    per TEXT NOT NULL, 
    every TEXT NOT NULL, 
    trial_days INTEGER NOT NULL, 
    vat_ppm INTEGER NOT NULL, 
    due_days INTEGER NOT NULL, 
    refunds TEXT NOT NULL, 
    follow_up_day INTEGER NOT NULL, 
    follow_up_uses INTEGER NOT NULL, 
    owner TEXT NOT NULL, 
    offered BOOLEAN NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_plan PRIMARY KEY (plan_id), 
    CONSTRAINT uq_plan_code_version_no UNIQUE (code, version_no), 
    CONSTRAINT ck_plan_terms CHECK (price_minor > 0 AND trial_days >= 0 AND due_days >= 0), 
    CONSTRAINT ck_plan_per CHECK (per IN ('seat', 'flat')), 
    CONSTRAINT ck_plan_every CHECK (every IN ('month', 'year')), 
    CONSTRAINT ck_plan_refunds CHECK (refunds IN ('unused', 'nothing')), 
    CONSTRAINT ck_plan_ppm CHECK (vat_ppm BETWEEN 0 AND 1000000)
)
;;
CREATE TABLE supply.provider (
    provider_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_provider PRIMARY KEY (provider_id), 
    CONSTRAINT uq_provider_name UNIQUE (name)
)
;;
CREATE TABLE billing.ad_campaign (
    merchant_id BIGINT NOT NULL, 
    campaign_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    placement_id BIGINT NOT NULL, 
    product_id BIGINT NOT NULL, 
    pricing TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    bid_minor BIGINT NOT NULL, 
    total_minor BIGINT, 
    spent_minor BIGINT DEFAULT '0' NOT NULL, 
    zone TEXT NOT NULL, 
    pacing TEXT NOT NULL, 
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    ends_at TIMESTAMP WITH TIME ZONE, 
    state TEXT DEFAULT 'draft' NOT NULL, 
    quality_ppm INTEGER DEFAULT '1000000' NOT NULL, 
    guaranteed BOOLEAN DEFAULT false NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_ad_campaign PRIMARY KEY (merchant_id, campaign_id), 
    CONSTRAINT fk_ad_campaign_placement_id FOREIGN KEY(placement_id) REFERENCES billing.ad_placement (placement_id), 
    CONSTRAINT ck_ad_campaign_pricing CHECK (pricing IN ('click', 'thousand', 'slot')), 
    CONSTRAINT ck_ad_campaign_pacing CHECK (pacing IN ('even', 'at_once')), 
    CONSTRAINT ck_ad_campaign_state CHECK (state IN ('draft', 'in_review', 'active', 'paused', 'suspended', 'ended')), 
    CONSTRAINT ck_ad_campaign_bid CHECK (bid_minor >= 0 AND quality_ppm > 0), 
    CONSTRAINT ck_ad_campaign_within_total CHECK (spent_minor >= 0 AND (total_minor IS NULL OR spent_minor <= total_minor)), 
    CONSTRAINT ck_ad_campaign_window CHECK (ends_at IS NULL OR ends_at > starts_at)
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_ad_campaign_ending ON billing.ad_campaign (ends_at) WHERE state <> 'ended' AND ends_at IS NOT NULL
;;
CREATE TABLE billing.ad_order_bill (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    line_no INTEGER NOT NULL, 
    bill_no INTEGER NOT NULL, 
    through_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    delivered BIGINT NOT NULL, 
    units BIGINT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    charge_id BIGINT, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_ad_order_bill PRIMARY KEY (merchant_id, order_id, line_no, bill_no), 
    CONSTRAINT fk_ad_order_bill_merchant_id_order_id FOREIGN KEY(merchant_id, order_id) REFERENCES billing.ad_order (merchant_id, order_id), 
    CONSTRAINT ck_ad_order_bill_amount CHECK (amount_minor <> 0 AND (amount_minor > 0) = (charge_id IS NOT NULL))
)
;;
CREATE TABLE billing.ad_order_line (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    line_no INTEGER NOT NULL, 
    placement_id BIGINT NOT NULL, 
    pricing TEXT NOT NULL, 
    product_id BIGINT NOT NULL, 
    categories TEXT[] NOT NULL, 
    words TEXT[] NOT NULL, 
    from_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    to_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    quantity BIGINT NOT NULL, 
    list_price_minor BIGINT NOT NULL, 
    unit_price_minor BIGINT NOT NULL, 
    makes_good_line_no INTEGER, 
    state TEXT DEFAULT 'planned' NOT NULL, 
    shown BOOLEAN DEFAULT false NOT NULL, 
    made_by TEXT NOT NULL, 
    decided_by TEXT, 
    campaign_id BIGINT, 
    stopped_at TIMESTAMP WITH TIME ZONE, 
    billed_through TIMESTAMP WITH TIME ZONE, 
    bill_at TIMESTAMP WITH TIME ZONE, 
    charged_units BIGINT DEFAULT '0' NOT NULL, 
    charged_minor BIGINT DEFAULT '0' NOT NULL, 
    CONSTRAINT pk_ad_order_line PRIMARY KEY (merchant_id, order_id, line_no), 
    CONSTRAINT fk_ad_order_line_merchant_id_order_id FOREIGN KEY(merchant_id, order_id) REFERENCES billing.ad_order (merchant_id, order_id), 
    CONSTRAINT fk_ad_order_line_placement_id FOREIGN KEY(placement_id) REFERENCES billing.ad_placement (placement_id), 
    CONSTRAINT ck_ad_order_line_pricing CHECK (pricing IN ('click', 'thousand', 'slot')), 
    CONSTRAINT ck_ad_order_line_state CHECK (state IN ('planned', 'running', 'ended', 'dropped')), 
    CONSTRAINT ck_ad_order_line_window CHECK (to_at > from_at AND quantity > 0), 
    CONSTRAINT ck_ad_order_line_prices CHECK (list_price_minor >= 0 AND unit_price_minor > 0), 
    CONSTRAINT ck_ad_order_line_charged CHECK (charged_units BETWEEN 0 AND quantity AND charged_minor >= 0), 
    CONSTRAINT ck_ad_order_line_campaign CHECK ((state IN ('running', 'ended')) = (campaign_id IS NOT NULL)), 
    CONSTRAINT ck_ad_order_line_bill_at CHECK ((state = 'running') = (bill_at IS NOT NULL))
)
;;
CREATE INDEX ix_ad_order_line_due ON billing.ad_order_line (bill_at) WHERE state = 'running'
;;
CREATE INDEX ix_ad_order_line_merchant_id_campaign_id ON billing.ad_order_line (merchant_id, campaign_id)
;;
CREATE TABLE billing.charge_movement (
    merchant_id BIGINT NOT NULL, 
    movement_id BIGINT NOT NULL, 
    charge_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    counts_on DATE NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    vat_minor BIGINT DEFAULT '0' NOT NULL, 
    open_minor BIGINT DEFAULT '0' NOT NULL, 
    reason TEXT DEFAULT '' NOT NULL, 
    bank_ref TEXT, 
    entry_no BIGINT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_charge_movement PRIMARY KEY (merchant_id, movement_id), 
    CONSTRAINT fk_charge_movement_merchant_id_charge_id FOREIGN KEY(merchant_id, charge_id) REFERENCES billing.charge (merchant_id, charge_id), 
    CONSTRAINT ck_charge_movement_kind CHECK (kind IN ('netted', 'paid', 'credited', 'written_off', 'recognised')), 
    CONSTRAINT ck_charge_movement_amounts CHECK (amount_minor > 0 AND open_minor BETWEEN 0 AND amount_minor)
)
;;
CREATE INDEX ix_charge_movement_merchant_id_charge_id_movement_id ON billing.charge_movement (merchant_id, charge_id, movement_id)
;;
CREATE UNIQUE INDEX uq_charge_movement_bank_ref ON billing.charge_movement (merchant_id, charge_id, bank_ref) WHERE bank_ref IS NOT NULL
;;
CREATE UNIQUE INDEX uq_charge_movement_month ON billing.charge_movement (merchant_id, charge_id, counts_on) WHERE kind = 'recognised'
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
CREATE TABLE billing.document_line (
    merchant_id BIGINT NOT NULL, 
    document_id BIGINT NOT NULL, 
    line_no SMALLINT NOT NULL, 
    category TEXT NOT NULL, 
    description TEXT NOT NULL, 
    quantity BIGINT NOT NULL, 
    vat_ppm INTEGER NOT NULL, 
    net_minor BIGINT NOT NULL, 
    from_on DATE, 
    to_on DATE, 
    CONSTRAINT pk_document_line PRIMARY KEY (merchant_id, document_id, line_no), 
    CONSTRAINT fk_document_line_merchant_id_document_id FOREIGN KEY(merchant_id, document_id) REFERENCES billing.document (merchant_id, document_id)
)
;;
CREATE TABLE billing.document_tax (
    merchant_id BIGINT NOT NULL, 
    document_id BIGINT NOT NULL, 
    vat_ppm INTEGER NOT NULL, 
    net_minor BIGINT NOT NULL, 
    vat_minor BIGINT NOT NULL, 
    CONSTRAINT pk_document_tax PRIMARY KEY (merchant_id, document_id, vat_ppm), 
    CONSTRAINT fk_document_tax_merchant_id_document_id FOREIGN KEY(merchant_id, document_id) REFERENCES billing.document (merchant_id, document_id)
)
;;
CREATE TABLE billing.line_dispute_message (
    merchant_id BIGINT NOT NULL, 
    line_dispute_id BIGINT NOT NULL, 
    message_no INTEGER NOT NULL, 
    side TEXT NOT NULL, 
    text TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_line_dispute_message PRIMARY KEY (merchant_id, line_dispute_id, message_no), 
    CONSTRAINT fk_line_dispute_message_merchant_id_line_dispute_id FOREIGN KEY(merchant_id, line_dispute_id) REFERENCES billing.line_dispute (merchant_id, line_dispute_id), 
    CONSTRAINT ck_line_dispute_message_side CHECK (side IN ('merchant', 'house'))
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
CREATE TABLE billing.payout_due (
    merchant_id BIGINT NOT NULL, 
    run_id BIGINT NOT NULL, 
    currency TEXT NOT NULL, 
    due_on DATE, 
    state TEXT NOT NULL, 
    payout_id BIGINT, 
    replaced_by BIGINT, 
    CONSTRAINT pk_payout_due PRIMARY KEY (merchant_id, run_id, currency), 
    CONSTRAINT fk_payout_due_merchant_id_payout_id FOREIGN KEY(merchant_id, payout_id) REFERENCES billing.payout (merchant_id, payout_id), 
    CONSTRAINT ck_payout_due_state CHECK (state IN ('waiting', 'paid', 'replaced', 'nothing', 'cancelled')), 
    CONSTRAINT ck_payout_due_replaced CHECK ((state = 'replaced') = (replaced_by IS NOT NULL)), 
    CONSTRAINT ck_payout_due_paid CHECK (state NOT IN ('paid', 'waiting', 'replaced') OR (state = 'paid') = (payout_id IS NOT NULL))
)
;;
CREATE INDEX ix_payout_due_waiting ON billing.payout_due (due_on) WHERE state = 'waiting'
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
CREATE TABLE billing.write_off (
    merchant_id BIGINT NOT NULL, 
    write_off_id BIGINT NOT NULL, 
    charge_id BIGINT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    reason TEXT NOT NULL, 
    state TEXT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    decided_by TEXT, 
    decided_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_write_off PRIMARY KEY (merchant_id, write_off_id), 
    CONSTRAINT fk_write_off_merchant_id_charge_id FOREIGN KEY(merchant_id, charge_id) REFERENCES billing.charge (merchant_id, charge_id), 
    CONSTRAINT ck_write_off_state CHECK (state IN ('proposed', 'approved', 'refused')), 
    CONSTRAINT ck_write_off_amount CHECK (amount_minor > 0)
)
;;
CREATE UNIQUE INDEX uq_write_off_proposed ON billing.write_off (merchant_id, charge_id) WHERE state = 'proposed'
;;
CREATE TABLE supply.hardware_order (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    state TEXT NOT NULL, 
    quote_no INTEGER NOT NULL, 
    pays_by TEXT, 
    decided_by TEXT, 
    shipped_on DATE, 
    version INTEGER DEFAULT '1' NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_hardware_order PRIMARY KEY (merchant_id, order_id), 
    CONSTRAINT fk_hardware_order_merchant_id FOREIGN KEY(merchant_id) REFERENCES supply.merchant (merchant_id), 
    CONSTRAINT ck_hardware_order_state CHECK (state IN ('quoted', 'accepted', 'shipped', 'returned', 'declined', 'expired', 'cancelled')), 
    CONSTRAINT ck_hardware_order_pays_by CHECK (pays_by IN ('netting', 'transfer'))
)
;;
CREATE INDEX ix_hardware_order_quoted ON supply.hardware_order (merchant_id, order_id) WHERE state = 'quoted'
;;
CREATE TABLE supply.service_agreement (
    merchant_id BIGINT NOT NULL, 
    agreement_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    name TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    retainer_minor BIGINT NOT NULL, 
    share_ppm INTEGER NOT NULL, 
    vat_ppm INTEGER NOT NULL, 
    due_days INTEGER NOT NULL, 
    baseline_minor BIGINT NOT NULL, 
    baseline_from DATE, 
    baseline_to DATE, 
    baseline_source TEXT DEFAULT '' NOT NULL, 
    starts_on DATE NOT NULL, 
    ends_on DATE, 
    state TEXT NOT NULL, 
    pays_by TEXT, 
    next_month DATE NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    decided_by TEXT, 
    CONSTRAINT pk_service_agreement PRIMARY KEY (merchant_id, agreement_id), 
    CONSTRAINT fk_service_agreement_merchant_id FOREIGN KEY(merchant_id) REFERENCES supply.merchant (merchant_id), 
    CONSTRAINT ck_service_agreement_kind CHECK (kind IN ('retainer', 'share')), 
    CONSTRAINT ck_service_agreement_state CHECK (state IN ('proposed', 'active', 'ended', 'declined')), 
    CONSTRAINT ck_service_agreement_pays_by CHECK (pays_by IN ('netting', 'transfer')), 
    CONSTRAINT ck_service_agreement_terms CHECK (CASE kind WHEN 'retainer' THEN retainer_minor > 0 AND share_ppm = 0 AND baseline_to IS NULL ELSE retainer_minor = 0 AND share_ppm > 0 AND baseline_to > baseline_from END), 
    CONSTRAINT ck_service_agreement_months CHECK (ends_on > starts_on)
)
;;
CREATE INDEX ix_service_agreement_active ON supply.service_agreement (next_month) WHERE state = 'active'
;;
CREATE TABLE supply.subscription (
    merchant_id BIGINT NOT NULL, 
    subscription_id BIGINT NOT NULL, 
    plan_id BIGINT NOT NULL, 
    seats INTEGER NOT NULL, 
    state TEXT NOT NULL, 
    pays_by TEXT, 
    trial_from DATE, 
    trial_to DATE, 
    anchored_on DATE, 
    period_no INTEGER DEFAULT '0' NOT NULL, 
    period_from DATE, 
    period_to DATE, 
    next_plan_id BIGINT, 
    next_seats INTEGER, 
    acts_on DATE, 
    followed_up BOOLEAN DEFAULT 'false' NOT NULL, 
    ended_on DATE, 
    version INTEGER DEFAULT '1' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_subscription PRIMARY KEY (merchant_id, subscription_id), 
    CONSTRAINT fk_subscription_merchant_id FOREIGN KEY(merchant_id) REFERENCES supply.merchant (merchant_id), 
    CONSTRAINT fk_subscription_plan_id FOREIGN KEY(plan_id) REFERENCES supply.plan (plan_id), 
    CONSTRAINT ck_subscription_state CHECK (state IN ('trialing', 'trial_ended', 'active', 'leaving', 'suspended', 'ended')), 
    CONSTRAINT ck_subscription_pays_by CHECK (pays_by IN ('netting', 'transfer')), 
    CONSTRAINT ck_subscription_seats CHECK (seats > 0), 
    CONSTRAINT ck_subscription_ended CHECK ((state = 'ended') = (ended_on IS NOT NULL)), 
    CONSTRAINT ck_subscription_paid CHECK (state NOT IN ('active', 'leaving', 'suspended') OR (period_to > period_from AND pays_by IS NOT NULL))
)
;;
CREATE INDEX ix_subscription_acts_on ON supply.subscription (acts_on) WHERE acts_on IS NOT NULL
;;
CREATE TABLE supply.work_order (
    merchant_id BIGINT NOT NULL, 
    work_order_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    serials TEXT[] NOT NULL, 
    provider_id BIGINT, 
    technician TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    price_minor BIGINT NOT NULL, 
    vat_ppm INTEGER NOT NULL, 
    cost_minor BIGINT NOT NULL, 
    pays_by TEXT NOT NULL, 
    state TEXT NOT NULL, 
    appointed_at TIMESTAMP WITH TIME ZONE, 
    evidence TEXT DEFAULT '' NOT NULL, 
    done_on DATE, 
    version INTEGER DEFAULT '1' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_work_order PRIMARY KEY (merchant_id, work_order_id), 
    CONSTRAINT fk_work_order_merchant_id FOREIGN KEY(merchant_id) REFERENCES supply.merchant (merchant_id), 
    CONSTRAINT ck_work_order_kind CHECK (kind IN ('install', 'maintain', 'repair')), 
    CONSTRAINT ck_work_order_state CHECK (state IN ('planned', 'appointed', 'done', 'cancelled')), 
    CONSTRAINT ck_work_order_pays_by CHECK (pays_by IN ('netting', 'transfer')), 
    CONSTRAINT ck_work_order_amounts CHECK (price_minor >= 0 AND cost_minor >= 0), 
    CONSTRAINT ck_work_order_partner CHECK (provider_id IS NOT NULL OR cost_minor = 0), 
    CONSTRAINT ck_work_order_done CHECK ((state = 'done') = (done_on IS NOT NULL) AND (state <> 'done' OR evidence <> ''))
)
;;
CREATE TABLE billing.ad_booking (
    merchant_id BIGINT NOT NULL, 
    booking_id BIGINT NOT NULL, 
    campaign_id BIGINT NOT NULL, 
    placement_id BIGINT NOT NULL, 
    from_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    to_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    price_minor BIGINT NOT NULL, 
    state TEXT DEFAULT 'booked' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_ad_booking PRIMARY KEY (merchant_id, booking_id), 
    CONSTRAINT fk_ad_booking_merchant_id_campaign_id FOREIGN KEY(merchant_id, campaign_id) REFERENCES billing.ad_campaign (merchant_id, campaign_id), 
    CONSTRAINT ck_ad_booking_state CHECK (state IN ('booked', 'charged', 'cancelled')), 
    CONSTRAINT ck_ad_booking_window CHECK (to_at > from_at AND price_minor >= 0)
)
;;
CREATE INDEX ix_ad_booking_beginning ON billing.ad_booking (from_at) WHERE state = 'booked'
;;
CREATE TABLE billing.ad_budget (
    merchant_id BIGINT NOT NULL, 
    campaign_id BIGINT NOT NULL, 
    from_on DATE NOT NULL, 
    daily_minor BIGINT NOT NULL, 
    CONSTRAINT pk_ad_budget PRIMARY KEY (merchant_id, campaign_id, from_on), 
    CONSTRAINT fk_ad_budget_merchant_id_campaign_id FOREIGN KEY(merchant_id, campaign_id) REFERENCES billing.ad_campaign (merchant_id, campaign_id), 
    CONSTRAINT ck_ad_budget_daily CHECK (daily_minor >= 0)
)
;;
CREATE TABLE billing.ad_target (
    merchant_id BIGINT NOT NULL, 
    campaign_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    term TEXT NOT NULL, 
    CONSTRAINT pk_ad_target PRIMARY KEY (merchant_id, campaign_id, kind, term), 
    CONSTRAINT fk_ad_target_merchant_id_campaign_id FOREIGN KEY(merchant_id, campaign_id) REFERENCES billing.ad_campaign (merchant_id, campaign_id), 
    CONSTRAINT ck_ad_target_kind CHECK (kind IN ('category', 'word'))
)
;;
CREATE INDEX ix_ad_target_term_kind ON billing.ad_target (term, kind)
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
CREATE TABLE supply.hardware_delivery (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    serial TEXT NOT NULL, 
    item_id BIGINT NOT NULL, 
    price_minor BIGINT NOT NULL, 
    cost_minor BIGINT NOT NULL, 
    shipped_on DATE NOT NULL, 
    installed_on DATE, 
    warranty_until DATE, 
    returned_on DATE, 
    CONSTRAINT pk_hardware_delivery PRIMARY KEY (merchant_id, order_id, serial), 
    CONSTRAINT fk_hardware_delivery_merchant_id_order_id FOREIGN KEY(merchant_id, order_id) REFERENCES supply.hardware_order (merchant_id, order_id)
)
;;
CREATE TABLE supply.hardware_quote (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    quote_no INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    lines JSONB NOT NULL, 
    net_minor BIGINT NOT NULL, 
    vat_ppm INTEGER NOT NULL, 
    deposit_minor BIGINT NOT NULL, 
    expires_on DATE NOT NULL, 
    note TEXT DEFAULT '' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_hardware_quote PRIMARY KEY (merchant_id, order_id, quote_no), 
    CONSTRAINT fk_hardware_quote_merchant_id_order_id FOREIGN KEY(merchant_id, order_id) REFERENCES supply.hardware_order (merchant_id, order_id), 
    CONSTRAINT ck_hardware_quote_amounts CHECK (net_minor > 0 AND deposit_minor BETWEEN 0 AND net_minor)
)
;;
CREATE TABLE supply.service_month (
    merchant_id BIGINT NOT NULL, 
    agreement_id BIGINT NOT NULL, 
    month DATE NOT NULL, 
    turnover_minor BIGINT NOT NULL, 
    fee_minor BIGINT NOT NULL, 
    restated_minor BIGINT NOT NULL, 
    closed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_service_month PRIMARY KEY (merchant_id, agreement_id, month), 
    CONSTRAINT fk_service_month_merchant_id_agreement_id FOREIGN KEY(merchant_id, agreement_id) REFERENCES supply.service_agreement (merchant_id, agreement_id), 
    CONSTRAINT ck_service_month_fee CHECK (fee_minor >= 0)
)
;;
CREATE TABLE supply.subscription_step (
    merchant_id BIGINT NOT NULL, 
    subscription_id BIGINT NOT NULL, 
    step_no INTEGER NOT NULL, 
    move TEXT NOT NULL, 
    state TEXT NOT NULL, 
    detail TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_subscription_step PRIMARY KEY (merchant_id, subscription_id, step_no), 
    CONSTRAINT fk_subscription_step_merchant_id_subscription_id FOREIGN KEY(merchant_id, subscription_id) REFERENCES supply.subscription (merchant_id, subscription_id)
)
;;
CREATE TABLE supply.task (
    merchant_id BIGINT NOT NULL, 
    task_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    subscription_id BIGINT NOT NULL, 
    title TEXT NOT NULL, 
    owner TEXT NOT NULL, 
    due_on DATE NOT NULL, 
    state TEXT NOT NULL, 
    outcome TEXT DEFAULT '' NOT NULL, 
    done_by TEXT, 
    done_at TIMESTAMP WITH TIME ZONE, 
    raised_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_task PRIMARY KEY (merchant_id, task_id), 
    CONSTRAINT fk_task_merchant_id_subscription_id FOREIGN KEY(merchant_id, subscription_id) REFERENCES supply.subscription (merchant_id, subscription_id), 
    CONSTRAINT uq_task_merchant_id_subscription_id_kind UNIQUE (merchant_id, subscription_id, kind), 
    CONSTRAINT ck_task_kind CHECK (kind IN ('trial_follow_up', 'trial_ended')), 
    CONSTRAINT ck_task_state CHECK (state IN ('open', 'done')), 
    CONSTRAINT ck_task_done CHECK ((state = 'done') = (done_at IS NOT NULL))
)
;;
CREATE INDEX ix_task_open ON supply.task (due_on, task_id) WHERE state = 'open'
;;
CREATE TABLE supply.tool_usage (
    merchant_id BIGINT NOT NULL, 
    subscription_id BIGINT NOT NULL, 
    used_on DATE NOT NULL, 
    uses INTEGER NOT NULL, 
    CONSTRAINT pk_tool_usage PRIMARY KEY (merchant_id, subscription_id, used_on), 
    CONSTRAINT fk_tool_usage_merchant_id_subscription_id FOREIGN KEY(merchant_id, subscription_id) REFERENCES supply.subscription (merchant_id, subscription_id), 
    CONSTRAINT ck_tool_usage_uses CHECK (uses >= 0)
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
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_account TO app_staff, app_worker
;;
ALTER TABLE billing.ad_account ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_account FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_account TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_account TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_account TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_account FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_bucket TO app_staff, app_worker
;;
ALTER TABLE billing.ad_bucket ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_bucket FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_bucket TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_bucket TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_bucket TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_bucket FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON billing.ad_campaign_event TO app_staff, app_worker
;;
ALTER TABLE billing.ad_campaign_event ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_campaign_event FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_campaign_event TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_campaign_event TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_campaign_event TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_campaign_event FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON billing.ad_charge TO app_staff, app_worker
;;
ALTER TABLE billing.ad_charge ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_charge FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_charge TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_charge TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_charge TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_charge FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE (verdict), DELETE ON billing.ad_event TO app_staff, app_worker
;;
ALTER TABLE billing.ad_event ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_event FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_event TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_event TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_event TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_event FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_grant TO app_staff, app_worker
;;
ALTER TABLE billing.ad_grant ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_grant FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_grant TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_grant TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_grant TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_grant FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_key TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON billing.ad_movement TO app_staff, app_worker
;;
ALTER TABLE billing.ad_movement ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_movement FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_movement TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_movement TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_movement TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_movement FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_order TO app_staff, app_worker
;;
ALTER TABLE billing.ad_order ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_order FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_order TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_order TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_order TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_order FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint AND quoted_at IS NOT NULL)
;;
GRANT SELECT, INSERT ON billing.ad_order_event TO app_staff, app_worker
;;
ALTER TABLE billing.ad_order_event ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_order_event FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_order_event TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_order_event TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_order_event TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_order_event FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint AND false)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_placement TO app_staff, app_worker
;;
GRANT SELECT ON billing.ad_placement TO app_merchant
;;
GRANT SELECT, INSERT ON billing.ad_receipt TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_slot TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_terms TO app_staff, app_worker
;;
GRANT SELECT ON billing.ad_terms TO app_merchant
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.billing_party TO app_staff, app_worker
;;
ALTER TABLE billing.billing_party ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.billing_party FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.billing_party TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.billing_party TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.billing_party TO app_merchant
;;
CREATE POLICY app_merchant ON billing.billing_party FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.charge TO app_staff, app_worker
;;
ALTER TABLE billing.charge ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.charge FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.charge TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.charge TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.charge TO app_merchant
;;
CREATE POLICY app_merchant ON billing.charge FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.debtor_account TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE (state, void_reason, void_asked_by, voided_by, voided_at) ON billing.document TO app_staff, app_worker
;;
ALTER TABLE billing.document ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.document FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.document TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.document TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.document TO app_merchant
;;
CREATE POLICY app_merchant ON billing.document FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.document_series TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.entity_currency TO app_staff, app_worker
;;
GRANT SELECT ON billing.entity_currency TO app_merchant
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.exchange TO app_staff, app_worker
;;
ALTER TABLE billing.exchange ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.exchange FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.exchange TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.exchange TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.exchange TO app_merchant
;;
CREATE POLICY app_merchant ON billing.exchange FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.exchange_rate TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.exchange_revaluation TO app_staff, app_worker
;;
ALTER TABLE billing.exchange_revaluation ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.exchange_revaluation FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.exchange_revaluation TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.exchange_revaluation TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.exchange_revaluation TO app_merchant
;;
CREATE POLICY app_merchant ON billing.exchange_revaluation FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.journal TO app_staff, app_worker
;;
ALTER TABLE billing.journal ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.journal FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.journal TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.journal TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.journal TO app_merchant
;;
CREATE POLICY app_merchant ON billing.journal FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint AND false)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.journal_limit TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.line_dispute TO app_staff, app_worker
;;
ALTER TABLE billing.line_dispute ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.line_dispute FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.line_dispute TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.line_dispute TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.line_dispute TO app_merchant
;;
CREATE POLICY app_merchant ON billing.line_dispute FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.opening_line TO app_staff, app_worker
;;
ALTER TABLE billing.opening_line ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.opening_line FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.opening_line TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.opening_line TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.opening_line TO app_merchant
;;
CREATE POLICY app_merchant ON billing.opening_line FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
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
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payer_entry TO app_staff, app_worker
;;
ALTER TABLE billing.payer_entry ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_entry FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payer_entry TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payer_entry TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payer_entry TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payer_entry FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
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
CREATE POLICY app_merchant ON billing.payout_hold FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint AND false)
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
CREATE POLICY app_merchant ON billing.rerating_line FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint AND false)
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
CREATE POLICY app_merchant ON billing.run_charge FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint AND state <> 'due')
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.run_schedule TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.hardware_item TO app_staff, app_worker
;;
GRANT SELECT ON supply.hardware_item TO app_merchant
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.hardware_unit TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.plan TO app_staff, app_worker
;;
GRANT SELECT ON supply.plan TO app_merchant
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.provider TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_campaign TO app_staff, app_worker
;;
ALTER TABLE billing.ad_campaign ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_campaign FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_campaign TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_campaign TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_campaign TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_campaign FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON billing.ad_order_bill TO app_staff, app_worker
;;
ALTER TABLE billing.ad_order_bill ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_order_bill FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_order_bill TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_order_bill TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_order_bill TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_order_bill FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_order_line TO app_staff, app_worker
;;
ALTER TABLE billing.ad_order_line ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_order_line FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_order_line TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_order_line TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_order_line TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_order_line FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint AND shown)
;;
GRANT SELECT, INSERT ON billing.charge_movement TO app_staff, app_worker
;;
ALTER TABLE billing.charge_movement ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.charge_movement FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.charge_movement TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.charge_movement TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.charge_movement TO app_merchant
;;
CREATE POLICY app_merchant ON billing.charge_movement FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
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
;;
GRANT SELECT, INSERT ON billing.document_line TO app_staff, app_worker
;;
ALTER TABLE billing.document_line ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.document_line FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.document_line TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.document_line TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.document_line TO app_merchant
;;
CREATE POLICY app_merchant ON billing.document_line FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON billing.document_tax TO app_staff, app_worker
;;
ALTER TABLE billing.document_tax ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.document_tax FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.document_tax TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.document_tax TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.document_tax TO app_merchant
;;
CREATE POLICY app_merchant ON billing.document_tax FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON billing.line_dispute_message TO app_staff, app_worker
;;
ALTER TABLE billing.line_dispute_message ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.line_dispute_message FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.line_dispute_message TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.line_dispute_message TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.line_dispute_message TO app_merchant
;;
CREATE POLICY app_merchant ON billing.line_dispute_message FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
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
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payout_due TO app_staff, app_worker
;;
ALTER TABLE billing.payout_due ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payout_due FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.payout_due TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.payout_due TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.payout_due TO app_merchant
;;
CREATE POLICY app_merchant ON billing.payout_due FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
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
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.write_off TO app_staff, app_worker
;;
ALTER TABLE billing.write_off ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.write_off FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.write_off TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.write_off TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.write_off TO app_merchant
;;
CREATE POLICY app_merchant ON billing.write_off FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.hardware_order TO app_staff, app_worker
;;
ALTER TABLE supply.hardware_order ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.hardware_order FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.hardware_order TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.hardware_order TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.hardware_order TO app_merchant
;;
CREATE POLICY app_merchant ON supply.hardware_order FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.service_agreement TO app_staff, app_worker
;;
ALTER TABLE supply.service_agreement ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.service_agreement FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.service_agreement TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.service_agreement TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.service_agreement TO app_merchant
;;
CREATE POLICY app_merchant ON supply.service_agreement FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.subscription TO app_staff, app_worker
;;
ALTER TABLE supply.subscription ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.subscription FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.subscription TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.subscription TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.subscription TO app_merchant
;;
CREATE POLICY app_merchant ON supply.subscription FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.work_order TO app_staff, app_worker
;;
ALTER TABLE supply.work_order ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.work_order FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.work_order TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.work_order TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.work_order TO app_merchant
;;
CREATE POLICY app_merchant ON supply.work_order FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_booking TO app_staff, app_worker
;;
ALTER TABLE billing.ad_booking ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_booking FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_booking TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_booking TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_booking TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_booking FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_budget TO app_staff, app_worker
;;
ALTER TABLE billing.ad_budget ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_budget FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_budget TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_budget TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_budget TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_budget FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.ad_target TO app_staff, app_worker
;;
ALTER TABLE billing.ad_target ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE billing.ad_target FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON billing.ad_target TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON billing.ad_target TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON billing.ad_target TO app_merchant
;;
CREATE POLICY app_merchant ON billing.ad_target FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
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
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.hardware_delivery TO app_staff, app_worker
;;
ALTER TABLE supply.hardware_delivery ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.hardware_delivery FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.hardware_delivery TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.hardware_delivery TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.hardware_delivery TO app_merchant
;;
CREATE POLICY app_merchant ON supply.hardware_delivery FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.hardware_quote TO app_staff, app_worker
;;
ALTER TABLE supply.hardware_quote ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.hardware_quote FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.hardware_quote TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.hardware_quote TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.hardware_quote TO app_merchant
;;
CREATE POLICY app_merchant ON supply.hardware_quote FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON supply.service_month TO app_staff, app_worker
;;
ALTER TABLE supply.service_month ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.service_month FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.service_month TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.service_month TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.service_month TO app_merchant
;;
CREATE POLICY app_merchant ON supply.service_month FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT ON supply.subscription_step TO app_staff, app_worker
;;
ALTER TABLE supply.subscription_step ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.subscription_step FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.subscription_step TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.subscription_step TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.subscription_step TO app_merchant
;;
CREATE POLICY app_merchant ON supply.subscription_step FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.task TO app_staff, app_worker
;;
ALTER TABLE supply.task ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.task FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.task TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.task TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.task TO app_merchant
;;
CREATE POLICY app_merchant ON supply.task FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.tool_usage TO app_staff, app_worker
;;
ALTER TABLE supply.tool_usage ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.tool_usage FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.tool_usage TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.tool_usage TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.tool_usage TO app_merchant
;;
CREATE POLICY app_merchant ON supply.tool_usage FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
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
