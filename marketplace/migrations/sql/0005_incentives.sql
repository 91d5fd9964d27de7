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
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.budget TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.budget_reservation TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.budget_period TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.budget_shard TO app_staff, app_worker
