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
    CONSTRAINT pk_ad_bucket PRIMARY KEY (merchant_id, campaign_id, hour_at), 
    CONSTRAINT ck_ad_bucket_amounts CHECK (billed_minor >= 0 AND unbilled_minor >= 0)
)
 WITH (fillfactor = 50)
;;
CREATE INDEX ix_ad_bucket_due ON billing.ad_bucket (merchant_id, hour_at) WHERE clicks <> judged_clicks OR gross_milli - invalid_milli <> rated_milli
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
CREATE TABLE billing.ad_placement (
    placement_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    pricing TEXT NOT NULL, 
    currency TEXT NOT NULL, 
    positions INTEGER NOT NULL, 
    reserve_minor BIGINT NOT NULL, 
    slot_minutes INTEGER NOT NULL, 
    slot_price_minor BIGINT NOT NULL, 
    open BOOLEAN NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_ad_placement PRIMARY KEY (placement_id), 
    CONSTRAINT ck_ad_placement_pricing CHECK (pricing IN ('click', 'thousand', 'slot')), 
    CONSTRAINT ck_ad_placement_amounts CHECK (positions >= 0 AND reserve_minor >= 0 AND slot_price_minor >= 0), 
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
GRANT SELECT, INSERT, UPDATE (verdict) ON billing.ad_event TO app_staff, app_worker
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
