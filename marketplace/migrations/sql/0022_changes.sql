ALTER TABLE supply.stage_event ADD COLUMN evidence text NOT NULL DEFAULT ''
;;
ALTER TABLE supply.lead NO FORCE ROW LEVEL SECURITY
;;
UPDATE supply.lead SET territory_id = p.territory_id FROM supply.lead_pool p
WHERE p.pool_id = lead.pool_id AND lead.territory_id IS NULL AND p.territory_id IS NOT NULL
;;
ALTER TABLE supply.lead FORCE ROW LEVEL SECURITY
