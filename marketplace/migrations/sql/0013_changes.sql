ALTER TABLE incentives.merchant_progress ADD COLUMN promise_keys text[] NOT NULL DEFAULT '{}'::text[]
;;
ALTER TABLE incentives.merchant_progress ADD COLUMN promise_minor bigint[] NOT NULL DEFAULT '{}'::bigint[]
;;
ALTER TABLE incentives.merchant_progress ADD COLUMN promises integer NOT NULL DEFAULT 0
;;
ALTER TABLE incentives.merchant_progress ADD CONSTRAINT ck_merchant_progress_promises
    CHECK (cardinality(promise_keys) = cardinality(promise_minor))
;;
ALTER TABLE incentives.buyer_progress ADD COLUMN promise_keys text[] NOT NULL DEFAULT '{}'::text[]
;;
ALTER TABLE incentives.buyer_progress ADD COLUMN promise_minor bigint[] NOT NULL DEFAULT '{}'::bigint[]
;;
ALTER TABLE incentives.buyer_progress ADD COLUMN promises integer NOT NULL DEFAULT 0
;;
ALTER TABLE incentives.buyer_progress ADD CONSTRAINT ck_buyer_progress_promises
    CHECK (cardinality(promise_keys) = cardinality(promise_minor))
