CREATE TABLE core.notice (
    notice_id BIGINT NOT NULL, 
    audience TEXT NOT NULL, 
    merchant_id BIGINT, 
    kind TEXT NOT NULL, 
    path TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_notice PRIMARY KEY (notice_id), 
    CONSTRAINT ck_notice_merchant CHECK ((audience = 'merchant') = (merchant_id IS NOT NULL))
)
;;
CREATE INDEX ix_notice_audience_notice_id ON core.notice (audience, notice_id)
;;
CREATE INDEX ix_notice_made_at ON core.notice (made_at)
;;
CREATE INDEX ix_notice_merchant_id_notice_id ON core.notice (merchant_id, notice_id)
;;
CREATE TABLE core.notice_reader (
    user_id BIGINT NOT NULL, 
    seen_id BIGINT DEFAULT '0' NOT NULL, 
    by_mail BOOLEAN DEFAULT 'true' NOT NULL, 
    CONSTRAINT pk_notice_reader PRIMARY KEY (user_id), 
    CONSTRAINT fk_notice_reader_user_id FOREIGN KEY(user_id) REFERENCES core.app_user (user_id) ON DELETE CASCADE
)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.notice TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.notice_reader TO app_staff, app_worker
