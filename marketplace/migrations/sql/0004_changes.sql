ALTER TABLE billing.payout ADD COLUMN file_id bigint
;;
CREATE INDEX ix_payout_file_id ON billing.payout (file_id) WHERE file_id IS NOT NULL
;;
ALTER TABLE billing.payout ADD COLUMN retry_of bigint
;;
CREATE UNIQUE INDEX uq_payout_retry_of ON billing.payout (merchant_id, retry_of)
