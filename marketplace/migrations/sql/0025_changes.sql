ALTER TABLE incentives.buyer_grant NO FORCE ROW LEVEL SECURITY
;;
DELETE FROM incentives.buyer_grant WHERE form = 'discount' AND state = 'pending'
;;
ALTER TABLE incentives.buyer_grant FORCE ROW LEVEL SECURITY
;;
DROP INDEX incentives.ix_budget_reservation_expiring
;;
CREATE INDEX ix_budget_reservation_expiring ON incentives.budget_reservation (expires_at)
WHERE state = 'reserved' AND expires_at IS NOT NULL
;;
ALTER TABLE incentives.merchant_contribution DROP CONSTRAINT pk_merchant_contribution,
      ADD CONSTRAINT pk_merchant_contribution PRIMARY KEY (merchant_id, event_id, promotion_id)
;;
ALTER TABLE incentives.buyer_contribution DROP CONSTRAINT pk_buyer_contribution,
      ADD CONSTRAINT pk_buyer_contribution PRIMARY KEY (buyer_id, event_id, promotion_id)
