CREATE TABLE core.oidc_attempt (
    state_hash BYTEA NOT NULL, 
    nonce TEXT NOT NULL, 
    verifier TEXT NOT NULL, 
    next_path TEXT NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_oidc_attempt PRIMARY KEY (state_hash)
)
;;
CREATE TABLE core.access_link (
    link_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    email TEXT NOT NULL, 
    user_id BIGINT, 
    name TEXT, 
    roles TEXT[], 
    merchant_id BIGINT, 
    made_by TEXT NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    used_at TIMESTAMP WITH TIME ZONE, 
    withdrawn_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_access_link PRIMARY KEY (link_id), 
    CONSTRAINT fk_access_link_user_id FOREIGN KEY(user_id) REFERENCES core.app_user (user_id) ON DELETE CASCADE, 
    CONSTRAINT ck_access_link_reset_of_user CHECK ((kind = 'reset') = (user_id IS NOT NULL)), 
    CONSTRAINT ck_access_link_invitation_to_roles CHECK ((kind = 'invitation') = (roles IS NOT NULL))
)
;;
CREATE INDEX ix_access_link_open ON core.access_link (merchant_id, email) WHERE used_at IS NULL
;;
CREATE TABLE core.half_sign_in (
    token_hash BYTEA NOT NULL, 
    user_id BIGINT NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_half_sign_in PRIMARY KEY (token_hash), 
    CONSTRAINT fk_half_sign_in_user_id FOREIGN KEY(user_id) REFERENCES core.app_user (user_id) ON DELETE CASCADE
)
;;
CREATE INDEX ix_half_sign_in_user_id ON core.half_sign_in (user_id)
;;
CREATE TABLE core.identity (
    issuer TEXT NOT NULL, 
    subject TEXT NOT NULL, 
    user_id BIGINT NOT NULL, 
    linked_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_identity PRIMARY KEY (issuer, subject), 
    CONSTRAINT fk_identity_user_id FOREIGN KEY(user_id) REFERENCES core.app_user (user_id) ON DELETE CASCADE, 
    CONSTRAINT uq_identity_issuer_user_id UNIQUE (issuer, user_id)
)
;;
CREATE INDEX ix_identity_user_id ON core.identity (user_id)
;;
CREATE TABLE core.recovery_code (
    user_id BIGINT NOT NULL, 
    code_hash BYTEA NOT NULL, 
    used_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_recovery_code PRIMARY KEY (user_id, code_hash), 
    CONSTRAINT fk_recovery_code_user_id FOREIGN KEY(user_id) REFERENCES core.app_user (user_id) ON DELETE CASCADE
)
;;
CREATE TABLE core.second_factor (
    user_id BIGINT NOT NULL, 
    secret TEXT NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    confirmed_at TIMESTAMP WITH TIME ZONE, 
    last_step BIGINT DEFAULT '0' NOT NULL, 
    CONSTRAINT pk_second_factor PRIMARY KEY (user_id), 
    CONSTRAINT fk_second_factor_user_id FOREIGN KEY(user_id) REFERENCES core.app_user (user_id) ON DELETE CASCADE
)
;;
CREATE TABLE core.link_token (
    token_hash BYTEA NOT NULL, 
    link_id BIGINT NOT NULL, 
    CONSTRAINT pk_link_token PRIMARY KEY (token_hash), 
    CONSTRAINT fk_link_token_link_id FOREIGN KEY(link_id) REFERENCES core.access_link (link_id) ON DELETE CASCADE
)
;;
CREATE INDEX ix_link_token_link_id ON core.link_token (link_id)
;;
CREATE TABLE core.mail (
    mail_id BIGINT NOT NULL, 
    kind TEXT NOT NULL, 
    recipient TEXT NOT NULL, 
    locale TEXT NOT NULL, 
    link_id BIGINT, 
    facts JSONB NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    not_before TIMESTAMP WITH TIME ZONE NOT NULL, 
    attempts INTEGER DEFAULT '0' NOT NULL, 
    sent_at TIMESTAMP WITH TIME ZONE, 
    error TEXT, 
    CONSTRAINT pk_mail PRIMARY KEY (mail_id), 
    CONSTRAINT fk_mail_link_id FOREIGN KEY(link_id) REFERENCES core.access_link (link_id) ON DELETE CASCADE
)
;;
CREATE INDEX ix_mail_waiting ON core.mail (not_before) WHERE sent_at IS NULL
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.oidc_attempt TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.access_link TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.half_sign_in TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.identity TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.recovery_code TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.second_factor TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.link_token TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.mail TO app_staff, app_worker
