ALTER TABLE billing.payer_claim ADD COLUMN accepted_at timestamptz
;;
ALTER TABLE billing.payer_claim ADD COLUMN accepted_by text
