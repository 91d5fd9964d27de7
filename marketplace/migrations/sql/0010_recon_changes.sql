ALTER TABLE billing.match_item ADD COLUMN apart bigint[] NOT NULL DEFAULT '{}'
;;
UPDATE billing.match_item i
SET apart = a.others
FROM (SELECT item_id, array_agg(DISTINCT other ORDER BY other) AS others
      FROM (SELECT t AS item_id, o AS other
            FROM billing.match_group g, unnest(g.theirs) AS t, unnest(g.ours) AS o WHERE g.reverses_id IS NOT NULL
            UNION ALL
            SELECT o, t
            FROM billing.match_group g, unnest(g.theirs) AS t, unnest(g.ours) AS o WHERE g.reverses_id IS NOT NULL
           ) AS pair
      GROUP BY item_id) AS a
WHERE a.item_id = i.item_id
;;
UPDATE billing.match_item i
SET source_id = p.transfer_id
FROM billing.payment_command c,
     (SELECT DISTINCT ON (merchant_id, refund_id, payment_id, due_at)
             merchant_id, refund_id, payment_id, due_at, transfer_id
      FROM billing.refund_payment WHERE way = 'card'
      ORDER BY merchant_id, refund_id, payment_id, due_at, attempt) AS p
WHERE i.kind = 'refund' AND c.command_id = i.source_id AND p.merchant_id = c.merchant_id
  AND p.refund_id = c.refund_id AND p.payment_id = c.payment_id AND p.due_at = c.created_at
