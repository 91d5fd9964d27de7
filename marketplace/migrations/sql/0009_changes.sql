ALTER TABLE core.app_user ADD COLUMN email text
;;
CREATE INDEX ix_app_user_email ON core.app_user (email)
;;
CREATE INDEX ix_app_user_merchant_id ON core.app_user (merchant_id)
;;
ALTER TABLE core.session ADD COLUMN viewing_merchant_id bigint
;;
CREATE INDEX ix_audit_actor_audit_id ON core.audit (actor, audit_id)
