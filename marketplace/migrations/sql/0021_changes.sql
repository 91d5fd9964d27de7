ALTER TABLE billing.match_group DROP CONSTRAINT ck_match_group_residue_kind
;;
ALTER TABLE billing.match_group ADD CONSTRAINT ck_match_group_residue_kind
    CHECK (residue_kind IN ('', 'fee', 'exchange', 'rounding', 'adjustment'))
;;
ALTER TABLE billing.match_proposal ADD COLUMN residue_kind text DEFAULT '' NOT NULL
;;
ALTER TABLE billing.match_proposal ADD CONSTRAINT ck_match_proposal_residue_kind
    CHECK (residue_kind IN ('', 'fee', 'exchange', 'rounding', 'adjustment'))
;;
ALTER TABLE billing.recon_break ALTER COLUMN respond_by DROP NOT NULL
;;
UPDATE billing.recon_break SET respond_by = NULL WHERE closed_at IS NULL AND kind IN ('expected', 'cut_off')
;;
DELETE FROM billing.match_item i
USING billing.match_item t
WHERE i.kind = 'processor_fee' AND i.owner_id = 0 AND i.group_id IS NULL AND t.kind = 'processor_line'
  AND t.owner_id = 0 AND t.source_id = i.source_id AND t.part = i.part AND t.reference <> i.reference
;;
ALTER TABLE billing.bank_file ADD COLUMN settlement_id bigint
;;
GRANT UPDATE (settlement_id) ON billing.bank_file TO app_staff, app_worker
