ALTER TABLE billing.payout ADD COLUMN file_id bigint
;;
CREATE INDEX ix_payout_file_id ON billing.payout (file_id) WHERE file_id IS NOT NULL
