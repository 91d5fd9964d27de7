ALTER TABLE billing.payer_claim ADD COLUMN documented boolean DEFAULT false NOT NULL
;;
ALTER TABLE billing.payer_claim NO FORCE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_document NO FORCE ROW LEVEL SECURITY
;;
UPDATE billing.payer_claim c SET documented = true
WHERE EXISTS (SELECT FROM billing.payer_document d
              WHERE d.payer_id = c.payer_id AND d.claim_id = c.claim_id AND d.rejection_id IS NULL)
;;
ALTER TABLE billing.payer_claim FORCE ROW LEVEL SECURITY
;;
ALTER TABLE billing.payer_document FORCE ROW LEVEL SECURITY
