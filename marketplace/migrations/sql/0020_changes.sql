CREATE INDEX ix_merchant_contribution_window ON incentives.merchant_contribution
    (merchant_id, promotion_id, span, version_no)
;;
DROP INDEX incentives.ix_merchant_contribution_merchant_id_promotion_id_span
;;
CREATE INDEX ix_buyer_contribution_window ON incentives.buyer_contribution (buyer_id, promotion_id, span, version_no)
;;
DROP INDEX incentives.ix_buyer_contribution_buyer_id_promotion_id_span
;;
ALTER TABLE supply.offer ADD COLUMN listed_at timestamptz
;;
ALTER TABLE supply.offer NO FORCE ROW LEVEL SECURITY
;;
UPDATE supply.offer SET listed_at = updated_at
;;
ALTER TABLE supply.offer FORCE ROW LEVEL SECURITY
