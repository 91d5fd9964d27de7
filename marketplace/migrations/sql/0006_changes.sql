ALTER TABLE billing.entity ADD COLUMN sealed_through DATE
;;
DO $$ DECLARE house text; BEGIN
IF to_regclass('pg_catalog.pg_dist_partition') IS NULL THEN
    FOREACH house IN ARRAY ARRAY['app_staff', 'app_worker'] LOOP
        EXECUTE format('ALTER POLICY %I ON billing.entry WITH CHECK (effective_on > coalesce((SELECT e.sealed_through FROM billing.entity e WHERE e.entity_id = entry.entity_id), ''-infinity''))', house);
    END LOOP;
END IF;
END $$
;;
CREATE INDEX ix_entry_effective_on ON billing.entry USING brin (effective_on) WITH (autosummarize = on)
