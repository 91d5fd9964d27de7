CREATE TABLE incentives.buyer_opt_in (
    buyer_id BIGINT NOT NULL, 
    promotion_id BIGINT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT NOT NULL, 
    CONSTRAINT pk_buyer_opt_in PRIMARY KEY (buyer_id, promotion_id), 
    CONSTRAINT fk_buyer_opt_in_promotion_id FOREIGN KEY(promotion_id) REFERENCES incentives.promotion (promotion_id)
)
;;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentives.buyer_opt_in TO app_staff, app_worker
;;
ALTER TABLE incentives.buyer_opt_in ENABLE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.buyer_opt_in FORCE ROW LEVEL SECURITY
;;
CREATE POLICY app_staff ON incentives.buyer_opt_in TO app_staff USING (true) WITH CHECK (true)
;;
CREATE POLICY app_worker ON incentives.buyer_opt_in TO app_worker USING (true) WITH CHECK (true)
;;
GRANT SELECT ON incentives.buyer_opt_in TO app_buyer
;;
CREATE POLICY app_buyer ON incentives.buyer_opt_in FOR SELECT TO app_buyer USING (buyer_id = nullif(current_setting('app.buyer_id', true), '')::bigint)
