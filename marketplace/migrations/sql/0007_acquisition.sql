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
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.territory TO app_staff, app_worker
;;
GRANT SELECT ON supply.territory TO app_sales
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.channel_cost TO app_staff, app_worker
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
