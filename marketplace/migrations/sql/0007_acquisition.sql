CREATE TABLE supply.agent_plan (
    code TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    from_on DATE NOT NULL, 
    terms JSONB NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_agent_plan PRIMARY KEY (code, version_no), 
    CONSTRAINT uq_agent_plan_code_from_on UNIQUE (code, from_on)
)
;;
CREATE TABLE supply.channel (
    channel_id BIGINT NOT NULL, 
    code TEXT NOT NULL, 
    name TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    parent_id BIGINT, 
    path BIGINT[] NOT NULL, 
    active BOOLEAN DEFAULT 'true' NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_channel PRIMARY KEY (channel_id), 
    CONSTRAINT fk_channel_parent_id FOREIGN KEY(parent_id) REFERENCES supply.channel (channel_id), 
    CONSTRAINT ck_channel_kind CHECK (kind IN ('online', 'offline', 'partner', 'unattributed')), 
    CONSTRAINT ck_channel_path CHECK ((parent_id IS NULL) = (cardinality(path) = 1)), 
    CONSTRAINT uq_channel_code UNIQUE (code)
)
;;
CREATE TABLE supply.funnel (
    model TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    stages JSONB NOT NULL, 
    won TEXT NOT NULL, 
    activated TEXT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_funnel PRIMARY KEY (model, version_no), 
    CONSTRAINT ck_funnel_model CHECK (model IN ('platform', 'tool', 'hardware', 'service', 'payer'))
)
;;
CREATE TABLE supply.lead_scoring (
    version_no INTEGER NOT NULL, 
    rules JSONB NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_lead_scoring PRIMARY KEY (version_no)
)
;;
CREATE TABLE supply.referral_code (
    code TEXT NOT NULL, 
    programme TEXT NOT NULL, 
    merchant_id BIGINT NOT NULL, 
    device TEXT DEFAULT '' NOT NULL, 
    active BOOLEAN DEFAULT 'true' NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_referral_code PRIMARY KEY (code)
)
;;
CREATE INDEX ix_referral_code_merchant_id ON supply.referral_code (merchant_id)
;;
CREATE TABLE supply.referral_programme (
    name TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    terms JSONB NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_referral_programme PRIMARY KEY (name, version_no)
)
;;
CREATE TABLE supply.territory (
    territory_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    parent_id BIGINT, 
    path BIGINT[] NOT NULL, 
    manager_id BIGINT, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_territory PRIMARY KEY (territory_id), 
    CONSTRAINT fk_territory_parent_id FOREIGN KEY(parent_id) REFERENCES supply.territory (territory_id), 
    CONSTRAINT uq_territory_name UNIQUE (name)
)
;;
CREATE TABLE supply.channel_cost (
    cost_id BIGINT NOT NULL, 
    cost_ref TEXT NOT NULL, 
    channel_id BIGINT NOT NULL, 
    campaign TEXT DEFAULT '' NOT NULL, 
    spent_on DATE NOT NULL, 
    kind TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    seller TEXT DEFAULT '' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_channel_cost PRIMARY KEY (cost_id), 
    CONSTRAINT fk_channel_cost_channel_id FOREIGN KEY(channel_id) REFERENCES supply.channel (channel_id), 
    CONSTRAINT ck_channel_cost_kind CHECK (kind IN ('media', 'people', 'travel', 'event', 'commission', 'incentive', 'onboarding', 'tool')), 
    CONSTRAINT uq_channel_cost_cost_ref UNIQUE (cost_ref)
)
;;
CREATE INDEX ix_channel_cost_spent_on_cost_id ON supply.channel_cost (spent_on, cost_id)
;;
CREATE TABLE supply.fair (
    fair_id BIGINT NOT NULL, 
    code TEXT NOT NULL, 
    name TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    place TEXT NOT NULL, 
    channel_id BIGINT NOT NULL, 
    starts_on DATE NOT NULL, 
    ends_on DATE NOT NULL, 
    zone TEXT NOT NULL, 
    follow_up_days INTEGER NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_fair PRIMARY KEY (fair_id), 
    CONSTRAINT fk_fair_channel_id FOREIGN KEY(channel_id) REFERENCES supply.channel (channel_id), 
    CONSTRAINT ck_fair_kind CHECK (kind IN ('conference', 'trade_fair', 'other')), 
    CONSTRAINT ck_fair_days CHECK (ends_on >= starts_on AND follow_up_days >= 0), 
    CONSTRAINT uq_fair_code UNIQUE (code)
)
;;
CREATE TABLE supply.lead_pool (
    pool_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    territory_id BIGINT, 
    zone TEXT NOT NULL, 
    daily_max INTEGER NOT NULL, 
    stock_max INTEGER NOT NULL, 
    protection_days INTEGER NOT NULL, 
    idle_days INTEGER NOT NULL, 
    outcome_days INTEGER NOT NULL, 
    cooling_days INTEGER NOT NULL, 
    last_dealt_to BIGINT, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_lead_pool PRIMARY KEY (pool_id), 
    CONSTRAINT fk_lead_pool_territory_id FOREIGN KEY(territory_id) REFERENCES supply.territory (territory_id), 
    CONSTRAINT ck_lead_pool_limits CHECK (daily_max > 0 AND stock_max > 0), 
    CONSTRAINT ck_lead_pool_days CHECK (protection_days >= 0 AND idle_days > 0 AND outcome_days > 0 AND cooling_days >= 0), 
    CONSTRAINT uq_lead_pool_name UNIQUE (name)
)
;;
CREATE TABLE supply.rep (
    user_id BIGINT NOT NULL, 
    login TEXT NOT NULL, 
    territory_id BIGINT NOT NULL, 
    active BOOLEAN DEFAULT 'true' NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_rep PRIMARY KEY (user_id), 
    CONSTRAINT fk_rep_territory_id FOREIGN KEY(territory_id) REFERENCES supply.territory (territory_id), 
    CONSTRAINT uq_rep_login UNIQUE (login)
)
;;
CREATE TABLE supply.territory_area (
    region TEXT NOT NULL, 
    city TEXT NOT NULL, 
    territory_id BIGINT NOT NULL, 
    CONSTRAINT pk_territory_area PRIMARY KEY (region, city), 
    CONSTRAINT fk_territory_area_territory_id FOREIGN KEY(territory_id) REFERENCES supply.territory (territory_id)
)
;;
CREATE TABLE supply.agent (
    agent_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    name TEXT NOT NULL, 
    user_id BIGINT, 
    territory_id BIGINT, 
    provider_id BIGINT NOT NULL, 
    plan_code TEXT NOT NULL, 
    since_on DATE NOT NULL, 
    active BOOLEAN DEFAULT 'true' NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_agent PRIMARY KEY (agent_id), 
    CONSTRAINT fk_agent_user_id FOREIGN KEY(user_id) REFERENCES supply.rep (user_id), 
    CONSTRAINT fk_agent_territory_id FOREIGN KEY(territory_id) REFERENCES supply.territory (territory_id), 
    CONSTRAINT ck_agent_kind CHECK (kind IN ('rep', 'distributor')), 
    CONSTRAINT ck_agent_rep CHECK ((kind = 'rep') = (user_id IS NOT NULL)), 
    CONSTRAINT uq_agent_name UNIQUE (name), 
    CONSTRAINT uq_agent_user_id UNIQUE (user_id), 
    CONSTRAINT uq_agent_provider_id UNIQUE (provider_id)
)
;;
CREATE TABLE supply.lead (
    lead_id BIGINT NOT NULL, 
    model TEXT NOT NULL, 
    funnel_version INTEGER NOT NULL, 
    source TEXT, 
    source_ref TEXT, 
    company TEXT NOT NULL, 
    contact TEXT DEFAULT '' NOT NULL, 
    phone TEXT DEFAULT '' NOT NULL, 
    email TEXT DEFAULT '' NOT NULL, 
    tax_id TEXT DEFAULT '' NOT NULL, 
    city TEXT DEFAULT '' NOT NULL, 
    region TEXT DEFAULT '' NOT NULL, 
    segment TEXT DEFAULT '' NOT NULL, 
    zone TEXT NOT NULL, 
    tax_key TEXT, 
    phone_key TEXT, 
    place_key TEXT, 
    channel_id BIGINT NOT NULL, 
    campaign TEXT DEFAULT '' NOT NULL, 
    territory_id BIGINT, 
    pool_id BIGINT, 
    owner_id BIGINT, 
    state TEXT NOT NULL, 
    merchant_ref TEXT, 
    merchant_id BIGINT, 
    merged_into BIGINT, 
    first_contact_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    fit INTEGER DEFAULT '0' NOT NULL, 
    engagement INTEGER DEFAULT '0' NOT NULL, 
    scored_by INTEGER, 
    claimed_at TIMESTAMP WITH TIME ZONE, 
    protected_until TIMESTAMP WITH TIME ZONE, 
    last_action_at TIMESTAMP WITH TIME ZONE, 
    former_owner_id BIGINT, 
    cooling_until TIMESTAMP WITH TIME ZONE, 
    ended_at TIMESTAMP WITH TIME ZONE, 
    version INTEGER DEFAULT '1' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_lead PRIMARY KEY (lead_id), 
    CONSTRAINT fk_lead_channel_id FOREIGN KEY(channel_id) REFERENCES supply.channel (channel_id), 
    CONSTRAINT fk_lead_territory_id FOREIGN KEY(territory_id) REFERENCES supply.territory (territory_id), 
    CONSTRAINT fk_lead_pool_id FOREIGN KEY(pool_id) REFERENCES supply.lead_pool (pool_id), 
    CONSTRAINT fk_lead_merged_into FOREIGN KEY(merged_into) REFERENCES supply.lead (lead_id), 
    CONSTRAINT uq_lead_source_source_ref UNIQUE (source, source_ref), 
    CONSTRAINT ck_lead_model CHECK (model IN ('platform', 'tool', 'hardware', 'service', 'payer')), 
    CONSTRAINT ck_lead_state CHECK (state IN ('new', 'pooled', 'claimed', 'contacted', 'visited', 'negotiating', 'signed', 'handed_over', 'lost', 'merged')), 
    CONSTRAINT ck_lead_owned CHECK (state NOT IN ('claimed', 'contacted', 'visited', 'negotiating') OR owner_id IS NOT NULL), 
    CONSTRAINT ck_lead_pooled CHECK (state <> 'pooled' OR (pool_id IS NOT NULL AND owner_id IS NULL)), 
    CONSTRAINT ck_lead_merged CHECK ((state = 'merged') = (merged_into IS NOT NULL)), 
    CONSTRAINT ck_lead_ended CHECK ((state IN ('signed', 'handed_over', 'lost')) = (ended_at IS NOT NULL))
)
;;
CREATE INDEX ix_lead_merchant ON supply.lead (merchant_id) WHERE merchant_id IS NOT NULL
;;
CREATE INDEX ix_lead_merged ON supply.lead (merged_into) WHERE merged_into IS NOT NULL
;;
CREATE INDEX ix_lead_owner_id_state ON supply.lead (owner_id, state)
;;
CREATE INDEX ix_lead_phone ON supply.lead (phone_key) WHERE phone_key IS NOT NULL
;;
CREATE INDEX ix_lead_place ON supply.lead (place_key) WHERE place_key IS NOT NULL
;;
CREATE INDEX ix_lead_pooled ON supply.lead (pool_id, fit, engagement) WHERE state = 'pooled'
;;
CREATE INDEX ix_lead_tax ON supply.lead (tax_key) WHERE tax_key IS NOT NULL
;;
CREATE INDEX ix_lead_territory_id ON supply.lead (territory_id)
;;
CREATE TABLE supply.agent_commission (
    commission_id BIGINT NOT NULL, 
    agent_id BIGINT NOT NULL, 
    lead_id BIGINT NOT NULL, 
    merchant_id BIGINT NOT NULL, 
    plan_code TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    activated_on DATE NOT NULL, 
    base_minor BIGINT NOT NULL, 
    earned_minor BIGINT NOT NULL, 
    state TEXT NOT NULL, 
    lost_on DATE, 
    reason TEXT DEFAULT '' NOT NULL, 
    looked_on DATE, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_agent_commission PRIMARY KEY (commission_id), 
    CONSTRAINT fk_agent_commission_agent_id FOREIGN KEY(agent_id) REFERENCES supply.agent (agent_id), 
    CONSTRAINT fk_agent_commission_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id), 
    CONSTRAINT fk_agent_commission_plan_code_version_no FOREIGN KEY(plan_code, version_no) REFERENCES supply.agent_plan (code, version_no), 
    CONSTRAINT ck_agent_commission_state CHECK (state IN ('open', 'vested', 'clawed_back')), 
    CONSTRAINT ck_agent_commission_earned CHECK (earned_minor >= 0), 
    CONSTRAINT ck_agent_commission_lost CHECK ((state = 'clawed_back') = (lost_on IS NOT NULL)), 
    CONSTRAINT uq_agent_commission_merchant_id UNIQUE (merchant_id)
)
;;
CREATE INDEX ix_agent_commission_agent_id_commission_id ON supply.agent_commission (agent_id, commission_id)
;;
CREATE INDEX ix_agent_commission_lead_id ON supply.agent_commission (lead_id)
;;
CREATE INDEX ix_agent_commission_open ON supply.agent_commission (commission_id) WHERE state = 'open'
;;
CREATE TABLE supply.attendee (
    attendee_id BIGINT NOT NULL, 
    fair_id BIGINT NOT NULL, 
    badge TEXT NOT NULL, 
    company TEXT NOT NULL, 
    contact TEXT DEFAULT '' NOT NULL, 
    phone TEXT DEFAULT '' NOT NULL, 
    email TEXT DEFAULT '' NOT NULL, 
    city TEXT DEFAULT '' NOT NULL, 
    region TEXT DEFAULT '' NOT NULL, 
    segment TEXT DEFAULT '' NOT NULL, 
    registered_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    scanned_at TIMESTAMP WITH TIME ZONE, 
    scanned_by BIGINT, 
    device_id TEXT, 
    note TEXT DEFAULT '' NOT NULL, 
    lead_id BIGINT, 
    CONSTRAINT pk_attendee PRIMARY KEY (attendee_id), 
    CONSTRAINT fk_attendee_fair_id FOREIGN KEY(fair_id) REFERENCES supply.fair (fair_id), 
    CONSTRAINT fk_attendee_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id), 
    CONSTRAINT uq_attendee_fair_id_badge UNIQUE (fair_id, badge), 
    CONSTRAINT ck_attendee_scanned CHECK (num_nulls(scanned_at, scanned_by, lead_id) IN (0, 3))
)
;;
CREATE INDEX ix_attendee_lead_id ON supply.attendee (lead_id)
;;
CREATE TABLE supply.attribution_share (
    lead_id BIGINT NOT NULL, 
    model TEXT NOT NULL, 
    channel_id BIGINT NOT NULL, 
    campaign TEXT NOT NULL, 
    share_ppm INTEGER NOT NULL, 
    locked_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_attribution_share PRIMARY KEY (lead_id, model, channel_id, campaign), 
    CONSTRAINT fk_attribution_share_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id), 
    CONSTRAINT fk_attribution_share_channel_id FOREIGN KEY(channel_id) REFERENCES supply.channel (channel_id), 
    CONSTRAINT ck_attribution_share_ppm CHECK (share_ppm BETWEEN 0 AND 1000000)
)
;;
CREATE TABLE supply.lead_credit (
    lead_id BIGINT NOT NULL, 
    agent_id BIGINT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_lead_credit PRIMARY KEY (lead_id), 
    CONSTRAINT fk_lead_credit_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id), 
    CONSTRAINT fk_lead_credit_agent_id FOREIGN KEY(agent_id) REFERENCES supply.agent (agent_id)
)
;;
CREATE INDEX ix_lead_credit_agent_id ON supply.lead_credit (agent_id)
;;
CREATE TABLE supply.lead_event (
    lead_id BIGINT NOT NULL, 
    event_no INTEGER NOT NULL, 
    move TEXT NOT NULL, 
    state TEXT NOT NULL, 
    owner_id BIGINT, 
    reason TEXT DEFAULT '' NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_lead_event PRIMARY KEY (lead_id, event_no), 
    CONSTRAINT fk_lead_event_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id)
)
;;
CREATE INDEX ix_lead_event_claims ON supply.lead_event (owner_id, at) WHERE move = 'claim'
;;
CREATE TABLE supply.lead_merge (
    lead_id BIGINT NOT NULL, 
    survivor_id BIGINT NOT NULL, 
    reason TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_lead_merge PRIMARY KEY (lead_id), 
    CONSTRAINT fk_lead_merge_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id), 
    CONSTRAINT fk_lead_merge_survivor_id FOREIGN KEY(survivor_id) REFERENCES supply.lead (lead_id)
)
;;
CREATE TABLE supply.lead_site (
    site_id BIGINT NOT NULL, 
    lead_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    latitude_udeg INTEGER NOT NULL, 
    longitude_udeg INTEGER NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_lead_site PRIMARY KEY (site_id), 
    CONSTRAINT fk_lead_site_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id), 
    CONSTRAINT ck_lead_site_place CHECK (latitude_udeg BETWEEN -90000000 AND 90000000 AND longitude_udeg BETWEEN -180000000 AND 180000000)
)
;;
CREATE INDEX ix_lead_site_lead_id ON supply.lead_site (lead_id)
;;
CREATE TABLE supply.lead_task (
    task_id BIGINT NOT NULL, 
    lead_id BIGINT NOT NULL, 
    rep_id BIGINT, 
    fair_id BIGINT, 
    what TEXT NOT NULL, 
    due_on DATE NOT NULL, 
    state TEXT NOT NULL, 
    outcome TEXT DEFAULT '' NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_lead_task PRIMARY KEY (task_id), 
    CONSTRAINT fk_lead_task_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id), 
    CONSTRAINT fk_lead_task_fair_id FOREIGN KEY(fair_id) REFERENCES supply.fair (fair_id), 
    CONSTRAINT ck_lead_task_state CHECK (state IN ('open', 'done', 'cancelled'))
)
;;
CREATE INDEX ix_lead_task_lead_id ON supply.lead_task (lead_id)
;;
CREATE INDEX ix_lead_task_open ON supply.lead_task (due_on, task_id) WHERE state = 'open'
;;
CREATE TABLE supply.referral (
    referral_id BIGINT NOT NULL, 
    code TEXT NOT NULL, 
    programme TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    referrer_id BIGINT NOT NULL, 
    lead_id BIGINT NOT NULL, 
    merchant_id BIGINT, 
    device TEXT DEFAULT '' NOT NULL, 
    referred_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    state TEXT NOT NULL, 
    reasons TEXT[] DEFAULT '{}' NOT NULL, 
    activated_on DATE, 
    version INTEGER DEFAULT '1' NOT NULL, 
    made_by TEXT NOT NULL, 
    CONSTRAINT pk_referral PRIMARY KEY (referral_id), 
    CONSTRAINT fk_referral_code FOREIGN KEY(code) REFERENCES supply.referral_code (code), 
    CONSTRAINT fk_referral_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id), 
    CONSTRAINT fk_referral_programme_version_no FOREIGN KEY(programme, version_no) REFERENCES supply.referral_programme (name, version_no), 
    CONSTRAINT ck_referral_state CHECK (state IN ('pending', 'qualified', 'rewarded', 'refused', 'clawed_back')), 
    CONSTRAINT ck_referral_won CHECK (state IN ('pending', 'refused') OR merchant_id IS NOT NULL), 
    CONSTRAINT ck_referral_refused CHECK (state <> 'refused' OR cardinality(reasons) > 0), 
    CONSTRAINT uq_referral_lead_id UNIQUE (lead_id)
)
;;
CREATE INDEX ix_referral_open ON supply.referral (referral_id) WHERE state IN ('pending', 'qualified', 'rewarded')
;;
CREATE UNIQUE INDEX uq_referral_merchant ON supply.referral (merchant_id) WHERE state IN ('qualified', 'rewarded', 'clawed_back')
;;
CREATE TABLE supply.stage_entry (
    lead_id BIGINT NOT NULL, 
    stage_no INTEGER NOT NULL, 
    model TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    channel_id BIGINT NOT NULL, 
    began_on DATE NOT NULL, 
    entered_on DATE NOT NULL, 
    next_on DATE, 
    won_on DATE, 
    lost_on DATE, 
    inferred BOOLEAN NOT NULL, 
    regressions INTEGER DEFAULT '0' NOT NULL, 
    CONSTRAINT pk_stage_entry PRIMARY KEY (lead_id, stage_no), 
    CONSTRAINT fk_stage_entry_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id), 
    CONSTRAINT ck_stage_entry_order CHECK (entered_on >= began_on AND next_on >= entered_on AND lost_on >= entered_on)
)
;;
CREATE INDEX ix_stage_entry_model_version_no_stage_no ON supply.stage_entry (model, version_no, stage_no)
;;
CREATE INDEX ix_stage_entry_open ON supply.stage_entry (model, version_no, entered_on, lead_id) WHERE next_on IS NULL AND lost_on IS NULL
;;
CREATE TABLE supply.stage_event (
    event_id BIGINT NOT NULL, 
    lead_id BIGINT NOT NULL, 
    stage TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    cause TEXT NOT NULL, 
    voids BIGINT, 
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_stage_event PRIMARY KEY (event_id), 
    CONSTRAINT fk_stage_event_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id), 
    CONSTRAINT fk_stage_event_voids FOREIGN KEY(voids) REFERENCES supply.stage_event (event_id), 
    CONSTRAINT uq_stage_event_voids UNIQUE (voids)
)
;;
CREATE INDEX ix_stage_event_lead_id ON supply.stage_event (lead_id)
;;
CREATE TABLE supply.touch (
    touch_id BIGINT NOT NULL, 
    lead_id BIGINT NOT NULL, 
    channel_id BIGINT NOT NULL, 
    campaign TEXT DEFAULT '' NOT NULL, 
    kind TEXT NOT NULL, 
    rep_id BIGINT, 
    note TEXT DEFAULT '' NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_touch PRIMARY KEY (touch_id), 
    CONSTRAINT fk_touch_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id), 
    CONSTRAINT fk_touch_channel_id FOREIGN KEY(channel_id) REFERENCES supply.channel (channel_id), 
    CONSTRAINT ck_touch_kind CHECK (kind IN ('seen', 'form', 'call', 'message', 'meeting', 'visit', 'event'))
)
;;
CREATE INDEX ix_touch_lead_id_at ON supply.touch (lead_id, at)
;;
CREATE TABLE supply.visit (
    visit_id BIGINT NOT NULL, 
    lead_id BIGINT NOT NULL, 
    rep_id BIGINT NOT NULL, 
    state TEXT NOT NULL, 
    planned_at TIMESTAMP WITH TIME ZONE, 
    device_id TEXT, 
    device_ref TEXT, 
    in_at TIMESTAMP WITH TIME ZONE, 
    in_latitude_udeg INTEGER, 
    in_longitude_udeg INTEGER, 
    in_accuracy_m INTEGER, 
    out_at TIMESTAMP WITH TIME ZONE, 
    out_latitude_udeg INTEGER, 
    out_longitude_udeg INTEGER, 
    out_accuracy_m INTEGER, 
    distance_m INTEGER, 
    skew_s INTEGER DEFAULT '0' NOT NULL, 
    mocked BOOLEAN DEFAULT 'false' NOT NULL, 
    photo_hash TEXT DEFAULT '' NOT NULL, 
    result TEXT DEFAULT '' NOT NULL, 
    next_step TEXT DEFAULT '' NOT NULL, 
    flags JSONB DEFAULT '[]' NOT NULL, 
    valid BOOLEAN, 
    reviewed_by TEXT, 
    review_reason TEXT DEFAULT '' NOT NULL, 
    synced_at TIMESTAMP WITH TIME ZONE, 
    version INTEGER DEFAULT '1' NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_visit PRIMARY KEY (visit_id), 
    CONSTRAINT fk_visit_lead_id FOREIGN KEY(lead_id) REFERENCES supply.lead (lead_id), 
    CONSTRAINT fk_visit_rep_id FOREIGN KEY(rep_id) REFERENCES supply.rep (user_id), 
    CONSTRAINT uq_visit_device_id_device_ref UNIQUE (device_id, device_ref), 
    CONSTRAINT ck_visit_state CHECK (state IN ('planned', 'open', 'done', 'cancelled')), 
    CONSTRAINT ck_visit_began CHECK (state NOT IN ('open', 'done') OR in_at IS NOT NULL), 
    CONSTRAINT ck_visit_over CHECK ((state = 'done') = (out_at IS NOT NULL) AND coalesce(out_at >= in_at, true)), 
    CONSTRAINT ck_visit_reviewed CHECK ((valid IS NULL) = (reviewed_by IS NULL))
)
;;
CREATE INDEX ix_visit_lead_id ON supply.visit (lead_id)
;;
CREATE INDEX ix_visit_photo ON supply.visit (photo_hash) WHERE photo_hash <> ''
;;
CREATE INDEX ix_visit_rep_id_in_at ON supply.visit (rep_id, in_at)
;;
CREATE TABLE supply.agent_movement (
    movement_id BIGINT NOT NULL, 
    commission_id BIGINT NOT NULL, 
    agent_id BIGINT NOT NULL, 
    merchant_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    amount_minor BIGINT NOT NULL, 
    booked_on DATE NOT NULL, 
    reason TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_agent_movement PRIMARY KEY (movement_id), 
    CONSTRAINT fk_agent_movement_commission_id FOREIGN KEY(commission_id) REFERENCES supply.agent_commission (commission_id), 
    CONSTRAINT fk_agent_movement_agent_id FOREIGN KEY(agent_id) REFERENCES supply.agent (agent_id), 
    CONSTRAINT ck_agent_movement_kind CHECK (kind IN ('agent_commission_earned', 'agent_commission_clawed_back')), 
    CONSTRAINT ck_agent_movement_amount CHECK (amount_minor <> 0)
)
;;
CREATE INDEX ix_agent_movement_agent_id_movement_id ON supply.agent_movement (agent_id, movement_id)
;;
CREATE INDEX ix_agent_movement_commission_id ON supply.agent_movement (commission_id)
;;
CREATE TABLE supply.referral_reward (
    referral_id BIGINT NOT NULL, 
    side TEXT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    merchant_id BIGINT NOT NULL, 
    event_id TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    CONSTRAINT pk_referral_reward PRIMARY KEY (referral_id, side, promotion_id), 
    CONSTRAINT fk_referral_reward_referral_id FOREIGN KEY(referral_id) REFERENCES supply.referral (referral_id), 
    CONSTRAINT ck_referral_reward_side CHECK (side IN ('referrer', 'referee'))
)
;;
CREATE INDEX ix_referral_reward_promotion_id ON supply.referral_reward (promotion_id)
;;
GRANT SELECT, INSERT ON supply.agent_plan TO app_staff, app_worker
;;
GRANT SELECT ON supply.agent_plan TO app_sales
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.channel TO app_staff, app_worker
;;
GRANT SELECT ON supply.channel TO app_sales
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.funnel TO app_staff, app_worker
;;
GRANT SELECT ON supply.funnel TO app_sales
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.lead_scoring TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.referral_code TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON supply.referral_programme TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.territory TO app_staff, app_worker
;;
GRANT SELECT ON supply.territory TO app_sales
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.channel_cost TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.fair TO app_staff, app_worker
;;
GRANT SELECT ON supply.fair TO app_sales
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.lead_pool TO app_staff, app_worker
;;
GRANT SELECT ON supply.lead_pool TO app_sales
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.rep TO app_staff, app_worker
;;
GRANT SELECT ON supply.rep TO app_sales
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.territory_area TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.agent TO app_staff, app_worker
;;
ALTER TABLE supply.agent ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.agent FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.agent TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.agent TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.agent TO app_sales
;;
CREATE POLICY app_sales ON supply.agent FOR SELECT TO app_sales USING (user_id = nullif(current_setting('app.user_id', true), '')::bigint OR coalesce((SELECT r.territory_id FROM supply.rep r WHERE r.user_id = agent.user_id), territory_id) IN (SELECT t.territory_id FROM supply.territory t JOIN supply.territory above ON above.territory_id = ANY(t.path) WHERE above.manager_id = nullif(current_setting('app.user_id', true), '')::bigint))
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.lead TO app_staff, app_worker
;;
ALTER TABLE supply.lead ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.lead FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.lead TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.lead TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.lead TO app_sales
;;
CREATE POLICY app_sales ON supply.lead FOR SELECT TO app_sales USING (owner_id = nullif(current_setting('app.user_id', true), '')::bigint OR territory_id IN (SELECT t.territory_id FROM supply.territory t JOIN supply.territory above ON above.territory_id = ANY(t.path) WHERE above.manager_id = nullif(current_setting('app.user_id', true), '')::bigint))
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.agent_commission TO app_staff, app_worker
;;
ALTER TABLE supply.agent_commission ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.agent_commission FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.agent_commission TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.agent_commission TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.agent_commission TO app_sales
;;
CREATE POLICY app_sales ON supply.agent_commission FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.agent a WHERE a.agent_id = agent_commission.agent_id))
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.attendee TO app_staff, app_worker
;;
ALTER TABLE supply.attendee ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.attendee FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.attendee TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.attendee TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.attendee TO app_sales
;;
CREATE POLICY app_sales ON supply.attendee FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = attendee.lead_id))
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.attribution_share TO app_staff, app_worker
;;
ALTER TABLE supply.attribution_share ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.attribution_share FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.attribution_share TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.attribution_share TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.attribution_share TO app_sales
;;
CREATE POLICY app_sales ON supply.attribution_share FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = attribution_share.lead_id))
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.lead_credit TO app_staff, app_worker
;;
ALTER TABLE supply.lead_credit ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.lead_credit FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.lead_credit TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.lead_credit TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.lead_credit TO app_sales
;;
CREATE POLICY app_sales ON supply.lead_credit FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = lead_credit.lead_id))
;;
GRANT SELECT, INSERT ON supply.lead_event TO app_staff, app_worker
;;
ALTER TABLE supply.lead_event ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.lead_event FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.lead_event TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.lead_event TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.lead_event TO app_sales
;;
CREATE POLICY app_sales ON supply.lead_event FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = lead_event.lead_id))
;;
GRANT SELECT, INSERT ON supply.lead_merge TO app_staff, app_worker
;;
ALTER TABLE supply.lead_merge ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.lead_merge FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.lead_merge TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.lead_merge TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.lead_merge TO app_sales
;;
CREATE POLICY app_sales ON supply.lead_merge FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = lead_merge.lead_id))
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.lead_site TO app_staff, app_worker
;;
ALTER TABLE supply.lead_site ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.lead_site FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.lead_site TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.lead_site TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.lead_site TO app_sales
;;
CREATE POLICY app_sales ON supply.lead_site FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = lead_site.lead_id))
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.lead_task TO app_staff, app_worker
;;
ALTER TABLE supply.lead_task ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.lead_task FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.lead_task TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.lead_task TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.lead_task TO app_sales
;;
CREATE POLICY app_sales ON supply.lead_task FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = lead_task.lead_id))
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.referral TO app_staff, app_worker
;;
ALTER TABLE supply.referral ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.referral FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.referral TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.referral TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.referral TO app_sales
;;
CREATE POLICY app_sales ON supply.referral FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = referral.lead_id))
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.stage_entry TO app_staff, app_worker
;;
ALTER TABLE supply.stage_entry ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.stage_entry FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.stage_entry TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.stage_entry TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.stage_entry TO app_sales
;;
CREATE POLICY app_sales ON supply.stage_entry FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = stage_entry.lead_id))
;;
GRANT SELECT, INSERT ON supply.stage_event TO app_staff, app_worker
;;
ALTER TABLE supply.stage_event ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.stage_event FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.stage_event TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.stage_event TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.stage_event TO app_sales
;;
CREATE POLICY app_sales ON supply.stage_event FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = stage_event.lead_id))
;;
GRANT SELECT, INSERT ON supply.touch TO app_staff, app_worker
;;
ALTER TABLE supply.touch ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.touch FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.touch TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.touch TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.touch TO app_sales
;;
CREATE POLICY app_sales ON supply.touch FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = touch.lead_id))
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.visit TO app_staff, app_worker
;;
ALTER TABLE supply.visit ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.visit FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.visit TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.visit TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.visit TO app_sales
;;
CREATE POLICY app_sales ON supply.visit FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = visit.lead_id))
;;
GRANT SELECT, INSERT ON supply.agent_movement TO app_staff, app_worker
;;
ALTER TABLE supply.agent_movement ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.agent_movement FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.agent_movement TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.agent_movement TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.agent_movement TO app_sales
;;
CREATE POLICY app_sales ON supply.agent_movement FOR SELECT TO app_sales USING (EXISTS (SELECT FROM supply.agent a WHERE a.agent_id = agent_movement.agent_id))
;;
GRANT SELECT, INSERT ON supply.referral_reward TO app_staff, app_worker
