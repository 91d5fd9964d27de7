CREATE TABLE metrics.observation (
    entity_id INTEGER NOT NULL, 
    name TEXT NOT NULL, 
    day DATE NOT NULL, 
    wait_days INTEGER NOT NULL, 
    count BIGINT NOT NULL, 
    told_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    told_by TEXT NOT NULL, 
    CONSTRAINT pk_observation PRIMARY KEY (entity_id, name, day, wait_days), 
    CONSTRAINT ck_observation_name CHECK (name IN ('visitors', 'visitors_with_order', 'requests', 'requests_filled', 'slots', 'ad_slots_eligible', 'ad_slots_filled', 'quoted', 'unquoted')), 
    CONSTRAINT ck_observation_count CHECK (count >= 0), 
    CONSTRAINT ck_observation_wait CHECK (wait_days >= 0 AND (wait_days = 0 OR name IN ('quoted', 'unquoted')))
)
;;
CREATE INDEX ix_observation_entity_id_day_name_wait_days ON metrics.observation (entity_id, day, name, wait_days)
;;
CREATE TABLE supply.agent_person (
    user_id BIGINT NOT NULL, 
    agent_id BIGINT NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_agent_person PRIMARY KEY (user_id), 
    CONSTRAINT fk_agent_person_agent_id FOREIGN KEY(agent_id) REFERENCES supply.agent (agent_id), 
    CONSTRAINT fk_agent_person_user_id FOREIGN KEY(user_id) REFERENCES core.app_user (user_id)
)
;;
CREATE INDEX ix_agent_person_agent_id ON supply.agent_person (agent_id)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON metrics.observation TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.agent_person TO app_staff, app_worker
;;
ALTER TABLE supply.agent_person ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.agent_person FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.agent_person TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.agent_person TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.agent_person TO app_sales
;;
CREATE POLICY app_sales ON supply.agent_person FOR SELECT TO app_sales USING (user_id = nullif(current_setting('app.user_id', true), '')::bigint)
