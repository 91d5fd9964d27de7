CREATE TABLE incentives.budget (
    budget_id BIGINT NOT NULL, 
    owner TEXT NOT NULL, 
    owner_id BIGINT NOT NULL, 
    scope TEXT NOT NULL, 
    scope_key TEXT DEFAULT '' NOT NULL, 
    currency TEXT NOT NULL, 
    zone TEXT NOT NULL, 
    limit_minor BIGINT NOT NULL, 
    on_shortfall TEXT NOT NULL, 
    control TEXT NOT NULL, 
    shards SMALLINT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    made_by TEXT NOT NULL, 
    CONSTRAINT pk_budget PRIMARY KEY (budget_id), 
    CONSTRAINT uq_budget_owner_owner_id_scope_scope_key UNIQUE (owner, owner_id, scope, scope_key), 
    CONSTRAINT ck_budget_owner CHECK (owner IN ('campaign', 'promotion')), 
    CONSTRAINT ck_budget_scope CHECK (scope IN ('total', 'day', 'region', 'funder')), 
    CONSTRAINT ck_budget_scope_key CHECK ((scope IN ('region', 'funder')) = (scope_key <> '')), 
    CONSTRAINT ck_budget_on_shortfall CHECK (on_shortfall IN ('reject', 'partial', 'queue')), 
    CONSTRAINT ck_budget_control CHECK (control IN ('absolute', 'advisory')), 
    CONSTRAINT ck_budget_limit CHECK (limit_minor >= 0 AND shards BETWEEN 1 AND 32)
)
;;
CREATE TABLE incentives.budget_reservation (
    budget_id BIGINT NOT NULL, 
    key TEXT NOT NULL, 
    period_from DATE NOT NULL, 
    n SMALLINT NOT NULL, 
    grant_minor BIGINT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    recycled_minor BIGINT DEFAULT '0' NOT NULL, 
    state TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_budget_reservation PRIMARY KEY (budget_id, key), 
    CONSTRAINT ck_budget_reservation_state CHECK (state IN ('reserved', 'committed', 'released', 'expired', 'queued')), 
    CONSTRAINT ck_budget_reservation_amounts CHECK (amount_minor BETWEEN 0 AND grant_minor), 
    CONSTRAINT ck_budget_reservation_recycled CHECK (recycled_minor BETWEEN 0 AND amount_minor)
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_budget_reservation_expiring ON incentives.budget_reservation (expires_at) WHERE state = 'reserved'
;;
CREATE INDEX ix_budget_reservation_queued ON incentives.budget_reservation (budget_id, at) WHERE state = 'queued'
;;
CREATE TABLE incentives.campaign (
    campaign_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    schedule JSONB NOT NULL, 
    plan JSONB NOT NULL, 
    state TEXT NOT NULL, 
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    ends_at TIMESTAMP WITH TIME ZONE, 
    authors TEXT[] NOT NULL, 
    stopped INTEGER[] NOT NULL, 
    approved_by TEXT, 
    approved_at TIMESTAMP WITH TIME ZONE, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_campaign PRIMARY KEY (campaign_id), 
    CONSTRAINT uq_campaign_name UNIQUE (name), 
    CONSTRAINT ck_campaign_state CHECK (state IN ('draft', 'in_review', 'approved', 'scheduled', 'live', 'paused', 'exhausted', 'ended', 'closing', 'reviewed', 'rejected', 'cancelled')), 
    CONSTRAINT ck_campaign_span CHECK (ends_at > starts_at)
)
;;
CREATE TABLE incentives.change (
    change_id BIGINT NOT NULL, 
    owner TEXT NOT NULL, 
    owner_id BIGINT NOT NULL, 
    edit JSONB NOT NULL, 
    reason TEXT NOT NULL, 
    state TEXT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    decided_by TEXT, 
    decided_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_change PRIMARY KEY (change_id), 
    CONSTRAINT ck_change_owner CHECK (owner IN ('campaign', 'promotion')), 
    CONSTRAINT ck_change_state CHECK (state IN ('proposed', 'approved', 'rejected')), 
    CONSTRAINT ck_change_decided CHECK ((state = 'proposed') = (decided_by IS NULL))
)
;;
CREATE INDEX ix_change_owner_id_change_id ON incentives.change (owner_id, change_id)
;;
CREATE TABLE incentives.live_epoch (
    one SMALLINT NOT NULL, 
    epoch BIGINT NOT NULL, 
    CONSTRAINT pk_live_epoch PRIMARY KEY (one), 
    CONSTRAINT ck_live_epoch_one CHECK (one = 1)
)
;;
CREATE TABLE incentives.reward_cursor (
    merchant_id BIGINT NOT NULL, 
    entry_no BIGINT NOT NULL, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_reward_cursor PRIMARY KEY (merchant_id)
)
 WITH (fillfactor = 50)
;;
CREATE TABLE incentives.voucher_code (
    code TEXT NOT NULL, 
    role TEXT NOT NULL, 
    party_id BIGINT NOT NULL, 
    voucher_id BIGINT NOT NULL, 
    CONSTRAINT pk_voucher_code PRIMARY KEY (code), 
    CONSTRAINT ck_voucher_code_role CHECK (role IN ('merchant', 'buyer'))
)
;;
CREATE TABLE incentives.budget_period (
    budget_id BIGINT NOT NULL, 
    period_from DATE NOT NULL, 
    limit_minor BIGINT NOT NULL, 
    over_minor BIGINT DEFAULT '0' NOT NULL, 
    exhausted_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_budget_period PRIMARY KEY (budget_id, period_from), 
    CONSTRAINT fk_budget_period_budget_id FOREIGN KEY(budget_id) REFERENCES incentives.budget (budget_id), 
    CONSTRAINT ck_budget_period_limit CHECK (limit_minor >= 0 AND over_minor >= 0)
)
;;
CREATE TABLE incentives.promotion (
    promotion_id BIGINT NOT NULL, 
    campaign_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    state TEXT NOT NULL, 
    on_pause TEXT NOT NULL, 
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    ends_at TIMESTAMP WITH TIME ZONE, 
    closes_at TIMESTAMP WITH TIME ZONE, 
    review_at TIMESTAMP WITH TIME ZONE, 
    authors TEXT[] NOT NULL, 
    approved_by TEXT, 
    approved_at TIMESTAMP WITH TIME ZONE, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_promotion PRIMARY KEY (promotion_id), 
    CONSTRAINT uq_promotion_name UNIQUE (name), 
    CONSTRAINT fk_promotion_campaign_id FOREIGN KEY(campaign_id) REFERENCES incentives.campaign (campaign_id), 
    CONSTRAINT ck_promotion_state CHECK (state IN ('draft', 'in_review', 'approved', 'scheduled', 'live', 'paused', 'exhausted', 'ended', 'closing', 'reviewed', 'rejected', 'cancelled')), 
    CONSTRAINT ck_promotion_on_pause CHECK (on_pause IN ('honour', 'void')), 
    CONSTRAINT ck_promotion_span CHECK (ends_at > starts_at)
)
;;
CREATE INDEX ix_promotion_campaign_id ON incentives.promotion (campaign_id)
;;
CREATE TABLE incentives.budget_shard (
    budget_id BIGINT NOT NULL, 
    period_from DATE NOT NULL, 
    n SMALLINT NOT NULL, 
    allocated_minor BIGINT NOT NULL, 
    reserved_minor BIGINT DEFAULT '0' NOT NULL, 
    spent_minor BIGINT DEFAULT '0' NOT NULL, 
    CONSTRAINT pk_budget_shard PRIMARY KEY (budget_id, period_from, n), 
    CONSTRAINT fk_budget_shard_budget_id_period_from FOREIGN KEY(budget_id, period_from) REFERENCES incentives.budget_period (budget_id, period_from), 
    CONSTRAINT ck_budget_shard_amounts CHECK (reserved_minor >= 0 AND spent_minor >= 0), 
    CONSTRAINT ck_budget_shard_never_over CHECK (allocated_minor - reserved_minor - spent_minor >= 0)
)
 WITH (fillfactor = 50)
;;
CREATE TABLE incentives.buyer_progress (
    buyer_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    span TEXT NOT NULL, 
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    ends_at TIMESTAMP WITH TIME ZONE, 
    promised BIGINT NOT NULL, 
    settled BIGINT NOT NULL, 
    reached BIGINT NOT NULL, 
    granted_minor BIGINT NOT NULL, 
    pending_minor BIGINT NOT NULL, 
    award_minor BIGINT, 
    void_minor BIGINT DEFAULT '0' NOT NULL, 
    grants INTEGER NOT NULL, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_buyer_progress PRIMARY KEY (buyer_id, promotion_id, span), 
    CONSTRAINT fk_buyer_progress_promotion_id FOREIGN KEY(promotion_id) REFERENCES incentives.promotion (promotion_id), 
    CONSTRAINT ck_buyer_progress_amounts CHECK (granted_minor >= 0 AND pending_minor >= 0 AND void_minor >= 0 AND grants >= 0)
)
 WITH (fillfactor = 70)
;;
CREATE INDEX ix_buyer_progress_owed ON incentives.buyer_progress (promotion_id) WHERE pending_minor > 0
;;
CREATE TABLE incentives.buyer_voucher (
    buyer_id BIGINT NOT NULL, 
    voucher_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    grant_id BIGINT NOT NULL, 
    code TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    minimum_minor BIGINT NOT NULL, 
    state TEXT NOT NULL, 
    issued_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    used_for TEXT, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_buyer_voucher PRIMARY KEY (buyer_id, voucher_id), 
    CONSTRAINT uq_buyer_voucher_buyer_id_grant_id UNIQUE (buyer_id, grant_id), 
    CONSTRAINT fk_buyer_voucher_promotion_id FOREIGN KEY(promotion_id) REFERENCES incentives.promotion (promotion_id), 
    CONSTRAINT ck_buyer_voucher_state CHECK (state IN ('issued', 'used', 'expired', 'void')), 
    CONSTRAINT ck_buyer_voucher_used CHECK ((state = 'used') = (used_for IS NOT NULL)), 
    CONSTRAINT ck_buyer_voucher_amounts CHECK (amount_minor > 0 AND minimum_minor >= 0 AND expires_at > issued_at)
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_buyer_voucher_expiring ON incentives.buyer_voucher (expires_at) WHERE state = 'issued'
;;
CREATE TABLE incentives.exposure (
    merchant_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    unit TEXT NOT NULL, 
    arm TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_exposure PRIMARY KEY (merchant_id, promotion_id, unit), 
    CONSTRAINT fk_exposure_promotion_id FOREIGN KEY(promotion_id) REFERENCES incentives.promotion (promotion_id)
)
;;
CREATE INDEX ix_exposure_promotion_id ON incentives.exposure (promotion_id)
;;
CREATE TABLE incentives.merchant_progress (
    merchant_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    span TEXT NOT NULL, 
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    ends_at TIMESTAMP WITH TIME ZONE, 
    promised BIGINT NOT NULL, 
    settled BIGINT NOT NULL, 
    reached BIGINT NOT NULL, 
    granted_minor BIGINT NOT NULL, 
    pending_minor BIGINT NOT NULL, 
    award_minor BIGINT, 
    void_minor BIGINT DEFAULT '0' NOT NULL, 
    grants INTEGER NOT NULL, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_merchant_progress PRIMARY KEY (merchant_id, promotion_id, span), 
    CONSTRAINT fk_merchant_progress_promotion_id FOREIGN KEY(promotion_id) REFERENCES incentives.promotion (promotion_id), 
    CONSTRAINT ck_merchant_progress_amounts CHECK (granted_minor >= 0 AND pending_minor >= 0 AND void_minor >= 0 AND grants >= 0)
)
 WITH (fillfactor = 70)
;;
CREATE INDEX ix_merchant_progress_owed ON incentives.merchant_progress (promotion_id) WHERE pending_minor > 0
;;
CREATE TABLE incentives.merchant_voucher (
    merchant_id BIGINT NOT NULL, 
    voucher_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    grant_id BIGINT NOT NULL, 
    code TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    minimum_minor BIGINT NOT NULL, 
    state TEXT NOT NULL, 
    issued_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    used_for TEXT, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_merchant_voucher PRIMARY KEY (merchant_id, voucher_id), 
    CONSTRAINT uq_merchant_voucher_merchant_id_grant_id UNIQUE (merchant_id, grant_id), 
    CONSTRAINT fk_merchant_voucher_promotion_id FOREIGN KEY(promotion_id) REFERENCES incentives.promotion (promotion_id), 
    CONSTRAINT ck_merchant_voucher_state CHECK (state IN ('issued', 'used', 'expired', 'void')), 
    CONSTRAINT ck_merchant_voucher_used CHECK ((state = 'used') = (used_for IS NOT NULL)), 
    CONSTRAINT ck_merchant_voucher_amounts CHECK (amount_minor > 0 AND minimum_minor >= 0 AND expires_at > issued_at)
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_merchant_voucher_expiring ON incentives.merchant_voucher (expires_at) WHERE state = 'issued'
;;
CREATE TABLE incentives.opt_in (
    merchant_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_opt_in PRIMARY KEY (merchant_id, promotion_id), 
    CONSTRAINT fk_opt_in_promotion_id FOREIGN KEY(promotion_id) REFERENCES incentives.promotion (promotion_id)
)
;;
CREATE TABLE incentives.promotion_code (
    code TEXT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    unlocks TEXT NOT NULL, 
    buyer_id BIGINT, 
    state TEXT NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    used_for BIGINT, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    made_by TEXT NOT NULL, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_promotion_code PRIMARY KEY (code), 
    CONSTRAINT fk_promotion_code_promotion_id FOREIGN KEY(promotion_id) REFERENCES incentives.promotion (promotion_id), 
    CONSTRAINT ck_promotion_code_state CHECK (state IN ('issued', 'used', 'void')), 
    CONSTRAINT ck_promotion_code_used CHECK ((state = 'used') = (used_for IS NOT NULL))
)
;;
CREATE INDEX ix_promotion_code_promotion_id_code ON incentives.promotion_code (promotion_id, code)
;;
CREATE INDEX ix_promotion_code_used_for ON incentives.promotion_code (used_for) WHERE used_for IS NOT NULL
;;
CREATE TABLE incentives.promotion_version (
    promotion_id BIGINT NOT NULL, 
    version_no INTEGER NOT NULL, 
    terms JSONB NOT NULL, 
    effective_from TIMESTAMP WITH TIME ZONE NOT NULL, 
    state TEXT NOT NULL, 
    author TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    approved_by TEXT, 
    approved_at TIMESTAMP WITH TIME ZONE, 
    simulation_id BIGINT, 
    simulation_digest TEXT, 
    acknowledged JSONB DEFAULT '{}'::jsonb NOT NULL, 
    CONSTRAINT pk_promotion_version PRIMARY KEY (promotion_id, version_no), 
    CONSTRAINT fk_promotion_version_promotion_id FOREIGN KEY(promotion_id) REFERENCES incentives.promotion (promotion_id), 
    CONSTRAINT ck_promotion_version_state CHECK (state IN ('proposed', 'approved', 'rejected')), 
    CONSTRAINT ck_promotion_version_approved CHECK ((state = 'approved') = (approved_by IS NOT NULL)), 
    CONSTRAINT ck_promotion_version_simulated CHECK ((simulation_id IS NULL) = (simulation_digest IS NULL))
)
;;
CREATE TABLE incentives.public_promotion (
    promotion_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    ends_at TIMESTAMP WITH TIME ZONE, 
    terms JSONB NOT NULL, 
    merchants BIGINT[], 
    live BOOLEAN NOT NULL, 
    CONSTRAINT pk_public_promotion PRIMARY KEY (promotion_id), 
    CONSTRAINT fk_public_promotion_promotion_id FOREIGN KEY(promotion_id) REFERENCES incentives.promotion (promotion_id)
)
;;
CREATE TABLE incentives.review (
    promotion_id BIGINT NOT NULL, 
    findings JSONB NOT NULL, 
    decision TEXT NOT NULL, 
    learned TEXT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_review PRIMARY KEY (promotion_id), 
    CONSTRAINT fk_review_promotion_id FOREIGN KEY(promotion_id) REFERENCES incentives.promotion (promotion_id), 
    CONSTRAINT ck_review_decision CHECK (decision IN ('repeat', 'change', 'stop'))
)
;;
CREATE TABLE incentives.buyer_contribution (
    buyer_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    event_id TEXT NOT NULL, 
    span TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    promised BIGINT NOT NULL, 
    settled BIGINT NOT NULL, 
    of_buyer BIGINT, 
    line_nos SMALLINT[] NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_buyer_contribution PRIMARY KEY (buyer_id, promotion_id, event_id), 
    CONSTRAINT fk_buyer_contribution_promotion_id_version_no FOREIGN KEY(promotion_id, version_no) REFERENCES incentives.promotion_version (promotion_id, version_no)
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_buyer_contribution_buyer_id_promotion_id_span ON incentives.buyer_contribution (buyer_id, promotion_id, span)
;;
CREATE TABLE incentives.buyer_grant (
    buyer_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    span TEXT NOT NULL, 
    grant_no INTEGER NOT NULL, 
    grant_id BIGINT NOT NULL, 
    campaign_id BIGINT NOT NULL, 
    version_no INTEGER NOT NULL, 
    event_id TEXT, 
    form TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    funders TEXT[] NOT NULL, 
    funder_minor BIGINT[] NOT NULL, 
    line_nos SMALLINT[] NOT NULL, 
    line_minor BIGINT[] NOT NULL, 
    state TEXT NOT NULL, 
    reservation_key TEXT, 
    vests_at TIMESTAMP WITH TIME ZONE, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_buyer_grant PRIMARY KEY (buyer_id, promotion_id, span, grant_no), 
    CONSTRAINT uq_buyer_grant_buyer_id_grant_id UNIQUE (buyer_id, grant_id), 
    CONSTRAINT fk_buyer_grant_promotion_id_version_no FOREIGN KEY(promotion_id, version_no) REFERENCES incentives.promotion_version (promotion_id, version_no), 
    CONSTRAINT ck_buyer_grant_state CHECK (state IN ('pending', 'available', 'paid', 'void')), 
    CONSTRAINT ck_buyer_grant_form CHECK (form IN ('credit', 'next_order_voucher', 'fee_reduction', 'discount')), 
    CONSTRAINT ck_buyer_grant_amount CHECK (amount_minor <> 0), 
    CONSTRAINT ck_buyer_grant_shares CHECK (cardinality(funders) = cardinality(funder_minor) AND cardinality(funders) > 0 AND cardinality(line_nos) = cardinality(line_minor))
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_buyer_grant_open ON incentives.buyer_grant (promotion_id, state) WHERE state IN ('pending', 'available')
;;
CREATE INDEX ix_buyer_grant_promotion_id_at ON incentives.buyer_grant (promotion_id, at)
;;
CREATE TABLE incentives.merchant_contribution (
    merchant_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    event_id TEXT NOT NULL, 
    span TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    promised BIGINT NOT NULL, 
    settled BIGINT NOT NULL, 
    of_buyer BIGINT, 
    line_nos SMALLINT[] NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_merchant_contribution PRIMARY KEY (merchant_id, promotion_id, event_id), 
    CONSTRAINT fk_merchant_contribution_promotion_id_version_no FOREIGN KEY(promotion_id, version_no) REFERENCES incentives.promotion_version (promotion_id, version_no)
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_merchant_contribution_merchant_id_promotion_id_span ON incentives.merchant_contribution (merchant_id, promotion_id, span)
;;
CREATE TABLE incentives.merchant_grant (
    merchant_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    span TEXT NOT NULL, 
    grant_no INTEGER NOT NULL, 
    grant_id BIGINT NOT NULL, 
    campaign_id BIGINT NOT NULL, 
    version_no INTEGER NOT NULL, 
    event_id TEXT, 
    form TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    funders TEXT[] NOT NULL, 
    funder_minor BIGINT[] NOT NULL, 
    line_nos SMALLINT[] NOT NULL, 
    line_minor BIGINT[] NOT NULL, 
    state TEXT NOT NULL, 
    reservation_key TEXT, 
    vests_at TIMESTAMP WITH TIME ZONE, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_merchant_grant PRIMARY KEY (merchant_id, promotion_id, span, grant_no), 
    CONSTRAINT uq_merchant_grant_merchant_id_grant_id UNIQUE (merchant_id, grant_id), 
    CONSTRAINT fk_merchant_grant_promotion_id_version_no FOREIGN KEY(promotion_id, version_no) REFERENCES incentives.promotion_version (promotion_id, version_no), 
    CONSTRAINT ck_merchant_grant_state CHECK (state IN ('pending', 'available', 'paid', 'void')), 
    CONSTRAINT ck_merchant_grant_form CHECK (form IN ('credit', 'next_order_voucher', 'fee_reduction', 'discount')), 
    CONSTRAINT ck_merchant_grant_amount CHECK (amount_minor <> 0), 
    CONSTRAINT ck_merchant_grant_shares CHECK (cardinality(funders) = cardinality(funder_minor) AND cardinality(funders) > 0 AND cardinality(line_nos) = cardinality(line_minor))
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_merchant_grant_open ON incentives.merchant_grant (promotion_id, state) WHERE state IN ('pending', 'available')
;;
CREATE INDEX ix_merchant_grant_promotion_id_at ON incentives.merchant_grant (promotion_id, at)
;;
CREATE TABLE incentives.order_discount (
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT NOT NULL, 
    grant_id BIGINT NOT NULL, 
    buyer_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    campaign_id BIGINT NOT NULL, 
    version_no INTEGER NOT NULL, 
    name TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    state TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    funders TEXT[] NOT NULL, 
    contracts BIGINT[] NOT NULL, 
    funder_minor BIGINT[] NOT NULL, 
    funder_back_minor BIGINT[] NOT NULL, 
    line_nos SMALLINT[] NOT NULL, 
    line_minor BIGINT[] NOT NULL, 
    own_minor BIGINT[] NOT NULL, 
    borne_back_minor BIGINT[] NOT NULL, 
    own_back_minor BIGINT[] NOT NULL, 
    CONSTRAINT pk_order_discount PRIMARY KEY (merchant_id, order_id, grant_id), 
    CONSTRAINT fk_order_discount_promotion_id_version_no FOREIGN KEY(promotion_id, version_no) REFERENCES incentives.promotion_version (promotion_id, version_no), 
    CONSTRAINT ck_order_discount_state CHECK (state IN ('reserved', 'committed', 'released')), 
    CONSTRAINT ck_order_discount_amount CHECK (amount_minor > 0), 
    CONSTRAINT ck_order_discount_shares CHECK (cardinality(funders) = cardinality(funder_minor) AND cardinality(funders) = cardinality(contracts) AND cardinality(funders) = cardinality(funder_back_minor) AND cardinality(line_nos) = cardinality(line_minor) AND cardinality(line_nos) = cardinality(own_minor) AND cardinality(line_nos) = cardinality(borne_back_minor) AND cardinality(line_nos) = cardinality(own_back_minor))
)
 WITH (fillfactor = 80)
;;
CREATE INDEX ix_order_discount_promotion_id_merchant_id ON incentives.order_discount (promotion_id, merchant_id)
;;
CREATE TABLE incentives.simulation (
    simulation_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    version_no INTEGER NOT NULL, 
    asked JSONB NOT NULL, 
    state TEXT NOT NULL, 
    progress_ppm INTEGER DEFAULT '0' NOT NULL, 
    result JSONB, 
    digest TEXT, 
    fault TEXT, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    done_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_simulation PRIMARY KEY (simulation_id), 
    CONSTRAINT fk_simulation_promotion_id_version_no FOREIGN KEY(promotion_id, version_no) REFERENCES incentives.promotion_version (promotion_id, version_no), 
    CONSTRAINT ck_simulation_state CHECK (state IN ('queued', 'running', 'done', 'failed')), 
    CONSTRAINT ck_simulation_result CHECK ((state = 'done') = (result IS NOT NULL AND digest IS NOT NULL)), 
    CONSTRAINT ck_simulation_fault CHECK ((state = 'failed') = (fault IS NOT NULL)), 
    CONSTRAINT ck_simulation_progress CHECK (progress_ppm BETWEEN 0 AND 1000000)
)
;;
CREATE INDEX ix_simulation_promotion_id_simulation_id ON incentives.simulation (promotion_id, simulation_id)
;;
CREATE TABLE incentives.discount_back (
    merchant_id BIGINT NOT NULL, 
    refund_id BIGINT NOT NULL, 
    grant_id BIGINT NOT NULL, 
    undone BOOLEAN NOT NULL, 
    order_id BIGINT NOT NULL, 
    line_nos SMALLINT[] NOT NULL, 
    borne_minor BIGINT[] NOT NULL, 
    own_minor BIGINT[] NOT NULL, 
    funder_minor BIGINT[] NOT NULL, 
    CONSTRAINT pk_discount_back PRIMARY KEY (merchant_id, refund_id, grant_id, undone), 
    CONSTRAINT fk_discount_back_merchant_id_order_id_grant_id FOREIGN KEY(merchant_id, order_id, grant_id) REFERENCES incentives.order_discount (merchant_id, order_id, grant_id)
)
;;
CREATE INDEX ix_discount_back_merchant_id_order_id ON incentives.discount_back (merchant_id, order_id)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.budget TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.budget_reservation TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.campaign TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.change TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.live_epoch TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.reward_cursor TO app_staff, app_worker
;;
ALTER TABLE incentives.reward_cursor ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.reward_cursor FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.reward_cursor TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.reward_cursor TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.reward_cursor TO app_merchant
;;
CREATE POLICY app_merchant ON incentives.reward_cursor FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.voucher_code TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.budget_period TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.promotion TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.budget_shard TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.buyer_progress TO app_staff, app_worker
;;
ALTER TABLE incentives.buyer_progress ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.buyer_progress FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.buyer_progress TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.buyer_progress TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.buyer_progress TO app_buyer
;;
CREATE POLICY app_buyer ON incentives.buyer_progress FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.buyer_voucher TO app_staff, app_worker
;;
ALTER TABLE incentives.buyer_voucher ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.buyer_voucher FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.buyer_voucher TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.buyer_voucher TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.buyer_voucher TO app_buyer
;;
CREATE POLICY app_buyer ON incentives.buyer_voucher FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.exposure TO app_staff, app_worker
;;
ALTER TABLE incentives.exposure ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.exposure FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.exposure TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.exposure TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.exposure TO app_merchant
;;
CREATE POLICY app_merchant ON incentives.exposure FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint AND false)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.merchant_progress TO app_staff, app_worker
;;
ALTER TABLE incentives.merchant_progress ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.merchant_progress FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.merchant_progress TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.merchant_progress TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.merchant_progress TO app_merchant
;;
CREATE POLICY app_merchant ON incentives.merchant_progress FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.merchant_voucher TO app_staff, app_worker
;;
ALTER TABLE incentives.merchant_voucher ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.merchant_voucher FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.merchant_voucher TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.merchant_voucher TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.merchant_voucher TO app_merchant
;;
CREATE POLICY app_merchant ON incentives.merchant_voucher FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.opt_in TO app_staff, app_worker
;;
ALTER TABLE incentives.opt_in ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.opt_in FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.opt_in TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.opt_in TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.opt_in TO app_merchant
;;
CREATE POLICY app_merchant ON incentives.opt_in FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.promotion_code TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.promotion_version TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.public_promotion TO app_staff, app_worker
;;
ALTER TABLE incentives.public_promotion ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.public_promotion FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.public_promotion TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.public_promotion TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.public_promotion TO app_merchant
;;
CREATE POLICY app_merchant ON incentives.public_promotion FOR SELECT TO app_merchant USING (live AND (merchants IS NULL OR nullif(current_setting('app.merchant_id', true), '')::bigint = ANY(merchants)))
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.review TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.buyer_contribution TO app_staff, app_worker
;;
ALTER TABLE incentives.buyer_contribution ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.buyer_contribution FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.buyer_contribution TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.buyer_contribution TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.buyer_contribution TO app_buyer
;;
CREATE POLICY app_buyer ON incentives.buyer_contribution FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.buyer_grant TO app_staff, app_worker
;;
ALTER TABLE incentives.buyer_grant ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.buyer_grant FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.buyer_grant TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.buyer_grant TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.buyer_grant TO app_buyer
;;
CREATE POLICY app_buyer ON incentives.buyer_grant FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.merchant_contribution TO app_staff, app_worker
;;
ALTER TABLE incentives.merchant_contribution ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.merchant_contribution FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.merchant_contribution TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.merchant_contribution TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.merchant_contribution TO app_merchant
;;
CREATE POLICY app_merchant ON incentives.merchant_contribution FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.merchant_grant TO app_staff, app_worker
;;
ALTER TABLE incentives.merchant_grant ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.merchant_grant FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.merchant_grant TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.merchant_grant TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.merchant_grant TO app_merchant
;;
CREATE POLICY app_merchant ON incentives.merchant_grant FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.order_discount TO app_staff, app_worker
;;
ALTER TABLE incentives.order_discount ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.order_discount FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.order_discount TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.order_discount TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.order_discount TO app_merchant
;;
CREATE POLICY app_merchant ON incentives.order_discount FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.simulation TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON incentives.discount_back TO app_staff, app_worker
;;
ALTER TABLE incentives.discount_back ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.discount_back FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.discount_back TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.discount_back TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.discount_back TO app_merchant
;;
CREATE POLICY app_merchant ON incentives.discount_back FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
