CREATE TABLE demand.order_change (
    change_id BIGINT NOT NULL, 
    merchant_id BIGINT NOT NULL, 
    order_id BIGINT, 
    CONSTRAINT pk_order_change PRIMARY KEY (change_id, merchant_id)
)
;;
CREATE TABLE metrics.alert_rule (
    rule_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    metric TEXT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    grain TEXT NOT NULL, 
    compared TEXT NOT NULL, 
    side TEXT NOT NULL, 
    bound BIGINT NOT NULL, 
    clear_bound BIGINT NOT NULL, 
    guards TEXT, 
    owner TEXT NOT NULL, 
    active BOOLEAN DEFAULT 'true' NOT NULL, 
    raised BOOLEAN DEFAULT 'false' NOT NULL, 
    looked_at_to DATE, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_alert_rule PRIMARY KEY (rule_id), 
    CONSTRAINT ck_alert_rule_grain CHECK (grain IN ('day', 'week', 'month')), 
    CONSTRAINT ck_alert_rule_compared CHECK (compared IN ('value', 'change')), 
    CONSTRAINT ck_alert_rule_side CHECK (side IN ('above', 'below')), 
    CONSTRAINT ck_alert_rule_bounds CHECK (CASE side WHEN 'above' THEN clear_bound <= bound ELSE clear_bound >= bound END), 
    CONSTRAINT uq_alert_rule_name UNIQUE (name)
)
;;
CREATE TABLE metrics.day_change (
    day DATE NOT NULL, 
    CONSTRAINT pk_day_change PRIMARY KEY (day)
)
;;
CREATE TABLE metrics.first_report (
    metric TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    entity_id INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    from_on DATE NOT NULL, 
    to_on DATE NOT NULL, 
    value BIGINT, 
    reported_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_first_report PRIMARY KEY (metric, version_no, entity_id, currency, from_on, to_on)
)
;;
CREATE TABLE metrics.goal (
    goal_id BIGINT NOT NULL, 
    metric TEXT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    grain TEXT NOT NULL, 
    from_on DATE NOT NULL, 
    to_on DATE NOT NULL, 
    territory_id BIGINT, 
    rep_id BIGINT, 
    parent_id BIGINT, 
    owner TEXT NOT NULL, 
    target BIGINT NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    CONSTRAINT pk_goal PRIMARY KEY (goal_id), 
    CONSTRAINT fk_goal_parent_id FOREIGN KEY(parent_id) REFERENCES metrics.goal (goal_id), 
    CONSTRAINT ck_goal_grain CHECK (grain IN ('week', 'month')), 
    CONSTRAINT ck_goal_whose CHECK (territory_id IS NULL OR rep_id IS NULL), 
    CONSTRAINT ck_goal_target CHECK (target > 0)
)
;;
CREATE INDEX ix_goal_from_on_goal_id ON metrics.goal (from_on, goal_id)
;;
CREATE UNIQUE INDEX uq_goal_one ON metrics.goal (metric, entity_id, currency, from_on, to_on, coalesce(territory_id, 0), coalesce(rep_id, 0))
;;
CREATE TABLE metrics.holiday (
    day DATE NOT NULL, 
    name TEXT NOT NULL, 
    CONSTRAINT pk_holiday PRIMARY KEY (day)
)
;;
CREATE TABLE metrics.market_day (
    entity_id INTEGER NOT NULL, 
    currency TEXT NOT NULL, 
    day DATE NOT NULL, 
    placed BIGINT NOT NULL, 
    placed_goods_minor BIGINT NOT NULL, 
    placed_paid BIGINT NOT NULL, 
    placed_paid_goods_minor BIGINT NOT NULL, 
    placed_accepted BIGINT NOT NULL, 
    placed_cancelled BIGINT NOT NULL, 
    placed_cancelled_by_merchant BIGINT NOT NULL, 
    placed_completed BIGINT NOT NULL, 
    completed BIGINT NOT NULL, 
    completed_goods_minor BIGINT NOT NULL, 
    completed_discount_minor BIGINT NOT NULL, 
    completed_items BIGINT NOT NULL, 
    completed_refunded BIGINT NOT NULL, 
    refunds BIGINT NOT NULL, 
    refunded_goods_minor BIGINT NOT NULL, 
    refunded_freight_minor BIGINT NOT NULL, 
    CONSTRAINT pk_market_day PRIMARY KEY (entity_id, currency, day)
)
;;
CREATE TABLE metrics.merchant_span (
    merchant_id BIGINT NOT NULL, 
    measure TEXT NOT NULL, 
    from_on DATE NOT NULL, 
    last_on DATE NOT NULL, 
    to_on DATE NOT NULL, 
    first BOOLEAN NOT NULL, 
    entity_id INTEGER NOT NULL, 
    CONSTRAINT pk_merchant_span PRIMARY KEY (merchant_id, measure, from_on), 
    CONSTRAINT ck_merchant_span_measure CHECK (measure IN ('active', 'retained')), 
    CONSTRAINT ck_merchant_span_order CHECK (from_on <= last_on AND last_on < to_on)
)
;;
CREATE TABLE metrics.order_day (
    merchant_id BIGINT NOT NULL, 
    day DATE NOT NULL, 
    currency TEXT NOT NULL, 
    entity_id INTEGER NOT NULL, 
    placed BIGINT NOT NULL, 
    placed_goods_minor BIGINT NOT NULL, 
    placed_paid BIGINT NOT NULL, 
    placed_paid_goods_minor BIGINT NOT NULL, 
    placed_accepted BIGINT NOT NULL, 
    placed_cancelled BIGINT NOT NULL, 
    placed_cancelled_by_merchant BIGINT NOT NULL, 
    placed_completed BIGINT NOT NULL, 
    completed BIGINT NOT NULL, 
    completed_goods_minor BIGINT NOT NULL, 
    completed_discount_minor BIGINT NOT NULL, 
    completed_items BIGINT NOT NULL, 
    completed_refunded BIGINT NOT NULL, 
    refunds BIGINT NOT NULL, 
    refunded_goods_minor BIGINT NOT NULL, 
    refunded_freight_minor BIGINT NOT NULL, 
    CONSTRAINT pk_order_day PRIMARY KEY (merchant_id, day, currency)
)
;;
CREATE INDEX ix_order_day_day ON metrics.order_day (day)
;;
CREATE TABLE metrics.review (
    review_id BIGINT NOT NULL, 
    week_on DATE NOT NULL, 
    causes TEXT NOT NULL, 
    learned TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    made_by TEXT NOT NULL, 
    CONSTRAINT pk_review PRIMARY KEY (review_id)
)
;;
CREATE INDEX ix_review_week_on_review_id ON metrics.review (week_on, review_id)
;;
CREATE TABLE supply.funnel_change (
    change_id BIGINT NOT NULL, 
    model TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    month DATE NOT NULL, 
    CONSTRAINT pk_funnel_change PRIMARY KEY (change_id)
)
;;
CREATE TABLE supply.funnel_month (
    model TEXT NOT NULL, 
    version_no INTEGER NOT NULL, 
    "of" TEXT NOT NULL, 
    channel_id BIGINT NOT NULL, 
    month DATE NOT NULL, 
    stage_no INTEGER NOT NULL, 
    fate TEXT NOT NULL, 
    days INTEGER NOT NULL, 
    leads BIGINT NOT NULL, 
    inferred BIGINT NOT NULL, 
    regressions BIGINT NOT NULL, 
    CONSTRAINT pk_funnel_month PRIMARY KEY (model, version_no, "of", channel_id, month, stage_no, fate, days), 
    CONSTRAINT ck_funnel_month_of CHECK (of IN ('stage', 'won')), 
    CONSTRAINT ck_funnel_month_fate CHECK (fate IN ('on', 'lost', 'open'))
)
;;
CREATE INDEX ix_funnel_month_model_version_no_month ON supply.funnel_month (model, version_no, month)
;;
CREATE TABLE supply.stage_day (
    model TEXT NOT NULL, 
    stage TEXT NOT NULL, 
    day DATE NOT NULL, 
    channel_id BIGINT NOT NULL, 
    version_no INTEGER NOT NULL, 
    entered BIGINT NOT NULL, 
    CONSTRAINT pk_stage_day PRIMARY KEY (model, stage, day, channel_id, version_no)
)
;;
CREATE TABLE metrics.alert_event (
    rule_id BIGINT NOT NULL, 
    to_on DATE NOT NULL, 
    from_on DATE NOT NULL, 
    raised BOOLEAN NOT NULL, 
    value BIGINT, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_alert_event PRIMARY KEY (rule_id, to_on), 
    CONSTRAINT fk_alert_event_rule_id FOREIGN KEY(rule_id) REFERENCES metrics.alert_rule (rule_id)
)
;;
CREATE TABLE metrics.goal_revision (
    goal_id BIGINT NOT NULL, 
    version INTEGER NOT NULL, 
    target BIGINT NOT NULL, 
    owner TEXT NOT NULL, 
    reason TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_goal_revision PRIMARY KEY (goal_id, version), 
    CONSTRAINT fk_goal_revision_goal_id FOREIGN KEY(goal_id) REFERENCES metrics.goal (goal_id)
)
;;
CREATE TABLE metrics.review_decision (
    review_id BIGINT NOT NULL, 
    decision_no INTEGER NOT NULL, 
    decision TEXT NOT NULL, 
    owner TEXT NOT NULL, 
    due_on DATE NOT NULL, 
    metric TEXT, 
    CONSTRAINT pk_review_decision PRIMARY KEY (review_id, decision_no), 
    CONSTRAINT fk_review_decision_review_id FOREIGN KEY(review_id) REFERENCES metrics.review (review_id)
)
;;
CREATE TABLE metrics.review_note (
    note_id BIGINT NOT NULL, 
    review_id BIGINT NOT NULL, 
    decision_no INTEGER, 
    note TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_review_note PRIMARY KEY (note_id), 
    CONSTRAINT fk_review_note_review_id FOREIGN KEY(review_id) REFERENCES metrics.review (review_id)
)
;;
CREATE INDEX ix_review_note_review_id ON metrics.review_note (review_id)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON demand.order_change TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON metrics.alert_rule TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON metrics.day_change TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON metrics.first_report TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON metrics.goal TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON metrics.holiday TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON metrics.market_day TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON metrics.merchant_span TO app_staff, app_worker
;;
ALTER TABLE metrics.merchant_span ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE metrics.merchant_span FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON metrics.merchant_span TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON metrics.merchant_span TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON metrics.merchant_span TO app_merchant
;;
CREATE POLICY app_merchant ON metrics.merchant_span FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint AND false)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON metrics.order_day TO app_staff, app_worker
;;
ALTER TABLE metrics.order_day ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE metrics.order_day FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON metrics.order_day TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON metrics.order_day TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON metrics.order_day TO app_merchant
;;
CREATE POLICY app_merchant ON metrics.order_day FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint AND false)
;;
GRANT SELECT, INSERT ON metrics.review TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.funnel_change TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.funnel_month TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.stage_day TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON metrics.alert_event TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON metrics.goal_revision TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON metrics.review_decision TO app_staff, app_worker
;;
GRANT SELECT, INSERT ON metrics.review_note TO app_staff, app_worker
