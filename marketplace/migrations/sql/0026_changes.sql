CREATE INDEX ix_payout_newest ON billing.payout (instructed_on, merchant_id, payout_id)
;;
CREATE INDEX ix_payout_amount ON billing.payout (amount_minor, merchant_id, payout_id)
