CREATE TABLE billing.payment_break (
    currency TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    order_ref TEXT NOT NULL, 
    paid_minor BIGINT NOT NULL, 
    due_minor BIGINT NOT NULL, 
    CONSTRAINT pk_payment_break PRIMARY KEY (currency, kind, order_ref)
)
;;
CREATE TABLE core.last_check (
    subject TEXT NOT NULL, 
    answer JSONB, 
    checked_at TIMESTAMP WITH TIME ZONE, 
    asked_at TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_last_check PRIMARY KEY (subject), 
    CONSTRAINT ck_last_check_checked CHECK ((answer IS NULL) = (checked_at IS NULL))
)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.payment_break TO app_staff, app_worker
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.last_check TO app_staff, app_worker
