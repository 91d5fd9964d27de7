CREATE TABLE supply.content_partner (
    partner_id BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    contact TEXT NOT NULL, 
    active BOOLEAN NOT NULL, 
    version INTEGER NOT NULL, 
    CONSTRAINT pk_content_partner PRIMARY KEY (partner_id), 
    CONSTRAINT uq_content_partner_name UNIQUE (name)
)
;;
CREATE TABLE supply.course (
    course_id BIGINT NOT NULL, 
    code TEXT NOT NULL, 
    title TEXT NOT NULL, 
    mode TEXT NOT NULL, 
    required BOOLEAN NOT NULL, 
    active BOOLEAN NOT NULL, 
    newest_no INTEGER NOT NULL, 
    counts_from INTEGER NOT NULL, 
    version INTEGER NOT NULL, 
    CONSTRAINT pk_course PRIMARY KEY (course_id), 
    CONSTRAINT ck_course_mode CHECK (mode IN ('online', 'in_class')), 
    CONSTRAINT ck_course_counts CHECK (counts_from <= greatest(newest_no, 1)), 
    CONSTRAINT uq_course_code UNIQUE (code)
)
;;
CREATE TABLE supply.course_answers (
    course_id BIGINT NOT NULL, 
    version_no INTEGER NOT NULL, 
    right_choices INTEGER[] NOT NULL, 
    CONSTRAINT pk_course_answers PRIMARY KEY (course_id, version_no)
)
;;
CREATE TABLE supply.class_date (
    class_id BIGINT NOT NULL, 
    course_id BIGINT NOT NULL, 
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    place TEXT NOT NULL, 
    trainer TEXT NOT NULL, 
    seats INTEGER NOT NULL, 
    cancelled BOOLEAN DEFAULT 'false' NOT NULL, 
    CONSTRAINT pk_class_date PRIMARY KEY (class_id), 
    CONSTRAINT fk_class_date_course_id FOREIGN KEY(course_id) REFERENCES supply.course (course_id), 
    CONSTRAINT ck_class_date_seats CHECK (seats > 0)
)
;;
CREATE INDEX ix_class_date_course_id_starts_at ON supply.class_date (course_id, starts_at)
;;
CREATE TABLE supply.content_piece (
    piece_id BIGINT NOT NULL, 
    code TEXT NOT NULL, 
    title TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    url TEXT NOT NULL, 
    partner_id BIGINT, 
    active BOOLEAN NOT NULL, 
    version INTEGER NOT NULL, 
    CONSTRAINT pk_content_piece PRIMARY KEY (piece_id), 
    CONSTRAINT fk_content_piece_partner_id FOREIGN KEY(partner_id) REFERENCES supply.content_partner (partner_id), 
    CONSTRAINT ck_content_piece_kind CHECK (kind IN ('article', 'guide', 'newsletter', 'post', 'video')), 
    CONSTRAINT uq_content_piece_code UNIQUE (code)
)
;;
CREATE TABLE supply.course_version (
    course_id BIGINT NOT NULL, 
    version_no INTEGER NOT NULL, 
    lessons JSONB NOT NULL, 
    questions JSONB NOT NULL, 
    pass_ppm INTEGER NOT NULL, 
    valid_days INTEGER, 
    wait_days INTEGER NOT NULL, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_course_version PRIMARY KEY (course_id, version_no), 
    CONSTRAINT fk_course_version_course_id FOREIGN KEY(course_id) REFERENCES supply.course (course_id)
)
;;
CREATE TABLE supply.attempt (
    merchant_id BIGINT NOT NULL, 
    attempt_id BIGINT NOT NULL, 
    course_id BIGINT NOT NULL, 
    version_no INTEGER NOT NULL, 
    class_id BIGINT, 
    person TEXT NOT NULL, 
    state TEXT NOT NULL, 
    lessons TEXT[] NOT NULL, 
    score_ppm INTEGER, 
    begun_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    ended_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_attempt PRIMARY KEY (merchant_id, attempt_id), 
    CONSTRAINT fk_attempt_merchant_id FOREIGN KEY(merchant_id) REFERENCES supply.merchant (merchant_id), 
    CONSTRAINT fk_attempt_course_id FOREIGN KEY(course_id) REFERENCES supply.course (course_id), 
    CONSTRAINT fk_attempt_class_id FOREIGN KEY(class_id) REFERENCES supply.class_date (class_id), 
    CONSTRAINT ck_attempt_state CHECK (state IN ('open', 'passed', 'failed', 'missed', 'cancelled')), 
    CONSTRAINT ck_attempt_over CHECK ((state = 'open') = (ended_at IS NULL)), 
    CONSTRAINT ck_attempt_judged CHECK ((state IN ('passed', 'failed')) = (score_ppm IS NOT NULL))
)
;;
CREATE INDEX ix_attempt_class ON supply.attempt (class_id) WHERE class_id IS NOT NULL
;;
CREATE INDEX ix_attempt_course_id_attempt_id ON supply.attempt (course_id, attempt_id)
;;
CREATE UNIQUE INDEX uq_attempt_open ON supply.attempt (merchant_id, course_id, person) WHERE state = 'open'
;;
CREATE TABLE supply.content_send (
    send_id BIGINT NOT NULL, 
    piece_id BIGINT NOT NULL, 
    channel_id BIGINT NOT NULL, 
    partner_id BIGINT, 
    planned_on DATE NOT NULL, 
    state TEXT NOT NULL, 
    sent_at TIMESTAMP WITH TIME ZONE, 
    recipients INTEGER NOT NULL, 
    version INTEGER NOT NULL, 
    CONSTRAINT pk_content_send PRIMARY KEY (send_id), 
    CONSTRAINT fk_content_send_piece_id FOREIGN KEY(piece_id) REFERENCES supply.content_piece (piece_id), 
    CONSTRAINT fk_content_send_channel_id FOREIGN KEY(channel_id) REFERENCES supply.channel (channel_id), 
    CONSTRAINT fk_content_send_partner_id FOREIGN KEY(partner_id) REFERENCES supply.content_partner (partner_id), 
    CONSTRAINT ck_content_send_state CHECK (state IN ('planned', 'sent', 'cancelled')), 
    CONSTRAINT ck_content_send_sent CHECK ((state = 'sent') = (sent_at IS NOT NULL)), 
    CONSTRAINT ck_content_send_recipients CHECK (recipients >= 0 AND (state = 'sent' OR recipients = 0))
)
;;
CREATE INDEX ix_content_send_piece_id_channel_id ON supply.content_send (piece_id, channel_id)
;;
CREATE INDEX ix_content_send_planned_on_send_id ON supply.content_send (planned_on, send_id)
;;
CREATE TABLE supply.certificate (
    merchant_id BIGINT NOT NULL, 
    attempt_id BIGINT NOT NULL, 
    course_id BIGINT NOT NULL, 
    version_no INTEGER NOT NULL, 
    person TEXT NOT NULL, 
    issued_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE, 
    revoked_at TIMESTAMP WITH TIME ZONE, 
    revoke_reason TEXT DEFAULT '' NOT NULL, 
    CONSTRAINT pk_certificate PRIMARY KEY (merchant_id, attempt_id), 
    CONSTRAINT fk_certificate_merchant_id_attempt_id FOREIGN KEY(merchant_id, attempt_id) REFERENCES supply.attempt (merchant_id, attempt_id), 
    CONSTRAINT ck_certificate_days CHECK (expires_at > issued_at), 
    CONSTRAINT ck_certificate_revoked CHECK ((revoked_at IS NULL) = (revoke_reason = ''))
)
;;
CREATE INDEX ix_certificate_course_id_attempt_id ON supply.certificate (course_id, attempt_id)
;;
CREATE TABLE supply.content_day (
    send_id BIGINT NOT NULL, 
    day DATE NOT NULL, 
    opens INTEGER NOT NULL, 
    shares INTEGER NOT NULL, 
    CONSTRAINT pk_content_day PRIMARY KEY (send_id, day), 
    CONSTRAINT fk_content_day_send_id FOREIGN KEY(send_id) REFERENCES supply.content_send (send_id), 
    CONSTRAINT ck_content_day_counts CHECK (opens >= 0 AND shares >= 0)
)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.content_partner TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.course TO app_staff, app_worker
;;
GRANT SELECT ON supply.course TO app_merchant
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.course_answers TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.class_date TO app_staff, app_worker
;;
GRANT SELECT ON supply.class_date TO app_merchant
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.content_piece TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.course_version TO app_staff, app_worker
;;
GRANT SELECT ON supply.course_version TO app_merchant
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.attempt TO app_staff, app_worker
;;
ALTER TABLE supply.attempt ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.attempt FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.attempt TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.attempt TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.attempt TO app_merchant
;;
CREATE POLICY app_merchant ON supply.attempt FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.content_send TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.certificate TO app_staff, app_worker
;;
ALTER TABLE supply.certificate ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE supply.certificate FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON supply.certificate TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON supply.certificate TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON supply.certificate TO app_merchant
;;
CREATE POLICY app_merchant ON supply.certificate FOR SELECT TO app_merchant USING (merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON supply.content_day TO app_staff, app_worker
